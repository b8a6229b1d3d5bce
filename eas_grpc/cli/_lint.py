"""`eas-grpc lint`: what in a schema will hurt its callers, or those who have to change it later."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from eas_grpc.cli._findings import compiled, finding_options, report

if TYPE_CHECKING:
    from eas_grpc.codegen._diagnostics import Diagnostic

__all__ = ["lint"]


@click.command()
@finding_options
def lint(
    protos: tuple[Path, ...],
    include: tuple[Path, ...],
    without: tuple[str, ...],
    form: str,
    protoc_python: str | None,
) -> None:
    """Check .proto files for what hurts their callers.

    What troubles callers from Python, and what a later change will break. Without PROTO, those of the table [tool.eas-grpc] of the nearest pyproject.toml. Exits 1 if anything but hints was
    found. A comment `eas-grpc:ignore RULE reason` at an element, or around it, accepts it as it is.
    """
    from eas_grpc.codegen._elements import read_schema
    from eas_grpc.codegen._settings import find_table
    from eas_grpc.codegen.lint import lint as find

    table = find_table()
    off = (*without, *(table.lint.get("except", ()) if table else ()))

    def run() -> tuple[tuple[Diagnostic, ...], int]:
        now, _ = compiled(protos, include, table, protoc_python)
        found = find(read_schema(now.files, now.protos, now.shown), without=off)
        return (*now.warnings, *found), len(now.protos)

    report(run, form)
