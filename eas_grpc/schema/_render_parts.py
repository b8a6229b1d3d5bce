"""What the text of a .proto file needs to know of descriptors: ranges, defaults, groups, the order of things. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, Edition, FieldDescriptorProto
from google.protobuf.text_encoding import CUnescape

from eas_grpc.schema._elements import Element
from eas_grpc.schema._options import quoted

__all__ = [
    "Item",
    "brackets",
    "by_extendee",
    "container",
    "default",
    "edition",
    "entry",
    "in_order",
    "joined",
    "json_name",
    "made_by_fields",
    "number_range",
    "real_oneofs",
    "spaced",
    "unknown_note",
    "visibility",
]

# Where something stood in its file, if that is known, else a rank; and its lines.
Item = tuple["tuple[int, int] | None", float, "list[str]"]

# The largest number of a field is 2^29 - 1, of an enum value and in a message set 2^31 - 1; `max` stands for them.
_LARGEST = frozenset({536870911, 2147483646, 2147483647})

_BOXED = frozenset({FieldDescriptorProto.TYPE_GROUP, FieldDescriptorProto.TYPE_MESSAGE})


def in_order(items: Sequence[Item]) -> Iterator[list[str]]:
    """The lines of each item, as they stood in their file if that is known of all, else by rank."""
    if all(position is not None for position, _, _ in items):
        found = sorted(items, key=lambda item: item[0] or (0, 0))
    else:
        found = sorted(items, key=lambda item: item[1])
    return (lines for _, _, lines in found)


def spaced(blocks: Iterable[list[str]]) -> list[str]:
    """Blocks with an empty line around those of several lines."""
    found: list[str] = []
    before = 0
    for block in blocks:
        if found and (len(block) > 1 or before > 1):
            found.append("")
        found += block
        before = len(block)
    return found


def brackets(settings: Sequence[str]) -> str:
    """Options behind a field or a value."""
    return f" [{', '.join(settings)}]" if settings else ""


def number_range(first: int, last: int) -> str:
    """A range of numbers, both ends included."""
    if last in _LARGEST and first != last:
        return f"{first} to max"
    return str(first) if first == last else f"{first} to {last}"


def unknown_note(numbers: Sequence[int], indent: str) -> list[str]:
    """A comment about options whose definition the schema does not have."""
    if not numbers:
        return []
    return [f"{indent}// An option that this schema does not define: {', '.join(map(str, numbers))}."]


def joined(place: str, name: str) -> str:
    """The full name of something in a place."""
    return f"{place}.{name}" if place else name


def json_name(name: str) -> str:
    """The name that a field has in JSON when nothing else is said."""
    first, *rest = name.split("_")
    return first + "".join(each[:1].upper() + each[1:] for each in rest)


def default(field: FieldDescriptorProto) -> str:
    """A default value as it is written."""
    if field.type == FieldDescriptorProto.TYPE_STRING:
        return quoted(field.default_value)
    if field.type == FieldDescriptorProto.TYPE_BYTES:
        return quoted(CUnescape(field.default_value))
    return field.default_value


def edition(file: Any) -> str:
    """`2023`."""
    return Edition.Name(file.edition).removeprefix("EDITION_")


def visibility(proto: Any) -> str:
    """`export ` or `local ` where it is said (edition 2024)."""
    return {1: "local ", 2: "export "}.get(getattr(proto, "visibility", 0), "")


def real_oneofs(message: DescriptorProto) -> set[int]:
    """The oneofs that somebody wrote; for each `optional` of proto3 the compiler adds one."""
    return {
        field.oneof_index
        for field in message.field
        if field.HasField("oneof_index") and not field.proto3_optional
    }


def entry(field: FieldDescriptorProto, nested: Any, place: str) -> tuple[int, Any]:
    """The message beside a field that was written as part of it, a map's entry or a group, with its index; else None."""
    if field.type not in _BOXED or not field.type_name:
        return -1, None
    for index, message in enumerate(nested):
        if field.type_name != f".{joined(place, message.name)}":
            continue
        is_group = field.type == FieldDescriptorProto.TYPE_GROUP and message.name.lower() == field.name
        if message.options.map_entry or is_group:
            return index, message
    return -1, None


def made_by_fields(nested: Any, fields: Sequence[FieldDescriptorProto], place: str) -> dict[int, int]:
    """For the index of each message that belongs to a map or a group the index of its field."""
    found: dict[int, int] = {}
    for position, field in enumerate(fields):
        index, message = entry(field, nested, place)
        if message is not None:
            found.setdefault(index, position)
    return found


def by_extendee(
    extensions: Sequence[FieldDescriptorProto],
) -> Iterator[tuple[int, list[FieldDescriptorProto]]]:
    """Extensions of the same message that follow each other, with the index of the first."""
    start = 0
    for index in range(1, len(extensions) + 1):
        if index == len(extensions) or extensions[index].extendee != extensions[start].extendee:
            yield start, list(extensions[start:index])
            start = index


def container(element: Element) -> tuple[Any, tuple[int, ...]]:
    """The message, or the file, that holds an element, and its path."""
    path = element.path[:-2]
    found: Any = element.file
    for number, index in zip(path[::2], path[1::2], strict=True):
        found = (found.message_type if found is element.file else found.nested_type)[index]
        assert number in {3, 4}
    return found, path
