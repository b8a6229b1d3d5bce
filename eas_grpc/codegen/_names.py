"""Names that would give broken Python, found before anything is written, each with its place and the fix.

Pure. protoc itself exits 0 for all of these and writes modules that cannot be imported or stubs that lie.
"""

from __future__ import annotations

import keyword
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import PurePosixPath

from eas_grpc.codegen._diagnostics import Diagnostic, Position, Severity
from eas_grpc.codegen._protos import Message, Named, ProtoFile, Rpc, Service

__all__ = ["file_problems", "name_problems", "stem"]

# What every message class has; a field of such a name hides it from everybody who needs it, pickle for one.
_OF_MESSAGES = frozenset(
    {
        "ByteSize",
        "Clear",
        "ClearExtension",
        "ClearField",
        "CopyFrom",
        "DESCRIPTOR",
        "DiscardUnknownFields",
        "Extensions",
        "FindInitializationErrors",
        "FromString",
        "HasExtension",
        "HasField",
        "IsInitialized",
        "ListFields",
        "MergeFrom",
        "MergeFromString",
        "ParseFromString",
        "RegisterExtension",
        "SerializePartialToString",
        "SerializeToString",
        "SetInParent",
        "UnknownFields",
        "WhichOneof",
    }
)
# What the gRPC modules use by these names, and what a class of the same name would replace.
_OF_SERVICES = frozenset({"grpc", "warnings", "object", "staticmethod", "NotImplementedError"})
# Names that each generated module, or its stub, needs for itself.
_OF_MODULES = frozenset({"DESCRIPTOR", "sys"})

# Who has these files or names in protobuf's registry already, of which there is one per process.
_TAKEN = {
    "grpc/health/v1/": "grpcio-health-checking",
    "grpc_health/v1/": "grpcio-health-checking",
    "grpc/reflection/v1": "grpcio-reflection",
    "grpc_reflection/v1": "grpcio-reflection",
}
_TAKEN_SCOPES = {
    "grpc.health.v1.": "grpcio-health-checking",
    "grpc.reflection.v1": "grpcio-reflection",
}
# The vendor's SDK puts its messages into no package at all.
_VENDOR_FILES = frozenset(
    {"predict.proto", "pytorch_predict.proto", "queueservice.proto", "tf_predict.proto", "tf_request.proto"}
)
_VENDOR_NAMES = frozenset({"ArrayDataType", "ArrayProto", "ArrayShape", "PredictRequest", "PredictResponse"})


def stem(proto: str) -> str:
    """The path of a proto's module without its ending, by the rule of protoc's Python generators."""
    return proto.removesuffix(".proto").replace("-", "_").replace(".", "/")


def file_problems(protos: Mapping[str, str], *, package: str = "") -> list[Diagnostic]:
    """File and folder names that cannot become modules; `protos` maps each import name to the path to show."""
    found = [
        Diagnostic(text=text, at=Position(file=shown), hint=hint)
        for name, shown in sorted(protos.items())
        for text, hint in _path_problems(name, package)
    ]
    modules: dict[str, str] = {}
    for name, shown in sorted(protos.items()):
        first = modules.setdefault(stem(name), name)
        if first != name:
            text = (
                f"this file and `{first}` would both be written to `{stem(name)}_pb2.py` "
                "(`-` becomes `_`, `.` becomes `/`)"
            )
            found.append(Diagnostic(text=text, at=Position(file=shown), hint="rename one of them"))
    found += _hidden_folders(protos, modules)
    return found


def _hidden_folders(protos: Mapping[str, str], modules: Mapping[str, str]) -> Iterator[Diagnostic]:
    """A module `a_pb2` and a folder `a_pb2` are one name to Python."""
    taken = {f"{path}{ending}": name for path, name in modules.items() for ending in ("_pb2", "_pb2_grpc")}
    for name, shown in sorted(protos.items()):
        for folder in PurePosixPath(stem(name)).parents:
            if str(folder) in taken:
                text = f"the folder `{folder}` has the name of the module that `{taken[str(folder)]}` gives"
                yield Diagnostic(text=text, at=Position(file=shown), hint="rename the folder")


def name_problems(
    files: Sequence[ProtoFile], *, wanted: Sequence[str], types: bool, package: str = ""
) -> list[Diagnostic]:
    """Names inside the `wanted` files that generated code cannot hold; `files` has what they import, too."""
    messages = {message.full_name: message for file in files for message in file.messages}
    found: list[Diagnostic] = []
    mine = set(wanted)
    for file in files:
        if file.name not in mine:
            found += _import_problems(file, [each for each in files if file.name in each.dependencies])
            continue
        found += _service_problems(file, messages)
        found += _member_problems(file, Severity.ERROR if types else Severity.WARNING)
        if not package:
            found += _taken(file)
    return found


def _import_problems(file: ProtoFile, importers: Sequence[ProtoFile]) -> Iterator[Diagnostic]:
    """A file that is only imported becomes a part of import statements, so its name has to be a name, too."""
    parts = stem(file.name).split("/")
    if (
        all(part.isidentifier() and not keyword.iskeyword(part) for part in parts[:-1])
        and parts[-1].isidentifier()
    ):
        return
    text = f"the imported file {file.name!r} has a name that does not make a Python module"
    yield Diagnostic(text=text, at=Position(file=_shown(importers[0])), hint="rename its folder or the file")


def _path_problems(name: str, package: str) -> Iterator[tuple[str, str]]:
    *folders, module = stem(name).split("/")
    if name.startswith("-"):
        yield f"protoc would take `{name}` for an option", "rename it"
    for folder in folders:
        if keyword.iskeyword(folder):
            yield (
                f"the folder `{folder}` is a Python keyword, so nothing below it can be imported",
                "rename it",
            )
        elif not folder.isidentifier():
            yield _not_a_name("folder", folder)
    if not module.isidentifier():
        yield _not_a_name("file", module)
    if name.startswith("google/protobuf/"):
        yield (
            "protobuf brings this file and its module itself, and a second copy collides with it",
            "delete the copy: the well-known protos are always found",
        )
        return
    owner = next((owner for start, owner in _TAKEN.items() if name.startswith(start)), "")
    top = folders[0] if folders else ""
    if package:
        return
    if owner:
        yield (
            f"{owner} brings this file, and protobuf holds one file of a name per process",
            _own_package("its"),
        )
    elif top == "grpc":
        yield (
            "modules below a top folder `grpc` are never found, since grpcio is the package of that name",
            "move the protos below a folder with a name of your own, or generate with --package",
        )
    elif top in sys.stdlib_module_names:
        yield (
            f"the top folder `{top}` has the name of a module of Python's standard library, and one would hide the other",
            "put the protos below a folder with a name of your own, or generate with --package",
        )


def _not_a_name(what: str, name: str) -> tuple[str, str]:
    return (
        f"the {what} name `{name}` does not make a Python module name",
        "rename it: start with a letter and use only letters, digits and `_`",
    )


def _own_package(whose: str) -> str:
    return f"import {whose} module instead and delete this copy, or generate with --package"


def _service_problems(file: ProtoFile, messages: Mapping[str, Message]) -> Iterator[Diagnostic]:
    for service in file.services:
        if keyword.iskeyword(service.name):
            text = f"service `{service.name}` is a Python keyword, and its class would be a syntax error"
            yield Diagnostic(text=text, at=service.at, hint="rename the service")
        elif service.name in _OF_SERVICES:
            text = f"service `{service.name}` would hide what its own module uses by that name"
            yield Diagnostic(text=text, at=service.at, hint="rename the service")
        for rpc in service.rpcs:
            if keyword.iskeyword(rpc.name):
                text = f"rpc `{rpc.name}` is a Python keyword, and its method would be a syntax error"
                yield Diagnostic(text=text, at=rpc.at, hint="rename the rpc")
            elif rpc.name.startswith("__"):
                text = f"rpc `{rpc.name}` begins with two underscores, and Python changes such names inside a class"
                yield Diagnostic(text=text, at=rpc.at, hint="rename the rpc")
            yield from _types_of_rpc(rpc, messages)
    for first, second in combinations(file.services, 2):
        clash = sorted(_class_names(first) & _class_names(second))
        if clash:
            text = f"services `{first.name}` and `{second.name}` would both define the class `{clash[0]}`"
            yield Diagnostic(text=text, at=second.at, hint="rename one or move it to another file")


def _types_of_rpc(rpc: Rpc, messages: Mapping[str, Message]) -> Iterator[Diagnostic]:
    for name in dict.fromkeys((rpc.request, rpc.response)):
        message = messages.get(name)
        if message is not None and any(keyword.iskeyword(part) for part in message.path.split(".")):
            text = (
                f"message `{message.path}` holds a Python keyword and is used by rpc `{rpc.name}` ({rpc.at}), "
                "where it would be a syntax error"
            )
            yield Diagnostic(text=text, at=message.at, hint="rename the message")


def _member_problems(file: ProtoFile, severity: Severity) -> Iterator[Diagnostic]:
    """What works at run time only by detours, and makes the stub wrong: refused if there is a stub."""
    escape = "rename it; if it is not yours to rename, --no-types generates without stubs"

    def problem(text: str, at: Position) -> Diagnostic:
        return Diagnostic(text=text, at=at, severity=severity, hint=escape)

    for message in file.messages:
        for word, members in (("field ", message.fields), ("", message.members)):
            for member in members:
                if member.name in _OF_MESSAGES or _is_dunder(member.name):
                    yield problem(
                        f"{word}`{member.name}` hides a member that every message class has", member.at
                    )
        yield from _constant_problems(message, problem)
        if message.enums and any(keyword.iskeyword(part) for part in message.path.split(".")):
            text = f"message `{message.path}` holds a Python keyword and an enum, whose types cannot be written then"
            yield problem(text, message.at)
    tops = [Named(name=message.path, at=message.at) for message in file.messages if "." not in message.path]
    for element in (*tops, *file.enums, *file.constants):
        if element.name in _OF_MODULES:
            yield problem(f"`{element.name}` is a name that each generated module needs itself", element.at)


def _constant_problems(
    message: Message, problem: Callable[[str, Position], Diagnostic]
) -> Iterator[Diagnostic]:
    """Every field `x` brings a constant `X_FIELD_NUMBER`, which has to be one of a kind."""
    numbers: dict[str, Named] = {}
    for field in message.fields:
        first = numbers.setdefault(f"{field.name.upper()}_FIELD_NUMBER", field)
        if first is not field:
            text = f"fields `{first.name}` and `{field.name}` differ only by case, and both would have the constant "
            yield problem(f"{text}`{field.name.upper()}_FIELD_NUMBER`", field.at)
    for field in message.fields:
        if field.name in numbers:
            yield problem(
                f"field `{field.name}` is the constant of field `{numbers[field.name].name}`", field.at
            )


def _taken(file: ProtoFile) -> Iterator[Diagnostic]:
    start = Position(file=_shown(file))
    scope = f"{file.package}."
    owner = next((owner for start, owner in _TAKEN_SCOPES.items() if scope.startswith(start)), "")
    if owner and not any(file.name.startswith(path) for path in _TAKEN):
        text = f"{owner} defines messages in the package `{file.package}`, and protobuf holds one of a name per process"
        yield Diagnostic(text=text, at=start, hint=_own_package("its"))
    vendor = sorted((_VENDOR_FILES & {file.name}) | (_VENDOR_NAMES & {*file.symbols}))
    if vendor:
        text = (
            f"`{vendor[0]}` is also a name of the vendor's SDK (eas-prediction), and protobuf holds one of a name per "
            "process: the two cannot be imported together"
        )
        hint = "give the file a `package`, or generate with --package"
        yield Diagnostic(text=text, at=start, severity=Severity.WARNING, hint=hint)


def _shown(file: ProtoFile) -> str:
    places = [element.at for group in (file.messages, file.enums, file.services) for element in group]
    return places[0].file if places else file.name


def _class_names(service: Service) -> set[str]:
    name = service.name
    return {name, f"{name}Stub", f"{name}AsyncStub", f"{name}Servicer"}


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")
