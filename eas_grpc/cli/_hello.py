"""`eas-grpc hello`: the SayHello of the PAI-EAS page on gRPC, against any endpoint."""

from __future__ import annotations

import time
from typing import Any

import click

from eas_grpc.cli._target import open_channel, target_options

__all__ = ["hello"]

# The vendor's page does not print the package of its .proto, so both spellings exist in the wild.
_SPELLINGS = ("helloworld.GreeterService", "GreeterService")


@click.command()
@click.argument("name", default="World")
@target_options
def hello(name: str, timeout: float, **target: Any) -> None:
    """Greet NAME through a service's SayHello and print the answer."""
    from eas_grpc.errors import CallError
    from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloRequest, HelloResponse

    with open_channel(**target, timeout=timeout) as channel:
        for service in _SPELLINGS:
            call = channel.unary_unary(
                f"/{service}/SayHello", HelloRequest.SerializeToString, HelloResponse.FromString
            )
            started = time.perf_counter()
            try:
                answer = call(HelloRequest(name=name))
            except CallError as error:
                if error.failure.status == "UNIMPLEMENTED" and service != _SPELLINGS[-1]:
                    continue
                raise
            taken = (time.perf_counter() - started) * 1000
            click.echo(answer.message)
            click.echo(f"{service}/SayHello answered in {taken:.1f} ms", err=True)
            return
