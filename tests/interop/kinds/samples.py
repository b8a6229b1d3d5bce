"""Messages that have each field of a type once, with every value that is a border case of its kind."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from interop.kinds.messages import put

_F = FieldDescriptor
_INT32 = [0, 1, -1, 2**31 - 1, -(2**31)]
_INT64 = [0, 1, -1, 2**53 + 1, 2**63 - 1, -(2**63)]
_UINT32 = [0, 1, 2**32 - 1]
_UINT64 = [0, 1, 2**53 + 1, 2**64 - 1]
_REALS = [float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1.0, -1.5]
_TEXTS = [
    "",
    "plain",
    "größer als 100 %",
    '"\\/\b\f\n\r\t\0\x1f\x7f',
    "\u2028\u2029",
    "𝄞 👩‍🚀",
    "<&>",
    "null",
    "\ufeff",
]

_VALUES: dict[int, list[Any]] = {
    _F.TYPE_DOUBLE: [*_REALS, 1e21, 1e-7, 5e-324, 1.7976931348623157e308, 0.1, 123456789.12345679],
    _F.TYPE_FLOAT: [*_REALS, 0.1, 3.4028232635611926e38, 1.1754943508222875e-38, 16777216.0, 1e10],
    _F.TYPE_INT32: _INT32,
    _F.TYPE_INT64: _INT64,
    _F.TYPE_UINT32: _UINT32,
    _F.TYPE_UINT64: _UINT64,
    _F.TYPE_SINT32: _INT32,
    _F.TYPE_SINT64: _INT64,
    _F.TYPE_FIXED32: _UINT32,
    _F.TYPE_FIXED64: _UINT64,
    _F.TYPE_SFIXED32: _INT32,
    _F.TYPE_SFIXED64: _INT64,
    _F.TYPE_BOOL: [True, False],
    _F.TYPE_STRING: _TEXTS,
    # Every length of base64's last group, and each of its digits.
    _F.TYPE_BYTES: [b"", b"\0", b"\0\1", b"\0\1\2", b"\xfb\xff\xbf", bytes(range(256))],
}
_STRUCT = {"n": None, "t": True, "x": -0.5, "s": "ü", "l": [1, [], {}], "o": {"": {"deep": [None]}}}
_PREFIX = "type.googleapis.com/"
_ANYS: list[Any] = [
    {"@type": f"{_PREFIX}google.protobuf.Duration", "value": "1.500s"},
    {"@type": f"{_PREFIX}google.protobuf.Timestamp", "value": "1970-01-01T00:00:00Z"},
    {"@type": f"{_PREFIX}google.protobuf.FieldMask", "value": "a.b,cD"},
    {"@type": f"{_PREFIX}google.protobuf.Struct", "value": _STRUCT},
    {"@type": f"{_PREFIX}google.protobuf.Value", "value": None},
    {"@type": f"{_PREFIX}google.protobuf.ListValue", "value": [1, "two", None]},
    {"@type": f"{_PREFIX}google.protobuf.Empty"},
    {"@type": f"{_PREFIX}google.protobuf.Int64Value", "value": "9223372036854775807"},
    {"@type": f"{_PREFIX}google.protobuf.BytesValue", "value": "AP8="},
    {"@type": f"{_PREFIX}kinds.v1.Tree", "label": "t", "branches": [{"label": "u"}]},
    {"@type": "example.com/any/prefix/kinds.v1.Inner", "text": "x", "deepest": {"grade": "GRADE_GOOD"}},
    {
        "@type": f"{_PREFIX}google.protobuf.Any",
        "value": {"@type": f"{_PREFIX}google.protobuf.Any", "value": {"@type": f"{_PREFIX}kinds.v1.Tree"}},
    },
    {},
    # Not imported by the service's own file.
    {"@type": f"{_PREFIX}google.rpc.ErrorInfo", "reason": "R", "metadata": {"k": "v"}},
    {"@type": f"{_PREFIX}kinds.older.v1.Older", "name": "n", "[kinds.older.v1.extra_text]": "x"},
    {"@type": f"{_PREFIX}kinds.newer.v1.Newer", "delimited": {"implicit": 3}},
]
# As JSON, since that is what they are made for.
_SPECIAL: dict[str, list[Any]] = {
    "google.protobuf.Timestamp": [
        *("1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z"),
        *("2026-02-28T12:00:00.100Z", "2026-02-28T12:00:00.000001Z", "1969-12-31T23:59:59.999999999Z"),
    ],
    "google.protobuf.Duration": [
        *("0s", "1s", "-1s", "0.000000001s", "-0.500s", "1.000001s", "315576000000s"),
        "-315576000000.999999999s",
    ],
    "google.protobuf.FieldMask": ["", "a", "a.b,fooBar.bazQux"],
    "google.protobuf.Struct": [{}, _STRUCT],
    "google.protobuf.Value": [None, True, False, 0, -0.0, 1e300, "", "s", [], [None], {}, _STRUCT],
    "google.protobuf.ListValue": [[], [None, 1, "s", [[]], {}]],
    "google.protobuf.Any": _ANYS,
    "google.protobuf.Empty": [{}],
}
_DEPTH = 2


def samples(description: Descriptor) -> list[Any]:
    """Messages of a type: for each field and each of its values one that has only this, beside what is required."""
    return list(_samples(description, _DEPTH))


def _samples(description: Descriptor, depth: int) -> Iterator[Any]:
    special = _SPECIAL.get(description.full_name)
    if special is not None:
        yield from (_parsed(description, value) for value in special)
        return
    yield _blank(description)
    if depth < 0:
        return
    for field in [*description.fields, *description.file.pool.FindAllExtensions(description)]:
        for value in _values(field, depth):
            message = _blank(description)
            put(message, field, value)
            yield message


def _blank(description: Descriptor) -> Any:
    """A message with no more than what is required."""
    message = GetMessageClass(description)()
    for field in description.fields:
        if field.is_required:
            put(message, field, _singles(field, 0)[-1])
    return message


def _parsed(description: Descriptor, value: Any) -> Any:
    return json_format.ParseDict(value, GetMessageClass(description)(), descriptor_pool=description.file.pool)


def _values(field: FieldDescriptor, depth: int) -> list[Any]:
    """The values for one field: a list or a map holds all of them at once."""
    if field.message_type and field.message_type.GetOptions().map_entry:
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        keys, values = _singles(key, depth), _singles(value, depth)
        if key.type == _F.TYPE_STRING:
            keys = [*keys, *(f"key {number}" for number in range(len(values) - len(keys)))]
        return [dict(zip(keys, cycle(values), strict=False))]
    values = _singles(field, depth)
    return [values] if field.is_repeated else values


def _singles(field: FieldDescriptor, depth: int) -> list[Any]:
    if field.message_type:
        return list(_samples(field.message_type, depth - 1))
    if field.enum_type:
        known = [value.number for value in field.enum_type.values]
        fixed = field.enum_type.is_closed or field.enum_type.name == "NullValue"
        return known if fixed else [*known, 4711, -4711]
    return _VALUES[field.type]
