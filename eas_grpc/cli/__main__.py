"""The group of commands, and the only map from an error to an exit code."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from eas_grpc._version import __version__
from eas_grpc.cli import _env, _health, _hello, _serve

if TYPE_CHECKING:
    from eas_grpc.errors import EasError

__all__ = ["exit_code", "main"]

_CHECK_FAILED, _USAGE, _LOCAL_FILE, _CANNOT_CONNECT, _CALL_FAILED = 1, 2, 3, 5, 64

# gRPC's numbers, in order (doc/statuscodes.md).
_STATUSES = (
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED"
    " RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS"
    " UNAUTHENTICATED"
).split()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="eas-grpc")
def cli() -> None:
    """Call, serve and check PAI-EAS model-inference services over gRPC.

    \b
    Exit codes: 0 good, 1 check failed, 2 usage, 3 local file or schema, 4 not serving,
    5 cannot connect, 64 + gRPC status for a failed call.
    """


cli.add_command(_serve.serve)
cli.add_command(_health.health)
cli.add_command(_hello.hello)
cli.add_command(_env.env)


def exit_code(error: EasError) -> int:
    """The exit code for an error of ours."""
    from eas_grpc.errors import CallError, ConfigError, Origin, SchemaError

    if isinstance(error, ConfigError):
        return _USAGE
    if isinstance(error, SchemaError):
        return _LOCAL_FILE
    if isinstance(error, CallError):
        if error.failure.status == "UNAVAILABLE" and error.origin is Origin.CLIENT:
            return _CANNOT_CONNECT
        return _CALL_FAILED + _STATUSES.index(error.failure.status)
    return _CHECK_FAILED


def main() -> None:
    """Entry point of `eas-grpc`."""
    try:
        cli(prog_name="eas-grpc")
    except Exception as error:
        from eas_grpc.errors import EasError

        if not isinstance(error, EasError):
            raise
        click.echo(f"error: {error}", err=True)
        sys.exit(exit_code(error))


if __name__ == "__main__":
    main()
