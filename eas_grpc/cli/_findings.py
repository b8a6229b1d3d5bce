"""What `lint` and `breaking` have in common: their options, which protos are meant, and the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from eas_grpc.cli._protos import (
    form_option,
    in_form,
    include_option,
    protoc_python_option,
    protos_argument,
)

if TYPE_CHECKING:
    from eas_grpc.codegen._compile import Compiled
    from eas_grpc.codegen._diagnostics import Diagnostic
    from eas_grpc.codegen._settings import Table

__all__ = ["compiled", "finding_options", "report"]

_F = TypeVar("_F", bound=Callable[..., Any])


def finding_options(command: _F) -> _F:
    """Adds PROTO..., -I/--include, --except, --format and --protoc-python."""
    without = click.option(
        "--except",
        "without",
        multiple=True,
        metavar="RULE",
        help="Switch a rule off; may be repeated, and adds to `except` of pyproject.toml.",
    )
    options = (protos_argument, include_option, without, form_option, protoc_python_option)
    for option in reversed(options):
        command = option(command)
    return command


def compiled(
    protos: tuple[Path, ...], include: tuple[Path, ...], table: Table | None, protoc_python: str | None
) -> tuple[Compiled, tuple[Path, ...]]:
    """The protos that are meant, compiled; and the files or folders that they were found in."""
    from eas_grpc.codegen._compile import compile_protos
    from eas_grpc.codegen._sources import find_sources
    from eas_grpc.codegen._tools import Toolchain

    inputs = protos or (table.protos if table else ())
    if not inputs:
        raise click.UsageError(
            'no .proto is named: give files or folders, or write `protos = ["protos"]` into the table '
            "[tool.eas-grpc] of pyproject.toml"
        )
    sources = find_sources(inputs, include or (table.include if table else ()))
    return compile_protos(sources.protos, sources.includes, Toolchain.installed(protoc_python)), inputs


def report(find: Callable[[], tuple[tuple[Diagnostic, ...], int]], form: str) -> None:
    """Print what was found in how many files, and end with 1 if any of it is more than a hint."""
    from eas_grpc.codegen._diagnostics import Severity, show

    def run() -> int:
        found, files = find()
        if found or form == "json":
            click.echo(show(found, form))
        if form == "text":
            click.echo(_counts(found, files))
        return int(any(diagnostic.severity is not Severity.HINT for diagnostic in found))

    raise SystemExit(in_form(run, form))


def _counts(found: tuple[Diagnostic, ...], files: int) -> str:
    from eas_grpc.codegen._diagnostics import Severity

    numbers = {kind: sum(diagnostic.severity is kind for diagnostic in found) for kind in Severity}
    parts = [f"{number} {kind.value}{'s'[: number != 1]}" for kind, number in numbers.items() if number]
    return f"{', '.join(parts) or 'nothing'} found in {files} file{'s'[: files != 1]}"
