"""What a row of the scoreboard is, and what it found. Pure: no process, no socket, no clock."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["ROWS", "Figure", "Row", "Run", "Skip", "outcome", "row"]

Value = float | int | str
Short = TypeVar("Short")


class Skip(Exception):
    """A row cannot run here; the text says what is missing, and it is counted as skipped, not as passed."""


@dataclass(frozen=True)
class Figure:
    """One number with its name and unit; `kept` is None where nothing is promised."""

    name: str
    value: Value
    unit: str = ""
    limit: str = ""
    kept: bool | None = None

    def __str__(self) -> str:
        """For a table: `sync 0.03 s`."""
        return f"{self.name} {shown(self.value)}{f' {self.unit}' if self.unit else ''}".strip()


def shown(value: Value) -> str:
    """A number with as many digits as matter."""
    if isinstance(value, str | int):
        return f"{value:,}" if isinstance(value, int) else value
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


@dataclass
class Run:
    """What a row is given, and where it notes its figures.

    `long` is the full form; `seed` decides everything that is left to chance; `folder` is empty and its own.
    """

    id: str
    seed: int
    long: bool
    folder: Path
    figures: list[Figure] = field(default_factory=list)
    beside: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def rng(self, purpose: str = "") -> random.Random:
        """The same numbers for the same seed, row and purpose."""
        return random.Random(f"{self.seed}/{self.id}/{purpose}")

    def pick(self, short: Short, long: Short) -> Short:
        """One of two amounts, by the form of the run."""
        return long if self.long else short

    def ours(
        self,
        name: str,
        value: Value,
        unit: str = "",
        *,
        at_most: float | None = None,
        at_least: float | None = None,
        exactly: Value | None = None,
    ) -> None:
        """Notes a figure of ours, and what is promised for it."""
        limit, kept = "", None
        if at_most is not None:
            limit, kept = f"at most {shown(at_most)}", float(value) <= at_most
        elif at_least is not None:
            limit, kept = f"at least {shown(at_least)}", float(value) >= at_least
        elif exactly is not None:
            limit, kept = f"exactly {shown(exactly)}", value == exactly
        self.figures.append(Figure(name, value, unit, limit, kept))

    def raw(self, name: str, value: Value, unit: str = "") -> None:
        """Notes what raw grpcio does in the same test; nothing is promised for it."""
        self.beside.append(Figure(name, value, unit))

    def note(self, text: str) -> None:
        """A sentence that belongs beside the figures."""
        self.notes.append(text)


@dataclass(frozen=True)
class Row:
    """One test of the scoreboard; `short`: it is part of the short form too."""

    id: str
    title: str
    target: str
    short: bool
    run: Callable[[Run], None]


ROWS: dict[str, Row] = {}


def row(id: str, title: str, *, target: str, short: bool) -> Callable[[Callable[[Run], None]], Any]:
    """Enters a function as a row: `@row("C3", "frozen peer", target="at most 1 s", short=True)`."""

    def enter(function: Callable[[Run], None]) -> Callable[[Run], None]:
        assert id not in ROWS, f"two rows are called {id}"
        ROWS[id] = Row(id, title, target, short, function)
        return function

    return enter


def outcome(run: Run, known: Mapping[str, str] | None = None) -> str:
    """`pass` where every promise was kept and there was one; `missed` where those broken are known; otherwise `fail`.

    `known` has the reasons by the beginning of a figure's name; they become notes. What is known and kept all the same is
    a failure too, so that the list stays true, unless a `~` in front says that it is missed at times.
    """
    judged = [figure for figure in run.figures if figure.kept is not None]
    missed = {figure.name for figure in judged if not figure.kept}
    expected: set[str] = set()
    gone = []
    for each, why in (known or {}).items():
        found = {name for name in missed if name.startswith(each.removeprefix("~"))}
        expected |= found
        if found:
            run.note(f"{each.removeprefix('~')}: {why}")
        elif not each.startswith("~"):
            gone.append(each)
            run.note(f"{each}: no longer missed; take it out of the list")
    if not judged or missed - expected or gone:
        return "fail"
    return "missed" if missed else "pass"
