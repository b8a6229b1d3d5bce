"""The other side of a comparison: a folder, a descriptor set, or the same protos at a commit of git.

Reads files and asks git; decides nothing about what breaks.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import DecodeError

from eas_grpc.codegen._compile import compile_protos
from eas_grpc.codegen._elements import Schema, read_schema
from eas_grpc.codegen._environment import proto_roots
from eas_grpc.codegen._sources import find_sources, locate
from eas_grpc.codegen._tools import Toolchain
from eas_grpc.errors import ConfigError, SchemaError

__all__ = ["Here", "load_against"]

_GIT = "git:"
# What git sets for its hooks, as `git rev-parse --local-env-vars` lists it.
_HOOKS = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_CONFIG",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG_PARAMETERS",
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
        files = FileDescriptorSet.FromString(path.read_bytes())
    except OSError as error:
        raise SchemaError(f"{path} cannot be read: {error.strerror}") from error
    except DecodeError as error:
        raise SchemaError(
            f"{path} is no descriptor set: write one with `eas-grpc generate --descriptor-set` or protoc's "
            "--descriptor_set_out"
        ) from error
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
    return read_schema(files, own, {})


def _from_git(against: str, here: Here, toolchain: Toolchain) -> Schema:
    ref = against.removeprefix(_GIT)
    start = next((path for path in here.inputs if path.is_dir()), here.inputs[0].parent)
    found = _git(start, "rev-parse", "--show-toplevel", why=f"{start} is in no git repository")
    top = Path(os.fsdecode(found).rstrip("\n"))
    why = f"git knows no commit `{ref}` here; in a shallow clone it has to be fetched first"
    verified = _git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}", why=why)
    commit = verified.decode().strip()

    # The repository's own paths; an include root elsewhere is as it is today.
    below = {path: _below(path.resolve(), top) for path in (*here.inputs, *here.roots)}
    outside = [str(path) for path in here.inputs if below[path] is None]
    if outside:
        raise ConfigError(f"{outside[0]} is not in the git repository {top}, so there is no {against} of it")
    with tempfile.TemporaryDirectory(prefix="eas-grpc-") as temporary:
        then = Path(temporary).resolve()
        _check_out(top, commit, [str(relative) for relative in below.values() if relative is not None], then)
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


def _check_out(top: Path, commit: str, paths: Sequence[str], to: Path) -> None:
    """Write every .proto that a commit has below these paths, with what links in the commit lead to."""
    # git's "everything" is no path at all.
    below = () if "." in paths else paths
    listed = _git(
        top, "ls-tree", "-r", "-z", "--full-tree", commit, "--", *below, why=f"git cannot list {commit}"
    )
    blobs = {}
    for entry in os.fsdecode(listed).split("\0"):
        about, _, name = entry.partition("\t")
        if about.startswith(_SUBMODULE):
            raise SchemaError(f"{name} is a submodule, which git:REF cannot look into: compare with a folder")
        if name.endswith(".proto"):
            blobs[name] = _blob(top, commit, name, about)
    wanted = "".join(f"{blob}\n" for blob in blobs.values()).encode()
    rest = _git(top, "cat-file", "--batch", why=f"git cannot read {commit}", text=wanted)
    for name in blobs:
        # A line that ends in the size, the content, a line break.
        head, _, rest = rest.partition(b"\n")
        if head.endswith(b" missing"):
            raise SchemaError(f"{name} at {commit[:10]} is not in this clone: fetch it first")
        size = int(head.split()[-1])
        target = to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(rest[:size])
        rest = rest[size + 1 :]


def _blob(top: Path, commit: str, name: str, about: str) -> str:
    """The id of a file's content; of the content at its end, if it is a link to another file of the commit."""
    path = name
    for _ in range(10):
        if about.startswith("100"):
            return about.split()[2]
        if not about.startswith(_LINK):
            break
        target = os.fsdecode(_git(top, "cat-file", "blob", about.split()[2], why=f"git cannot read {path}"))
        path = os.path.normpath(os.path.join(os.path.dirname(path), target))  # noqa: PTH118, PTH120
        if path.startswith(("..", "/")):
            break
        listed = _git(top, "ls-tree", "-z", "--full-tree", commit, "--", path, why=f"git cannot list {path}")
        about = os.fsdecode(listed).partition("\t")[0]
    raise SchemaError(f"{name} is a link that leads to no file of the commit: git:REF cannot follow it")


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
