"""Descriptors as the plain data that the plan needs: which names are used where, and at which place.

Pure: elements in, values out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from eas_grpc.codegen._diagnostics import Position
from eas_grpc.codegen._elements import Element, Kind, Schema, read_schema

__all__ = ["Message", "Named", "ProtoFile", "Rpc", "Service", "describe"]


@dataclass(frozen=True, kw_only=True)
class Named:
    """A field, an enum, one of its values, an extension."""

    name: str
    at: Position


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message type. `path` is its name inside the file: `Outer.Inner`.

    `members` are what its class holds besides fields: nested messages and enums, their values, extensions.
    """

    full_name: str
    path: str
    at: Position
    fields: tuple[Named, ...] = ()
    enums: tuple[Named, ...] = ()
    members: tuple[Named, ...] = ()


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
    """What the plan needs to know of one .proto. `name` is the path that other protos import it by.

    `constants` are what its module holds besides classes: values of enums, extensions.
    """

    name: str
    package: str = ""
    dependencies: tuple[str, ...] = ()
    services: tuple[Service, ...] = ()
    messages: tuple[Message, ...] = ()
    enums: tuple[Named, ...] = ()
    constants: tuple[Named, ...] = ()

    @property
    def symbols(self) -> tuple[str, ...]:
        """The full names that the file puts into protobuf's registry, nested ones left out."""
        scope = f"{self.package}." if self.package else ""
        top = [message.path for message in self.messages if "." not in message.path]
        enums, services = (enum.name for enum in self.enums), (service.name for service in self.services)
        return tuple(scope + name for name in (*top, *enums, *services))


def describe(files: FileDescriptorSet, show: Callable[[str], str]) -> tuple[ProtoFile, ...]:
    """Every file of a set; `show` turns a proto's import name into a path for people."""
    shown = {file.name: show(file.name) for file in files.file}
    schema = read_schema(files, shown.keys(), shown)
    return tuple(_file(schema, file) for file in schema.of(Kind.FILE))


def _file(schema: Schema, file: Element) -> ProtoFile:
    return ProtoFile(
        name=file.name,
        package=file.proto.package,
        dependencies=tuple(file.proto.dependency),
        services=tuple(_service(schema, service) for service in schema.inside(file, Kind.SERVICE)),
        messages=tuple(_messages(schema, file)),
        enums=_named(schema, file, Kind.ENUM),
        constants=_constants(schema, file),
    )


def _service(schema: Schema, service: Element) -> Service:
    rpcs = tuple(
        Rpc(
            name=rpc.name,
            request=rpc.proto.input_type.lstrip("."),
            response=rpc.proto.output_type.lstrip("."),
            at=rpc.at,
        )
        for rpc in schema.inside(service, Kind.RPC)
    )
    return Service(name=service.name, rpcs=rpcs, at=service.at)


def _messages(schema: Schema, parent: Element) -> Iterator[Message]:
    for message in schema.inside(parent, Kind.MESSAGE):
        yield Message(
            full_name=message.full_name,
            path=message.local_name,
            at=message.at,
            fields=_named(schema, message, Kind.FIELD),
            enums=_named(schema, message, Kind.ENUM),
            members=(*_named(schema, message, Kind.MESSAGE, Kind.ENUM), *_constants(schema, message)),
        )
        yield from _messages(schema, message)


def _constants(schema: Schema, parent: Element) -> tuple[Named, ...]:
    enums = schema.inside(parent, Kind.ENUM)
    values = [value for enum in enums for value in _named(schema, enum, Kind.VALUE)]
    return (*values, *_named(schema, parent, Kind.EXTENSION))


def _named(schema: Schema, parent: Element, *kinds: Kind) -> tuple[Named, ...]:
    return tuple(Named(name=element.name, at=element.at) for element in schema.inside(parent, *kinds))
