"""What protoc says, as plain data: its descriptor set and its error lines.

The only file here that knows protobuf's descriptors. Pure: bytes and text in, values out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

from eas_grpc.codegen._plan import Message, Position, ProtoFile, Rpc, Service

__all__ = ["describe", "located"]

_PROTOC_LINE = re.compile(r"^(?P<file>.+?):(?P<line>\d+):(?P<column>\d+): (?P<text>.*)$")

# Field numbers of descriptor.proto: a position is filed under the path of numbers that leads to its element.
_NAME = 1
_FILE_MESSAGE = 4
_FILE_SERVICE = 6
_MESSAGE_NESTED = 3
_SERVICE_METHOD = 2

_Locate = Callable[[tuple[int, ...]], Position]


def describe(descriptor_set: bytes, show: Callable[[str], str]) -> tuple[ProtoFile, ...]:
    """Every file of a serialized FileDescriptorSet; `show` turns a proto's import name into a path for people."""
    return tuple(_file(file, show(file.name)) for file in FileDescriptorSet.FromString(descriptor_set).file)


def located(output: str, show: Callable[[str], str]) -> tuple[str, ...]:
    """The lines of protoc's error output, each with a path that can be opened and `error:` or `warning:`."""
    return tuple(_line(line, show) for line in output.splitlines() if line.strip())


def _line(line: str, show: Callable[[str], str]) -> str:
    match = _PROTOC_LINE.match(line)
    if match is None:
        return line
    file, number, column, text = match.groups()
    if not text.startswith(("error: ", "warning: ")):
        text = f"error: {text}"
    return f"{show(file)}:{number}:{column}: {text}"


def _file(file: FileDescriptorProto, shown: str) -> ProtoFile:
    starts: Mapping[tuple[int, ...], tuple[int, int]] = {
        tuple(place.path): (place.span[0], place.span[1]) for place in file.source_code_info.location
    }

    def locate(path: tuple[int, ...]) -> Position:
        # protoc counts from zero; a descriptor without positions points at the start of the file.
        line, column = starts.get((*path, _NAME), (0, 0))
        return Position(file=shown, line=line + 1, column=column + 1)

    package = f"{file.package}." if file.package else ""
    return ProtoFile(
        name=file.name,
        services=tuple(_service(s, (_FILE_SERVICE, i), locate) for i, s in enumerate(file.service)),
        messages=tuple(_messages(file.message_type, (), _FILE_MESSAGE, package, "", locate)),
    )


def _service(service: ServiceDescriptorProto, path: tuple[int, ...], locate: _Locate) -> Service:
    rpcs = tuple(
        Rpc(
            name=method.name,
            request=method.input_type.lstrip("."),
            response=method.output_type.lstrip("."),
            at=locate((*path, _SERVICE_METHOD, index)),
        )
        for index, method in enumerate(service.method)
    )
    return Service(name=service.name, rpcs=rpcs, at=locate(path))


def _messages(
    types: Iterable[DescriptorProto],
    above: tuple[int, ...],
    field: int,
    package: str,
    outer: str,
    locate: _Locate,
) -> Iterator[Message]:
    for index, message in enumerate(types):
        path = (*above, field, index)
        name = f"{outer}{message.name}"
        yield Message(full_name=f"{package}{name}", path=name, at=locate(path))
        yield from _messages(message.nested_type, path, _MESSAGE_NESTED, package, f"{name}.", locate)
