"""Generate into a temporary folder, prove the result, then move it into place file by file.

The shell around `_plan` and `_manifest`: reads and writes files, and decides nothing.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from eas_grpc.codegen._manifest import MANIFEST, Changes, Manifest, changes, digest
from eas_grpc.codegen._plan import check_files, plan
from eas_grpc.codegen._protos import describe
from eas_grpc.codegen._tools import Toolchain, prove, run_protoc, versions
from eas_grpc.errors import SchemaError

__all__ = ["Built", "Job", "Report", "build", "compare", "generate", "previous_run", "protos_below"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to generate: protos by import name, the folders they are looked up in, the output root, the tools."""

    protos: tuple[str, ...]
    includes: tuple[Path, ...]
    out: Path
    toolchain: Toolchain


@dataclass(frozen=True, kw_only=True)
class Built:
    """A finished run, not yet in place: every file by relative path, the manifest last."""

    files: Mapping[str, bytes]
    manifest: Manifest
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What `generate` did to the output root, as relative paths."""

    written: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]
    warnings: tuple[str, ...]


def protos_below(root: Path) -> tuple[str, ...]:
    """The import names of all .proto files below an include root."""
    if not root.is_dir():
        raise SchemaError(f"there is no folder {root} to look for .proto files in")
    found = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.proto"))
    if not found:
        raise SchemaError(f"there is no .proto file below {root}")
    return tuple(found)


def generate(job: Job) -> Report:
    """Generate into `job.out`; only files whose bytes differ are written, and nothing at all on an error.

    Raises SchemaError.
    """
    before = previous_run(job.out)
    built = build(job)
    todo = compare(job.out, built, before)
    for path in todo.stale:
        _remove(job.out, path)
    to_write = {*todo.missing, *todo.changed}
    # In this order the manifest comes last, so that a run that is cut short is finished by the next one.
    for path, content in built.files.items():
        if path in to_write:
            _write(job.out / path, content)
    return Report(
        written=tuple(sorted(to_write)),
        removed=todo.stale,
        unchanged=tuple(sorted(set(built.files) - to_write)),
        warnings=built.warnings,
    )


def build(job: Job) -> Built:
    """Do the whole run without touching `job.out`."""

    def show(name: str) -> str:
        for include in job.includes:
            if (include / name).is_file():
                return str(include / name)
        return name

    for include in job.includes:
        if not include.is_dir():
            raise SchemaError(f"there is no folder {include} to look for .proto files in")
    protos = tuple(sorted(set(job.protos)))
    check_files({name: show(name) for name in protos})
    toolchain = job.toolchain.absolute()
    includes = tuple(str(include.absolute()) for include in job.includes)

    with tempfile.TemporaryDirectory(prefix="eas-grpc-") as temporary:
        # The children start in an empty folder: a module in the caller's could hide one that they import.
        cwd, out, descriptors = (Path(temporary, name) for name in ("cwd", "out", "descriptors.bin"))
        cwd.mkdir()
        out.mkdir()
        warnings = run_protoc(
            toolchain,
            (
                *(f"-I{include}" for include in includes),
                "--include_imports",
                "--include_source_info",
                f"--descriptor_set_out={descriptors}",
                *protos,
            ),
            cwd=cwd,
            show=show,
        )
        planned = plan(
            describe(descriptors.read_bytes(), show), wanted=protos, generators=toolchain.generators
        )
        for step in planned.runs:
            arguments = step.arguments(includes=includes, out=str(out), plugins=toolchain.plugins)
            run_protoc(toolchain, arguments, cwd=cwd, show=show)
        for marker in planned.markers:
            (out / marker).touch()
        lost = [module for module in planned.modules if not (out / module).is_file()]
        if lost:
            raise SchemaError(
                f"protoc reported success but did not write {', '.join(lost)}; nothing was written"
            )
        prove(toolchain, root=out, files=planned.modules, cwd=cwd)
        files = {path: (out / path).read_bytes() for path in sorted((*planned.modules, *planned.markers))}
        tools = versions(toolchain, cwd=cwd)

    manifest = Manifest(
        tools=tools,
        options={"generators": tuple(sorted(toolchain.generators))},
        inputs={name: digest(Path(show(name)).read_bytes()) for name in protos},
        outputs={path: digest(content) for path, content in files.items()},
    )
    return Built(files={**files, MANIFEST: manifest.to_json()}, manifest=manifest, warnings=warnings)


def previous_run(out: Path) -> Manifest | None:
    """The manifest in an output root; None if there is none."""
    path = out / MANIFEST
    return Manifest.from_json(path.read_bytes()) if path.is_file() else None


def compare(out: Path, built: Built, before: Manifest | None) -> Changes:
    """How the output root differs from a finished run."""
    previous = () if before is None else tuple(before.outputs)
    present = {
        path: (out / path).read_bytes() for path in {*built.files, *previous} if (out / path).is_file()
    }
    return changes(wanted=built.files, present=present, previous=previous)


def _write(path: Path, content: bytes) -> None:
    # A reader sees the old file or the new one, never half of one.
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(content)
    beside.replace(path)


def _remove(out: Path, name: str) -> None:
    path = out / name
    for cached in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        cached.unlink()
    path.unlink()
    for folder in (path.parent / "__pycache__", *path.parents):
        if folder == out:
            break
        if folder.is_dir() and not os.listdir(folder):  # noqa: PTH208 - shorter than any(iterdir())
            folder.rmdir()
