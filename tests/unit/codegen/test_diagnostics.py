"""Diagnostics as text with a caret under the right character, as JSON, and as annotations of GitHub."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_grpc.codegen._diagnostics import Diagnostic, Position, Severity, refuse, show, to_dict
from eas_grpc.errors import SchemaError

PLAIN = Diagnostic(text="bad", at=Position(file="a.proto", line=2, column=5))


def caret(source: str, column: int) -> list[str]:
    """The source line and the caret's line, as shown."""
    at = Position(file="a.proto", column=column)
    return show([Diagnostic(text="bad", at=at)], "text", line_of=lambda _: source).splitlines()[1:]


def width(text: str) -> int:
    """Columns on a terminal."""
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        for each in text
    )


def protoc_column(before: str) -> int:
    """protoc's tokenizer: a tab goes to the next multiple of eight, anything else counts its bytes; from one."""
    column = 0
    for byte in before.encode():
        column += 8 - column % 8 if byte == 9 else 1
    return column + 1


@pytest.mark.parametrize(
    ("diagnostic", "line"),
    [
        (PLAIN, "a.proto:2:5: error: bad"),
        (Diagnostic(text="bad", severity=Severity.WARNING), "warning: bad"),
        (Diagnostic(text="bad", rule="RULE", severity=Severity.HINT), "hint: bad [RULE]"),
        (Diagnostic(text="bad", more=7), "error: bad (and 7 more that follow from this)"),
    ],
)
def test_one_line_says_place_severity_text_rule_and_what_follows(diagnostic, line):
    assert str(diagnostic) == line


def test_the_source_line_stands_below_with_a_caret_and_the_hint_last():
    found = show([PLAIN.with_hint("mend it")], "text", line_of=lambda _: "  int32 x")
    assert found.splitlines() == [
        "a.proto:2:5: error: bad",
        "  |   int32 x",
        "  |     ^",
        "  hint: mend it",
    ]


@pytest.mark.parametrize(
    ("before", "mark"),
    [
        ("", 0),
        ("\t", 8),
        ("  \t", 8),
        ("\tab\t", 16),
        ("é", 1),
        ("漢字", 4),
        ("漢\t", 8),
        ("e\u0301", 1),
        ("\U0001f600", 2),
    ],
    ids=[
        "start",
        "tab",
        "tab after spaces",
        "two tabs",
        "two bytes",
        "wide",
        "wide, tab",
        "combining",
        "emoji",
    ],
)
def test_the_caret_stands_under_the_character_that_is_meant(before, mark):
    """protoc counts bytes and steps of tabs; a terminal counts columns."""
    source, line = caret(f"{before}X", protoc_column(before))
    assert line == "  | " + " " * mark + "^"
    assert "\t" not in source
    assert width(source[: source.index("X")]) == 4 + mark


@given(st.text("ab \té漢字\u0301", max_size=20))
def test_the_caret_is_right_for_any_mixture_of_characters(before):
    source, line = caret(f"{before}X", protoc_column(before))
    assert width(source[: source.index("X")]) == len(line) - 1


def test_a_column_behind_the_end_of_the_line_gets_a_caret_there():
    """protoc reports a missing `;` at the end of the file this way."""
    assert caret("ab", 99) == ["  | ab", "  |   ^"]


def test_the_line_is_read_from_the_file(tmp_path):
    path = tmp_path / "a.proto"
    path.write_bytes(b"one\r\ntwo\r\nthree \xe9\n")
    at = Position(file=str(path), line=2, column=2)
    assert show([Diagnostic(text="bad", at=at)], "text").splitlines()[1:] == ["  | two", "  |  ^"]
    at = Position(file=str(path), line=3, column=7)
    assert (
        show([Diagnostic(text="bad", at=at)], "text").splitlines()[1] == "  | three \N{REPLACEMENT CHARACTER}"
    )


@pytest.mark.parametrize("line", [4, 99])
def test_without_a_line_there_is_no_caret(tmp_path, line):
    """A blank one, or one that is not there."""
    path = tmp_path / "a.proto"
    path.write_text("one\ntwo\nthree\n  \n")
    assert (
        len(show([Diagnostic(text="bad", at=Position(file=str(path), line=line))], "text").splitlines()) == 1
    )


def test_a_file_that_cannot_be_read_costs_only_the_caret():
    assert show([PLAIN], "text") == "a.proto:2:5: error: bad"


def test_json_is_one_document_with_a_place_only_where_there_is_one():
    found = json.loads(
        show([PLAIN, Diagnostic(text="all", severity=Severity.HINT, rule="R", hint="h", more=2)], "json")
    )
    rest = {"rule": "", "hint": "", "more": 0}
    assert found == {
        "diagnostics": [
            {"file": "a.proto", "line": 2, "column": 5, "severity": "error", "text": "bad", **rest},
            {"severity": "hint", "rule": "R", "text": "all", "hint": "h", "more": 2},
        ]
    }
    assert to_dict(PLAIN) == found["diagnostics"][0]


@pytest.mark.parametrize(
    ("severity", "level"),
    [(Severity.ERROR, "error"), (Severity.WARNING, "warning"), (Severity.HINT, "notice")],
)
def test_github_gets_one_annotation_each(severity, level):
    found = Diagnostic(text="bad", at=PLAIN.at, severity=severity, rule="RULE", hint="mend it")
    assert show([found], "github") == f"::{level} file=a.proto,line=2,col=5,title=RULE::bad%0Amend it"


def test_an_annotation_escapes_what_would_end_a_property_or_the_text():
    """By the rules of the runner: percent first; colon and comma in properties only."""
    at = Position(file="a,b:c%.proto")
    found = show([Diagnostic(text="50% of a:b,\r\nmore", at=at)], "github")
    assert found == "::error file=a%2Cb%3Ac%25.proto,line=1,col=1::50%25 of a:b,%0D%0Amore"


@given(st.text(), st.text())
def test_an_annotation_is_one_line_that_the_runner_reads_back(text, file):
    found = show([Diagnostic(text=text, at=Position(file=file))], "github")
    assert "\n" not in found
    assert "\r" not in found
    properties, _, data = found.removeprefix("::error ").partition("::")
    values = dict(each.split("=", 1) for each in properties.split(","))
    for escape, character in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        values["file"] = values["file"].replace(escape, character)
        data = data if escape in ("%3A", "%2C") else data.replace(escape, character)
    assert (values["file"], data) == (file, text)


def test_errors_are_refused_together_and_the_rest_is_not():
    """The error is the text; the data go with it."""
    warning = Diagnostic(text="meh", severity=Severity.WARNING)
    refuse([])
    refuse([warning])
    second = Diagnostic(text="worse")
    with pytest.raises(SchemaError) as caught:
        refuse([PLAIN, warning, second])
    assert caught.value.diagnostics == (PLAIN, second)
    assert str(caught.value) == "a.proto:2:5: error: bad\nerror: worse"
