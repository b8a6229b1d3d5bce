"""How a type is called at a place in a .proto file: as short as it is clear there. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from eas_grpc.schema._elements import Scope, elements

__all__ = ["clear", "referred", "scope_of"]

# A type whose name begins like this would be read as something else.
_WORDS = frozenset(
    {
        "bool",
        "bytes",
        "double",
        "edition",
        "enum",
        "export",
        "extend",
        "extensions",
        "fixed32",
        "fixed64",
        "float",
        "group",
        "import",
        "int32",
        "int64",
        "local",
        "map",
        "message",
        "oneof",
        "option",
        "optional",
        "package",
        "public",
        "repeated",
        "required",
        "reserved",
        "returns",
        "rpc",
        "service",
        "sfixed32",
        "sfixed64",
        "sint32",
        "sint64",
        "stream",
        "string",
        "syntax",
        "to",
        "uint32",
        "uint64",
        "weak",
    }
)
_AGGREGATES = frozenset({"message", "enum", "service"})


def scope_of(files: Iterable[FileDescriptorProto], pool: object = None) -> Scope:
    """All names of some files, as protoc sees them when it looks for a type."""
    names: set[str] = set()
    aggregates: set[str] = set()
    for file in files:
        parts = file.package.split(".") if file.package else []
        aggregates.update(".".join(parts[: count + 1]) for count in range(len(parts)))
        for element in elements(file):
            if element.kind in _AGGREGATES:
                aggregates.add(element.name)
            elif element.kind == "value":
                # In protobuf the values of an enum stand beside it, not in it.
                beside = element.parent.rpartition(".")[0]
                names.add(f"{beside}.{element.proto.name}".lstrip("."))
            else:
                names.add(element.name)
    return Scope(frozenset(names), frozenset(aggregates), pool)


def referred(type_name: str, place: str, file: FileDescriptorProto, scope: Scope) -> str:
    """How to write a type, given as `.package.Type`, within `place`: the full name of a message, or the package."""
    full = type_name.removeprefix(".")
    around = place
    while True:
        inside = f"{around}." if around else ""
        if full.startswith(inside):
            short = full[len(inside) :]
            if short.partition(".")[0] not in _WORDS and _found(short, place, scope) == full:
                return short
        if len(around) <= len(file.package):
            break
        around = around.rpartition(".")[0]
    return f".{full}" if full.partition(".")[0] in _WORDS else clear(full, place, scope)


def clear(full: str, place: str, scope: Scope) -> str:
    """A full name, with a dot before it where something nearer begins with the same word."""
    return full if _found(full, place, scope) == full else f".{full}"


def _found(name: str, place: str, scope: Scope) -> str:
    """What protoc takes a name for: it goes outwards from the place until the first part of the name is there."""
    first, dot, _ = name.partition(".")
    around = place
    while True:
        candidate = f"{around}.{first}" if around else first
        if candidate in scope.aggregates:
            return f"{around}.{name}" if around else name
        if candidate in scope.names and not dot:
            return ""
        if not around:
            return ""
        around = around.rpartition(".")[0]
