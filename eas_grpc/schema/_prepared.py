"""JSON as protobuf's parser takes it, where ProtoJSON allows more than that does. Pure."""

from __future__ import annotations

import struct
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from eas_grpc.schema._to_json import SPECIAL, is_map, is_repeated, type_name

__all__ = ["prepared"]

_ANY = "google.protobuf.Any"
_LARGEST = float.fromhex("0x1.fffffep+127")


def prepared(pool: DescriptorPool, descriptor: Any, data: Any) -> Any:
    """A copy in which a float that rounds to the largest one is that, and a null in a list of nulls has its name.

    A copy at any rate: some versions of protobuf take `@type` out of what they are given.
    """
    name = descriptor.full_name
    if name == "google.protobuf.FloatValue":
        return _rounded(data)
    if name in SPECIAL or not isinstance(data, dict):
        return data
    if name == _ANY:
        return _prepared_any(pool, data)
    names = {**{field.json_name: field for field in descriptor.fields}, **descriptor.fields_by_name}
    return {key: _field(pool, names.get(key), value) for key, value in data.items()}


def _prepared_any(pool: DescriptorPool, data: dict[str, Any]) -> dict[str, Any]:
    try:
        inner = pool.FindMessageTypeByName(type_name(data.get("@type", "")))
    except KeyError:
        return dict(data)
    if inner.full_name in SPECIAL or inner.full_name == _ANY:
        return {key: prepared(pool, inner, value) if key == "value" else value for key, value in data.items()}
    rest = {key: value for key, value in data.items() if key != "@type"}
    return {"@type": data["@type"], **prepared(pool, inner, rest)}


def _field(pool: DescriptorPool, field: Any, value: Any) -> Any:
    if field is None:
        return value
    if is_map(field):
        inner = field.message_type.fields_by_name["value"]
        return (
            {key: _one(pool, inner, each) for key, each in value.items()}
            if isinstance(value, dict)
            else value
        )
    if is_repeated(field) and isinstance(value, list):
        if (
            field.message_type is None
            and field.enum_type is None
            and field.type != FieldDescriptor.TYPE_FLOAT
        ):
            return value
        return [_one(pool, field, each) for each in value]
    return value if value is None else _one(pool, field, value)


def _one(pool: DescriptorPool, field: Any, value: Any) -> Any:
    if field.message_type is not None:
        return prepared(pool, field.message_type, value)
    if field.type == FieldDescriptor.TYPE_FLOAT:
        return _rounded(value)
    if (
        value is None
        and field.enum_type is not None
        and field.enum_type.full_name == "google.protobuf.NullValue"
    ):
        return "NULL_VALUE"
    return value


def _rounded(value: Any) -> Any:
    if not isinstance(value, float) or not _LARGEST < abs(value) < float("inf"):
        return value
    try:
        (rounded,) = struct.unpack("<f", struct.pack("<f", value))
    except OverflowError:
        return value
    return rounded
