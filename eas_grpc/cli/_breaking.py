"""`eas-grpc breaking`: what a change of the schema breaks for those who use it today."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from eas_grpc.cli._findings import compiled, finding_options, report

if TYPE_CHECKING:
    from eas_grpc.codegen._diagnostics import Diagnostic

__all__ = ["breaking"]

_LEVELS = ("wire", "json", "source")


@click.command()
@finding_options
@click.option(
    "--against",
    metavar="REF",
    help="What to compare with: git:REF, a folder, or a descriptor set (default: `against` of pyproject.toml).",
)
@click.option(
    "--level",
    type=click.Choice(_LEVELS),
    help="wire: running clients and stored bytes (default). json: JSON, too. source: code of callers, too.",
)
def breaking(
    protos: tuple[Path, ...],
    include: tuple[Path, ...],
    without: tuple[str, ...],
    form: str,
    protoc_python: str | None,
    *,
    against: str | None,
    level: str | None,
) -> None:
    """Say what a change of .proto files breaks, for whom.

    They are compared with what they were. Without PROTO, those of the table [tool.eas-grpc] of the nearest pyproject.toml. Exits 1 if anything breaks. A
    comment `eas-grpc:ignore RULE reason` at an element, or around it, accepts the change.
    """
    from eas_grpc.codegen._against import Here, load_against
    from eas_grpc.codegen._elements import read_schema
    from eas_grpc.codegen._rules import Level
    from eas_grpc.codegen._settings import find_table
    from eas_grpc.codegen._tools import Toolchain
    from eas_grpc.codegen.breaking import breaking as find

    table = find_table()
    written = table.breaking if table else {}
    reference = against or written.get("against", "")
    if table and reference and not against and not reference.startswith("git:"):
        # As all paths of pyproject.toml, from its folder.
        reference = str(table.path.parent / reference)
    if not reference:
        raise click.UsageError(
            "nothing to compare with: give --against git:main, a folder or a descriptor set, or write `against` into "
            "the table [tool.eas-grpc.breaking] of pyproject.toml"
        )
    chosen = level or written.get("level", Level.WIRE.value)
    if chosen not in _LEVELS:
        raise click.UsageError(f"`level` of pyproject.toml is {chosen!r}: write one of {', '.join(_LEVELS)}")
    off = (*without, *written.get("except", ()))

    def run() -> tuple[tuple[Diagnostic, ...], int]:
        now, inputs = compiled(protos, include, table, protoc_python)
        imports = {file.name for file in now.files.file} - set(now.protos)
        here = Here(inputs=inputs, roots=now.sources.includes, imports=imports)
        old = load_against(reference, here, Toolchain.installed(protoc_python))
        new = read_schema(now.files, now.protos, now.shown)
        return find(old, new, level=Level(chosen), without=off), len(now.protos)

    report(run, form)
