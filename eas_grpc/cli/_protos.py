"""What the commands that read .proto files have in common: options, and how a mistake in a proto is reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

__all__ = [
    "form_option",
    "in_form",
    "include_option",
    "plugins_bin_option",
    "protoc_python_option",
    "protos_argument",
]

_SCHEMA = 3

protos_argument = click.argument(
    "protos", nargs=-1, type=click.Path(path_type=Path), metavar="[PROTO_OR_DIR]..."
)
include_option = click.option(
    "-I",
    "--include",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Folder that imports are relative to; may be repeated.",
)
form_option = click.option(
    "--format", "form", type=click.Choice(["text", "json", "github"]), default="text", help="How to report."
)
protoc_python_option = click.option(
    "--protoc-python",
    envvar="EAS_GRPC_PROTOC_PYTHON",
    metavar="PATH",
    help="Interpreter that has grpcio-tools (default: this one).",
)
plugins_bin_option = click.option(
    "--plugins-bin",
    envvar="EAS_GRPC_PLUGINS_BIN",
    metavar="DIR",
    help="Folder with mypy-protobuf's programs (default: beside it).",
)


def in_form(run: Callable[[], int], form: str) -> int:
    """Run, and report what is wrong with the protos in the form that was asked for; the exit code."""
    from eas_grpc.errors import SchemaError

    try:
        return run()
    except SchemaError as error:
        if form == "text":
            raise
        from eas_grpc.codegen import Diagnostic
        from eas_grpc.codegen._diagnostics import show

        click.echo(show(error.diagnostics or [Diagnostic(text=str(error))], form))
        return _SCHEMA
