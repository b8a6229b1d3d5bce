"""Descriptor files as a whole: complete, in order, without contradiction, and in a pool of their own. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from eas_grpc.errors import SchemaError
from eas_grpc.schema._errors import visible

__all__ = [
    "WELL_KNOWN",
    "completed",
    "in_order",
    "make_pool",
    "references",
    "same_schema",
    "sorted_out",
    "symbols",
    "well_known",
]

# The files that every protobuf runtime carries; those in `_COMPILER` are of use to compilers alone.
WELL_KNOWN = tuple(
    f"google/protobuf/{name}.proto"
    for name in (
        "any",
        "api",
        "descriptor",
        "duration",
        "empty",
        "field_mask",
        "source_context",
        "struct",
        "timestamp",
        "type",
        "wrappers",
    )
)
_DESCRIPTOR = "google/protobuf/descriptor.proto"
_COMPILER = "google/protobuf/compiler/plugin.proto"


@lru_cache
def well_known(name: str) -> FileDescriptorProto | None:
    """One of protobuf's own files as this runtime has it; None for any other name. Not to be changed."""
    if name not in WELL_KNOWN and name != _COMPILER:
        return None
    import importlib

    module: Any = importlib.import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
    copy = FileDescriptorProto()
    module.DESCRIPTOR.CopyToProto(copy)
    return copy


def completed(
    files: Iterable[FileDescriptorProto],
    *,
    origin: str,
    error: type[SchemaError] = SchemaError,
) -> list[FileDescriptorProto]:
    """The files with protobuf's own ones that they import, in an order in which each comes after its imports.

    Raises `error` for what cannot be a whole: two different files of one name, an import that is missing, a cycle.
    """
    found: dict[str, FileDescriptorProto] = {}
    for each in files:
        # What JSON makes of these types depends on their fields, so only the runtime's own ones will do.
        file = (well_known(each.name) or each) if each.name != _DESCRIPTOR else each
        first = found.setdefault(file.name, file)
        if first is not file and not same_schema(first, file):
            raise error(f"{origin} holds two different files called {file.name!r}")
    ordered = in_order(found, origin=origin, error=error)
    owners: dict[str, str] = {}
    for file in ordered:
        for symbol in sorted(symbols(file)):
            if (owner := owners.setdefault(symbol, file.name)) != file.name:
                raise error(f"{origin}: {owner!r} and {file.name!r} both define {visible(symbol)}")
    return ordered


def in_order(
    files: Mapping[str, FileDescriptorProto], *, origin: str, error: type[SchemaError] = SchemaError
) -> list[FileDescriptorProto]:
    """Files by name, and the well-known ones that they import, each after its imports."""
    done: dict[str, FileDescriptorProto] = {}
    for start in files:
        if start in done:
            continue
        # No recursion: a chain of imports may be longer than Python's stack.
        trail = {start: iter(_file(files, start).dependency)}
        while trail:
            name = next(reversed(trail))
            imported = next((each for each in trail[name] if each not in done), None)
            if imported is None:
                done[name] = _file(files, name)
                del trail[name]
            elif imported in trail:
                circle = [*list(trail)[list(trail).index(imported) :], imported]
                raise error(f"{origin}: files import each other in a circle: {' -> '.join(circle)}")
            elif imported in files or well_known(imported):
                trail[imported] = iter(_file(files, imported).dependency)
            else:
                raise error(f"{origin}: {name!r} imports {imported!r}, which is missing")
    return list(done.values())


def make_pool(
    files: Sequence[FileDescriptorProto], *, origin: str, error: type[SchemaError] = SchemaError
) -> DescriptorPool:
    """A pool of these files, given in order, and of the well-known types that JSON may name in an `Any`."""
    pool = DescriptorPool()
    for file in files:
        try:
            pool.AddSerializedFile(file.SerializeToString())
        except Exception as problem:
            raise error(f"{origin}: {file.name!r} cannot be used: {_reason(problem)}") from problem
    defined = {name for file in files for name in symbols(file)}
    present = {file.name for file in files}
    for file in in_order({name: _file({}, name) for name in WELL_KNOWN}, origin=origin):
        # Some projects have these types in files of another name.
        if file.name not in present and not defined & symbols(file) and present.issuperset(file.dependency):
            pool.AddSerializedFile(file.SerializeToString())
            present.add(file.name)
    return pool


def sorted_out(files: Sequence[FileDescriptorProto]) -> tuple[list[FileDescriptorProto], dict[str, str]]:
    """The files, given in order, that a pool takes; and the names of the others, with the reason."""
    pool = DescriptorPool()
    good: list[FileDescriptorProto] = []
    bad: dict[str, str] = {}
    for file in files:
        cause = next((bad[each] for each in file.dependency if each in bad), "")
        if not cause:
            try:
                pool.AddSerializedFile(file.SerializeToString())
            except Exception as problem:
                cause = f"{file.name!r} cannot be used: {_reason(problem)}"
        if cause:
            bad[file.name] = cause
        else:
            good.append(file)
    return good, bad


def _reason(problem: Exception) -> str:
    # What protobuf's implementations raise here differs: TypeError, ValueError, KeyError.
    text = visible(str(problem).replace("Couldn't build proto file into descriptor pool: ", ""))
    # What upb says of map entries and oneofs that are not as a compiler makes them.
    return "its descriptors contradict themselves" if text == "out of memory" else text


def same_schema(one: FileDescriptorProto, other: FileDescriptorProto) -> bool:
    """Whether two files declare the same; names of files and positions do not count."""
    return _bare(one) == _bare(other)


def symbols(file: FileDescriptorProto) -> set[str]:
    """The full names of the messages, enums, services and extensions that a file declares."""
    prefix = f"{file.package}." if file.package else ""
    named: list[Any] = [*file.enum_type, *file.service, *file.extension]
    found = {prefix + each.name for each in named}
    waiting: list[tuple[str, Any]] = [(prefix, message) for message in file.message_type]
    while waiting:
        scope, message = waiting.pop()
        full = scope + message.name
        found.add(full)
        found.update(f"{full}.{each.name}" for each in (*message.enum_type, *message.extension))
        waiting += [(f"{full}.", nested) for nested in message.nested_type]
    return found


def references(file: FileDescriptorProto) -> set[str]:
    """The full names of the types that a file's fields, extensions and methods name."""
    found = {each for method in _methods(file) for each in (method.input_type, method.output_type)}
    waiting: list[DescriptorProto] = list(file.message_type)
    fields = list(file.extension)
    while waiting:
        message = waiting.pop()
        fields += [*message.field, *message.extension]
        waiting += message.nested_type
    for field in fields:
        found.update((field.type_name, field.extendee))
    return {name.removeprefix(".") for name in found if name}


def _methods(file: FileDescriptorProto) -> Iterator[Any]:
    return (method for service in file.service for method in service.method)


def _bare(file: FileDescriptorProto) -> FileDescriptorProto:
    copy = FileDescriptorProto()
    copy.CopyFrom(file)
    copy.ClearField("source_code_info")
    copy.ClearField("name")
    return copy


def _file(files: Mapping[str, FileDescriptorProto], name: str) -> FileDescriptorProto:
    file = files.get(name) or well_known(name)
    assert file is not None
    return file
