"""Which .proto files are meant, under which import names, and where the ones that they import are found."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from eas_grpc.codegen._diagnostics import Diagnostic, Position, column_after, refuse
from eas_grpc.errors import ConfigError, SchemaError

# Where a folder may not be searched, os.path says no, and pathlib raises up to Python 3.13.
# ruff: noqa: PTH110, PTH112, PTH113

__all__ = ["Sources", "find_sources", "is_passed_over", "locate", "nearby", "protos_below", "read_sources"]

_PACKAGE = re.compile(r"^\s*package\s+([\w.]+)\s*;", re.MULTILINE)

# Folders that hold copies, tools or history, never the protos that somebody means.
_PASSED_OVER = frozenset({"node_modules", "__pycache__", "site-packages"})


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Protos by import name, and the include roots that the names are relative to, in order."""

    protos: tuple[str, ...]
    includes: tuple[Path, ...]

    def show(self, name: str) -> str:
        """The path to show for an import name: as the user can open it, or the name itself."""
        return str(locate(name, self.includes) or name)


def find_sources(inputs: Sequence[Path], includes: Sequence[Path] = ()) -> Sources:
    """Turn files and folders, as given on the command line, into import names and include roots.

    A folder that is below no include root is one itself. So is, for a file, the folder that its `package` is
    relative to (`x/acme/v1/a.proto` with `package acme.v1` gives `x`), or else the folder that it is in.
    Raises SchemaError for what does not exist, cannot be read, or holds no proto.
    """
    roots = list(includes)
    for root in roots:
        if not os.path.isdir(root):
            raise SchemaError(f"there is no folder {root} to look for .proto files in (-I)")
    found: dict[str, Path] = {}
    for path in inputs:
        if os.path.isdir(path):
            root = _root_of(path, includes) or path
            below = PurePosixPath(os.path.relpath(path, root))
            names = [(below / name).as_posix() for name in protos_below(path)]
        elif path.suffix != ".proto":
            what = "is not a .proto file" if os.path.exists(path) else "does not exist"
            raise SchemaError(f"{path} {what}: give .proto files, or folders that hold some")
        elif not os.path.isfile(path):
            raise SchemaError(f"there is no file {path}")
        else:
            root = _root_of(path, includes) or _root_by_package(path)
            names = [PurePosixPath(os.path.relpath(path, root)).as_posix()]
        if root not in roots:
            roots.append(root)
        for name in names:
            first = found.setdefault(name, root)
            if not (first / name).samefile(root / name):
                raise SchemaError(
                    f"{first / name} and {root / name} would both be imported as `{name}`: name a folder above both with "
                    "-I, or generate them apart"
                )
    return Sources(protos=tuple(sorted(found)), includes=tuple(roots))


def protos_below(root: Path) -> tuple[str, ...]:
    """The paths of all .proto files below a folder, relative to it; hidden folders are passed over."""
    if not os.path.isdir(root):
        raise SchemaError(f"there is no folder {root} to look for .proto files in")

    def stop(error: OSError) -> None:
        raise SchemaError(f"the folder {error.filename} cannot be read: {error.strerror}") from error

    found = []
    for folder, folders, files in os.walk(root, onerror=stop):
        folders[:] = sorted(name for name in folders if not is_passed_over(name))
        found += [
            Path(folder, name).relative_to(root).as_posix() for name in files if name.endswith(".proto")
        ]
    if not found:
        raise SchemaError(f"there is no .proto file below {root}")
    return tuple(sorted(found))


def is_passed_over(folder: str) -> bool:
    """Whether a folder of this name is not looked into: hidden ones, and those of tools and environments."""
    return folder.startswith(".") or folder in _PASSED_OVER


def locate(name: str, includes: Iterable[Path]) -> Path | None:
    """The file that protoc takes for an import name: the first root that has it wins."""
    return next((include / name for include in includes if os.path.isfile(include / name)), None)


def read_sources(sources: Sources) -> dict[str, bytes]:
    """Every proto's bytes by import name; refuses what cannot be read or is not UTF-8, which protoc lets pass."""
    found, wrong = {}, []
    for name in sources.protos:
        path = locate(name, sources.includes)
        if path is None:
            raise SchemaError(f"there is no {name} below {', '.join(map(str, sources.includes))}")
        try:
            content = found[name] = path.read_bytes()
        except OSError as error:
            raise SchemaError(f"{path} cannot be read: {error.strerror}") from error
        try:
            content.decode()
        except UnicodeDecodeError as error:
            before = content[: error.start]
            line = before[before.rfind(b"\n") + 1 :].decode()
            at = Position(file=str(path), line=before.count(b"\n") + 1, column=column_after(line))
            wrong.append(
                Diagnostic(
                    text=f"byte 0x{content[error.start]:02x} is not UTF-8",
                    at=at,
                    hint="save the file as UTF-8",
                )
            )
    refuse(wrong)
    return found


def nearby(name: str, includes: Sequence[Path]) -> str:
    """A folder that would have to be an include root for `name` to be found; "" if none is near.

    Looks in the working directory and beside the include roots, a few levels deep.
    """
    starts = dict.fromkeys(
        [Path(), *(folder for include in includes for folder in (include, include.parent))]
    )
    for start in starts:
        for folder in _folders(start, depth=3):
            if folder in includes:
                continue  # it was looked in, so the file is there and has errors
            if os.path.isfile(folder / name):
                return str(folder)
    return ""


def _folders(start: Path, depth: int) -> Iterator[Path]:
    yield start
    if depth:
        try:
            children = sorted(child for child in start.iterdir() if child.is_dir())
        except OSError:
            return
        for child in children:
            if not is_passed_over(child.name):
                yield from _folders(child, depth - 1)


def _root_of(path: Path, includes: Sequence[Path]) -> Path | None:
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow the user's links
    above = [include for include in includes if absolute.is_relative_to(os.path.abspath(include))]  # noqa: PTH100
    if includes and not above and os.path.isfile(path):
        raise ConfigError(
            f"{path} is below none of the include roots ({', '.join(map(str, includes))}): add the folder that its "
            "imports are relative to with -I"
        )
    # protoc takes the first root that has the file.
    return above[0] if above else None


def _root_by_package(path: Path) -> Path:
    try:
        package = _PACKAGE.search(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return path.parent
    parts = () if package is None else tuple(package[1].split("."))
    folders = path.parent.parts
    if parts and folders[-len(parts) :] == parts:
        return Path(*folders[: -len(parts)]) if len(folders) > len(parts) else Path()
    return path.parent
