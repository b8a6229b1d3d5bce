"""What the gateway answers itself: the admin interface, and the live page with the same interface below it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from eas_grpc.errors import ConfigError
from eas_grpc.options import check_seconds
from eas_grpc.serving._address import is_loopback
from server_demo.gateway._core import Behind, Core
from server_demo.gateway._discovery import instances_from
from server_demo.gateway._exchange import Caller, Exchange, Head
from server_demo.gateway._fault_kinds import kinds_json
from server_demo.gateway._faults import make, parse
from server_demo.gateway._http_service import LocalExchange, Request, Response
from server_demo.gateway.options import checked_tokens

__all__ = ["Admin", "asks_for_page", "local_pages"]

PAGE = "/_eas"
_API = f"{PAGE}/api"
_ASKS_FOR_PAGE = re.compile(rb"[A-Z]+ /_eas[ /?]")

# Bytes of a request's body.
MOST_ASKED = 64 * 1024
# Digits of a number that may be one of ours.
_MOST_DIGITS = 15

_NOT_HERE = "this is for this machine alone: ask for it at 127.0.0.1 or localhost"

# Time for the answer to leave before the connections are broken.
_BEFORE_RESTART = 0.05


class _Refused(Exception):
    """The request cannot be done; the text says why."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Admin:
    """Answers JSON with JSON. Never tells a token.

    What comes with a body has to come as application/json, which no foreign page in a browser can send unasked (nor
    can it DELETE), and everything to a loopback host, which a foreign name that was pointed here is not.
    """

    def __init__(self, core: Core, endpoint: str, *, tls: bool) -> None:
        self._core = core
        self._endpoint = endpoint
        self._tls = tls
        self._began = core.now()

    def handle(self, request: Request) -> Response:
        """The answer to a request, whose path begins after the interface's base."""
        try:
            if not _is_here(request.headers.get("host", "")):
                raise _Refused(403, _NOT_HERE)
            parts = [part for part in request.path.split("/") if part]
            status, value = self._answer(request, parts)
        except ConfigError as error:
            status, value = 400, {"error": str(error)}
        except _Refused as error:
            status, value = error.status, {"error": str(error)}
        body = b"" if value is None else json.dumps(value, separators=(",", ":")).encode()
        return Response(status, body, "application/json", {"cache-control": "no-store"})

    def _answer(self, request: Request, parts: list[str]) -> tuple[int, Any]:
        core = self._core
        match request.method, parts:
            case "GET", ["state"]:
                return 200, self._state()
            case "GET", ["calls"]:
                return 200, self._calls(request.query.get("after", "0"))
            case "GET", ["trace"]:
                return 200, {"trace": core.faults.trace_json()}
            case "GET", ["faults"]:
                return 200, {"faults": core.faults.state_json()}
            case "POST", ["faults"]:
                return 201, {"id": core.begin_fault(_fault(_json(request)))}
            case "DELETE", ["faults"]:
                core.end_faults()
                return 204, None
            case "DELETE", ["faults", number]:
                if not (_is_number(number) and core.end_fault(int(number))):
                    raise _Refused(404, f"there is no fault {number[:_MOST_DIGITS]}")
                return 204, None
            case "PUT", ["services", name, "tokens"]:
                tokens = _only(_json(request), "tokens").get("tokens")
                behind = self._behind(name)
                if not isinstance(tokens, list) or not tokens:
                    raise _Refused(
                        400, 'send {"tokens": ["...", "..."]} with at least one: none would let everybody in'
                    )
                core.put(replace(behind.service, tokens=checked_tokens(tokens)))
                return 204, None
            case "PUT", ["services", name, "instances"]:
                given = _json(request)
                given = _only(given, "instances").get("instances") if isinstance(given, Mapping) else given
                self._behind(name).instances = instances_from(given)
                return 204, None
            case "POST", ["restart"]:
                down = check_down(_only(_json(request), "down").get("down", 0.5))
                core.loop.call_later(_BEFORE_RESTART, core.restart, down)
                return 202, None
            case _:
                raise _Refused(404, "there is nothing here: state, calls, trace, faults, services, restart")

    def _behind(self, name: str) -> Behind:
        if name not in self._core.services:
            raise _Refused(404, f"no service {name!r} is behind this gateway")
        return self._core.services[name]

    def _state(self) -> dict[str, Any]:
        core = self._core
        under_way = [call.behind for call in core.calls]
        return {
            "endpoint": self._endpoint,
            "tls": self._tls,
            "uptime_seconds": round(core.now() - self._began, 1),
            "services": [
                {
                    "name": name,
                    "http": behind.http is not None,
                    "grpc": behind.grpc is not None,
                    "tokens": len(behind.service.tokens),
                    "in_flight": under_way.count(behind),
                    "calls": behind.counts.calls,
                    "errors": behind.counts.errors,
                    "instances": [
                        {"ip": each.ip, "port": each.port, "weight": each.weight} for each in behind.instances
                    ],
                }
                for name, behind in core.services.items()
            ],
            "faults": core.faults.state_json(),
            "kinds": kinds_json(),
        }

    def _calls(self, after: str) -> dict[str, Any]:
        if not _is_number(after):
            raise _Refused(400, f"after={after[:_MOST_DIGITS]!r} must be a version, which is a whole number")
        log = self._core.log
        return {"version": log.version, "calls": [record.to_json() for record in log.since(int(after))]}


def asks_for_page(start: bytes) -> bool:
    """Whether a connection that begins so is one of the live page's."""
    return _ASKS_FOR_PAGE.match(start) is not None


def local_pages(admin: Admin) -> Callable[[Head, Caller], Exchange | None]:
    """Takes the live page and its interface out of the gateway's hands; everything else goes on."""

    def handle(request: Request) -> Response:
        if request.path in {PAGE, f"{PAGE}/"}:
            return _page() if request.method == "GET" else Response(405, b"GET this page.\n")
        if request.path.startswith(f"{_API}/"):
            return admin.handle(replace(request, path=request.path.removeprefix(_API)))
        return Response(404, b"There is nothing here.\n")

    def not_here(_: Request) -> Response:
        return Response(403, f"{_NOT_HERE}\n".encode())

    def local(head: Head, caller: Caller) -> Exchange | None:
        path = head.target.partition("?")[0]
        if path != PAGE and not path.startswith(f"{PAGE}/"):
            return None
        here = _is_here(head.authority) and _is_here(caller.link.peer)
        return LocalExchange(handle if here else not_here, head, caller, max_body_bytes=MOST_ASKED)

    return local


def check_down(value: object) -> float:
    """Seconds to be down, which may be none; a ConfigError for anything else."""
    if value == 0 and not isinstance(value, bool):
        return 0.0
    seconds = check_seconds("down", value)
    assert seconds is not None
    return seconds


@cache
def _page() -> Response:
    text = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
    style, script = (_hash(text, element) for element in ("style", "script"))
    policy = (
        f"default-src 'none'; style-src '{style}'; script-src '{script}'; connect-src 'self'; img-src data:;"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
    }
    return Response(200, text.encode(), "text/html; charset=utf-8", headers)


def _hash(text: str, element: str) -> str:
    found = re.search(rf"<{element}>(.*?)</{element}>", text, re.DOTALL)
    assert found is not None
    return f"sha256-{base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()}"


def _fault(value: Any) -> Any:
    """From the short text under `fault`, or from `kind` and the values beside it."""
    if isinstance(value, Mapping) and isinstance(value.get("fault"), str):
        return parse(_only(value, "fault")["fault"])
    if isinstance(value, Mapping) and isinstance(value.get("kind"), str):
        return make(value["kind"], **{name: each for name, each in value.items() if name != "kind"})
    raise _Refused(400, 'send {"fault": "latency:seconds=0.2,calls=3"}')


def _check_json(request: Request) -> None:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise _Refused(415, "send this with content-type application/json")


def _json(request: Request) -> Any:
    _check_json(request)
    try:
        return json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        raise _Refused(400, "the body is not JSON") from None


def _only(value: Any, name: str) -> Mapping[str, Any]:
    """An object that holds this and nothing else, so that nothing misspelt is passed over."""
    if not isinstance(value, Mapping) or set(value) - {name}:
        raise _Refused(400, f'send an object with nothing in it but "{name}"')
    return value


def _is_number(text: str) -> bool:
    return text.isdecimal() and len(text) <= _MOST_DIGITS


def _is_here(authority: str) -> bool:
    return is_loopback(re.sub(r":[0-9]*\Z", "", authority))
