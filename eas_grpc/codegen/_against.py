"""The other side of a comparison: a folder, a descriptor set, or the same protos at a commit of git.

Reads files and asks git; decides nothing about what breaks.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import DecodeError, Message

from eas_grpc.codegen._compile import compile_protos
from eas_grpc.codegen._elements import Schema, read_schema
from eas_grpc.codegen._environment import proto_roots
from eas_grpc.codegen._sources import find_sources, locate
from eas_grpc.codegen._tools import Toolchain
from eas_grpc.codegen.breaking._shape import malformed
from eas_grpc.errors import ConfigError, SchemaError

__all__ = ["Here", "load_against"]

_GIT = "git:"
# What git sets for its hooks, as `git rev-parse --local-env-vars` lists it. As git does when it goes on to another
# repository, the settings of `git -c` and GIT_CONFIG_COUNT are kept: a CI says with them which folders are safe.
_HOOKS = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_CONFIG",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_REPLACE_REF_BASE",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    }
)
_LINK, _SUBMODULE = "120000", "160000"
_MOST_LINKS = 40

# The mode and the id of everything in a commit, by path.
_Entries: TypeAlias = Mapping[str, tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Here:
    """This side, as it was found: what was named, the include roots that came of it, and the imports."""

    inputs: tuple[Path, ...]
    roots: tuple[Path, ...]
    imports: Collection[str] = ()


def load_against(against: str, here: Here, toolchain: Toolchain) -> Schema:
    """The schema that `against` names: `git:REF`, a folder, or the file of a descriptor set.

    A folder is either laid out as this working directory is, another checkout for example, or is itself the root that
    imports are relative to. Raises ConfigError for what does not exist, SchemaError for what cannot be compiled.
    """
    if against.startswith(_GIT):
        return _from_git(against, here, toolchain)
    path = Path(against)
    if path.is_dir():
        return _from_folder(path, here, toolchain)
    if path.is_file():
        return _from_descriptors(path, here, toolchain)
    raise ConfigError(
        f"there is no folder and no file {against} to compare with: give one, or `git:REF` for a commit, branch or tag"
    )


def _from_folder(folder: Path, here: Here, toolchain: Toolchain) -> Schema:
    below = {path: _below(path, Path.cwd()) for path in (*here.inputs, *here.roots)}
    # What is new here is not there yet.
    present = [
        path
        for path in here.inputs
        if (relative := below[path]) and relative.parts and (folder / relative).exists()
    ]
    if not present:
        beside = [root for root in here.roots if not any(_below(path, root) for path in here.inputs)]
        return _compiled((folder,), (folder, *beside), toolchain, lambda shown: shown)
    there = {path: path if relative is None else folder / relative for path, relative in below.items()}
    roots = [there[root] for root in here.roots if there[root].is_dir()]
    return _compiled([there[path] for path in present], roots, toolchain, lambda shown: shown)


def _from_descriptors(path: Path, here: Here, toolchain: Toolchain) -> Schema:
    try:
        files = descriptor_set(path.read_bytes(), path)
    except OSError as error:
        raise SchemaError(f"{path} cannot be read: {error.strerror}") from error
    # The set does not say which of its files are imports; what is installed here is nobody's own.
    installed = proto_roots(toolchain.absolute().python)
    own = [
        file.name
        for file in files.file
        if file.name not in here.imports
        and not file.name.startswith("google/protobuf/")
        and locate(file.name, installed) is None
    ]
    if not own:
        raise SchemaError(f"{path} holds no file of yours: was it cut off, or written for other protos?")
    schema = read_schema(files, own, {})
    wrong = malformed(schema)
    if wrong is not None:
        raise SchemaError(f"{path} is no descriptor set of a compiler: {wrong} cannot be read")
    return schema


def descriptor_set(data: bytes, path: Path) -> FileDescriptorSet:
    """The descriptors in a file's bytes; raises SchemaError for what no compiler writes."""
    try:
        files = FileDescriptorSet.FromString(data)
    except DecodeError as error:
        raise SchemaError(
            f"{path} is no descriptor set: write one with `eas-grpc generate --descriptor-set` or protoc's "
            "--descriptor_set_out"
        ) from error
    if not _is_text(files):
        raise SchemaError(f"{path} is no descriptor set of a compiler: it has names that are no UTF-8")
    return files


def _is_text(message: Message) -> bool:
    """Whether every text in it is one; protobuf gives bytes in place of one that is no UTF-8."""
    for field, value in message.ListFields():
        # None of the descriptors has a map.
        values: list[Any] = [value] if isinstance(value, str | bytes | int | float | Message) else value
        if field.type == field.TYPE_STRING and not all(isinstance(each, str) for each in values):
            return False
        if field.type in {field.TYPE_MESSAGE, field.TYPE_GROUP} and not all(map(_is_text, values)):
            return False
    return True


def _from_git(against: str, here: Here, toolchain: Toolchain) -> Schema:
    ref = against.removeprefix(_GIT)
    start = next((path for path in here.inputs if path.is_dir()), here.inputs[0].parent)
    found = _git(start, "rev-parse", "--show-toplevel", why=f"{start} is in no git repository")
    top = Path(os.fsdecode(found).rstrip("\n"))
    why = f"git knows no commit `{ref}` here; in a shallow clone it has to be fetched first"
    verified = _git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}", why=why)
    commit = verified.decode().strip()

    # The repository's own paths; an include root elsewhere is as it is today.
    below = {path: _below_top(path, top) for path in (*here.inputs, *here.roots)}
    entries = _entries(top, commit)
    submodules = [name for name, (mode, _) in entries.items() if mode == _SUBMODULE]
    for path in here.roots:
        # The commit does not have what is in a submodule.
        if path not in here.inputs and any(_is_in(str(below[path]), each) for each in submodules):
            below[path] = None
    outside = [str(path) for path in here.inputs if below[path] is None]
    if outside:
        raise ConfigError(f"{outside[0]} is not in the git repository {top}, so there is no {against} of it")
    with tempfile.TemporaryDirectory(prefix="eas-grpc-") as temporary:
        then = Path(temporary).resolve()
        named = {path: relative.as_posix() for path, relative in below.items() if relative is not None}
        inputs = [named[path] for path in here.inputs]
        for name in submodules:
            if any(_is_in(each, name) for each in inputs) or (
                any(_is_in(name, each) for each in inputs) and any((top / name).rglob("*.proto"))
            ):
                raise SchemaError(
                    f"{name} is a submodule, which git:REF cannot look into: compare with a folder"
                )
        _check_out(top, commit, entries, [*named.values()], then)
        there = {path: path if relative is None else then / relative for path, relative in below.items()}
        present = [there[path] for path in here.inputs if there[path].exists()]
        if not present:
            raise SchemaError(f"there is no .proto in {', '.join(map(str, here.inputs))} at {against}")
        roots = [there[root] for root in here.roots if there[root].is_dir()]
        return _compiled(
            present,
            roots,
            toolchain,
            lambda shown: shown.replace(f"{then}{os.sep}", f"{against}:"),
        )


def _compiled(
    inputs: Sequence[Path], roots: Sequence[Path], toolchain: Toolchain, shown: Callable[[str], str]
) -> Schema:
    sources = find_sources(inputs, roots)
    try:
        compiled = compile_protos(sources.protos, sources.includes, toolchain)
    except SchemaError as error:
        old = [
            replace(each, at=each.at and replace(each.at, file=shown(each.at.file)))
            for each in error.diagnostics
        ]
        raise SchemaError(f"the old protos do not compile:\n{shown(str(error))}", old) from error
    paths = {name: shown(path) for name, path in compiled.shown.items()}
    return read_schema(compiled.files, compiled.protos, paths)


def _check_out(top: Path, commit: str, entries: _Entries, paths: Sequence[str], to: Path) -> None:
    """Write what a commit has below these paths: every .proto, and every link with what it leads to."""
    targets: dict[str, str] = {}

    def target(name: str) -> str | None:
        if entries.get(name, ("", ""))[0] != _LINK:
            return None
        if name not in targets:
            targets[name] = os.fsdecode(_contents(top, commit, {name: entries[name][1]})[name])
        return targets[name]

    blobs: dict[str, str] = {}
    left, seen = list(paths), set()
    while left:
        path = left.pop()
        if path in seen:
            continue
        seen.add(path)
        end = _end(path, target)
        inside = [] if end is None else [name for name in entries if _is_in(name, end)]
        if not inside and targets.keys() & {path, *_above(path)}:
            raise SchemaError(
                f"{path} is a link that leads to no file of the commit: git:REF cannot follow it"
            )
        for name in inside:
            mode, blob = entries[name]
            if mode == _LINK:
                # A link to a folder matters for imports only, and one that leads nowhere is then not found.
                end = _end(name, target)
                if name.endswith(".proto") or any(end and _is_in(each, end) for each in entries):
                    left.append(name)
            elif mode != _SUBMODULE and name.endswith(".proto"):
                blobs[name] = blob
    for name, content in _contents(top, commit, blobs).items():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        (to / name).write_bytes(content)
    for name, where in targets.items():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            (to / name).symlink_to(where)
        except OSError as error:
            raise SchemaError(
                f"{name} is a link, and none can be made here ({error.strerror}): compare with a folder"
            ) from error


def _entries(top: Path, commit: str) -> _Entries:
    listed = _git(top, "ls-tree", "-r", "-z", "--full-tree", commit, why=f"git cannot list {commit}")
    found = {}
    for entry in os.fsdecode(listed).split("\0"):
        about, _, name = entry.partition("\t")
        if name:
            mode, _, blob = about.split()
            found[name] = (mode, blob)
    return found


def _contents(top: Path, commit: str, blobs: Mapping[str, str]) -> dict[str, bytes]:
    """The content of files of a commit, by path."""
    wanted = "".join(f"{blob}\n" for blob in blobs.values()).encode()
    rest = _git(top, "cat-file", "--batch", why=f"git cannot read {commit}", text=wanted)
    found = {}
    for name in blobs:
        # A line that ends in the size, the content, a line break.
        head, _, rest = rest.partition(b"\n")
        if head.endswith(b" missing"):
            raise SchemaError(f"{name} at {commit[:10]} is not in this clone: fetch it first")
        size = int(head.split()[-1])
        found[name] = rest[:size]
        rest = rest[size + 1 :]
    return found


def _end(path: str, target: Callable[[str], str | None]) -> str | None:
    """Where a path of a commit leads with all links followed; None if that is outside of it, or a circle."""
    done: list[str] = []
    left = path.split("/")[::-1]
    links = 0
    while left:
        part = left.pop()
        if part == ".." and not done:
            return None
        if part == "..":
            done.pop()
        elif part not in {"", "."}:
            linked = target("/".join([*done, part]))
            if linked is None:
                done.append(part)
                continue
            links += 1
            if links > _MOST_LINKS or linked.startswith("/"):
                return None
            left += linked.split("/")[::-1]
    return "/".join(done)


def _is_in(name: str, folder: str) -> bool:
    return folder in {"", ".", name} or name.startswith(f"{folder}/")


def _above(path: str) -> list[str]:
    return [str(folder) for folder in PurePosixPath(path).parents]


def _git(folder: Path, *arguments: str, why: str, text: bytes = b"") -> bytes:
    # The variables of a hook would name another repository than the folder's.
    environment = {name: value for name, value in os.environ.items() if name not in _HOOKS}
    try:
        done = subprocess.run(
            ("git", "-C", str(folder), *arguments),  # noqa: S607 - the user's own git, wherever it is
            input=text,
            capture_output=True,
            check=False,
            env=environment,
        )
    except OSError as error:
        raise ConfigError(f"git cannot be started ({error.strerror}): `git:REF` needs it") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise ConfigError(f"{why}{f' ({said[0]})' if said else ''}")
    return done.stdout


def _below(path: Path, folder: Path) -> Path | None:
    """A path relative to a folder that it is in, links not followed; None if it is elsewhere."""
    relative = Path(os.path.relpath(path, folder))
    return None if ".." in relative.parts else relative


def _below_top(path: Path, top: Path) -> Path | None:
    """A path relative to its repository; links within that are not followed, since the commit may have others."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow them
    for folder in reversed([absolute, *absolute.parents]):
        if folder.resolve() == top:
            return absolute.relative_to(folder)
    return _below(path.resolve(), top)
