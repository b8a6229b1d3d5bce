"""Random messages of any description, as hypothesis strategies; what JSON cannot say is not among them."""

from __future__ import annotations

import string
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

# What an Any may hold besides itself; a type that `kinds.v1` does not import is only found when it is asked for.
_IN_ANY = (
    "google.protobuf.Duration",
    "google.protobuf.Struct",
    "google.protobuf.Value",
    "google.protobuf.Int64Value",
    "google.protobuf.Empty",
    "google.protobuf.Any",
    "google.rpc.ErrorInfo",
    "kinds.v1.Scalars",
    "kinds.v1.Tree",
    "kinds.older.v1.Older",
    "kinds.newer.v1.Newer",
)
_DEPTH = 3
_FIELDS_AT_ONCE = 6
_FIRST_SECOND, _LAST_SECOND = -62135596800, 253402300799
_LONGEST = 315_576_000_000
_NANOSECONDS = 10**9 - 1

_json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def _integers(bits: int, signed: bool) -> st.SearchStrategy[int]:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return st.sampled_from([low, high, 0, 1]) | st.integers(low, high)


_SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.CPPTYPE_DOUBLE: st.floats(),
    # protobuf's own parser refuses what its printer makes of the largest of all, and its printer writes the smallest
    # with more digits than they need: those are among the cases written by hand.
    FieldDescriptor.CPPTYPE_FLOAT: st.floats(-(2.0**127), 2.0**127, width=32, allow_subnormal=False)
    | st.sampled_from([float("nan"), float("inf"), -float("inf")]),
    FieldDescriptor.CPPTYPE_INT32: _integers(32, signed=True),
    FieldDescriptor.CPPTYPE_INT64: _integers(64, signed=True),
    FieldDescriptor.CPPTYPE_UINT32: _integers(32, signed=False),
    FieldDescriptor.CPPTYPE_UINT64: _integers(64, signed=False),
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
}


def messages(description: Descriptor, depth: int = _DEPTH) -> st.SearchStrategy[Any]:
    """Messages of a type, with some of its fields set, and all that are required."""
    special = _SPECIAL.get(description.full_name)
    return special(description, depth) if special else _filled(description, depth)


@st.composite
def _filled(draw: st.DrawFn, description: Descriptor, depth: int) -> Any:
    message = GetMessageClass(description)()
    extensions = description.file.pool.FindAllExtensions(description)
    fields = [*description.fields, *extensions] if depth else _leaves(description)
    chosen = draw(st.lists(st.sampled_from(fields), max_size=_FIELDS_AT_ONCE)) if fields else []
    for field in [*chosen, *(field for field in description.fields if field.is_required)]:
        put(message, field, draw(_of_field(field, depth)))
    return message


def _leaves(description: Descriptor) -> list[FieldDescriptor]:
    return [field for field in description.fields if field.message_type is None]


def put(message: Any, field: FieldDescriptor, value: Any) -> None:
    """Sets a field of any kind: a list for a repeated one, a dict for a map."""
    if field.is_extension:
        if field.is_repeated and not value:
            return  # protobuf's printer shows a list that was touched, though nothing of it is sent
        if field.is_repeated:
            message.Extensions[field].extend(value)
        elif field.message_type:
            message.Extensions[field].CopyFrom(value)
        else:
            message.Extensions[field] = value
    elif field.is_repeated and isinstance(value, dict):
        held = getattr(message, field.name)
        for key, element in value.items():
            if field.message_type.fields_by_name["value"].message_type:
                held[key].CopyFrom(element)
            else:
                held[key] = element
    elif field.is_repeated:
        getattr(message, field.name).extend(value)
    elif field.message_type:
        getattr(message, field.name).CopyFrom(value)
    else:
        setattr(message, field.name, value)


def _of_field(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    if field.message_type and field.message_type.GetOptions().map_entry:
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        return st.dictionaries(_single(key, depth), _single(value, depth), max_size=3)
    single = _single(field, depth)
    return st.lists(single, max_size=3) if field.is_repeated else single


def _single(field: FieldDescriptor, depth: int) -> st.SearchStrategy[Any]:
    if field.message_type:
        return messages(field.message_type, depth - 1)
    if field.enum_type:
        known = st.sampled_from([value.number for value in field.enum_type.values])
        open_to_others = not field.enum_type.is_closed and field.enum_type.name != "NullValue"
        return known | _integers(32, signed=True) if open_to_others else known
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return st.binary(max_size=8) if field.type == FieldDescriptor.TYPE_BYTES else st.text(max_size=8)
    return _SCALARS[field.cpp_type]


def _timestamp(description: Descriptor, _: int) -> st.SearchStrategy[Any]:
    return st.builds(
        GetMessageClass(description),
        seconds=st.integers(_FIRST_SECOND, _LAST_SECOND),
        nanos=st.sampled_from([0, 1, 1000, 10**6, _NANOSECONDS]) | st.integers(0, _NANOSECONDS),
    )


@st.composite
def _duration(draw: st.DrawFn, description: Descriptor, _: int) -> Any:
    sign = draw(st.sampled_from([-1, 1]))
    seconds, nanos = draw(st.integers(0, _LONGEST)), draw(st.integers(0, _NANOSECONDS))
    return GetMessageClass(description)(seconds=sign * seconds, nanos=sign * nanos)


def _field_mask(description: Descriptor, _: int) -> st.SearchStrategy[Any]:
    word = st.text(string.ascii_lowercase, min_size=1, max_size=4)
    name = st.lists(word, min_size=1, max_size=3).map("_".join)
    path = st.lists(name, min_size=1, max_size=3).map(".".join)
    return st.builds(GetMessageClass(description), paths=st.lists(path, max_size=3))


def _json(values: st.SearchStrategy[Any]) -> Any:
    def of(description: Descriptor, _: int) -> st.SearchStrategy[Any]:
        return values.map(lambda value: json_format.ParseDict(value, GetMessageClass(description)()))

    return of


@st.composite
def _any(draw: st.DrawFn, description: Descriptor, depth: int) -> Any:
    message = GetMessageClass(description)()
    names = _IN_ANY if depth > 0 else ["google.protobuf.Duration"]
    held = description.file.pool.FindMessageTypeByName(draw(st.sampled_from(names)))
    message.Pack(draw(messages(held, depth - 1)), deterministic=True)
    return message


_SPECIAL: dict[str, Any] = {
    "google.protobuf.Timestamp": _timestamp,
    "google.protobuf.Duration": _duration,
    "google.protobuf.FieldMask": _field_mask,
    "google.protobuf.Value": _json(_json_values),
    "google.protobuf.ListValue": _json(st.lists(_json_values, max_size=3)),
    "google.protobuf.Struct": _json(st.dictionaries(st.text(max_size=4), _json_values, max_size=3)),
    "google.protobuf.Any": _any,
}
