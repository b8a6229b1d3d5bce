"""Files as a service tells them, made to fit together where there is only one way to do so. Pure.

A server knows a file by the name under which its program was built, its imports have the name that the author wrote,
and these differ often enough: `common/x.proto` is imported, and `x.proto` is what the server has.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from eas_grpc.schema._files import WELL_KNOWN, references, same_schema, symbols, well_known
from eas_grpc.schema._relative import absolute

__all__ = ["Mended", "mend", "unresolved"]

Files = Mapping[str, FileDescriptorProto]


@dataclass
class Mended:
    """What fits together, what was done for that, and which files do not: name and reason."""

    files: dict[str, FileDescriptorProto]
    notes: list[str] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)


def unresolved(files: Files) -> list[str]:
    """The types that files name and that no file defines; to be asked for by their names."""
    defined = _definers(files)
    found: dict[str, None] = {}
    for file in absolute(files, defined).values():
        found.update(dict.fromkeys(sorted(references(file) - defined.keys())))
    return list(found)


def mend(files: Files, missing: Mapping[str, str]) -> Mended:
    """Files known under two names become one, and an import that is missing the files that define what it was for.

    `missing` has the reason for each import that could not be had. Files that need something of it are in `broken`,
    with those that import them.
    """
    made = absolute(files, _definers(files))
    found = Mended({name: _copy(file) for name, file in made.items()})
    _join_twins(found)
    own = _drop_well_known(found)
    missing = {**missing, **own}
    lacking = {
        name: [each for each in file.dependency if each in missing and each not in found.files]
        for name, file in found.files.items()
    }
    _replace_imports(found, {name: those for name, those in lacking.items() if those}, missing)
    _spread(found)
    for name in found.broken:
        found.files.pop(name, None)
    return found


def _join_twins(found: Mended) -> None:
    """Two names of one file: the imports of the second name become those of the first."""
    joined = True
    while joined:
        joined = False
        first: dict[str, str] = {}
        for name, file in list(found.files.items()):
            key = min(symbols(file), default="")
            other = first.setdefault(key, name) if key else name
            if other == name or not same_schema(found.files[other], file):
                continue
            del found.files[name]
            found.notes.append(f"{other!r} and {name!r} are one file under two names")
            for each in found.files.values():
                _rewrite(each, lambda old, new=other, gone=name: [new] if old == gone else [old])  # type: ignore[misc]
            joined = True


def _drop_well_known(found: Mended) -> dict[str, str]:
    """Protobuf's own types: ours are whole, whatever file they came in. The names that nothing can be imported by now."""
    ours = _well_known_definers()
    dropped = [name for name, file in found.files.items() if symbols(file) and symbols(file) <= ours.keys()]
    for name in dropped:
        del found.files[name]
    return {name: "it is protobuf's own" for name in dropped if well_known(name) is None}


def _replace_imports(
    found: Mended, lacking: Mapping[str, Collection[str]], missing: Mapping[str, str]
) -> None:
    defined = _definers(found.files)
    for name, file in found.files.items():
        those = lacking.get(name, ())
        lost = sorted(references(file) - defined.keys())
        if lost:
            found.broken[name] = _broken(name, lost[0], those, missing)
            continue
        _rewrite(file, lambda old, those=those: [] if old in those else [old])  # type: ignore[misc]
    # What a missing file imported for others is missing in those as well, and some servers tell no imports at all.
    for name, file in found.files.items():
        if name in found.broken:
            continue
        before = set(file.dependency)
        seen = _visible(found.files, file)
        for each in sorted(references(file)):
            definer = defined[each]
            if definer not in seen and definer != name:
                file.dependency.append(definer)
                seen |= _visible(found.files, file)
        added = [each for each in file.dependency if each not in before]
        if note := _note(name, lacking.get(name, ()), added):
            found.notes.append(note)


def _broken(name: str, lost: str, those: Collection[str], missing: Mapping[str, str]) -> str:
    if not those:
        return f"{name!r} needs {lost} and imports no file for it, nor does the service have it"
    gone = " and ".join(repr(each) for each in those)
    why = "; ".join(dict.fromkeys(missing[each] for each in those))
    return f"{name!r} imports {gone}, which the service does not have ({why}); it needs {lost} of it"


def _note(name: str, those: Collection[str], added: Collection[str]) -> str:
    """What was done to a file; nothing to say where its imports were right."""
    known = " and ".join(repr(each) for each in added)
    if not those:
        return f"{name!r} uses {known} without importing it" if added else ""
    gone = " and ".join(repr(each) for each in those)
    if added:
        return f"{name!r} imports {gone}, which the service has as {known}"
    return f"{name!r} imports {gone}, which the service does not have; it needs nothing of it"


def _spread(found: Mended) -> None:
    """Whoever imports a broken file is broken too."""
    grown = True
    while grown:
        grown = False
        for name, file in found.files.items():
            cause = next((found.broken[each] for each in file.dependency if each in found.broken), "")
            if cause and name not in found.broken:
                found.broken[name] = cause
                grown = True


def _visible(files: Files, file: FileDescriptorProto) -> set[str]:
    """The files whose types a file may name: its imports, and what those import for others."""
    seen: set[str] = set()
    waiting = list(file.dependency)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        imported = files.get(name) or well_known(name)
        if imported is not None:
            waiting += [imported.dependency[index] for index in imported.public_dependency]
    return seen


def _definers(files: Files) -> dict[str, str]:
    """The file of each type; protobuf's own ones count as there."""
    own = {symbol: name for symbol, name in _well_known_definers().items() if name not in files}
    return own | {symbol: file.name for file in files.values() for symbol in symbols(file)}


@lru_cache
def _well_known_definers() -> dict[str, str]:
    every = [file for name in WELL_KNOWN if (file := well_known(name)) is not None]
    return {symbol: file.name for file in every for symbol in symbols(file)}


def _rewrite(file: FileDescriptorProto, new_names: Callable[[str], list[str]]) -> None:
    """Replaces imports; public and weak ones are known by their position."""
    kinds = [set(file.public_dependency), set(file.weak_dependency)]
    old = list(file.dependency)
    made: list[str] = []
    kept: list[list[int]] = [[], []]
    for index, name in enumerate(old):
        for new in new_names(name):
            if new in made or new == file.name:
                continue
            made.append(new)
            for kind, indices in zip(kinds, kept, strict=True):
                if index in kind:
                    indices.append(len(made) - 1)
    file.dependency[:] = made
    file.public_dependency[:], file.weak_dependency[:] = kept


def _copy(file: FileDescriptorProto) -> FileDescriptorProto:
    copy = FileDescriptorProto()
    copy.CopyFrom(file)
    return copy
