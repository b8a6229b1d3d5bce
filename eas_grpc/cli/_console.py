"""What commands print: tables, colours and a line that shows progress; rich on a terminal, plain text elsewhere.

Both have the same content. rich is of the extra `cli`, and loaded only where standard output is a terminal. NO_COLOR
takes the colours away, whatever else is said; TERM=dumb is plain; FORCE_COLOR means a terminal, also into a pipe.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

import click

__all__ = ["colours", "dressed", "plain_table", "printable", "status_line", "styled", "table"]

# Below this a table with borders is hard to read.
_NARROWEST = 40

_STYLES: dict[str, dict[str, Any]] = {
    "good": {"fg": "green"},
    "bad": {"fg": "red"},
    "warning": {"fg": "yellow"},
    "name": {"fg": "cyan"},
    "title": {"bold": True},
    "quiet": {"dim": True},
}


def dressed(environ: Mapping[str, str], *, terminal: bool) -> bool:
    """Whether the output is for the eyes of somebody at a terminal."""
    if environ.get("FORCE_COLOR"):
        return True
    return terminal and environ.get("TERM", "") not in {"", "dumb"}


def colours(environ: Mapping[str, str], *, terminal: bool) -> bool:
    """Whether colours may be used."""
    return dressed(environ, terminal=terminal) and not environ.get("NO_COLOR")


def styled(text: str, style: str, *, err: bool = False) -> str:
    """The text in the colour of `good`, `bad`, `warning`, `name`, `title` or `quiet`; as it is where colours may not be used."""
    if not colours(os.environ, terminal=_is_terminal(sys.stderr if err else sys.stdout)):
        return text
    return click.style(text, **_STYLES[style])


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table to standard output. Control characters in a cell are shown, not obeyed."""
    cells = [[printable(cell) for cell in row] for row in rows]
    if not dressed(os.environ, terminal=_is_terminal(sys.stdout)) or not _print_rich(headers, cells):
        click.echo(plain_table(headers, cells))


def plain_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The table as lines of text, two spaces between the columns, which are as wide as terminals show them."""
    lines = [list(headers), *map(list, rows)]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def printable(text: str) -> str:
    """The text with control characters as escapes: what a server sends does not drive the terminal."""
    return "".join(
        char if unicodedata.category(char)[0] != "C" else char.encode("unicode_escape").decode()
        for char in text
    )


@contextmanager
def status_line() -> Iterator[Callable[[str], None]]:
    """Gives a function that shows one line on standard error in the place of the one before; gone at the end.

    Where standard error is no terminal, nothing is shown.
    """
    stream = sys.stderr
    if not _is_terminal(stream) or os.environ.get("TERM", "") in {"", "dumb"}:
        yield lambda _text: None
        return
    try:
        yield lambda text: _write(stream, f"\r{_cut(printable(text), _columns() - 1)}\x1b[K")
    finally:
        _write(stream, "\r\x1b[K")


def _write(stream: IO[str], text: str) -> None:
    """Progress is no reason to fail: the terminal may be gone."""
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):
        return


def _print_rich(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the table could be shown by rich: it may not be installed, or have no room."""
    if _columns() < _NARROWEST:
        return False
    try:
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return False
    shown = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for header in headers:
        shown.add_column(Text(header), overflow="fold")
    for row in rows:
        # Text, not str: a name in brackets is no markup.
        shown.add_row(*map(Text, row))
    console = Console(file=sys.stdout, highlight=False, soft_wrap=False)
    if not all(_encodable(cell, console.encoding) for row in (headers, *rows) for cell in row):
        return False
    console.print(shown)
    return True


def _encodable(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # closed, or none at all
        return False


def _width(text: str) -> int:
    """Columns on a terminal: characters of East Asia take two, marks on another none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def _cut(text: str, columns: int) -> str:
    """As much of the text as fits into one line."""
    used = 0
    for index, char in enumerate(text):
        used += _width(char)
        if used > columns:
            return text[:index]
    return text
