"""Which rule a change of a field's type breaks, for every pair of scalar types, and for enums and maps."""

from __future__ import annotations

import itertools
import struct

import pytest

from eas_grpc.codegen._rules import BREAKING, Level
from eas_grpc.codegen.breaking._types import _NUMBERS, Type, type_change

SCALARS = [*(word for word in _NUMBERS if word != "enum"), "float", "double", "string", "bytes"]

# As https://protobuf.dev/programming-guides/proto3/#updating has it: who may read whose bytes.
GROUPS = [
    {"int32", "uint32", "int64", "uint64", "bool"},
    {"sint32", "sint64"},
    {"fixed32", "sfixed32"},
    {"fixed64", "sfixed64"},
    {"float"},
    {"double"},
]
# The extreme values of each type, as what a message would hold.
EXTREMES = {
    "bool": (0, 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
}


def level(old: Type, new: Type) -> Level | None:
    change = type_change(old, new)
    return None if change is None else BREAKING[change.rule].level


@pytest.mark.parametrize("word", SCALARS)
def test_the_same_type_breaks_nothing(word):
    assert type_change(Type(word), Type(word)) is None


@pytest.mark.parametrize(("old", "new"), list(itertools.permutations(SCALARS, 2)))
def test_types_of_two_groups_break_the_wire(old, new):
    together = any({old, new} <= group for group in GROUPS) or (old, new) == ("string", "bytes")
    change = type_change(Type(old), Type(new))
    assert (change.rule == "FIELD_WIRE_COMPATIBLE_TYPE") is not together


@pytest.mark.parametrize(("old", "new"), list(itertools.permutations(EXTREMES, 2)))
def test_a_loss_is_reported_exactly_where_a_reader_gets_another_value(old, new):
    lost = any(read_as(new, value) != value for value in EXTREMES[old])
    assert (type_change(Type(old), Type(new)).rule == "FIELD_NO_VALUE_LOSS") is lost


def read_as(word: str, value: int) -> int:
    """What a parser of a varint field makes of a value that was written as another type of varint."""
    bits = value % 2**64
    if word == "bool":
        return int(bits != 0)
    form = {"int32": "<i", "uint32": "<I", "int64": "<q", "uint64": "<Q"}[word]
    return struct.unpack_from(form, bits.to_bytes(8, "little"))[0]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("int32", "int64", Level.JSON),
        ("uint32", "uint64", Level.JSON),
        ("bool", "int32", Level.JSON),
        ("sint32", "sint64", Level.JSON),
        ("sint64", "sint32", Level.WIRE),
        ("fixed32", "sfixed32", Level.WIRE),
        ("string", "bytes", Level.JSON),
        ("bytes", "string", Level.WIRE),
    ],
)
def test_the_level_of_a_change_between_scalars(old, new, expected):
    assert level(Type(old), Type(new)) is expected


def enum(name: str, closed: bool = False, **values: int) -> Type:
    by_number: dict[int, frozenset[str]] = {}
    for each, number in values.items():
        by_number[number] = by_number.get(number, frozenset()) | {each}
    return Type("enum", f".{name}", by_number, closed)


OPEN = enum("E", A=0, B=1)


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (OPEN, enum("F", A=0, B=1), "FIELD_SAME_TYPE"),
        (OPEN, enum("F", A=0, B=1, C=2), "FIELD_SAME_TYPE"),
        (OPEN, enum("F", A=0, B=1, BE=1), "FIELD_SAME_TYPE"),
        (OPEN, enum("F", A=0, X=1), "FIELD_WIRE_JSON_COMPATIBLE_TYPE"),
        (OPEN, enum("F", A=0), "FIELD_NO_VALUE_LOSS"),
        (OPEN, enum("F", closed=True, A=0, B=1), "FIELD_NO_VALUE_LOSS"),
        (enum("E", closed=True, A=0), enum("F", closed=True, A=0), "FIELD_SAME_TYPE"),
        (OPEN, Type("enum", ".F"), "FIELD_WIRE_COMPATIBLE_TYPE"),
        (OPEN, Type("int32"), "FIELD_WIRE_JSON_COMPATIBLE_TYPE"),
        (OPEN, Type("int64"), "FIELD_WIRE_JSON_COMPATIBLE_TYPE"),
        (OPEN, Type("uint32"), "FIELD_NO_VALUE_LOSS"),
        (OPEN, Type("string"), "FIELD_WIRE_COMPATIBLE_TYPE"),
        (Type("int32"), OPEN, "FIELD_WIRE_JSON_COMPATIBLE_TYPE"),
        (Type("int32"), enum("E", closed=True, A=0), "FIELD_NO_VALUE_LOSS"),
        (Type("int64"), OPEN, "FIELD_NO_VALUE_LOSS"),
        (Type("message", ".A"), Type("message", ".B"), "FIELD_WIRE_COMPATIBLE_TYPE"),
        (Type("message", ".A"), Type("group", ".A"), "FIELD_WIRE_COMPATIBLE_TYPE"),
        (Type("message", ".A"), Type("bytes"), "FIELD_WIRE_COMPATIBLE_TYPE"),
    ],
)
def test_the_rule_of_a_change_of_enums_and_messages(old, new, rule):
    assert type_change(old, new).rule == rule


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (("string", "int32"), ("string", "int64"), "FIELD_WIRE_JSON_COMPATIBLE_TYPE"),
        (("int64", "int32"), ("int32", "int64"), "FIELD_NO_VALUE_LOSS"),
        (("int32", "int32"), ("int64", "string"), "FIELD_WIRE_COMPATIBLE_TYPE"),
    ],
)
def test_of_a_map_the_worse_of_key_and_value_counts(old, new, rule):
    assert type_change(*(Type("map", entry=tuple(map(Type, each))) for each in (old, new))).rule == rule


def test_a_map_is_no_message_of_its_own():
    assert type_change(Type("map", entry=(Type("string"), Type("int32"))), Type("message", ".P")).rule == (
        "FIELD_WIRE_COMPATIBLE_TYPE"
    )


def test_a_type_is_shown_as_it_is_written():
    assert str(Type("map", entry=(Type("string"), Type("message", ".acme.A")))) == "map<string, acme.A>"
