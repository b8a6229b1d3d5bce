"""Changes of services, rpcs, packages, files and types: which rules break, and which paths change."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from support.schemas import NAME, descriptors, proto, rules, schema

from eas_grpc.codegen._elements import read_schema
from eas_grpc.codegen._rules import BREAKING, Level
from eas_grpc.codegen.breaking import breaking
from eas_grpc.errors import ConfigError

TYPES = "message A { int32 x = 1; }\nmessage B { A a = 1; map<string, A> m = 2; }\nenum E { E_UNSPECIFIED = 0; }\n"
SERVICE = "service S { rpc R(A) returns (B); rpc Q(A) returns (stream B); }\n"
OTHER = "acme/v1/y.proto"


def found(old, new, level=Level.WIRE):
    return breaking(old, new, level=level)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("rpc R(A) returns (B);", "rpc R(A) returns (B); rpc Q(A) returns (B);", []),
        ("rpc R(A) returns (B);", "rpc R(B) returns (B);", ["RPC_SAME_REQUEST_TYPE"]),
        ("rpc R(A) returns (B);", "rpc R(A) returns (A);", ["RPC_SAME_RESPONSE_TYPE"]),
        ("rpc R(A) returns (B);", "rpc R(stream A) returns (B);", ["RPC_SAME_CLIENT_STREAMING"]),
        ("rpc R(stream A) returns (B);", "rpc R(A) returns (B);", ["RPC_SAME_CLIENT_STREAMING"]),
        ("rpc R(A) returns (B);", "rpc R(A) returns (stream B);", ["RPC_SAME_SERVER_STREAMING"]),
        (
            "rpc R(A) returns (B);",
            "rpc R(A) returns (B) { option idempotency_level = IDEMPOTENT; }",
            ["RPC_SAME_IDEMPOTENCY_LEVEL"],
        ),
        ("rpc R(A) returns (B);", "", ["RPC_NO_DELETE"]),
    ],
)
def test_a_change_of_an_rpc_breaks_the_wire(old, new, expected):
    before, after = (schema(f"{TYPES}service S {{ {rpcs} }}") for rpcs in (old, new))
    assert rules(found(before, after)) == expected
    assert rules(found(before, after, Level.SOURCE)) == expected


def test_a_renamed_rpc_is_recognized_and_its_paths_are_said():
    old, new = schema(TYPES + SERVICE), schema(TYPES + SERVICE.replace("rpc R", "rpc Run"))
    (one,) = found(old, new)
    assert one.text == "rpc acme.v1.S.R is Run now: the path changes, /acme.v1.S/R -> /acme.v1.S/Run"
    assert (one.at.file, one.at.line, one.at.column) == (f"protos/{NAME}", 6, 17)


def test_a_removed_rpc_is_reported_at_its_service():
    (one,) = found(schema(TYPES + SERVICE), schema(TYPES + "service S { rpc Q(A) returns (stream B); }"))
    assert one.text == "rpc acme.v1.S.R is gone: calls to /acme.v1.S/R end with UNIMPLEMENTED"
    assert (one.at.line, one.at.column) == (6, 9)


def test_a_renamed_service_is_recognized_by_its_rpcs_and_its_paths_are_said():
    (one,) = found(schema(TYPES + SERVICE), schema(TYPES + SERVICE.replace("service S", "service Infer")))
    assert one.rule == "SERVICE_NO_DELETE"
    assert "/acme.v1.S/R -> /acme.v1.Infer/R, /acme.v1.S/Q -> /acme.v1.Infer/Q" in one.text
    assert (one.at.line, one.at.column) == (6, 9)


@pytest.mark.parametrize("left", ["", "service T { rpc X(A) returns (B); rpc Y(A) returns (B); }"])
def test_a_removed_service_is_reported_once_at_its_file(left):
    (one,) = found(schema(TYPES + SERVICE), schema(TYPES + left))
    assert one.text == "service acme.v1.S is gone: calls to /acme.v1.S/... end with UNIMPLEMENTED"
    assert (one.at.line, one.at.column, one.more) == (2, 1, 2)


def test_a_renamed_package_is_one_finding_with_every_path():
    old, new = schema(TYPES + SERVICE), schema(TYPES + SERVICE, package="acme.v2")
    for level in Level:
        (one,) = found(old, new, level)
        assert one.rule == "FILE_SAME_PACKAGE"
        assert "/acme.v1.S/R -> /acme.v2.S/R, /acme.v1.S/Q -> /acme.v2.S/Q" in one.text
        assert (one.at.file, one.at.line) == (f"protos/{NAME}", 2)


def test_behind_a_renamed_package_changes_are_still_found():
    new = schema(TYPES.replace("int32 x", "string x") + SERVICE.replace("stream B", "B"), package="acme.v2")
    assert rules(found(schema(TYPES + SERVICE), new)) == [
        "FILE_SAME_PACKAGE",
        "FIELD_WIRE_COMPATIBLE_TYPE",
        "RPC_SAME_SERVER_STREAMING",
    ]


def test_a_package_that_is_dropped_or_added_is_a_renamed_one():
    named, bare = schema(TYPES + SERVICE), schema(TYPES + SERVICE, package="")
    for old, new in ((named, bare), (bare, named)):
        (one,) = found(old, new, Level.SOURCE)
        assert one.rule == "FILE_SAME_PACKAGE"
    assert "package (none) is acme.v1 now" in one.text
    assert "/S/R -> /acme.v1.S/R" in one.text


def test_a_service_whose_file_and_package_are_renamed_is_recognized():
    new = schema({"acme/v2/x.proto": proto(TYPES + SERVICE, package="acme.v2")})
    (one,) = found(schema(TYPES + SERVICE), new)
    assert "/acme.v1.S/R -> /acme.v2.S/R" in one.text
    assert one.at.file == "protos/acme/v2/x.proto"


def test_a_file_that_is_gone_is_reported_where_it_was():
    old = schema({NAME: proto(TYPES), OTHER: proto("message C {}\nenum F { F_UNSPECIFIED = 0; }")})
    new = schema({NAME: proto(TYPES)})
    assert found(old, new, Level.JSON) == ()
    (one,) = found(old, new, Level.SOURCE)
    assert (one.rule, one.at.file, one.at.line, one.more) == ("FILE_NO_DELETE", f"protos/{OTHER}", 2, 2)
    assert one.text == f"the file {OTHER} is gone: code that imports its module breaks"


def test_a_service_in_a_file_that_is_gone_breaks_the_wire():
    old = schema({NAME: proto(TYPES), OTHER: proto(f'import "{NAME}";\n{SERVICE}')})
    (one,) = found(old, schema({NAME: proto(TYPES)}))
    assert (one.rule, one.at.file) == ("SERVICE_NO_DELETE", f"protos/{OTHER}")


def test_a_file_that_moved_says_where_to():
    old, new = schema(TYPES + SERVICE), schema({OTHER: proto(TYPES + SERVICE)})
    assert found(old, new, Level.JSON) == ()
    (one,) = found(old, new, Level.SOURCE)
    assert f"the file {NAME} is gone; what it had is in {OTHER} now" in one.text


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ("message C {}", "MESSAGE_NO_DELETE"),
        ("enum F { F_UNSPECIFIED = 0; }", "ENUM_NO_DELETE"),
        (f'import "{NAME}";\nservice T {{ rpc R(A) returns (B); }}', "SERVICE_SAME_FILE"),
    ],
)
def test_what_moves_to_another_file_breaks_source_only(body, rule):
    old = schema({NAME: proto(TYPES), OTHER: proto(body), "acme/v1/z.proto": proto("")})
    new = schema({NAME: proto(TYPES), OTHER: proto(""), "acme/v1/z.proto": proto(body)})
    assert found(old, new, Level.JSON) == ()
    (one,) = found(old, new, Level.SOURCE)
    assert (one.rule, one.at.file) == (rule, f"protos/{OTHER}")
    assert f"has moved from {OTHER} to acme/v1/z.proto" in one.text


@pytest.mark.parametrize(
    ("gone", "left", "expected"),
    [
        ("message C { message D {} }", "", ["message acme.v1.C is gone"]),
        ("message C { message D {} }", "message C {}", ["message acme.v1.C.D is gone"]),
        ("enum F { F_UNSPECIFIED = 0; }", "", ["enum acme.v1.F is gone"]),
        (
            "message C { int32 c = 1; }",
            "message D { int32 c = 1; }",
            ["message acme.v1.C is gone; acme.v1.D has the same members: was it renamed?"],
        ),
        ("message C {}", "message D {}", ["message acme.v1.C is gone"]),
        ("message C { oneof o { int32 c = 1; } }", "", ["message acme.v1.C is gone"]),
        (
            "enum F { F_UNSPECIFIED = 0; }",
            "enum G { F_UNSPECIFIED = 0; }",
            ["enum acme.v1.F is gone; acme.v1.G has the same members: was it renamed?"],
        ),
    ],
)
def test_a_type_that_is_gone_is_reported_once_and_on_source_only(gone, left, expected):
    old, new = schema(TYPES + gone), schema(TYPES + left)
    assert found(old, new, Level.JSON) == ()
    assert [each.text for each in found(old, new, Level.SOURCE)] == expected


def test_a_schema_breaks_nothing_of_itself():
    body = schema(TYPES + SERVICE)
    assert found(body, body, Level.SOURCE) == ()


def test_a_schema_without_positions_is_compared_all_the_same():
    files = FileDescriptorSet()
    files.CopyFrom(descriptors({NAME: proto(TYPES + SERVICE)}))
    files.file[0].ClearField("source_code_info")
    bare = read_schema(files, [NAME], {})
    (one,) = found(bare, schema(TYPES), Level.SOURCE)
    assert one.rule == "SERVICE_NO_DELETE"
    (one,) = found(schema(TYPES + SERVICE.replace("rpc Q", "rpc R2")), bare)
    assert (one.at.file, one.at.line, one.at.column) == (NAME, 1, 1)


def test_a_rule_can_be_switched_off_and_then_a_milder_one_speaks():
    old, new = schema("message M { int32 a = 1; }"), schema("message M { }")
    without = ["FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED", "FIELD_NO_DELETE_UNLESS_NAME_RESERVED"]
    assert breaking(old, new, without=without) == ()
    assert rules(breaking(old, new, level=Level.SOURCE, without=without)) == ["FIELD_NO_DELETE"]


def test_a_rule_that_does_not_exist_cannot_be_switched_off():
    with pytest.raises(ConfigError, match="there is no rule COMMENT_RPC of `breaking`"):
        breaking(schema(TYPES), schema(TYPES), without=["COMMENT_RPC"])


def test_each_level_includes_the_one_before():
    assert [[level.includes(other) for other in Level] for level in Level] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]
    assert {rule.level for rule in BREAKING.values()} == set(Level)
