"""`eas-grpc health`: what the standard health service says."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from eas_grpc.cli._target import Target, target_options
from eas_grpc.cli._types import Duration

__all__ = ["health"]

_NOT_SERVING, _CANNOT_CONNECT = 4, 5

_NO_HEALTH = "this service answers gRPC, but without the standard health service (grpc.health.v1)"
_NO_LIST = "its health service has no List: name a service instead, `eas-grpc health package.Service`"
_OLD_PACKAGE = "--list needs a newer grpcio-health-checking here: pip install -U grpcio-health-checking"


@click.command()
@click.argument("service", default="")
@click.option("--watch", is_flag=True, help="Print each change until interrupted.")
@click.option("--wait", type=Duration(), metavar="TIME", help="Wait this long until it serves, e.g. 60s.")
@click.option(
    "--list", "list_all", is_flag=True, help="Print each service the server knows, with its status."
)
@target_options
def health(service: str, *, watch: bool, wait: float | None, list_all: bool, target: Target) -> None:
    """Check whether a service is serving.

    SERVICE is its name as in `package.Service`; without it, the server as a whole is meant.

    Exits 0 when it serves, 4 when it does not or does not know the service, 5 when nothing answers, 76
    (64 + UNIMPLEMENTED) when there is no health service.
    """
    if sum((watch, wait is not None, list_all)) > 1:
        raise click.UsageError("--watch, --wait and --list exclude each other")
    if list_all and service:
        raise click.UsageError(f"--list prints every service: leave {service!r} out")
    with target.channel() as channel:
        if watch:
            _watch(channel, service, target)
        elif list_all:
            _list(channel, target)
        elif wait is not None:
            _wait(channel, service, wait, target)
        else:
            status = _check(channel, service, target)
            click.echo(status)
            if status != "SERVING":
                sys.exit(_NOT_SERVING)


def _name(status: int) -> str:
    """A status by name; numbers that this version does not know stay numbers."""
    from grpc_health.v1 import health_pb2

    statuses = health_pb2.HealthCheckResponse.ServingStatus
    return str(statuses.Name(status)) if status in statuses.values() else str(status)


def _check(channel: Any, service: str, target: Target, timeout: float | None = None) -> str:
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    from eas_grpc.errors import CallError

    stub: Any = health_pb2_grpc.HealthStub(channel)
    try:
        request = health_pb2.HealthCheckRequest(service=service)
        answer = stub.Check(request, timeout=timeout or target.timeout, metadata=target.metadata)
        return _name(answer.status)
    except CallError as error:
        if error.failure.status == "NOT_FOUND":
            return "SERVICE_UNKNOWN"
        raise _explained(error, _NO_HEALTH) from error


def _explained(error: Any, hint: str) -> Exception:
    """The error; with this hint where the service, and not a gateway, says that it lacks the method."""
    from eas_grpc.errors import CallError

    failure = error.failure
    if failure.status == "UNIMPLEMENTED" and failure.http_status is None:
        return CallError(failure.with_hint(hint))
    return CallError(failure)


def _watch(channel: Any, service: str, target: Target) -> None:
    """A change may be days away, so the stream has no limits of ours."""
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    from eas_grpc.errors import CallError

    stub: Any = health_pb2_grpc.HealthStub(channel)
    answered, why = False, "the server closed the stream"
    try:
        request = health_pb2.HealthCheckRequest(service=service)
        for answer in stub.Watch(request, timeout=None, metadata=target.metadata):
            answered = True
            click.echo(f"{time.strftime('%H:%M:%S')} {_name(answer.status)}")
    except KeyboardInterrupt:
        return
    except CallError as error:
        if not answered or error.failure.status != "UNAVAILABLE":
            raise _explained(error, _NO_HEALTH) from error
        why = error.failure.details
    click.echo(f"{time.strftime('%H:%M:%S')} the watch ended: {why}", err=True)
    sys.exit(_NOT_SERVING)


def _wait(channel: Any, service: str, wait: float, target: Target) -> None:
    """Asks again until it serves: the server may not even listen yet."""
    from eas_grpc.errors import CallError, CallFailure, Origin

    until = time.monotonic() + wait
    seen = ""
    failure: CallFailure | None = None
    while (left := until - time.monotonic()) > 0:
        try:
            seen = _check(channel, service, target, min(target.timeout, left))
        except CallError as error:
            if error.failure.status not in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}:
                raise
            # The last try may be cut short by the end of the wait; what an earlier one met says more.
            if failure is None or error.failure.status == "UNAVAILABLE":
                failure = error.failure
        if seen == "SERVING":
            click.echo(seen)
            return
        time.sleep(max(0.0, min(0.2, until - time.monotonic())))
    click.echo(f"{seen or 'no answer'} after {wait:g} s", err=True)
    if seen or failure is None:
        sys.exit(_NOT_SERVING)
    if failure.status == "UNAVAILABLE":
        raise CallError(failure)
    click.echo(f"Error: {failure}", err=True)
    sys.exit(_CANNOT_CONNECT if failure.origin is Origin.CLIENT else _NOT_SERVING)


def _list(channel: Any, target: Target) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    from eas_grpc.errors import CallError, ConfigError

    messages: Any = health_pb2
    stub: Any = health_pb2_grpc.HealthStub(channel)
    if not hasattr(stub, "List"):
        raise ConfigError(_OLD_PACKAGE)
    try:
        statuses = stub.List(messages.HealthListRequest(), metadata=target.metadata).statuses
    except CallError as error:
        if error.failure.status == "UNIMPLEMENTED":
            # Is it List that is missing, or the whole health service?
            _check(channel, "", target)
        raise _explained(error, _NO_LIST) from error
    for name in sorted(statuses):
        click.echo(f"{_name(statuses[name].status):<16} {name or '(the server as a whole)'}")
