"""A call that is not made: what would be sent, and the command lines of other tools that send it. Pure."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eas_grpc.cli._call_output import MASK, secret

if TYPE_CHECKING:
    from eas_grpc.cli._schema_source import Source
    from eas_grpc.cli._target import Target
    from eas_grpc.endpoint import Endpoint

__all__ = ["Call", "buf_curl", "grpcurl", "lines", "planned"]

# Between quotation marks in which a shell fills the variable in.
_AUTHORIZATION = '"authorization: Bearer $EAS_TOKEN"'

# Linux takes no argument of 128 KiB.
_LONGEST = 100_000
_ELSEWHERE = "request.json"


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call as every tool sees it; `metadata` is without the token and without secrets."""

    endpoint: Endpoint
    service: str
    method: str
    requests: Sequence[str]
    token: bool = False
    metadata: Sequence[tuple[str, str | bytes]] = ()
    timeout: float | None = None
    cacert: str | None = None
    cert: str | None = None
    key: str | None = None
    authority: str | None = None
    max_message: int | None = None
    emit_defaults: bool = False
    # One of: descriptor sets, or protos with the folders that their imports start from.
    descriptor_sets: Sequence[str] = ()
    protos: Sequence[str] = ()
    roots: Sequence[str] = ()

    @property
    def data(self) -> str:
        """All requests as one text in one line."""
        return " ".join(self.requests)


def grpcurl(call: Call) -> str:
    """The line for grpcurl."""
    words: list[str] = []
    if call.endpoint.tls:
        words += _options(("-cacert", call.cacert), ("-cert", call.cert), ("-key", call.key))
    else:
        words.append("-plaintext")
    words += _options(("-authority", call.authority))
    for each in call.descriptor_sets:
        words += ["-protoset", shlex.quote(each)]
    for each in call.roots:
        words += ["-import-path", shlex.quote(each)]
    for each in call.protos:
        words += ["-proto", shlex.quote(each)]
    if call.token:
        words += ["-H", _AUTHORIZATION]
    for name, value in call.metadata:
        words += ["-H", shlex.quote(_header(name, value))]
    if call.timeout is not None:
        words += ["-max-time", f"{call.timeout:g}"]
    if call.max_message is not None:
        words += ["-max-msg-sz", str(call.max_message)]
    if call.emit_defaults:
        words.append("-emit-defaults")
    data, after = _data(call, "@")
    if call.endpoint.socket is not None:
        address = ["-unix", shlex.quote(call.endpoint.socket)]
    else:
        address = [shlex.quote(call.endpoint.authority)]
    return " ".join(
        ["grpcurl", *words, *data, *address, shlex.quote(f"{call.service}/{call.method}"), *after]
    )


def buf_curl(call: Call) -> str:
    """The line for `buf curl`, which has no option for a deadline of the call but one for all of its work."""
    endpoint = call.endpoint
    words = ["--protocol", "grpc"]
    if endpoint.tls:
        words += _options(("--cacert", call.cacert), ("--cert", call.cert), ("--key", call.key))
        words += _options(("--servername", call.authority))
    else:
        words.append("--http2-prior-knowledge")
        if call.authority is not None:
            words += ["-H", shlex.quote(_listed(f"host: {call.authority}"))]
    for each in (*call.descriptor_sets, *call.roots):
        words += ["--schema", shlex.quote(each)]
    if call.token:
        words += ["-H", _AUTHORIZATION]
    for name, value in call.metadata:
        words += ["-H", shlex.quote(_listed(_header(name, value)))]
    if (call.token or call.metadata) and not (call.descriptor_sets or call.roots):
        words += ["--reflect-header", "'*'"]
    if call.timeout is not None:
        words += ["--timeout", f"{call.timeout:g}s"]
    if call.emit_defaults:
        words.append("--emit-defaults")
    data, after = _data(call, "@-")
    if endpoint.socket is not None:
        words += ["--unix-socket", shlex.quote(endpoint.socket)]
    url = f"{'https' if endpoint.tls else 'http'}://{endpoint.authority}/{call.service}/{call.method}"
    return " ".join(["buf", "curl", *words, *data, shlex.quote(url), *after])


def _options(*given: tuple[str, str | None]) -> list[str]:
    return [word for option, value in given if value is not None for word in (option, shlex.quote(value))]


def _data(call: Call, stdin: str) -> tuple[list[str], list[str]]:
    """The option, and what stands at the end of the line where the data comes from a file."""
    if len(call.data.encode()) > _LONGEST:
        return ["-d", shlex.quote(stdin)], ["<", _ELSEWHERE]
    return ["-d", shlex.quote(call.data)], []


def _header(name: str, value: str | bytes) -> str:
    text = value if isinstance(value, str) else base64.b64encode(value).decode("ascii")
    return f"{name}: {text}"


def _listed(header: str) -> str:
    """buf takes the value of -H for a line of CSV."""
    if "," not in header and '"' not in header:
        return header
    return '"' + header.replace('"', '""') + '"'


def planned(
    about: dict[str, Any], requests: Sequence[str], target: Target, source: Source, *, emit_defaults: bool
) -> dict[str, Any]:
    """A call that is not made, as one object: where to, with what, and the lines of other tools for it."""
    resolved = target.resolved()
    service, _, method = str(about["method"]).rpartition("/")
    own = [(name, value) for name, value in target.metadata if name != "authorization"]
    masked = [(name, MASK if secret(name) else value) for name, value in own]
    cacert, cert, key = (None if path is None else str(path) for path in resolved.tls_files)
    call = Call(
        endpoint=resolved.endpoint,
        service=service,
        method=method,
        requests=requests,
        token="authorization" in about["metadata"],
        metadata=masked,
        timeout=about["deadline"],
        cacert=cacert,
        cert=cert,
        key=key,
        # Of --authority or a profile: the one option that a target has for a channel.
        authority=next((str(value) for _, value in resolved.connect.get("options", ())), None),
        max_message=target.max_message,
        emit_defaults=emit_defaults,
        descriptor_sets=[str(each) for each in source.descriptor_sets],
        protos=[str(each) if source.includes else each.name for each in source.protos],
        roots=[str(each) for each in source.includes or dict.fromkeys(each.parent for each in source.protos)],
    )
    return {
        **about,
        "messages": [json.loads(each) for each in requests],
        "commands": {"grpcurl": grpcurl(call), "buf curl": buf_curl(call)},
    }


def lines(plan: dict[str, Any], *, local: bool) -> list[str]:
    """The same for people. `local`: nobody was asked for the schema."""
    deadline = plan["deadline"]
    asked = "" if local else ", which was asked for it"
    shown = [
        f"method    {plan['method']} ({plan['shape']})",
        f"endpoint  {plan['endpoint']} ({'TLS' if plan['tls'] else 'plaintext'})",
        f"schema    {plan['schema']}{asked}",
        f"deadline  {'none' if deadline is None else f'{deadline:g} s'}",
    ]
    for name, values in plan["metadata"].items():
        origin = f"  (token from {plan['token']})" if name == "authorization" and plan["token"] else ""
        shown += [f"metadata  {name}: {value}{origin}" for value in values]
    shown.append(f"requests  {len(plan['messages'])}")
    shown += [json.dumps(each, ensure_ascii=False, indent=2) for each in plan["messages"]]
    if any(f"< {_ELSEWHERE}" in line for line in plan["commands"].values()):
        shown.append(f"# too long for a command line: save the requests as {_ELSEWHERE}")
    return [*shown, *plan["commands"].values()]
