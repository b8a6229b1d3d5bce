"""Writing what a service told: where its files may go, and that nobody else's are overwritten."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import click

from eas_grpc.errors import SchemaError

__all__ = ["save_files", "save_set", "target_path"]

_LONGEST = 200


def target_path(name: str) -> PurePosixPath:
    """Where a file of this name goes, relative to the folder; SchemaError for a name that leads elsewhere.

    The name is the service's choice, so it could be `../../.ssh/rc`, or that of a file which some tool runs.
    """
    parts = name.split("/")
    why = ""
    if not name.endswith(".proto") or parts[-1] == ".proto":
        why = "it does not end in .proto"
    elif name.startswith("/") or ":" in parts[0] or "\\" in name:
        why = "it is a path of its own"
    elif any(part in {"", "..", "."} or part.startswith(".") for part in parts):
        why = "it leads elsewhere, or into a hidden folder"
    elif not name.isprintable() or any(len(os.fsencode(part)) > _LONGEST for part in parts):
        why = "no file can have it"
    if why:
        raise SchemaError(f"the schema has a file called {name[:_LONGEST]!r}, which is not written: {why}")
    return PurePosixPath(name)


def save_files(folder: Path, texts: Mapping[str, str], *, force: bool) -> int:
    """Writes texts by name below a folder; how many those are.

    Nothing is written if a name leads elsewhere, or if a file of other content is there and `force` is not set.
    """
    wanted = {folder / target_path(name): text.encode("utf-8") for name, text in texts.items()}
    changed = {path: data for path, data in wanted.items() if _content(path) != data}
    for path in wanted:
        if blocked := next((parent for parent in path.parents if parent in wanted), None):
            raise SchemaError(
                f"the schema has the files {blocked.name} and {path.name} below it: no folder can have both"
            )
    there = [path for path in changed if os.path.lexists(path)]
    _outside(folder, changed)
    if there and not force:
        others = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise SchemaError(f"{there[0]}{others} would be overwritten: name another folder, or add --force")
    for path, data in changed.items():
        _write(path, data)
    return len(wanted)


def save_set(path: Path, data: bytes, *, force: bool) -> None:
    """Writes a descriptor set; `-` is standard output."""
    if str(path) == "-":
        click.echo(data, nl=False)
        return
    if os.path.lexists(path) and _content(path) != data and not force:
        raise SchemaError(f"{path} would be overwritten: name another file, or add --force")
    _write(path, data)


def _outside(folder: Path, paths: Mapping[Path, bytes]) -> None:
    """A link below the folder may lead out of it, which its owner did not mean for these files."""
    root = folder.resolve()
    for path in paths:
        if not path.parent.resolve().is_relative_to(root):
            raise SchemaError(f"{path} is not written: a link on the way leads out of {folder}")


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.is_file() else None
    except OSError:
        return None


def _write(path: Path, data: bytes) -> None:
    """All of it or nothing; a link is replaced, not followed."""
    made = ""
    try:
        if os.path.lexists(path) and not path.is_file():
            raise SchemaError(f"{path} is not written: there is something that is no file")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".eas-grpc-", delete=False) as file:
            made = file.name
            file.write(data)
        # As any other new file, not for its owner alone.
        umask = os.umask(0)
        os.umask(umask)
        Path(made).chmod(0o666 & ~umask)
        os.replace(made, path)  # noqa: PTH105 - the same, without a second object
        made = ""
    except OSError as error:
        raise SchemaError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        if made:
            Path(made).unlink(missing_ok=True)
