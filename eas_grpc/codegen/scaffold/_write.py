"""Puts a project where it belongs, complete or not at all. Decides nothing about what is in it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from eas_grpc.errors import ConfigError

__all__ = ["write_project"]

# `git init` and an empty clone leave this; nothing of ours goes there.
_HARMLESS = {".git"}


def write_project(
    root: Path, files: Mapping[str, str], *, finish: Callable[[Path], object]
) -> tuple[str, ...]:
    """Writes the files into `root`, a folder that is empty or not there yet; gives the path of every file.

    All is made in a folder beside its place, where `finish` adds what it has to; whatever fails, `root` is then as
    it was before. Raises ConfigError for a `root` that is in use, and what `finish` raises.
    """
    _check(root)
    existed = root.exists()
    with tempfile.TemporaryDirectory(prefix=".eas-grpc-", dir=root if existed else root.parent) as temporary:
        made = Path(temporary)
        for name, text in files.items():
            path = made / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        finish(made)
        written = tuple(
            sorted(path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file())
        )
        root.mkdir(exist_ok=True)
        _move(sorted(made.iterdir()), root, existed=existed)
    return written


def _check(root: Path) -> None:
    if root.is_symlink() or root.exists():
        if not root.is_dir():
            raise ConfigError(f"{root} is there already and is no folder: choose another place with --dir")
        if {path.name for path in root.iterdir()} - _HARMLESS:
            raise ConfigError(
                f"{root} is not empty, and nothing in it is touched: choose another place with --dir"
            )
    elif not root.parent.is_dir():
        raise ConfigError(f"there is no folder {root.parent} to make {root.name} in: make it first")


def _move(entries: list[Path], root: Path, *, existed: bool) -> None:
    moved: list[Path] = []
    try:
        for entry in entries:
            place = root / entry.name
            entry.rename(place)
            moved.append(place)
    except BaseException:
        for path in moved:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if not existed:
            root.rmdir()
        raise
