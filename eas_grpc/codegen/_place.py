"""Put a finished run into its folders: all of it or nothing, as far as one process can.

Every new file is written in full beside its place first, so a disk that is full stops the run before anything has
changed. Then the files are exchanged one by one, and put back if that is interrupted. Only a process that is killed in
those milliseconds leaves a mixture; the manifest is exchanged last, so the next run notices and finishes.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from eas_grpc.errors import SchemaError

__all__ = ["STAGING", "Tree", "place"]

# How the names of the folders begin that files wait in; they are gone when a run ends.
STAGING = ".eas-grpc-new-"


@dataclass(frozen=True, kw_only=True)
class Tree:
    """What a folder is to get, in this order, and which of its files are to go; names are relative to it."""

    folder: Path
    files: Mapping[str, bytes]
    gone: Sequence[str] = ()


def place(*trees: Tree) -> None:
    """Write and remove everything, or change nothing and raise SchemaError."""
    undo: list[Callable[[], object]] = []
    staged: list[Path] = []
    try:
        for tree in trees:
            staged.append(_stage(tree, undo))  # noqa: PERF401 - each must be known before the next can fail
        for tree, stage in zip(trees, staged, strict=True):
            _exchange(tree, stage, undo)
    except BaseException as error:
        for step in reversed(undo):
            # One step that fails must not keep the others from being undone.
            with contextlib.suppress(OSError):
                step()
        if isinstance(error, OSError):
            raise SchemaError(
                f"{_where(error, trees)}: {error.strerror or error}; nothing was changed"
            ) from error
        raise
    finally:
        for stage in staged:
            shutil.rmtree(stage, ignore_errors=True)
    for tree in trees:
        for name in tree.gone:
            _clear_around(tree.folder, tree.folder / name)


def _stage(tree: Tree, undo: list[Callable[[], object]]) -> Path:
    _make(tree.folder, undo)
    stage = tree.folder / f"{STAGING}{secrets.token_hex(8)}"
    # Known to `undo` before it exists: an interrupt may come in between.
    undo.append(lambda: shutil.rmtree(stage, ignore_errors=True))
    stage.mkdir(mode=0o700)
    for number, content in enumerate(tree.files.values()):
        (stage / f"new-{number}").write_bytes(content)
    return stage


def _exchange(tree: Tree, stage: Path, undo: list[Callable[[], object]]) -> None:
    for number, name in enumerate(tree.gone):
        target, kept = tree.folder / name, stage / f"gone-{number}"
        undo.append(_restore(target, kept))
        target.replace(kept)
    for number, name in enumerate(tree.files):
        target, old = tree.folder / name, stage / f"old-{number}"
        _make(target.parent, undo)
        if target.is_file():
            _keep(target, old)
            undo.append(_restore(target, old))
        elif not target.exists():
            undo.append(_remove(target, stage / f"new-{number}"))
        (stage / f"new-{number}").replace(target)


def _keep(target: Path, old: Path) -> None:
    # A second name for the old bytes, so that the file never disappears for a reader; where the file system has no
    # such thing, a copy.
    try:
        os.link(target, old)
    except OSError:
        shutil.copy2(target, old)


def _restore(target: Path, kept: Path) -> Callable[[], object]:
    # An interrupt may have come before the file was moved away: then it is still in its place.
    return lambda: kept.exists() and kept.replace(target)


def _remove(target: Path, new: Path) -> Callable[[], object]:
    return lambda: None if new.exists() else target.unlink(missing_ok=True)


def _make(folder: Path, undo: list[Callable[[], object]]) -> None:
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        undo.append(path.rmdir)
        path.mkdir()


def _where(error: OSError, trees: Sequence[Tree]) -> str:
    named = str(error.filename2 or error.filename or "")
    own = not named or STAGING in named
    return f"{trees[0].folder if own else named} cannot be written to"


def _clear_around(folder: Path, path: Path) -> None:
    """Remove compiled leftovers of a module that is gone, and folders that are empty now."""
    for cached in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        with contextlib.suppress(OSError):
            cached.unlink()
    for parent in (path.parent / "__pycache__", *path.parents):
        if parent == folder:
            return
        with contextlib.suppress(OSError):  # something is left in it, or it was never there
            parent.rmdir()
