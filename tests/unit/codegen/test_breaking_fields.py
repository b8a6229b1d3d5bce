"""Changes inside of messages and enums: which rules break on each level, and what the report says."""

from __future__ import annotations

import pytest
from support.schemas import NAME, rules, schema

from eas_grpc.codegen._rules import Level
from eas_grpc.codegen.breaking import breaking
from eas_grpc.codegen.breaking._ranges import missing, written

NUMBER, FIELD_NAME, DELETE = (
    "FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED",
    "FIELD_NO_DELETE_UNLESS_NAME_RESERVED",
    "FIELD_NO_DELETE",
)
VALUE_NUMBER, VALUE_NAME, VALUE = (
    "ENUM_VALUE_NO_DELETE_UNLESS_NUMBER_RESERVED",
    "ENUM_VALUE_NO_DELETE_UNLESS_NAME_RESERVED",
    "ENUM_VALUE_NO_DELETE",
)
WIRE_LABEL, JSON_LABEL, LABEL = (
    "FIELD_WIRE_COMPATIBLE_CARDINALITY",
    "FIELD_WIRE_JSON_COMPATIBLE_CARDINALITY",
    "FIELD_SAME_CARDINALITY",
)
WIRE_TYPE, JSON_TYPE = "FIELD_WIRE_COMPATIBLE_TYPE", "FIELD_WIRE_JSON_COMPATIBLE_TYPE"
A = "message A { int32 x = 1; }\nmessage P { string key = 1; int32 value = 2; }\n"

# The fields of a message before and after, and the rules by level; a level without any has what the one before has.
FIELDS = {
    "the same": ("int32 a = 1;", "int32 a = 1;", [[]]),
    "one more": ("int32 a = 1;", "int32 a = 1; int32 b = 2;", [[]]),
    "gone": ("int32 a = 1;", "", [[NUMBER]]),
    "gone, number reserved": ("int32 a = 1;", "reserved 1;", [[], [FIELD_NAME]]),
    "gone, name reserved": ("int32 a = 1;", 'reserved "a";', [[NUMBER]]),
    "gone, all reserved": ("int32 a = 1;", 'reserved 1; reserved "a";', [[], [], [DELETE]]),
    "another number": ("int32 a = 1;", "int32 a = 2;", [[NUMBER]]),
    "renamed": ("int32 a = 1;", "int32 b = 1;", [[], ["FIELD_SAME_NAME"]]),
    "swapped": (
        "int32 a = 1; int32 b = 2;",
        "int32 b = 1; int32 a = 2;",
        [["FIELD_SAME_NUMBER", "FIELD_SAME_NUMBER"]],
    ),
    "renumbered after one more": (
        "int32 a = 1; int32 b = 2;",
        "int32 n = 1; int32 a = 2; int32 b = 3;",
        [["FIELD_SAME_NUMBER", "FIELD_SAME_NUMBER"]],
    ),
    "another JSON name": (
        "int32 a = 1;",
        'int32 a = 1 [json_name = "b"];',
        [[], ["FIELD_SAME_JSON_NAME"]],
    ),
    "number reused": ("int32 a = 1;", "A b = 1;", [[WIRE_TYPE], [WIRE_TYPE, "FIELD_SAME_NAME"]]),
    "wider": ("int32 a = 1;", "int64 a = 1;", [[], [JSON_TYPE]]),
    "narrower": ("int64 a = 1;", "int32 a = 1;", [["FIELD_NO_VALUE_LOSS"]]),
    "repeated": ("int32 a = 1;", "repeated int32 a = 1;", [[WIRE_LABEL]]),
    "singular": ("repeated A a = 1;", "A a = 1;", [[WIRE_LABEL]]),
    "explicit": ("int32 a = 1;", "optional int32 a = 1;", [[], [], [LABEL]]),
    "implicit": ("optional int32 a = 1;", "int32 a = 1;", [[], [], [LABEL]]),
    "optional message": ("A a = 1;", "optional A a = 1;", [[]]),
    "map to list": ("map<string, int32> a = 1;", "repeated P a = 1;", [[], [JSON_TYPE, JSON_LABEL]]),
    "map to message": ("map<string, int32> a = 1;", "P a = 1;", [[WIRE_TYPE, WIRE_LABEL]]),
    "map renamed": ("map<string, A> a = 1;", "map<string, A> b = 1;", [[], ["FIELD_SAME_NAME"]]),
    "map's value": ("map<string, int32> a = 1;", "map<string, A> a = 1;", [[WIRE_TYPE]]),
    "scalar to message": ("int32 a = 1;", "A a = 1;", [[WIRE_TYPE]]),
    "into a oneof": ("int32 a = 1;", "oneof o { int32 a = 1; }", [["FIELD_SAME_ONEOF"]]),
    "out of a oneof": (
        "oneof o { int32 a = 1; int32 b = 2; }",
        "oneof o { int32 b = 2; } int32 a = 1;",
        [["FIELD_SAME_ONEOF"]],
    ),
    "between oneofs": (
        "oneof o { int32 a = 1; int32 b = 2; } oneof p { int32 c = 3; }",
        "oneof o { int32 b = 2; } oneof p { int32 a = 1; int32 c = 3; }",
        [["FIELD_SAME_ONEOF"]],
    ),
    "oneof renamed": ("oneof o { int32 a = 1; }", "oneof p { int32 a = 1; }", [[], [], ["ONEOF_NO_DELETE"]]),
    "oneof dissolved": (
        "oneof o { int32 a = 1; string b = 2; bytes c = 3; }",
        "int32 a = 1; string b = 2; bytes c = 3;",
        [["FIELD_SAME_ONEOF"] * 3, ["FIELD_SAME_ONEOF"] * 3, ["FIELD_SAME_ONEOF"] * 3 + ["ONEOF_NO_DELETE"]],
    ),
    "oneof split": (
        "oneof o { int32 a = 1; int32 b = 2; }",
        "oneof p { int32 a = 1; } oneof q { int32 b = 2; }",
        [["FIELD_SAME_ONEOF"] * 2, ["FIELD_SAME_ONEOF"] * 2, ["FIELD_SAME_ONEOF"] * 2 + ["ONEOF_NO_DELETE"]],
    ),
    "oneof dissolved into another": (
        "oneof o { int32 a = 1; } oneof p { int32 b = 2; }",
        "oneof p { int32 a = 1; int32 b = 2; }",
        [["FIELD_SAME_ONEOF"], ["FIELD_SAME_ONEOF"], ["FIELD_SAME_ONEOF", "ONEOF_NO_DELETE"]],
    ),
    "oneof gone with its fields": (
        "oneof o { int32 a = 1; }",
        'reserved 1; reserved "a";',
        [[], [], [DELETE, "ONEOF_NO_DELETE"]],
    ),
    "reserved number freed": ("reserved 5;", "", [["RESERVED_MESSAGE_NO_DELETE"]]),
    "reserved name freed": ('reserved "a";', "", [["RESERVED_MESSAGE_NO_DELETE"]]),
    "reserved range split": ("reserved 5 to 9;", "reserved 5 to 6, 7 to 9;", [[]]),
    "packed": ("repeated int32 a = 1;", "repeated int32 a = 1 [packed = false];", [[]]),
}
PROTO2 = {
    "required added": ("", "required int32 a = 1;", [["MESSAGE_SAME_REQUIRED_FIELDS"]]),
    "required gone": (
        "required int32 a = 1;",
        'reserved 1; reserved "a";',
        [
            ["MESSAGE_SAME_REQUIRED_FIELDS"],
            ["MESSAGE_SAME_REQUIRED_FIELDS"],
            [DELETE, "MESSAGE_SAME_REQUIRED_FIELDS"],
        ],
    ),
    "required relaxed": ("required int32 a = 1;", "optional int32 a = 1;", [[WIRE_LABEL]]),
    "default changed": (
        "optional int32 a = 1 [default = 3];",
        "optional int32 a = 1 [default = 4];",
        [["FIELD_SAME_DEFAULT"]],
    ),
    "default of a string gone": (
        'optional string a = 1 [default = "x"];',
        "optional string a = 1;",
        [["FIELD_SAME_DEFAULT"]],
    ),
    "default of a bool": (
        "optional bool a = 1 [default = false];",
        "optional bool a = 1;",
        [[]],
    ),
    "default of an enum": (
        "enum E { X = 1; Y = 2; } optional E a = 1 [default = Y];",
        "enum E { X = 1; Y = 2; } optional E a = 1;",
        [["FIELD_SAME_DEFAULT"]],
    ),
    "default of infinity": (
        "optional double a = 1 [default = inf];",
        "optional double a = 1 [default = -inf];",
        [["FIELD_SAME_DEFAULT"]],
    ),
    "default of nan": (
        "optional double a = 1 [default = nan];",
        "optional double a = 1 [default = nan];",
        [[]],
    ),
    "default of a large number": (
        "optional int64 a = 1 [default = 9223372036854775806];",
        "optional int64 a = 1 [default = 9223372036854775807];",
        [["FIELD_SAME_DEFAULT"]],
    ),
    "default of a float written otherwise": (
        "optional float a = 1 [default = 1.50];",
        "optional float a = 1 [default = 15e-1];",
        [[]],
    ),
    "default of zero written out": ("optional int32 a = 1;", "optional int32 a = 1 [default = 0];", [[]]),
    "group to message": (
        "optional group G = 1 { }",
        "message G { } optional G g = 1;",
        [[WIRE_TYPE], [WIRE_TYPE]],
    ),
    "extension range shrinks": (
        "extensions 100 to 199;",
        "extensions 100 to 150;",
        [[], [], ["EXTENSION_MESSAGE_NO_DELETE"]],
    ),
    "message set": (
        "extensions 4 to 100;",
        "option message_set_wire_format = true; extensions 4 to 100;",
        [["MESSAGE_SAME_MESSAGE_SET"]],
    ),
}
EDITION = {
    "delimited": ("A a = 1;", "A a = 1 [features.message_encoding = DELIMITED];", [[WIRE_TYPE]]),
    "implicit": ("int32 a = 1;", "int32 a = 1 [features.field_presence = IMPLICIT];", [[], [], [LABEL]]),
    "required": ("int32 a = 1;", "int32 a = 1 [features.field_presence = LEGACY_REQUIRED];", [[WIRE_LABEL]]),
    "unverified": (
        "string a = 1;",
        "string a = 1 [features.utf8_validation = NONE];",
        [[], [], ["FIELD_SAME_UTF8_VALIDATION"]],
    ),
    "verified": (
        "string a = 1 [features.utf8_validation = NONE];",
        "string a = 1;",
        [["FIELD_NO_NEW_UTF8_VALIDATION"]],
    ),
}
VALUES = {
    "one more": ("", "B = 1;", [[]]),
    "gone": ("B = 1;", "", [[VALUE_NUMBER]]),
    "gone, number reserved": ("B = 1;", "reserved 1;", [[], [VALUE_NAME]]),
    "gone, all reserved": ("B = 1;", 'reserved 1; reserved "B";', [[], [], [VALUE]]),
    "renumbered": ("B = 1;", "B = 2;", [[VALUE_NUMBER]]),
    "swapped": ("B = 1; C = 2;", "B = 2; C = 1;", [["ENUM_VALUE_SAME_NUMBER", "ENUM_VALUE_SAME_NUMBER"]]),
    "renamed": ("B = 1;", "C = 1;", [[], ["ENUM_VALUE_SAME_NAME"]]),
    "alias gone": (
        "option allow_alias = true; B = 1; C = 1;",
        "B = 1;",
        [[], ["ENUM_VALUE_SAME_NAME"]],
    ),
    "alias added": ("B = 1;", "option allow_alias = true; B = 1; C = 1;", [[]]),
    "reserved number freed": ("reserved 5 to 9;", "reserved 5 to 8;", [["RESERVED_ENUM_NO_DELETE"]]),
    "reserved name freed": ('reserved "B";', "", [["RESERVED_ENUM_NO_DELETE"]]),
}


def check(old, new, expected):
    for level in Level:
        wanted = expected[min(list(Level).index(level), len(expected) - 1)]
        assert sorted(rules(breaking(old, new, level=level))) == sorted(wanted), level


@pytest.mark.parametrize(("old", "new", "expected"), FIELDS.values(), ids=FIELDS)
def test_a_change_of_a_message(old, new, expected):
    check(schema(f"{A}message M {{ {old} }}"), schema(f"{A}message M {{ {new} }}"), expected)


@pytest.mark.parametrize(("old", "new", "expected"), PROTO2.values(), ids=PROTO2)
def test_a_change_of_a_message_of_proto2(old, new, expected):
    syntax = 'syntax = "proto2"'
    check(
        schema(f"message M {{ {old} }}", syntax=syntax),
        schema(f"message M {{ {new} }}", syntax=syntax),
        expected,
    )


@pytest.mark.parametrize(("old", "new", "expected"), EDITION.values(), ids=EDITION)
def test_a_change_of_a_message_of_an_edition(old, new, expected):
    syntax = 'edition = "2023"'
    check(
        schema(f"{A}message M {{ {old} }}", syntax=syntax),
        schema(f"{A}message M {{ {new} }}", syntax=syntax),
        expected,
    )


@pytest.mark.parametrize(("old", "new", "expected"), VALUES.values(), ids=VALUES)
def test_a_change_of_an_enum(old, new, expected):
    check(schema(f"enum E {{ A = 0; {old} }}"), schema(f"enum E {{ A = 0; {new} }}"), expected)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("optional int32 e = 100;", "optional string e = 100;", [[WIRE_TYPE]]),
        ("optional int32 e = 100;", "optional int32 f = 100;", [[], ["FIELD_SAME_NAME"]]),
        ("optional int32 e = 100;", "optional int32 e = 101;", [["EXTENSION_SAME_NUMBER"]]),
        (
            "optional int32 e = 100; optional int32 f = 101;",
            "optional int32 f = 101;",
            [[], [], ["EXTENSION_NO_DELETE"]],
        ),
    ],
)
def test_a_change_of_an_extension(old, new, expected):
    bodies = (f"message M {{ extensions 100 to 199; }}\nextend M {{ {fields} }}" for fields in (old, new))
    check(*(schema(body, syntax='syntax = "proto2"') for body in bodies), expected)


def test_an_enum_of_an_import_is_compared_by_its_name():
    first = 'import "google/protobuf/type.proto";\nmessage M { google.protobuf.Syntax a = 1; }'
    check(schema(first), schema(first), [[]])
    check(schema(first), schema(first.replace("Syntax", "Field.Kind")), [[WIRE_TYPE]])


@pytest.mark.parametrize(
    ("old", "new", "place", "text"),
    [
        (
            "message M {\n  int32 a = 1;\n}",
            "message M {\n  int32 b = 1;\n}",
            (4, 9),
            "field acme.v1.M.a is called b now: JSON and code that name it break",
        ),
        (
            "message M {\n  int32 a = 1;\n}",
            "message M {\n}",
            (3, 9),
            "field acme.v1.M.a = 1 is gone, and number 1 is not reserved: old bytes may be read as a new field",
        ),
        (
            "message M {\n  int32 a = 1;\n}",
            "message M {\n  int32 a = 2;\n}",
            (3, 9),
            "field acme.v1.M.a = 1 has number 2 now, and number 1 is not reserved: old bytes may be read as a new field",
        ),
        (
            "message M {\n  int32 a = 1;\n}",
            "message M {\n  string b = 1;\n}",
            (4, 10),
            (
                "number 1 is reused: it was `a` (int32) and is `b` (string) now: old bytes mean something else to it, or "
                "nothing"
            ),
        ),
    ],
)
def test_the_report_points_at_the_element_or_at_what_is_left_around_it(old, new, place, text):
    found = breaking(schema(old), schema(new), level=Level.JSON)[0]
    assert (found.at.file, found.at.line, found.at.column) == (f"protos/{NAME}", *place)
    assert found.text == text


def test_a_moved_number_is_to_be_given_back_and_not_reserved():
    (found,) = breaking(schema("message M { int32 a = 1; }"), schema("message M { int32 a = 2; }"))
    assert found.hint == "give it back number 1"
    (found,) = breaking(schema("enum E { A = 0; B = 1; }"), schema("enum E { A = 0; B = 2; }"))
    assert found.hint == "give it back number 1"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([(1, 5)], [], ["1 to 4"]),
        ([(1, 5)], [(2, 3)], ["1", "3 to 4"]),
        ([(1, 5)], [(3, 9), (0, 2)], ["2"]),
        ([(1, 5)], [(1, 3), (3, 5)], []),
        ([(1, 5), (7, 8)], [(1, 5)], ["7"]),
    ],
)
def test_what_is_missing_of_ranges(old, new, expected):
    assert [written(part) for part in missing(old, new)] == expected
