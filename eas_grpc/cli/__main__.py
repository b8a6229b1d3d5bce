"""The group of commands, and the only map from an error to an exit code."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import click

from eas_grpc._version import __version__
from eas_grpc.cli import _breaking, _env, _generate, _health, _hello, _init, _lint, _serve

if TYPE_CHECKING:
    from eas_grpc.errors import EasError

__all__ = ["cli", "exit_code", "main"]

_CHECK_FAILED, _USAGE, _LOCAL_FILE, _CANNOT_CONNECT, _CALL_FAILED = 1, 2, 3, 5, 64
_INTERRUPTED = 130


class _Group(click.Group):
    """Shows an error of ours as click shows its own, and ends with its exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; any other exception is a bug and keeps its traceback."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            # As shells report it: 1 would say that a check failed.
            ctx.exit(_INTERRUPTED)
        except Exception as error:
            # Not at the top: `eas_grpc.errors` is for commands that did something.
            from eas_grpc.errors import EasError, SchemaError

            if not isinstance(error, EasError):
                raise
            # Diagnostics say for each place how bad it is.
            located = isinstance(error, SchemaError) and error.diagnostics
            click.echo(error if located else f"Error: {error}", err=True)
            ctx.exit(exit_code(error))


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="eas-grpc")
def cli() -> None:
    """Call, serve, generate for and check PAI-EAS model-inference services over gRPC.

    \b
    Exit codes: 0 good, 1 check failed, 2 usage, 3 local file or schema, 4 not serving,
    5 cannot connect, 64 + gRPC status for a failed call.
    """


cli.add_command(_init.init)
cli.add_command(_generate.generate)
cli.add_command(_lint.lint)
cli.add_command(_breaking.breaking)
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
        import grpc

        return _CALL_FAILED + int(grpc.StatusCode[error.failure.status].value[0])
    return _CHECK_FAILED


def main() -> None:
    """Entry point of `eas-grpc`."""
    # Before grpc is loaded, which reads it then: our errors say what its core would print about a handshake.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    warnings.showwarning = _show_warning
    cli(prog_name="eas-grpc")


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """For people who run a command: what is wrong, not which line of ours noticed."""
    click.echo(f"Warning: {message}", err=True)


if __name__ == "__main__":
    main()
