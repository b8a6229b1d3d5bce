"""`eas-grpc hello`: the SayHello of the PAI-EAS page on gRPC, against any endpoint."""

from __future__ import annotations

import time

import click

from eas_grpc.cli._target import Target, target_options

__all__ = ["hello"]

# The vendor's page does not print the package of its .proto, so both spellings exist in the wild.
_SPELLINGS = ("helloworld.GreeterService", "GreeterService")

_NO_GREETER = (
    f"the service answers, but is neither {_SPELLINGS[0]} nor {_SPELLINGS[1]}: hello works with the greeter of the"
    " PAI-EAS page and with `eas-grpc serve`"
)


@click.command()
@click.argument("name", default="World")
@target_options
def hello(name: str, target: Target) -> None:
    """Greet NAME through a service's SayHello."""
    from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloRequest, HelloResponse

    from eas_grpc.errors import CallError

    with target.channel() as channel:
        for service in _SPELLINGS:
            call = channel.unary_unary(
                f"/{service}/SayHello", HelloRequest.SerializeToString, HelloResponse.FromString
            )
            started = time.perf_counter()
            try:
                answer = call(HelloRequest(name=name), metadata=target.metadata)
            except CallError as error:
                failure = error.failure
                # A gateway that answers in the service's place does not know its methods.
                if failure.status != "UNIMPLEMENTED" or failure.http_status is not None:
                    raise
                if service != _SPELLINGS[-1]:
                    continue
                raise CallError(failure.with_hint(_NO_GREETER)) from error
            taken = (time.perf_counter() - started) * 1000
            click.echo(answer.message)
            click.echo(f"{service}/SayHello answered in {taken:.1f} ms", err=True)
            return
