"""Each rule of `lint`: what it finds, where, how bad it is, and what it leaves alone."""

from __future__ import annotations

import keyword

import pytest
from support.schemas import NAME, proto, rules, schema

from eas_grpc.codegen._diagnostics import Severity
from eas_grpc.codegen._rules import LINT
from eas_grpc.codegen.lint import lint
from eas_grpc.codegen.lint._distinct import folded
from eas_grpc.errors import ConfigError

CLEAN = """// Says hello.
service Greeter {
  // To one.
  rpc Greet(GreetRequest) returns (GreetResponse);
}
message GreetRequest { string name = 1; map<string, int32> counts = 2; optional int32 age = 3; }
message GreetResponse { string text = 1; oneof kind { int32 a = 2; int32 b = 3; } }
enum Tone { TONE_UNSPECIFIED = 0; TONE_WARM = 1; }
"""

# The body of a file of package acme.v1, what is found in it, and the line and column of the first finding.
BODIES = {
    "a zero value that means something": ("enum E { RED = 0; }", ["ENUM_ZERO_VALUE_SUFFIX"], (3, 10)),
    "a service without a comment": ("service S {}", ["COMMENT_SERVICE"], (3, 9)),
    "an rpc without a comment": (
        "message A {}\nmessage B {}\n// S\nservice S { rpc R(A) returns (B); }",
        ["COMMENT_RPC"],
        (6, 17),
    ),
    "a comment behind is none above": ("service S {} // S", ["COMMENT_SERVICE"], (3, 9)),
    "one message for both ways": (
        "message A {}\n// S\nservice S {\n  // R\n  rpc R(A) returns (A);\n}",
        ["RPC_REQUEST_RESPONSE_UNIQUE"],
        (7, 7),
    ),
    "one request for two rpcs": (
        (
            "message A {}\nmessage B {}\nmessage C {}\n// S\nservice S {\n  // R\n  rpc R(A) returns (B);\n"
            "  // Q\n  rpc Q(A) returns (C);\n}"
        ),
        ["RPC_REQUEST_RESPONSE_UNIQUE", "RPC_REQUEST_RESPONSE_UNIQUE"],
        (9, 7),
    ),
    "a keyword as service": ("// S\nservice class {}", ["PYTHON_KEYWORD_SERVICE"], (4, 9)),
    "a keyword as rpc": (
        "message A {}\nmessage B {}\n// S\nservice S {\n  // R\n  rpc import(A) returns (B);\n}",
        ["PYTHON_KEYWORD_RPC"],
        (8, 7),
    ),
    "a keyword as message": ("message None {}", ["PYTHON_KEYWORD_TYPE"], (3, 9)),
    "a keyword as nested message": ("message A { message True {} }", ["PYTHON_KEYWORD_TYPE"], (3, 21)),
    "a keyword as enum": ("enum pass { A_UNSPECIFIED = 0; }", ["PYTHON_KEYWORD_TYPE"], (3, 6)),
    "a keyword as field": ("message A { int32 from = 1; }", ["PYTHON_KEYWORD_FIELD"], (3, 19)),
    "a keyword as map": ("message A { map<string, int32> in = 1; }", ["PYTHON_KEYWORD_FIELD"], (3, 32)),
    "a keyword as enum value": (
        "enum E { E_UNSPECIFIED = 0; None = 1; }",
        ["PYTHON_KEYWORD_ENUM_VALUE"],
        (3, 29),
    ),
    "a soft keyword is fine": ("message A { int32 match = 1; int32 type = 2; int32 case = 3; }", [], None),
    "fields that differ by an underscore": (
        "message A { int32 ab_c = 1; int32 a_bc = 2; }",
        ["FIELD_NAME_DISTINCT"],
        (3, 35),
    ),
    "messages that differ by case": ("message Ab {}\nmessage AB {}", ["TYPE_NAME_DISTINCT"], (4, 9)),
    "a message and an enum that differ by case": (
        "message Kind {}\nenum KIND { K_UNSPECIFIED = 0; }",
        ["TYPE_NAME_DISTINCT"],
        (4, 6),
    ),
    "types of two scopes may be alike": ("message Ab { message AB {} }", [], None),
    "services that differ by case": (
        "// S\nservice Ab {}\n// S\nservice AB {}",
        ["SERVICE_NAME_DISTINCT"],
        (6, 9),
    ),
    "rpcs that differ by case": (
        (
            "message A {}\nmessage B {}\nmessage C {}\nmessage D {}\n// S\nservice S {\n  // R\n"
            "  rpc Go(A) returns (B);\n  // R\n  rpc GO(C) returns (D);\n}"
        ),
        ["RPC_NAME_DISTINCT"],
        (12, 7),
    ),
    # By case alone: protoc itself refuses that.
    "values that differ by an underscore": (
        "enum E { E_UNSPECIFIED = 0; E_AB = 1; E_A_B = 2; }",
        ["ENUM_VALUE_NAME_DISTINCT"],
        (3, 39),
    ),
    "versions are no typing mistake": ("message V1_1 {}\nmessage V11 {}", [], None),
    "a value of zero under two names": (
        "enum E { option allow_alias = true; E_UNSPECIFIED = 0; E_NONE = 0; }",
        ["ENUM_ZERO_VALUE_SUFFIX"],
        (3, 56),
    ),
}
PROTO2 = {
    "required": ("message A { required int32 a = 1; }", ["FIELD_NOT_REQUIRED"], (3, 28)),
    "a first value that is not zero": ("enum E { E_A = 1; }", ["ENUM_FIRST_VALUE_ZERO"], (3, 10)),
    "a group": ("message A { optional group G = 1 { optional int32 x = 1; } }", [], None),
    "an extension": ("message A { extensions 100 to 199; }\nextend A { optional int32 e = 100; }", [], None),
}


def test_a_clean_schema_has_no_findings():
    assert lint(schema(CLEAN)) == ()


@pytest.mark.parametrize(("body", "expected", "place"), BODIES.values(), ids=BODIES)
def test_what_is_found_in_a_file(body, expected, place):
    check(lint(schema(body)), expected, place)


@pytest.mark.parametrize(("body", "expected", "place"), PROTO2.values(), ids=PROTO2)
def test_what_is_found_in_a_file_of_proto2(body, expected, place):
    check(lint(schema(body, syntax='syntax = "proto2"')), expected, place)


def check(found, expected, place):
    assert rules(found) == expected
    for diagnostic in found:
        assert diagnostic.severity is LINT[diagnostic.rule].severity
        assert diagnostic.hint
    if place:
        assert (found[0].at.file, found[0].at.line, found[0].at.column) == (f"protos/{NAME}", *place)


def test_required_is_found_in_an_edition():
    body = "message A { int32 a = 1 [features.field_presence = LEGACY_REQUIRED]; }"
    assert rules(lint(schema(body, syntax='edition = "2023"'))) == ["FIELD_NOT_REQUIRED"]


@pytest.mark.parametrize(
    ("name", "package", "expected"),
    [
        ("acme/v1/x.proto", "acme.v1", []),
        ("acme/v1beta1/x.proto", "acme.v1beta1", []),
        ("acme/v1p1alpha2/x.proto", "acme.v1p1alpha2", []),
        ("acme/v1/x.proto", "", ["PACKAGE_DEFINED"]),
        ("acme/x.proto", "acme.v1", ["PACKAGE_DIRECTORY_MATCH"]),
        ("x.proto", "v1", ["PACKAGE_DIRECTORY_MATCH"]),
        ("acme/x.proto", "acme", ["PACKAGE_VERSION_SUFFIX"]),
        ("acme/v0/x.proto", "acme.v0", ["PACKAGE_VERSION_SUFFIX"]),
        ("acme/v1/my-file.proto", "acme.v1", []),
        ("acme/v1/class.proto", "acme.v1", []),
        ("acme/v1/1x.proto", "acme.v1", ["PYTHON_MODULE_NAME"]),
        ("import/v1/x.proto", "import.v1", ["PYTHON_MODULE_NAME"]),
        ("acme/v1/x.proto", "import.v1", ["PACKAGE_DIRECTORY_MATCH", "PYTHON_KEYWORD_PACKAGE"]),
    ],
)
def test_what_is_found_in_the_name_of_a_file_and_its_package(name, package, expected):
    found = lint(schema({name: proto("message A {}", package=package)}))
    assert rules(found) == expected


def test_files_that_differ_by_case_or_a_dash_are_found_across_the_schema():
    files = {
        f"acme/v1/{name}.proto": proto(f"message M{number} {{}}")
        for number, name in enumerate(["a_b", "A_B", "a-b", "c"])
    }
    found = lint(schema(files))
    assert rules(found) == ["FILE_NAME_DISTINCT"] * 2
    assert {diagnostic.severity for diagnostic in found} == {Severity.ERROR}


def test_types_of_one_package_are_compared_across_files():
    files = {"acme/v1/a.proto": proto("message Ab {}"), "acme/v1/b.proto": proto("message aB {}")}
    (found,) = lint(schema(files))
    assert (found.rule, found.at.file) == ("TYPE_NAME_DISTINCT", "protos/acme/v1/b.proto")
    assert "protos/acme/v1/a.proto:3:9" in found.text


def test_imports_are_somebody_elses():
    body = 'import "google/protobuf/struct.proto";\nmessage A { google.protobuf.Value v = 1; }'
    assert lint(schema(body)) == ()


def test_findings_come_in_the_order_of_the_source():
    found = lint(schema("enum B { X = 0; }\nenum A { Y = 0; }\nmessage None {}"))
    assert [diagnostic.at.line for diagnostic in found] == [3, 4, 5]


def test_a_rule_can_be_switched_off():
    body = "enum E { RED = 0; None = 1; }"
    assert rules(lint(schema(body), without=["ENUM_ZERO_VALUE_SUFFIX"])) == ["PYTHON_KEYWORD_ENUM_VALUE"]


def test_a_rule_that_does_not_exist_cannot_be_switched_off():
    with pytest.raises(
        ConfigError, match=r"no rule enum_zero_value of `lint` \(did you mean ENUM_ZERO_VALUE_SUFFIX\?\)"
    ):
        lint(schema(CLEAN), without=["enum_zero_value"])
    with pytest.raises(ConfigError, match=r"there is no rule xyz of `lint`$"):
        lint(schema(CLEAN), without=["xyz"])


def test_each_rule_of_the_book_is_found_by_some_test():
    tested = {rule for _, found, _ in (*BODIES.values(), *PROTO2.values()) for rule in found}
    names = {"PACKAGE_DEFINED", "PACKAGE_DIRECTORY_MATCH", "PACKAGE_VERSION_SUFFIX", "PYTHON_MODULE_NAME"}
    assert tested | names | {"PYTHON_KEYWORD_PACKAGE", "FILE_NAME_DISTINCT"} == set(LINT)


@pytest.mark.parametrize("name", keyword.kwlist)
def test_a_keyword_stays_one_when_it_is_folded_with_itself(name):
    assert folded(name) == folded(name.upper()) == folded(f"{name}_")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a-b", "a_b", True),
        ("aB", "a_b", True),
        ("DT_1", "DT1", True),
        ("V1_1", "V11", False),
        ("V1_1", "V1-1", False),
        ("ab", "abc", False),
    ],
)
def test_names_are_alike_when_case_and_separators_do_not_count(one, other, same):
    assert (folded(one) == folded(other)) is same
