"""Puts a project where it belongs, complete or not at all. Decides nothing about what is in it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
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
        # That took a while. Whoever used the place meanwhile keeps all of it.
        _check(root, ours=made.name)
        with _undone_on_failure() as created:
            if not existed:
                _create(root, created, root.mkdir)
            _put(made, root, created)
    return written


def _check(root: Path, ours: str = "") -> None:
    if root.is_symlink() or root.exists():
        if not root.is_dir():
            raise ConfigError(f"{root} is there already and is no folder: choose another place with --dir")
        if {path.name for path in root.iterdir()} - _HARMLESS - {ours}:
            raise ConfigError(
                f"{root} is not empty, and nothing in it is touched: choose another place with --dir"
            )
    elif not root.parent.is_dir():
        raise ConfigError(f"there is no folder {root.parent} to make {root.name} in: make it first")


@contextlib.contextmanager
def _undone_on_failure() -> Iterator[list[Path]]:
    """A list for what is created; of that, whatever fails leaves nothing, and of others' work everything."""
    created: list[Path] = []
    try:
        yield created
    except BaseException:
        for path in reversed(created):
            # A folder that somebody has put something into stays.
            with contextlib.suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        raise


def _put(source: Path, target: Path, created: list[Path]) -> None:
    """Like a rename of all that is in a folder, which would replace what is there."""
    for entry in sorted(source.iterdir()):
        place = target / entry.name
        if entry.is_dir():
            _create(place, created, place.mkdir)
            _put(entry, place, created)
        else:
            _create(place, created, partial(place.touch, exist_ok=False))
            shutil.copyfile(entry, place)


def _create(place: Path, created: list[Path], create: Callable[[], object]) -> None:
    try:
        create()
    except FileExistsError as error:
        raise ConfigError(
            f"{place} appeared while the project was made, and it is not touched: choose another place with --dir"
        ) from error
    created.append(place)
