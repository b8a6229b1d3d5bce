"""The group of commands, and the only map from an error to an exit code."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import click

from eas_grpc._version import __version__
from eas_grpc.cli._lazy import Lazy, LazyGroup

if TYPE_CHECKING:
    from eas_grpc.errors import EasError

__all__ = ["cli", "exit_code", "main"]

_CHECK_FAILED, _USAGE, _LOCAL_FILE, _CANNOT_CONNECT, _CALL_FAILED = 1, 2, 3, 5, 64
_INTERRUPTED = 130


_OPTIONS = {
    "connect(..., proxy=False)": "--no-proxy",
    " to connect()": "",
    "credentials=": "--cacert",
    "max_request=": "--max-message",
    " on the call": "",
    "timeout=": "--timeout",
    "token=": "--token",
}

# In the order in which a new user needs them; a test compares each sentence with the command's own help.
_COMMANDS = {
    "call": Lazy("eas_grpc.cli._call:call", "Call a method, of any shape, with JSON, files or tensors."),
    "list": Lazy("eas_grpc.cli._list:list_", "List services, or the methods of one."),
    "describe": Lazy(
        "eas_grpc.cli._describe:describe", "Show what a service, a method or a message looks like."
    ),
    "health": Lazy("eas_grpc.cli._health:health", "Check whether a service is serving."),
    "doctor": Lazy("eas_grpc.cli._doctor:doctor", "Find out why calls to a service fail, and what to do."),
    "load": Lazy("eas_grpc.cli._load:load", "Measure a method under load."),
    "profile": Lazy(
        "eas_grpc.cli._profile:profile", "Name services once: endpoint, token reference, certificates."
    ),
    "serve": Lazy("eas_grpc.cli._serve:serve", "Serve the demo, or servers of yours, behind a gateway."),
    "hello": Lazy("eas_grpc.cli._hello:hello", "Greet NAME through a service's SayHello."),
    "init": Lazy("eas_grpc.cli._init:init", "Make a project for a gRPC service named NAME."),
    "generate": Lazy(
        "eas_grpc.cli._generate:generate", "Generate typed Python from .proto files and folders of them."
    ),
    "lint": Lazy("eas_grpc.cli._lint:lint", "Check .proto files for what hurts their callers."),
    "breaking": Lazy(
        "eas_grpc.cli._breaking:breaking", "Say what a change of .proto files breaks, for whom."
    ),
    "env": Lazy("eas_grpc.cli._env:env", "Print versions, settings and proxies, without secrets."),
    "completion": Lazy("eas_grpc.cli._completion:completion", "Print the completion script of a shell."),
}


class _Group(LazyGroup):
    """Shows an error of ours as click shows its own, and ends with its exit code."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", {"help_option_names": ["-h", "--help"]})
        super().__init__(*args, **kwargs)

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
            click.echo(error if located else f"Error: {_shown(error)}", err=True)
            ctx.exit(exit_code(error))


@click.group(cls=_Group, lazy=_COMMANDS)
@click.version_option(__version__, prog_name="eas-grpc")
def cli() -> None:
    """Call, serve, generate for and check PAI-EAS model-inference services over gRPC.

    \b
    Exit codes: 0 good, 1 check failed, 2 usage, 3 local file or schema, 4 not serving,
    5 cannot connect, 64 + gRPC status for a failed call.
    """


def exit_code(error: EasError) -> int:
    """The exit code for an error of ours."""
    from eas_grpc._status_codes import status_number
    from eas_grpc.errors import CallError, ConfigError, Origin, SchemaError

    if isinstance(error, ConfigError):
        return _USAGE
    if isinstance(error, SchemaError):
        return _LOCAL_FILE
    if isinstance(error, CallError):
        if error.failure.status == "UNAVAILABLE" and error.origin is Origin.CLIENT:
            return _CANNOT_CONNECT
        return _CALL_FAILED + status_number(error.failure.status)
    return _CHECK_FAILED


def _shown(error: EasError) -> str:
    """The error's text. What a service says is one line of it, and does not steer the terminal."""
    from dataclasses import replace

    from eas_grpc.cli._console import printable
    from eas_grpc.errors import CallError

    if isinstance(error, CallError):
        failure = error.failure
        return str(replace(failure, details=printable(failure.details), hint=_in_options(failure.hint)))
    return "\n".join(printable(line) for line in _in_options(str(error)).split("\n"))


def _in_options(text: str) -> str:
    """What the library says of arguments, said of options."""
    for argument, option in _OPTIONS.items():
        text = text.replace(argument, option)
    return text


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
