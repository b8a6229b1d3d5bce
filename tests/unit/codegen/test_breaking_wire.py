"""Changes that compile, keep every number and name, and still give old bytes another meaning; and some that do not."""

from __future__ import annotations

import pytest
from support.schemas import NAME, proto, rules, schema

from eas_grpc.codegen._rules import Level
from eas_grpc.codegen.breaking import breaking

PROTO2, EDITION = 'syntax = "proto2"', 'edition = "2023"'
M = "message M { extensions 100 to 199; }\nmessage N { extensions 100 to 199; }\n"
CLOSED = "enum E { option features.enum_type = CLOSED; A = 0; }"
P = "message P { string key = 1; int32 value = 2; }\n"


def found(old, new, syntax=PROTO2, level=Level.WIRE):
    return breaking(schema(old, syntax=syntax), schema(new, syntax=syntax), level=level)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "extend M { optional int32 e = 100; }",
            "extend N { optional int32 e = 100; }",
            "EXTENSION_SAME_MESSAGE",
        ),
        (
            "extend M { optional int32 e = 100; optional int32 f = 101; }",
            "extend M { optional int32 f = 100; }",
            "EXTENSION_SAME_NUMBER",
        ),
    ],
    ids=["of another message", "number taken by another"],
)
def test_an_extension_is_known_by_its_name_and_found_by_message_and_number(old, new, expected):
    assert rules(found(M + old, M + new)) == [expected]


def test_an_extension_whose_number_goes_to_another_is_gone():
    old, new = (
        "extend M { optional int32 e = 100; optional int32 f = 101; }",
        "extend M { optional int32 f = 100; }",
    )
    assert sorted(rules(found(M + old, M + new, level=Level.SOURCE))) == [
        "EXTENSION_NO_DELETE",
        "EXTENSION_SAME_NUMBER",
    ]


def test_extensions_of_a_message_in_a_renamed_package_are_the_same_extensions():
    body = f"{M}extend M {{ optional int32 e = 100; }}"
    for new in (body, body.replace("int32 e", "int32 f")):
        text = breaking(
            schema(body, syntax=PROTO2), schema(new, syntax=PROTO2, package="acme.v2"), level=Level.SOURCE
        )
        assert "EXTENSION_NO_DELETE" not in rules(text)
        assert "EXTENSION_SAME_MESSAGE" not in rules(text)


@pytest.mark.parametrize(
    "new",
    [
        "message M { extensions 101 to 199; optional int32 a = 100; }",
        "message M { extensions 100 to 149, 151 to 199; optional int32 a = 150; }",
        "message M { optional int32 a = 199; }",
    ],
)
def test_a_number_that_was_for_extensions_is_no_new_field_s(new):
    (one,) = found("message M { extensions 100 to 199; }\n", new)
    assert (one.rule, one.at.line) == ("EXTENSION_NUMBER_NO_REUSE", 3)
    assert found("message M { extensions 100 to 199; }\n", new.replace("= 1", "= 2")) == ()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("enum E { A = 0; B = 1; }", "enum E { B = 1; A = 0; }", ["`B`", "`A`"]),
        ("enum E { A = 0; B = 1; }", "enum E { reserved 0; B = 1; }", ["`B`", "`A`"]),
        ("enum E { A = 0; B = 1; }", "enum E { A = 0; B = 1; C = 2; }", None),
        ("enum E { A = 0; B = 1; }", "enum E { A2 = 0; B = 1; }", None),
    ],
    ids=["order", "removed", "one more", "renamed"],
)
def test_the_first_value_of_an_enum_is_the_default_of_its_fields(old, new, expected):
    used = "\nmessage M { optional E e = 1; repeated E r = 2; optional E x = 4 [default = B]; }"
    texts = [each.text for each in found(old + used, new + used)]
    if expected is None:
        assert texts == []
    else:
        (one,) = texts
        assert one.startswith(
            f"the default of field acme.v1.M.e is {expected[0]}, and no longer {expected[1]}: a field that was"
        )


def test_another_enum_with_the_same_values_may_begin_with_another_one():
    enums = "enum E { A = 0; B = 1; }\nmessage O { enum E { B = 1; A = 0; } }\n"
    assert rules(
        found(f"{enums}message M {{ optional E e = 1; }}", f"{enums}message M {{ optional O.E e = 1; }}")
    ) == ["FIELD_SAME_DEFAULT"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("optional E e = 1 [default = B];", "optional E e = 1 [default = C];"),
        ("optional E e = 1 [default = A];", "optional E e = 1;"),
        ("optional E e = 1;", "optional E e = 1 [default = A];"),
    ],
)
def test_a_default_is_a_number_however_it_is_written(old, new):
    enum = "enum E { option allow_alias = true; A = 0; B = 1; C = 1; }\n"
    assert found(f"{enum}message M {{ {old} }}", f"{enum}message M {{ {new} }}", level=Level.SOURCE) == ()


def test_an_enum_that_has_moved_to_an_import_is_not_said_to_begin_with_something_else():
    other = "enum E { A = 0; B = 1; }"
    used = "message M { optional E e = 1; optional E x = 2 [default = B]; }"
    new = schema({NAME: proto(f'import "y.proto";\n{used}', PROTO2), "y.proto": proto(other, PROTO2)})
    only = type(new)(tuple(each for each in new.elements if each.file.full_name == NAME))
    assert breaking(schema(f"{other}\n{used}", syntax=PROTO2), only) == ()


def test_strings_that_are_verified_from_now_on_break_the_wire_and_the_way_back_does_not():
    one, other = (
        "message M { string a = 1 [features.utf8_validation = NONE]; }",
        "message M { string a = 1; }",
    )
    assert rules(found(one, other, EDITION)) == ["FIELD_NO_NEW_UTF8_VALIDATION"]
    assert rules(found(one, other, EDITION, Level.SOURCE)) == ["FIELD_NO_NEW_UTF8_VALIDATION"]
    assert found(other, one, EDITION, Level.JSON) == ()


def test_an_enum_that_closes_breaks_the_wire_and_one_that_opens_does_not():
    opened = "enum E { A = 0; }"
    assert rules(found(opened, CLOSED, EDITION)) == ["ENUM_NO_CLOSE"]
    assert rules(found(opened, CLOSED, EDITION, Level.SOURCE)) == ["ENUM_NO_CLOSE"]
    assert found(CLOSED, opened, EDITION, Level.JSON) == ()
    assert rules(found(CLOSED, opened, EDITION, Level.SOURCE)) == ["ENUM_SAME_TYPE"]


def test_a_map_is_never_delimited_whatever_its_file_says():
    body = "message M { map<string, N> n = 1; map<string, string> s = 2; }\nmessage N {}"
    option = "option features.message_encoding = DELIMITED;\n"
    assert found(body, option + body, EDITION, Level.SOURCE) == ()
    assert found(option + body, body, EDITION, Level.SOURCE) == ()


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (P, []),
        (P.replace("int32 value", "int64 value"), []),
        (P.replace("int32 value", "string value"), ["FIELD_WIRE_COMPATIBLE_TYPE"]),
        (P.replace("string key", "bytes key"), []),
        (P.replace("= 2", "= 3"), ["FIELD_WIRE_COMPATIBLE_TYPE"]),
        (P.replace("= 2;", "= 2; int32 more = 3;"), ["FIELD_WIRE_COMPATIBLE_TYPE"]),
        (P.replace("int32 value", "repeated int32 value"), ["FIELD_WIRE_COMPATIBLE_TYPE"]),
    ],
    ids=["the same", "wider", "another value", "another key", "another number", "one more", "a list"],
)
def test_a_list_of_messages_has_the_bytes_of_a_map(message, expected):
    old, new = (
        f"{message}message M {{ map<string, int32> a = 1; }}",
        f"{message}message M {{ repeated P a = 1; }}",
    )
    three = 'syntax = "proto3"'
    assert rules(found(old, new, three)) == expected
    assert rules(found(old, new, three, Level.JSON))[-1] == "FIELD_WIRE_JSON_COMPATIBLE_CARDINALITY"


def test_a_list_of_delimited_messages_has_other_bytes_than_a_map():
    old = f"{P}message M {{ map<string, int32> a = 1; }}"
    new = f"{P}message M {{ repeated P a = 1 [features.message_encoding = DELIMITED]; }}"
    assert rules(found(old, new, EDITION)) == ["FIELD_WIRE_COMPATIBLE_TYPE"]
    inner = "message P { string key = 1; Q value = 2 %s; }\nmessage Q {}\n"
    old, new = "message M { map<string, Q> a = 1; }", "message M { repeated P a = 1; }"
    plain, delimited = inner % "", inner % "[features.message_encoding = DELIMITED]"
    assert found(plain + old, plain + new, EDITION) == ()
    assert rules(found(delimited + old, delimited + new, EDITION)) == ["FIELD_WIRE_COMPATIBLE_TYPE"]


def test_a_group_that_becomes_a_message_is_told_by_its_encoding():
    old, new = "message M { optional group G = 1 { } }", "message M { message G { } optional G g = 1; }"
    (one,) = found(old, new)
    assert one.text.startswith(
        "field acme.v1.M.g was delimited message acme.v1.M.G and is message acme.v1.M.G now: old bytes"
    )


def test_a_message_that_is_new_may_have_required_fields():
    assert found("message M {}", "message M {}\nmessage N { required int32 a = 1; }") == ()


def test_a_public_import_that_is_removed_breaks_source():
    def both(text: str):
        return schema({NAME: proto(text), "y.proto": proto("message Y {}")})

    old = both('import public "y.proto";')
    for new in (both('import "y.proto";\nmessage A { Y y = 1; }'), both("")):
        (one,) = breaking(old, new, level=Level.SOURCE)
        assert (one.rule, one.at.file) == ("IMPORT_PUBLIC_NO_DELETE", f"protos/{NAME}")
        assert breaking(old, new, level=Level.JSON) == ()
        assert breaking(new, old, level=Level.JSON) == ()
    assert breaking(old, old, level=Level.SOURCE) == ()


def test_two_old_types_never_become_one_new_type():
    """A file takes over the package of another, which has a type of the same name."""
    two = proto("message T { int32 a = 1; }", package="b")
    old = schema({NAME: proto("message T { string s = 1; }", package="a"), "y.proto": two})
    new = schema({NAME: proto("message S {}", package="b"), "y.proto": two})
    assert rules(breaking(old, new)) == ["FILE_SAME_PACKAGE"]


def test_in_a_renamed_package_the_type_of_the_same_file_comes_first():
    one, other = (
        proto("message T { string s = 1; }", package="a"),
        proto("message T { int32 a = 1; }", package="b"),
    )
    old = schema({"x.proto": one, "y.proto": other})
    new = schema({"x.proto": proto("", package="c"), "y.proto": other.replace("package b", "package c")})
    assert rules(breaking(old, new)) == ["FILE_SAME_PACKAGE", "FILE_SAME_PACKAGE"]


def test_a_field_of_another_type_may_take_the_name_of_a_renamed_one():
    old, new = "message M { int32 a = 1; }", "message M { int32 a_old = 1; string a = 2; }"
    three = 'syntax = "proto3"'
    assert found(old, new, three) == ()
    assert rules(found(old, new, three, Level.JSON)) == ["FIELD_SAME_NAME"]
    assert rules(found(old, new.replace("string", "int32"), three)) == ["FIELD_SAME_NUMBER"]
