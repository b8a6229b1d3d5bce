"""`eas-grpc health`: what the standard health service says."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from eas_grpc.cli._target import Duration, open_channel, target_options

__all__ = ["health"]

_NOT_SERVING = 4


@click.command()
@click.argument("service", default="")
@click.option("--watch", is_flag=True, help="Print each change until interrupted.")
@click.option("--wait", type=Duration(), metavar="TIME", help="Wait this long until it serves, e.g. 60s.")
@click.option("--list", "list_all", is_flag=True, help="Print every service the server knows, with its status.")
@target_options
def health(
    service: str, timeout: float, *, watch: bool, wait: float | None, list_all: bool, **target: Any
) -> None:
    """Check whether SERVICE (default: the server as a whole) is serving.

    Exits 0 when it serves, 4 when it does not or does not know the service, 5 when nothing answers, 76
    (64 + UNIMPLEMENTED) when there is no health service.
    """
    if sum((watch, wait is not None, list_all)) > 1:
        raise click.UsageError("--watch, --wait and --list exclude each other")
    with open_channel(**target, timeout=timeout) as channel:
        if watch:
            _watch(channel, service)
        elif list_all:
            _list(channel)
        elif wait is not None:
            _wait(channel, service, wait)
        else:
            status = _check(channel, service)
            click.echo(status)
            _exit_unless_serving(status)


def _exit_unless_serving(status: str) -> None:
    if status != "SERVING":
        sys.exit(_NOT_SERVING)


def _name(status: int) -> str:
    from grpc_health.v1 import health_pb2

    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(status))


def _check(channel: Any, service: str) -> str:
    from eas_grpc.errors import CallError
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    request = health_pb2.HealthCheckRequest(service=service)
    try:
        return _name(health_pb2_grpc.HealthStub(channel).Check(request).status)
    except CallError as error:
        if error.failure.status == "NOT_FOUND":
            return "SERVICE_UNKNOWN"
        raise


def _watch(channel: Any, service: str) -> None:
    """A change may be days away, so the stream has no limits of ours."""
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    request = health_pb2.HealthCheckRequest(service=service)
    for answer in health_pb2_grpc.HealthStub(channel).Watch(request, timeout=None):
        click.echo(f"{time.strftime('%H:%M:%S')} {_name(answer.status)}")


def _wait(channel: Any, service: str, wait: float) -> None:
    """Asks again until it serves: the server may not even listen yet."""
    from eas_grpc.errors import CallError

    until = time.monotonic() + wait
    while True:
        failure: CallError | None = None
        status = "no answer"
        try:
            status = _check(channel, service)
        except CallError as error:
            if error.failure.status not in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}:
                raise
            failure = error
        if status == "SERVING":
            click.echo(status)
            return
        left = until - time.monotonic()
        if left <= 0:
            click.echo(f"{status} after {wait:g} s", err=True)
            if failure is not None:
                raise failure
            sys.exit(_NOT_SERVING)
        time.sleep(min(0.2, left))


def _list(channel: Any) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    stub = health_pb2_grpc.HealthStub(channel)
    if not hasattr(stub, "List"):
        raise click.UsageError("--list needs a newer grpcio-health-checking: pip install -U grpcio-health-checking")
    statuses = {name: _name(answer.status) for name, answer in stub.List(health_pb2.HealthListRequest()).statuses.items()}
    for name in sorted(statuses):
        click.echo(f"{statuses[name]:<16} {name or '(the server as a whole)'}")
