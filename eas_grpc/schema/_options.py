"""The options of an element as they are written in a .proto file, custom ones included. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from google.protobuf import text_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.unknown_fields import UnknownFieldSet

from eas_grpc.schema._elements import Scope
from eas_grpc.schema._names import clear
from eas_grpc.schema._to_json import is_repeated

__all__ = ["options", "quoted"]

# `map_entry` belongs to entries that are never written; the others are how a compiler notes what it did not understand.
_SKIPPED = frozenset({"map_entry", "uninterpreted_option"})
_SIMPLE = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def options(proto: Any, place: str, scope: Scope) -> tuple[list[str], list[int]]:
    """`name = value` for each option of a descriptor message, and the numbers of those that nobody defines.

    `place` is what they are written in: the full name of a message, an enum or a service, or the package.
    """
    if not proto.HasField("options"):
        return [], []
    own = _in_pool(proto.options, scope)
    # The published types of this class lack what it is for.
    left: Any = UnknownFieldSet(own)
    unknown = sorted({each.field_number for each in left})
    return [f"{name} = {value}" for name, value in _written(own, place, scope)], unknown


def quoted(value: str | bytes) -> str:
    """A string literal of the .proto language."""
    if isinstance(value, bytes):
        return '"' + "".join(_byte(each) for each in value) + '"'
    return '"' + "".join(_SIMPLE.get(each) or _character(each) for each in value) + '"'


def _character(each: str) -> str:
    return each if each.isprintable() else "".join(_byte(byte) for byte in each.encode("utf-8", "replace"))


def _byte(value: int) -> str:
    character = chr(value)
    return _SIMPLE.get(character) or (character if 0x20 <= value < 0x7F else f"\\{value:03o}")


def _in_pool(found: Any, scope: Scope) -> Any:
    """The same options as a message of the schema's own pool, which knows the extensions."""
    if scope.pool is None:
        return found
    try:
        descriptor = scope.pool.FindMessageTypeByName(found.DESCRIPTOR.full_name)
        return GetMessageClass(descriptor).FromString(found.SerializeToString())
    except (KeyError, DecodeError):
        # The service's own descriptor.proto is not protobuf's.
        return found


def _written(message: Any, place: str, scope: Scope) -> Iterator[tuple[str, str]]:
    for field, value in message.ListFields():
        if field.name in _SKIPPED and not field.is_extension:
            continue
        name = f"({clear(field.full_name, place, scope)})" if field.is_extension else field.name
        if field.message_type is not None and field.message_type.full_name == "google.protobuf.FeatureSet":
            for inner, text in _features(value, place, scope):
                yield f"{name}.{inner}", text
            continue
        for each in value if is_repeated(field) else (value,):
            yield name, _value(field, each)


def _features(message: Any, place: str, scope: Scope) -> Iterator[tuple[str, str]]:
    for field, value in message.ListFields():
        if field.is_extension:
            for inner, each in value.ListFields():
                yield f"({clear(field.full_name, place, scope)}).{inner.name}", _value(inner, each)
        else:
            yield field.name, _value(field, value)


def _value(field: FieldDescriptor, value: Any) -> str:
    if field.message_type is not None:
        inside = text_format.MessageToString(value, as_one_line=True)
        return f"{{ {inside} }}" if inside else "{}"
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known is not None else str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | bytes):
        return quoted(value)
    if isinstance(value, float):
        return _float(field, value)
    return str(value)


def _float(field: FieldDescriptor, value: float) -> str:
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return f"{value:.9g}" if field.type == FieldDescriptor.TYPE_FLOAT else repr(value)
