"""What is wrong, where, and what to do: as data, and as text, JSON or GitHub annotations."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from eas_grpc.errors import SchemaError

__all__ = ["Diagnostic", "Position", "Severity", "column_after", "refuse", "show", "to_dict"]

# protoc counts a tab as the step to the next multiple of this, and other characters as their UTF-8 bytes.
_TAB = 8


class Severity(str, Enum):
    """How bad it is. A hint never fails a run."""

    ERROR = "error"
    WARNING = "warning"
    HINT = "hint"


@dataclass(frozen=True, kw_only=True)
class Position:
    """A place in a .proto, counted from one as protoc counts; `file` is the path to show to people."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        """As compilers write it, so that editors can jump there."""
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, kw_only=True)
class Diagnostic:
    """One thing that is wrong. `hint` says what to do; `more` counts what follows from it and is not listed."""

    text: str
    at: Position | None = None
    severity: Severity = Severity.ERROR
    rule: str = ""
    hint: str = ""
    more: int = 0

    def __str__(self) -> str:
        """One line, without the hint."""
        where = "" if self.at is None else f"{self.at}: "
        rule = f" [{self.rule}]" if self.rule else ""
        more = f" (and {self.more} more that follow from this)" if self.more else ""
        return f"{where}{self.severity.value}: {self.text}{rule}{more}"

    def with_hint(self, hint: str) -> Diagnostic:
        """The same with another hint."""
        return replace(self, hint=hint)


def refuse(diagnostics: Sequence[Diagnostic]) -> None:
    """Raise one SchemaError for all errors among them; do nothing if there is none."""
    errors = [diagnostic for diagnostic in diagnostics if diagnostic.severity is Severity.ERROR]
    if errors:
        raise SchemaError(show(errors, "text"), errors)


def show(
    diagnostics: Iterable[Diagnostic], form: str, *, line_of: Callable[[Position], str] | None = None
) -> str:
    """For people with the source line and a caret (`text`), one document (`json`), or annotations (`github`).

    `line_of` finds the source line of a position; by default it is read from the file.
    """
    if form == "json":
        return json.dumps({"diagnostics": [to_dict(diagnostic) for diagnostic in diagnostics]}, indent=2)
    if form == "github":
        return "\n".join(_github(diagnostic) for diagnostic in diagnostics)
    return "\n".join(_text(diagnostic, line_of or _line_on_disk) for diagnostic in diagnostics)


def to_dict(diagnostic: Diagnostic) -> dict[str, Any]:
    """Plain data for JSON; a diagnostic without a place has no file, line and column."""
    at = diagnostic.at
    place: dict[str, Any] = {} if at is None else {"file": at.file, "line": at.line, "column": at.column}
    return {
        **place,
        "severity": diagnostic.severity.value,
        "rule": diagnostic.rule,
        "text": diagnostic.text,
        "hint": diagnostic.hint,
        "more": diagnostic.more,
    }


def _visible(text: str) -> str:
    """Without characters that a terminal obeys; names and lines come from files that anybody may have written."""
    return "".join(
        character
        if character == "\n" or unicodedata.category(character) != "Cc"
        else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )


def column_after(text: str) -> int:
    """The column, as protoc counts, of what comes after `text` in a line."""
    counted = 0
    for character in text:
        counted += _step(character, counted)
    return counted + 1


def _text(diagnostic: Diagnostic, line_of: Callable[[Position], str]) -> str:
    lines = [_visible(str(diagnostic))]
    source = "" if diagnostic.at is None else line_of(diagnostic.at)
    if diagnostic.at is not None and source.strip():
        shown, caret = _laid_out(source, diagnostic.at.column)
        # The bar keeps a line of somebody's from being read as a command by what shows it, a CI runner for one.
        lines += [f"  | {_visible(shown)}", f"  | {' ' * caret}^"]
    if diagnostic.hint:
        lines.append(f"  hint: {_visible(diagnostic.hint)}")
    return "\n".join(lines)


def _laid_out(source: str, column: int) -> tuple[str, int]:
    """A line as a terminal shows it, without tabs, and how far from its left protoc's `column` stands."""
    shown, counted, width = "", 0, 0
    caret: int | None = None
    for character in source:
        if counted >= column - 1 and caret is None:
            caret = width
        counted += _step(character, counted)
        cells = _TAB - width % _TAB if character == "\t" else _cells(character)
        shown += " " * cells if character == "\t" else character
        width += cells
    return shown, width if caret is None else caret


def _step(character: str, counted: int) -> int:
    return _TAB - counted % _TAB if character == "\t" else len(character.encode(errors="replace"))


def _cells(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _line_on_disk(at: Position) -> str:
    try:
        with Path(at.file).open(encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, start=1):
                if number == at.line:
                    return line.rstrip("\r\n")
    except OSError:
        pass
    return ""


def _github(diagnostic: Diagnostic) -> str:
    # Workflow commands of GitHub Actions: properties and text have escapes of their own.
    level = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.HINT: "notice"}[
        diagnostic.severity
    ]
    at = diagnostic.at
    properties = [] if at is None else [f"file={_property(at.file)}", f"line={at.line}", f"col={at.column}"]
    if diagnostic.rule:
        properties.append(f"title={_property(diagnostic.rule)}")
    hint = f"\n{diagnostic.hint}" if diagnostic.hint else ""
    return f"::{level} {','.join(properties)}::{_data(diagnostic.text + hint)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
