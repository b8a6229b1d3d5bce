"""What a run will generate, and which names it refuses, decided before anything is written.

Pure: plain data in, plain data out. Must not know protoc's descriptors, files on disk or processes.
"""

from __future__ import annotations

import keyword
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import PurePosixPath

from eas_grpc.errors import ConfigError, SchemaError

__all__ = ["Message", "Plan", "Position", "ProtoFile", "ProtocRun", "Rpc", "Service", "check_files", "plan"]

# What each protoc generator writes: the end of the module's name, and whether only for services.
# grpc_python would write an empty module, and with it an import of grpc, for a file without a service.
_GENERATORS = {
    "python": ("_pb2.py", False),
    "mypy": ("_pb2.pyi", False),
    "grpc_python": ("_pb2_grpc.py", True),
    "mypy_grpc": ("_pb2_grpc.pyi", True),
}

# An __init__.py in generated `google` or `grpc` hides the installed package of that name from everybody.
_SHARED_TOPS = frozenset({"google", "grpc"})


@dataclass(frozen=True, kw_only=True)
class Position:
    """A place in a .proto, counted from one; `file` is the path to show to people."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        """As compilers write it, so that editors can jump there."""
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message type. `path` is its name inside the file: `Outer.Inner`."""

    full_name: str
    path: str
    at: Position


@dataclass(frozen=True, kw_only=True)
class Rpc:
    """A method, with the full names of its two message types."""

    name: str
    request: str
    response: str
    at: Position


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service and its methods."""

    name: str
    rpcs: tuple[Rpc, ...]
    at: Position


@dataclass(frozen=True, kw_only=True)
class ProtoFile:
    """What the plan needs to know of one .proto. `name` is the path that other protos import it by."""

    name: str
    services: tuple[Service, ...]
    messages: tuple[Message, ...]


@dataclass(frozen=True, kw_only=True)
class ProtocRun:
    """One run of protoc: these generators over these files."""

    generators: tuple[str, ...]
    protos: tuple[str, ...]

    def arguments(self, *, includes: Sequence[str], out: str, plugins: Mapping[str, str]) -> tuple[str, ...]:
        """The command line after the compiler's own name."""
        needed = {
            name: path
            for name, path in plugins.items()
            if name.removeprefix("protoc-gen-") in self.generators
        }
        return (
            *(f"-I{include}" for include in includes),
            *(f"--plugin={name}={path}" for name, path in sorted(needed.items())),
            *(f"--{generator}_out={out}" for generator in self.generators),
            *self.protos,
        )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Runs of protoc, the modules that they must produce, and the empty files that make them a package."""

    runs: tuple[ProtocRun, ...]
    modules: tuple[str, ...]
    markers: tuple[str, ...]


def check_files(protos: Mapping[str, str]) -> None:
    """Refuse file and folder names that cannot become modules; `protos` maps each name to the path to show."""
    problems = [
        f"{shown}:1:1: error: {problem}"
        for name, shown in sorted(protos.items())
        for problem in _path_problems(name)
    ]
    modules: dict[str, str] = {}
    for name, shown in sorted(protos.items()):
        first = modules.setdefault(_stem(name), name)
        if first != name:
            problems.append(
                f"{shown}:1:1: error: this file and `{first}` would both be written to "
                f"`{_stem(name)}_pb2.py` (`-` becomes `_`, `.` becomes `/`); rename one of them"
            )
    _refuse(problems)


def plan(files: Sequence[ProtoFile], *, wanted: Sequence[str], generators: Sequence[str]) -> Plan:
    """Plan a run over the files named in `wanted`; `files` holds those and everything they import.

    Raises SchemaError, naming every place, for names that would give broken Python.
    """
    unknown = sorted(set(generators) - set(_GENERATORS))
    if unknown:
        raise ConfigError(
            f"the output files of protoc generator `{unknown[0]}` are not known here, so they could not be "
            f"checked; use {', '.join(_GENERATORS)}"
        )
    chosen = [file for file in sorted(files, key=lambda file: file.name) if file.name in set(wanted)]
    messages = {message.full_name: message for file in files for message in file.messages}
    unnamed = sorted(set(wanted) - {file.name for file in chosen})
    if unnamed:
        raise SchemaError(
            f"protoc does not know `{unnamed[0]}` by that name; write it relative to an include folder, as "
            "other protos would import it"
        )
    _refuse([problem for file in chosen for problem in _service_problems(file, messages)])

    runs: list[ProtocRun] = []
    modules: list[str] = []
    for services_only in (False, True):
        names = tuple(file.name for file in chosen if file.services or not services_only)
        kinds = tuple(sorted(name for name in generators if _GENERATORS[name][1] is services_only))
        if names and kinds:
            runs.append(ProtocRun(generators=kinds, protos=names))
            modules += [_stem(name) + _GENERATORS[kind][0] for name in names for kind in kinds]
    return Plan(
        runs=tuple(runs),
        modules=tuple(sorted(modules)),
        markers=_markers(modules, typed="mypy" in generators),
    )


def _markers(modules: Sequence[str], *, typed: bool) -> tuple[str, ...]:
    # The output root itself never gets one: it is a source root, not a package.
    folders = {
        parent for module in modules for parent in PurePosixPath(module).parents if parent != PurePosixPath()
    }
    owned = {folder for folder in folders if folder.parts[0] not in _SHARED_TOPS}
    tops = {folder.parts[0] for folder in owned if typed}
    return tuple(sorted([f"{folder}/__init__.py" for folder in owned] + [f"{top}/py.typed" for top in tops]))


def _stem(proto: str) -> str:
    # The rule of protoc's Python generators, which the plugins share.
    return proto.removesuffix(".proto").replace("-", "_").replace(".", "/")


def _path_problems(name: str) -> list[str]:
    stem = PurePosixPath(_stem(name))
    problems = []
    if name.startswith("-"):
        problems.append(f"protoc would take `{name}` for an option; rename it")
    for folder in stem.parts[:-1]:
        if keyword.iskeyword(folder):
            problems.append(
                f"the folder `{folder}` is a Python keyword, so nothing below it can be imported; rename it"
            )
        elif not folder.isidentifier():
            problems.append(_not_a_name("folder", folder))
    if not stem.name.isidentifier():
        problems.append(_not_a_name("file", stem.name))
    if len(stem.parts) > 1 and stem.parts[0] in sys.stdlib_module_names:
        problems.append(
            f"the top folder `{stem.parts[0]}` has the name of a module of Python's standard library, and "
            "one would hide the other; put the protos below a folder with a name of your own"
        )
    return problems


def _not_a_name(what: str, name: str) -> str:
    return (
        f"the {what} name `{name}` does not make a Python module name; start with a letter and use only "
        "letters, digits and `_`"
    )


def _service_problems(file: ProtoFile, messages: Mapping[str, Message]) -> list[str]:
    problems = []
    for service in file.services:
        if keyword.iskeyword(service.name):
            problems.append(
                f"{service.at}: error: service `{service.name}` is a Python keyword, and its class would be "
                "a syntax error; rename the service"
            )
        for rpc in service.rpcs:
            if keyword.iskeyword(rpc.name):
                problems.append(
                    f"{rpc.at}: error: rpc `{rpc.name}` is a Python keyword, and its method would be a syntax "
                    "error; rename the rpc"
                )
            problems += _message_problems(rpc, messages)
    for first, second in combinations(file.services, 2):
        clash = sorted(_class_names(first.name) & _class_names(second.name))
        if clash:
            problems.append(
                f"{second.at}: error: services `{first.name}` and `{second.name}` would both define the class "
                f"`{clash[0]}`; rename one or move it to another file"
            )
    return problems


def _message_problems(rpc: Rpc, messages: Mapping[str, Message]) -> list[str]:
    used = [messages[name] for name in dict.fromkeys((rpc.request, rpc.response)) if name in messages]
    return [
        f"{message.at}: error: message `{message.path}` holds a Python keyword and is used by rpc "
        f"`{rpc.name}` ({rpc.at}), where it would be a syntax error; rename the message"
        for message in used
        if any(keyword.iskeyword(part) for part in message.path.split("."))
    ]


def _class_names(service: str) -> set[str]:
    return {service, f"{service}Stub", f"{service}AsyncStub", f"{service}Servicer"}


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        raise SchemaError("\n".join(problems))
