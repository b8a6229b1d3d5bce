"""Generate into a folder: nothing where nothing changed, otherwise all of it or none of it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from eas_grpc.codegen._build import build, tools_of
from eas_grpc.codegen._diagnostics import Diagnostic, Severity
from eas_grpc.codegen._environment import import_paths, installed_requirements, proto_roots
from eas_grpc.codegen._floor import loose, shut_out
from eas_grpc.codegen._job import Built, Job, Report, told
from eas_grpc.codegen._manifest import EMPTY, MANIFEST, Manifest
from eas_grpc.codegen._ownership import (
    compare,
    digest_of,
    leftovers,
    previous_run,
    spare_other_files,
    spare_strangers,
)
from eas_grpc.codegen._place import STAGING, Tree, place
from eas_grpc.codegen._plan import Runtime
from eas_grpc.codegen._settings import project_requirements
from eas_grpc.codegen._sources import locate

__all__ = ["generate"]


def generate(job: Job, *, clean: bool = False) -> Report:
    """Generate into `job.out`; only files whose bytes differ are written, and nothing at all on an error.

    A run whose inputs, options, tools and outputs are those of the one before does nothing. Files that an earlier run
    wrote and this one does not are removed, and with `clean` also generated modules that no run of ours knows.
    Raises SchemaError.
    """
    with told():
        before = previous_run(job.out)
        if before is not None and not clean and _is_fresh(job, before):
            return _report(job, before, (), (), (*sorted(before.outputs), MANIFEST), ())
        built = build(job)
        with _alone_in(job.out):
            return _put(job, built, clean=clean)


def _put(job: Job, built: Built, *, clean: bool) -> Report:
    before = previous_run(job.out)
    spare_strangers(job.out, built, before)
    todo = compare(job.out, built, before)
    removed = tuple(sorted({*todo.stale, *(leftovers(job.out, built, before) if clean else ())}))
    to_write = {*todo.missing, *todo.changed}
    # In this order the manifest comes last, so that a run that is cut short is finished by the next one.
    files = {path: content for path, content in built.files.items() if path in to_write}
    changed = [Tree(folder=job.out, files=files, gone=removed)] if files or removed else []
    place(*changed, *_descriptor_set(job, built, before))
    unchanged = tuple(sorted(set(built.files) - to_write))
    return _report(job, built.manifest, tuple(sorted(to_write)), removed, unchanged, built.warnings)


@contextlib.contextmanager
def _alone_in(out: Path) -> Iterator[None]:
    """One run at a time compares with a folder and changes it; what one that was killed left behind goes."""
    folder = out
    while not folder.is_dir():
        folder = folder.absolute().parent
    handle = os.open(folder, os.O_RDONLY)
    try:
        # Some network file systems have no locks.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        for left in out.glob(f"{STAGING}*") if out.is_dir() else ():
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        os.close(handle)


def _is_fresh(job: Job, before: Manifest) -> bool:
    """Whether the run before had the same everything, and its output is still there."""
    if job.options.plugins or not before.is_intact:
        # A program may be the same and what it loads another one.
        return False
    if before.options != job.options.recorded() or set(before.inputs) != set(job.protos):
        return False
    roots = (*job.includes, *proto_roots(job.toolchain.python))
    for names, includes in ((before.inputs, job.includes), (before.imports, roots)):
        if any(digest_of(locate(name, includes)) != wanted for name, wanted in names.items()):
            return False
    if not all(_is_there(job.out / path, wanted) for path, wanted in before.outputs.items()):
        return False
    if digest_of(job.descriptor_set) != before.descriptor_set:
        return False
    return tools_of(job) == before.tools


def _is_there(path: Path, wanted: str) -> bool:
    # A file that only marks a package may have got contents of its own since.
    return path.is_file() if wanted == EMPTY else digest_of(path) == wanted


def _descriptor_set(job: Job, built: Built, before: Manifest | None) -> list[Tree]:
    path = job.descriptor_set
    if path is None or digest_of(path) == built.manifest.descriptor_set:
        return []
    spare_other_files(path, before)
    return [Tree(folder=path.parent, files={path.name: built.descriptor_set})]


def _report(
    job: Job,
    manifest: Manifest,
    written: tuple[str, ...],
    removed: tuple[str, ...],
    unchanged: tuple[str, ...],
    warnings: tuple[Diagnostic, ...],
) -> Report:
    said = [*_loose(job, manifest)]
    if written:
        installed = installed_requirements(import_paths(job.toolchain.python))
        said += shut_out(manifest.floor, installed)
    return Report(
        written=written,
        removed=removed,
        unchanged=unchanged,
        floor=manifest.floor,
        warnings=(*warnings, *(Diagnostic(text=text, severity=Severity.WARNING) for text in said)),
    )


def _loose(job: Job, manifest: Manifest) -> list[str]:
    found = project_requirements(job.out)
    portable = job.options.runtime is Runtime.PORTABLE
    return [] if found is None else loose(manifest.floor, found[1], where=str(found[0]), portable=portable)
