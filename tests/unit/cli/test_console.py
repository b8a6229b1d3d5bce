"""Tables, colours and the line of progress: what they look like where, and that the content is the same."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import sys
import unicodedata
from collections.abc import Callable

import pytest

from eas_grpc.cli import _console
from eas_grpc.cli._console import colours, dressed, plain_table, printable, status_line, styled, table

ROWS = [["prod", "demo.example:80", "[bold]x[/]"], ["日本", "h\x1b[31m", ""], ["é", "x" * 30, "y"]]
HEADERS = ["name", "endpoint", "token"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Runs something with a terminal as standard output and error; gives what it shows."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")

    def run(*actions: Callable[[], object]) -> str:
        stream = Terminal()
        with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
            for action in actions:
                action()
        return stream.getvalue()

    return run


def content(text: str) -> list[str]:
    """The words of what is shown, without colours, lines and space."""
    bare = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return "".join(
        " " if unicodedata.category(char) == "So" or char == "─" else char for char in bare
    ).split()


@pytest.mark.parametrize(
    ("environ", "terminal", "is_dressed", "has_colours"),
    [
        ({"TERM": "xterm"}, True, True, True),
        ({"TERM": "xterm"}, False, False, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True, True, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True, True, True),
        ({"TERM": "dumb"}, True, False, False),
        ({}, True, False, False),
        ({"FORCE_COLOR": "1"}, False, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, True, False),
    ],
)
def test_who_gets_colours(environ, terminal, is_dressed, has_colours):
    assert dressed(environ, terminal=terminal) is is_dressed
    assert colours(environ, terminal=terminal) is has_colours


def test_a_table_has_the_same_content_on_a_terminal_and_in_a_pipe(terminal):
    pytest.importorskip("rich")
    shown = terminal(lambda: table(HEADERS, ROWS))
    assert "─" in shown
    assert "\x1b[1m" in shown
    plain = plain_table(HEADERS, [[printable(cell) for cell in row] for row in ROWS])
    assert content(shown) == content(plain)
    assert "\x1b" not in plain
    assert "[bold]x[/]" in plain


def test_no_color_takes_the_colours_and_leaves_the_table(terminal, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("NO_COLOR", "1")
    shown = terminal(lambda: table(HEADERS, ROWS))
    assert "─" in shown
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", shown)


@pytest.mark.parametrize("variable", [{"TERM": "dumb"}, {"TERM": ""}, {"COLUMNS": "1"}], ids=str)
def test_a_terminal_that_cannot_show_it_gets_it_plain(terminal, monkeypatch, variable):
    for name, value in variable.items():
        monkeypatch.setenv(name, value)
    plain = plain_table(HEADERS, [[printable(cell) for cell in row] for row in ROWS])
    assert terminal(lambda: table(HEADERS, ROWS)) == f"{plain}\n"


def test_without_rich_it_is_plain(terminal, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.box", None)
    assert terminal(lambda: table(["a"], [["b"]])) == "a\nb\n"


def test_a_pipe_gets_it_plain_and_without_rich(capsys):
    table(HEADERS, [["a", "b", "c"]])
    assert capsys.readouterr().out == "name  endpoint  token\na     b         c\n"


def test_columns_are_as_wide_as_a_terminal_shows_them():
    assert plain_table(["a", "b"], [["日本", "x"], ["e\u0301", "y"]]).splitlines() == [
        "a     b",
        "日本  x",
        "e\u0301     y",
    ]
    assert plain_table(["only", "headers"], []) == "only  headers"


def test_what_others_send_does_not_drive_the_terminal():
    assert printable("a\x1b[2J\r\n\u202eb\ud800") == "a\\x1b[2J\\r\\n\\u202eb\\ud800"
    assert printable("日本 é") == "日本 é"


def test_a_style_is_a_colour_on_a_terminal_and_nothing_elsewhere(terminal, monkeypatch):
    def show() -> None:
        print(styled("ok", "good"), styled("ok", "bad", err=True))

    assert terminal(show) == "\x1b[32mok\x1b[0m \x1b[31mok\x1b[0m\n"
    assert styled("ok", "good") == "ok"
    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal(show) == "ok ok\n"


def test_the_line_of_progress_stands_in_one_place_and_goes(terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "10")

    def work() -> None:
        with status_line() as show:
            show("one")
            show("二" * 30 + "\n")

    assert terminal(work) == f"\rone\x1b[K\r{'二' * 4}\x1b[K\r\x1b[K"


@pytest.mark.parametrize("stream", [io.StringIO(), None])
def test_there_is_no_progress_where_nobody_looks(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    with status_line() as show:
        show("one")
    assert stream is None or stream.getvalue() == ""


def test_a_terminal_that_goes_away_does_not_stop_the_work(monkeypatch):
    parent, child = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    stream = os.fdopen(child, "w")
    monkeypatch.setattr(sys, "stderr", stream)
    with status_line() as show:
        show("one")
        os.close(parent)
        show("two")
    monkeypatch.undo()
    # What could not be written is still in its buffer.
    with contextlib.suppress(OSError):
        stream.close()


def test_a_closed_standard_output_is_no_terminal():
    stream = io.StringIO()
    stream.close()
    assert _console._is_terminal(stream) is False
    assert _console._is_terminal(None) is False
