"""Comments that accept a finding: where they count, what they may say, and what they may not."""

from __future__ import annotations

import pytest
from support.schemas import proto, rules, schema

from eas_grpc.codegen._diagnostics import Severity
from eas_grpc.codegen._rules import BREAKING, LINT
from eas_grpc.codegen._suppress import ignored_rules
from eas_grpc.codegen.breaking import breaking
from eas_grpc.codegen.lint import lint

IGNORE = "// eas-grpc:ignore ENUM_ZERO_VALUE_SUFFIX the wire is older than the rule"
GONE = "FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED"


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("eas-grpc:ignore A", ("A",)),
        ("eas-grpc:ignore A because of B", ("A",)),
        ("eas-grpc:ignore A, B ,C since", ("A", "B", "C")),
        ("Words. eas-grpc:ignore A\n more words\n eas-grpc:ignore B", ("A", "B")),
        ("eas-grpc:ignore", ("",)),
        ("eas-grpc:ignore\nA", ("",)),
        ("eas-grpc:ignored A", ()),
        ("A comment.", ()),
        ("", ()),
    ],
)
def test_what_a_comment_ignores(comment, expected):
    assert ignored_rules(comment) == expected


@pytest.mark.parametrize(
    "body",
    [
        f"enum E {{\n{IGNORE}\nRED = 0; }}",
        f"enum E {{ RED = 0; {IGNORE}\n}}",
        f"{IGNORE}\nenum E {{ RED = 0; }}",
        f"enum E {{ {IGNORE}\nRED = 0; }}",
        f"{IGNORE}\nmessage M {{ enum E {{ RED = 0; }} }}",
    ],
    ids=["above", "behind", "above the enum", "behind the enum's brace", "above the message around it"],
)
def test_an_ignore_comment_counts_at_the_element_and_around_it(body):
    assert rules(lint(schema(body.replace(IGNORE, "")))) == ["ENUM_ZERO_VALUE_SUFFIX"]
    assert lint(schema(body)) == ()


@pytest.mark.parametrize(
    "text",
    [
        f"{IGNORE}\n{proto('enum E { RED = 0; }')}",
        f"{IGNORE}\n\n{proto('enum E { RED = 0; }')}",
        proto("enum E { RED = 0; }").replace("package", f"{IGNORE}\npackage"),
        proto("enum E { RED = 0; }").replace("acme.v1;", f"acme.v1; {IGNORE}"),
    ],
    ids=["top", "top, apart", "above the package", "behind the package"],
)
def test_an_ignore_comment_at_the_head_of_a_file_counts_for_all_of_it(text):
    assert lint(schema({"acme/v1/x.proto": text})) == ()


def test_an_ignore_comment_elsewhere_or_for_another_rule_does_not_count():
    beside = f"enum E {{ RED = 0; }}\n{IGNORE}\nenum F {{ F_UNSPECIFIED = 0; }}"
    assert rules(lint(schema(beside))) == ["ENUM_ZERO_VALUE_SUFFIX"]
    other = "// eas-grpc:ignore COMMENT_RPC\nenum E { RED = 0; }"
    assert rules(lint(schema(other))) == ["ENUM_ZERO_VALUE_SUFFIX"]


def test_an_unknown_rule_in_an_ignore_comment_is_a_warning():
    (found,) = lint(schema("// eas-grpc:ignore COMMENT_RCP, X\nmessage M {}", syntax='syntax = "proto3"'))[:1]
    assert (found.rule, found.severity, found.at.line) == ("UNKNOWN_IGNORE", Severity.WARNING, 4)
    assert found.text.startswith("the ignore comment of message acme.v1.M ignores nothing: there is no rule")
    texts = [each.text for each in lint(schema("// eas-grpc:ignore COMMENT_RCP, X\nmessage M {}"))]
    assert any(text.endswith("there is no rule COMMENT_RCP (did you mean COMMENT_RPC?)") for text in texts)
    assert any(text.endswith("there is no rule X") for text in texts)


def test_an_ignore_comment_without_a_rule_is_a_warning():
    (found,) = lint(schema("// eas-grpc:ignore\nmessage M {}"))
    assert found.text.endswith("it names no rule")


def test_rules_of_both_commands_may_stand_in_one_comment():
    body = f"// eas-grpc:ignore {next(iter(LINT))}, {next(iter(BREAKING))}\nmessage M {{}}"
    assert lint(schema(body)) == ()
    assert breaking(schema(body), schema(body)) == ()


def test_what_is_gone_is_accepted_where_it_was():
    old = schema("message M { int32 a = 1; int32 b = 2; }")
    assert rules(breaking(old, schema("message M { int32 a = 1; }"))) == [GONE]
    assert (
        breaking(old, schema(f"// eas-grpc:ignore {GONE} nobody sent it\nmessage M {{ int32 a = 1; }}")) == ()
    )


def test_accepting_the_worst_leaves_what_is_less_bad():
    old = schema("message M { int32 a = 1; int32 b = 2; }")
    new = schema(f"// eas-grpc:ignore {GONE}\nmessage M {{ int32 a = 1; }}")
    assert rules(breaking(old, new, level="source")) == ["FIELD_NO_DELETE_UNLESS_NAME_RESERVED"]


def test_an_unknown_rule_is_reported_by_breaking_too():
    new = schema("// eas-grpc:ignore NO_SUCH_RULE\nmessage M {}")
    assert rules(breaking(schema("message M {}"), new)) == ["UNKNOWN_IGNORE"]


def test_a_file_that_will_go_accepts_it_beforehand():
    files = {"acme/v1/x.proto": proto("message M {}"), "acme/v1/y.proto": proto("message N {}")}
    left = {"acme/v1/x.proto": files["acme/v1/x.proto"]}
    assert rules(breaking(schema(files), schema(left), level="source")) == ["FILE_NO_DELETE"]
    said = {**files, "acme/v1/y.proto": f"// eas-grpc:ignore FILE_NO_DELETE\n{files['acme/v1/y.proto']}"}
    assert breaking(schema(said), schema(left), level="source") == ()
