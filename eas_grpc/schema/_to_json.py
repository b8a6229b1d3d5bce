"""A message as JSON, by the rules of ProtoJSON; what those rules cannot show is shown in another way, never an error.

Not protobuf's own printer: that one gives up at an `Any` whose type is unknown, and at a Timestamp out of range,
where somebody who looks at a service's answer wants to see what came.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Callable
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

__all__ = ["SPECIAL", "is_map", "is_repeated", "to_json", "to_plain", "type_name"]

_LONG = {
    FieldDescriptor.TYPE_INT64,
    FieldDescriptor.TYPE_UINT64,
    FieldDescriptor.TYPE_SINT64,
    FieldDescriptor.TYPE_FIXED64,
    FieldDescriptor.TYPE_SFIXED64,
}
_WRAPPERS = {
    f"google.protobuf.{kind}Value"
    for kind in ("Bool", "Bytes", "Double", "Float", "Int32", "Int64", "String", "UInt32", "UInt64")
}
_VALUES = {f"google.protobuf.{kind}" for kind in ("Struct", "Value", "ListValue")}

# Messages that JSON writes in a form of their own, with an example of it each; `Any` is one more.
SPECIAL: dict[str, Any] = {
    "google.protobuf.Timestamp": "1970-01-01T00:00:00Z",
    "google.protobuf.Duration": "0s",
    "google.protobuf.FieldMask": "",
    "google.protobuf.Struct": {},
    "google.protobuf.Value": None,
    "google.protobuf.ListValue": [],
    "google.protobuf.BoolValue": False,
    "google.protobuf.BytesValue": "",
    "google.protobuf.DoubleValue": 0.0,
    "google.protobuf.FloatValue": 0.0,
    "google.protobuf.Int32Value": 0,
    "google.protobuf.Int64Value": "0",
    "google.protobuf.StringValue": "",
    "google.protobuf.UInt32Value": 0,
    "google.protobuf.UInt64Value": "0",
}
_ANY = "google.protobuf.Any"


def to_json(pool: DescriptorPool, message: Message, *, emit_defaults: bool, indent: int | None) -> str:
    """The JSON text of a message."""
    plain = to_plain(pool, message, emit_defaults=emit_defaults)
    return json.dumps(plain, ensure_ascii=False, indent=indent)


def to_plain(pool: DescriptorPool, message: Message, *, emit_defaults: bool = False) -> Any:
    """What `json.loads` would make of the JSON of a message."""
    name = message.DESCRIPTOR.full_name
    if name == _ANY:
        return _any(pool, message, emit_defaults)
    if name in SPECIAL:
        try:
            return json.loads(json_format.MessageToJson(message, indent=None))
        except (ValueError, TypeError, AttributeError, OverflowError, json_format.Error):
            pass  # out of range, or NaN: its fields are shown
    return _fields(pool, message, emit_defaults)


def type_name(url: str) -> str:
    """The full name of the type that an `Any` names."""
    return url.rpartition("/")[2]


def is_repeated(field: FieldDescriptor) -> bool:
    """Whether a field holds several values; the runtime's own way of asking changed its name."""
    found = getattr(field, "is_repeated", None)
    return bool(getattr(field, "label", None) == field.LABEL_REPEATED if found is None else found)


def is_map(field: FieldDescriptor) -> bool:
    """Whether a field is a map."""
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _fields(pool: DescriptorPool, message: Message, emit_defaults: bool) -> dict[str, Any]:
    found = {_key(field): _field(pool, field, value, emit_defaults) for field, value in message.ListFields()}
    if not emit_defaults:
        return found
    fields: Any = message.DESCRIPTOR.fields
    for field in fields:
        if field.has_presence or _key(field) in found:
            continue
        found[_key(field)] = (
            ({} if is_map(field) else []) if is_repeated(field) else _scalar(field)(field.default_value)
        )
    return found


def _key(field: FieldDescriptor) -> str:
    return f"[{field.full_name}]" if field.is_extension else field.json_name


def _field(pool: DescriptorPool, field: Any, value: Any, emit_defaults: bool) -> Any:
    if is_map(field):
        entry = field.message_type.fields_by_name
        show = _one(pool, entry["value"], emit_defaults)
        return {_map_key(key): show(value[key]) for key in value}
    show = _one(pool, field, emit_defaults)
    return [show(each) for each in value] if is_repeated(field) else show(value)


def _one(pool: DescriptorPool, field: FieldDescriptor, emit_defaults: bool) -> Callable[[Any], Any]:
    if field.message_type is not None:
        return lambda value: to_plain(pool, value, emit_defaults=emit_defaults)
    return _scalar(field)


def _scalar(field: Any) -> Callable[[Any], Any]:
    if field.type in _LONG:
        return str
    if field.type == field.TYPE_BYTES:
        return lambda value: base64.b64encode(value).decode("ascii")
    if field.type == field.TYPE_FLOAT:
        return lambda value: _number(value, _shortest(value))
    if field.type == field.TYPE_DOUBLE:
        return lambda value: _number(value, value)
    if field.type == field.TYPE_ENUM:
        enum = field.enum_type
        if enum.full_name == "google.protobuf.NullValue":
            return lambda _: None
        names = enum.values_by_number
        return lambda value: names[value].name if value in names else value
    return lambda value: value


def _map_key(key: Any) -> str:
    return ("true" if key else "false") if isinstance(key, bool) else str(key)


def _number(value: float, shown: float) -> float | int | str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return int(shown) if shown.is_integer() and abs(shown) < 1e15 and not _negative_zero(shown) else shown


def _negative_zero(value: float) -> bool:
    return value == 0 and math.copysign(1, value) < 0


def _shortest(value: float) -> float:
    """The number with the fewest digits that is the same as a 32-bit float."""
    if not math.isfinite(value):
        return value
    for digits in range(1, 9):
        short = float(f"{value:.{digits}g}")
        try:
            if struct.pack("<f", short) == struct.pack("<f", value):
                return short
        except OverflowError:
            continue
    return float(f"{value:.9g}")


def _any(pool: DescriptorPool, message: Any, emit_defaults: bool) -> dict[str, Any]:
    url, value = message.type_url, message.value
    if not url and not value:
        return {}
    shown: dict[str, Any] = {"@type": url}
    try:
        inner = GetMessageClass(pool.FindMessageTypeByName(type_name(url))).FromString(value)
    except (KeyError, DecodeError):
        # Unknown here, or not what it claims to be: the bytes are all that can be shown.
        return {**shown, "@value": base64.b64encode(value).decode("ascii")}
    plain = to_plain(pool, inner, emit_defaults=emit_defaults)
    special = inner.DESCRIPTOR.full_name in SPECIAL or inner.DESCRIPTOR.full_name == _ANY
    return {**shown, "value": plain} if special else {**shown, **plain}
