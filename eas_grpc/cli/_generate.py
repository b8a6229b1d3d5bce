"""`eas-grpc generate`: typed, importable Python from .proto files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eas_grpc.cli._protos import (
    form_option,
    in_form,
    include_option,
    plugins_bin_option,
    protoc_python_option,
    protos_argument,
)

if TYPE_CHECKING:
    from eas_grpc.codegen import Finding, Job, Report

__all__ = ["generate"]

_LISTED = 20


class _Pair(click.ParamType):  # type: ignore[type-arg]  # click 8.1 has no type argument
    """`NAME=VALUE`."""

    name = "NAME=VALUE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Name and value."""
        name, equals, rest = str(value).partition("=")
        if not (name and equals and rest):
            self.fail(f"{value!r} is not of the form NAME=VALUE", param, ctx)
        return name.removeprefix("protoc-gen-"), rest


@click.command()
@protos_argument
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Folder to write to.")
@include_option
@click.option(
    "--package", help="Python package that the output is part of (default: guessed from --out; '' for none)."
)
@click.option(
    "--client",
    type=click.Choice(["sync", "async", "both", "none"]),
    help="Which client stubs there are (default both).",
)
@click.option("--servicer/--no-servicer", default=None, help="Classes to implement a service (default yes).")
@click.option(
    "--types/--no-types", default=None, help=".pyi files for type checkers and editors (default yes)."
)
@click.option(
    "--runtime",
    type=click.Choice(["current", "portable"]),
    help="current: protoc's modules, for a runtime as new as the tools (default). portable: protobuf 3.20 to 7.",
)
@click.option(
    "--descriptor-set", type=click.Path(path_type=Path), help="Also write the compiled schema here."
)
@click.option(
    "--plugin", "plugins", multiple=True, type=_Pair(), metavar="NAME=PATH", help="A further protoc plugin."
)
@click.option(
    "--plugin-opt", multiple=True, type=_Pair(), metavar="NAME=OPTION", help="An option for a plugin."
)
@click.option("--check", "only_check", is_flag=True, help="Write nothing; exit 1 if the output is not fresh.")
@click.option("--clean", is_flag=True, help="Also remove generated modules that no run of ours knows.")
@click.option("--watch", is_flag=True, help="Generate again whenever a proto is saved, until interrupted.")
@form_option
@protoc_python_option
@plugins_bin_option
def generate(
    protos: tuple[Path, ...],
    include: tuple[Path, ...],
    form: str,
    *,
    only_check: bool,
    clean: bool,
    watch: bool,
    **said: Any,
) -> None:
    """Generate typed Python from .proto files and folders of them.

    Without arguments the table [tool.eas-grpc] of the nearest pyproject.toml says what to do. Every module has been
    imported before anything is written; on any error the old output stays as it was.
    """
    if watch and (only_check or form != "text"):
        raise click.UsageError("--watch reports as text and writes: leave out --check and --format")

    def make() -> Job:
        return _job(protos, include, said)

    def run(job: Job) -> int:
        return _check(job, form) if only_check else _generate(job, form, clean=clean)

    if watch:
        _watch(make, run)
        return
    raise SystemExit(in_form(lambda: run(make()), form))


def _job(protos: tuple[Path, ...], include: tuple[Path, ...], said: dict[str, Any]) -> Job:
    from eas_grpc.codegen import Toolchain
    from eas_grpc.codegen._settings import find_table, make_job

    options: dict[str, list[str]] = {}
    for name, option in said["plugin_opt"]:
        options.setdefault(name, []).append(option)
    given = {
        **{key: said[key] for key in ("out", "package", "client", "servicer", "types", "runtime")},
        "descriptor-set": said["descriptor_set"],
        "plugins": dict(said["plugins"]) or None,
        "plugin-options": options or None,
    }
    toolchain = Toolchain.installed(said["protoc_python"], said["plugins_bin"])
    return make_job(find_table(), toolchain=toolchain, inputs=protos, includes=include, given=given)


def _generate(job: Job, form: str, *, clean: bool) -> int:
    from eas_grpc.codegen import generate as generate_now
    from eas_grpc.codegen._diagnostics import show, to_dict

    report = generate_now(job, clean=clean)
    if form == "json":
        plain = {
            "out": str(job.out),
            "package": job.options.package,
            "written": report.written,
            "removed": report.removed,
            "unchanged": report.unchanged,
            "floor": report.floor,
            "diagnostics": [to_dict(warning) for warning in report.warnings],
        }
        click.echo(json.dumps(plain, indent=2))
        return 0
    if report.warnings:
        click.echo(show(report.warnings, form), err=form == "text")
    _list("wrote", job.out, report.written)
    _list("removed", job.out, report.removed)
    click.echo(_summary(job, report))
    return 0


def _list(verb: str, out: Path, paths: tuple[str, ...]) -> None:
    for path in paths[:_LISTED]:
        click.echo(f"{verb} {out / path}")
    if len(paths) > _LISTED:
        click.echo(f"{verb} {len(paths) - _LISTED} more")


def _summary(job: Job, report: Report) -> str:
    package = job.options.package
    where = (
        f"{job.out} ({f'package {package}' if package else 'a source root: it belongs on the import path'})"
    )
    floor = sorted(report.floor.items(), key=lambda each: (each[0] != "protobuf", each[0]))
    needs = ", ".join(f"{package} >= {version}" if version else package for package, version in floor)
    counts = (
        f"{len(report.written)} written, {len(report.removed)} removed, {len(report.unchanged)} unchanged"
    )
    return f"{where}: {counts}\nit runs on {needs}"


def _check(job: Job, form: str) -> int:
    from eas_grpc.codegen import check

    findings = check(job)
    if form == "json":
        plain = [
            {"kind": finding.kind.value, "path": finding.path, "detail": finding.detail}
            for finding in findings
        ]
        click.echo(json.dumps({"out": str(job.out), "fresh": not findings, "findings": plain}, indent=2))
    elif form == "github":
        for finding in findings:
            click.echo(_annotation(job, finding))
    else:
        for finding in findings:
            click.echo(finding)
        count = f"{len(findings)} finding{'s'[: len(findings) != 1]}"
        click.echo(f"{job.out}: {count if findings else 'fresh'}")
    return 1 if findings else 0


def _annotation(job: Job, finding: Finding) -> str:
    from eas_grpc.codegen import Diagnostic, Position
    from eas_grpc.codegen._diagnostics import show

    text = f"generated code is not fresh ({finding}); run `eas-grpc generate` and commit"
    own = finding.path == str(job.descriptor_set)
    at = Position(file=finding.path if own else str(job.out / finding.path))
    return show([Diagnostic(text=text, at=at)], "github")


def _watch(make: Callable[[], Job], run: Callable[[Job], int]) -> None:
    from eas_grpc.codegen._watch import changes_of
    from eas_grpc.errors import EasError

    # A mistake in what was asked for ends it at once; one that is made while it runs can be mended.
    roots = make().includes
    changes = changes_of(roots)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            try:
                job = make()
                if job.includes != roots:
                    roots = job.includes
                    changes = changes_of(roots)
                run(job)
            except EasError as error:
                click.echo(error, err=True)
            click.echo("watching; interrupt to end", err=True)
            changed = next(changes)
            click.echo(f"changed: {', '.join(changed[:3])}{' ...' if len(changed) > 3 else ''}", err=True)
