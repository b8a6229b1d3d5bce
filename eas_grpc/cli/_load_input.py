"""What `eas-grpc load` is asked to do: its options as a plan, and the requests that it sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eas_grpc.cli._schema_source import Source
from eas_grpc.cli._target import Resolved, Target

if TYPE_CHECKING:
    from eas_grpc.calls import CallShape
    from eas_grpc.load import Job, Plan, Requests

__all__ = ["capped", "job_of", "plan_of", "requests_of"]

_DEFAULT_CONCURRENCY, _DEFAULT_SECONDS, _UNTIL_STABLE_SECONDS = 10, 10.0, 60.0
# A stream of answers lasts as long as its service wants; something must end the run.
_STREAM_TIMEOUT = 60.0


def plan_of(given: dict[str, Any]) -> Plan:
    """The plan that the options mean. Raises ConfigError."""
    from eas_grpc.errors import ConfigError
    from eas_grpc.load import Plan, Ramp

    concurrency, rate, ramp = given["concurrency"], given["rate"], None
    if given["ramp"] is not None:
        if concurrency is not None or rate is not None:
            raise ConfigError("--ramp says how much load: leave --rate and --concurrency out")
        kind, sign, levels = given["ramp"].rpartition("=")
        if sign and kind not in {"rate", "concurrency"}:
            raise ConfigError(f"--ramp {given['ramp']!r}: write A:B:STEP, or concurrency=A:B:STEP")
        ramp = Ramp.parse(levels)
        rate, concurrency = (None, max(1, round(ramp.first))) if kind == "concurrency" else (ramp.first, None)
    elif concurrency is None and rate is None:
        concurrency = _DEFAULT_CONCURRENCY
    seconds, requests = given["duration"], given["requests"]
    if seconds is None and (requests is None or given["until_stable"]):
        seconds = _UNTIL_STABLE_SECONDS if given["until_stable"] else _DEFAULT_SECONDS
    warmup = given["warmup"]
    return Plan(
        concurrency=concurrency,
        rate=rate,
        ramp=ramp,
        poisson=given["poisson"],
        seconds=seconds,
        requests=requests,
        warmup=(0.0 if requests is not None else 1.0) if warmup is None else warmup,
        channels=given["channels"],
        processes=given["processes"],
        max_in_flight=10_000 if given["max_in_flight"] is None else given["max_in_flight"],
        seed=given["seed"],
        until_stable=given["until_stable"],
        stable_within=given["stable_within"] / 100,
        window=given["window"],
    )


def capped(plan: Plan, found: Resolved, given: dict[str, Any]) -> Plan:
    """The plan within what may be sent there; before anything is looked up or dialled."""
    from dataclasses import replace

    from eas_grpc.load import REMOTE, check_caps

    loopback = found.endpoint.is_loopback
    if not loopback and given["max_in_flight"] is None:
        plan = replace(plan, max_in_flight=REMOTE.in_flight)
    return check_caps(plan, loopback=loopback, allow_remote=given["allow_remote"])


def requests_of(
    text: str, target: Target, source: Source, given: dict[str, Any]
) -> tuple[CallShape, str, Requests]:
    """What is called and with what; the schema is looked up once, here."""
    from eas_grpc.calls import CallShape
    from eas_grpc.cli._call_input import attachment, sources
    from eas_grpc.cli._call_schema import CallSchema, symbols_of
    from eas_grpc.cli._schema_source import find_schema
    from eas_grpc.errors import ConfigError
    from eas_grpc.load import Requests
    from eas_grpc.load._requests import check_templates
    from eas_grpc.load._templates import has_placeholders
    from eas_grpc.schema import descriptor_set
    from eas_grpc.schema._payload import attach, read

    attachments = read(
        [attachment("--file", each) for each in given["files"]],
        [attachment("--tensor", each) for each in given["tensors"]],
        given["model"],
    )
    # Never a terminal or a pipe that nobody named: what is sent must be there before the first call.
    named = sources(given["data"], streams=False, attached=True)
    values = [(each.where, value) for each in named for value in each.values()]
    if named and not values:
        raise ConfigError(f"{named[0].where} holds no request: an empty one is {{}}")

    def fetch(symbols: tuple[str, ...]) -> Any:
        return find_schema(target, source, None, symbols=symbols)

    schema = CallSchema(fetch(symbols_of(text)), text, None if source.local else fetch)
    method = schema.method
    shape = CallShape((method.client_streaming, method.server_streaming))
    if any(has_placeholders(value) for _, value in values):
        if attachments:
            raise ConfigError("placeholders and --file, --tensor or --model exclude each other")
        templates = tuple(value for _, value in values)
        described = descriptor_set(schema.schema)
        check_templates(templates, described, method.path, given["seed"])
        return shape, method.path, Requests(templates=templates, schema=described, seed=given["seed"])
    messages = []
    for where, value in values or [("the request", "{}")]:
        message = schema.parse(value, where=where)
        attach(schema.method, message, attachments)
        messages.append(message.SerializeToString())
    return shape, method.path, Requests(messages=tuple(messages))


def job_of(
    target: Target,
    found: Resolved,
    shape: CallShape,
    path: str,
    requests: Requests,
    plan: Plan,
    *,
    retry: bool,
) -> Job:
    from dataclasses import replace

    from eas_grpc.load import Job

    words = dict(found.connect)
    files = None
    timeout = words.pop("deadline")
    if shape.many_responses and not target.timeout_given:
        timeout = _STREAM_TIMEOUT
    if plan.processes > 1 and words.pop("credentials", None) is not None:
        # Credentials go into no other process; the files that they were made of do.
        cacert, cert, key = (None if each is None else each.absolute() for each in found.tls_files)
        files = cacert, cert, key
    return Job(
        endpoint=found.endpoint,
        method=path,
        shape=shape,
        requests=requests,
        plan=replace(plan, deadline=timeout),
        metadata=target.metadata,
        words=words,
        files=files,
        retry=retry,
    )
