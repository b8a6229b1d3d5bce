"""JSON with every field of a message, to be filled in. Pure."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from eas_grpc.schema._to_json import SPECIAL, is_map, is_repeated

__all__ = ["template"]

# A schema of many messages within messages has more places than anybody fills in.
_MOST_FIELDS = 2000
_DEEPEST = 30

_NUMBERS = {
    FieldDescriptor.CPPTYPE_INT32: 0,
    FieldDescriptor.CPPTYPE_UINT32: 0,
    FieldDescriptor.CPPTYPE_INT64: "0",
    FieldDescriptor.CPPTYPE_UINT64: "0",
    FieldDescriptor.CPPTYPE_FLOAT: 0.0,
    FieldDescriptor.CPPTYPE_DOUBLE: 0.0,
    FieldDescriptor.CPPTYPE_BOOL: False,
    FieldDescriptor.CPPTYPE_STRING: "",
}


def template(descriptor: Any) -> str:
    """Every field with an example; of a oneof its first field, and no message within itself."""
    left = [_MOST_FIELDS]
    return json.dumps(_message(descriptor, (), left), ensure_ascii=False, indent=2)


def _message(descriptor: Any, around: tuple[str, ...], left: list[int]) -> Any:
    name = descriptor.full_name
    if name == "google.protobuf.Any":
        return {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": ""}
    if name in SPECIAL:
        return SPECIAL[name]
    made: dict[str, Any] = {}
    chosen: set[str] = set()
    inside = (*around, name)
    for field in descriptor.fields:
        oneof = field.containing_oneof
        if oneof is not None and oneof.name in chosen:
            continue
        left[0] -= 1
        again = _value_type(field)
        cut = again is not None and (again.full_name in inside or len(inside) >= _DEEPEST or left[0] < 0)
        if cut and not is_repeated(field):
            continue
        if oneof is not None:
            chosen.add(oneof.name)
        made[field.json_name] = _field(field, inside, left, cut=cut)
    return made


def _field(field: Any, inside: tuple[str, ...], left: list[int], *, cut: bool) -> Any:
    if is_map(field):
        entry = field.message_type.fields_by_name
        if cut:
            return {}
        key = {FieldDescriptor.CPPTYPE_STRING: "", FieldDescriptor.CPPTYPE_BOOL: "false"}
        return {key.get(entry["key"].cpp_type, "0"): _one(entry["value"], inside, left)}
    if not is_repeated(field):
        return _one(field, inside, left)
    return [] if cut else [_one(field, inside, left)]


def _one(field: Any, inside: tuple[str, ...], left: list[int]) -> Any:
    if field.message_type is not None:
        return _message(field.message_type, inside, left)
    if field.enum_type is not None:
        first = field.enum_type.values[0]
        return None if field.enum_type.full_name == "google.protobuf.NullValue" else first.name
    if field.has_default_value and field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return field.default_value
    return _NUMBERS[field.cpp_type]


def _value_type(field: Any) -> Any:
    """The message that a field, or the values of a map, hold."""
    return field.message_type.fields_by_name["value"].message_type if is_map(field) else field.message_type
