"""A file's descriptor as the bytes that a module carries, and bytes and names as Python text. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

__all__ = ["bytes_literal", "drop_default_json_names", "embedded", "in_comment", "json_name", "quoted"]

# Of a line in the literal, without its indentation.
_WIDTH = 100

_ESCAPES = {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t", ord('"'): '\\"', ord("\\"): "\\\\"}


def embedded(file: FileDescriptorProto) -> bytes:
    """The serialized file without what no program needs at run time: positions, comments, default JSON names.

    Options that are meant for the source alone are gone already: protoc leaves them out of descriptor sets.
    """
    small = FileDescriptorProto()
    small.CopyFrom(file)
    small.ClearField("source_code_info")
    drop_default_json_names(small)
    return small.SerializeToString(deterministic=True)


def drop_default_json_names(file: FileDescriptorProto) -> None:
    """Leave out the names that every runtime derives: descriptor sets spell them out, which adds a third."""
    fields = [*file.extension]
    for message in file.message_type:
        fields.extend(_fields(message))
    for field in fields:
        if field.json_name == json_name(field.name):
            field.ClearField("json_name")


def json_name(field: str) -> str:
    """The JSON name that protoc gives to a field: ToJsonName in protobuf's descriptor.cc."""
    # Lower camel case, but the first letter keeps its case.
    first, *others = field.split("_")
    return first + "".join(other[:1].upper() + other[1:] for other in others)


def bytes_literal(content: bytes, indent: str) -> str:
    """Adjacent bytes literals, one a line, to stand between parentheses."""
    lines = [""]
    for byte in content:
        text = _ESCAPES.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}")
        if len(lines[-1]) + len(text) > _WIDTH:
            lines.append("")
        lines[-1] += text
    return "\n".join(f'{indent}b"{line}"' for line in lines)


def quoted(text: str) -> str:
    """Text as a string literal: what JSON escapes, Python reads."""
    return json.dumps(text, ensure_ascii=False)


def in_comment(text: str) -> str:
    """Text that cannot end the line that it stands in."""
    return text if text.isprintable() else quoted(text)


def _fields(message: DescriptorProto) -> Iterator[FieldDescriptorProto]:
    yield from message.field
    yield from message.extension
    for nested in message.nested_type:
        yield from _fields(nested)
