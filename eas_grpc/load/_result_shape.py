"""What plain data that somebody else made must look like, said in parts that are put together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

__all__ = [
    "COUNT",
    "FIGURE",
    "FLAG",
    "TEXT",
    "WHOLE",
    "Check",
    "Wrong",
    "anything",
    "bucket",
    "counts",
    "each",
    "fields",
    "is_a",
    "or_null",
    "shown",
]

# No duration, count or rate of a real run comes near; beyond it sums could overflow.
_MOST = 1e15

# Looks at a value that stands at a path; raises Wrong.
Check = Callable[[object, str], None]


class Wrong(Exception):
    """Where the data is not as it must be, as a phrase."""


def shown(value: object) -> str:
    """A short form of any value."""
    text = ascii(value)
    return text if len(text) <= 40 else text[:37] + "..."


def is_a(words: str, test: Callable[[Any], bool]) -> Check:
    """A value that passes the test; `words` say what that is."""

    def looked_at(value: object, path: str) -> None:
        if not test(value):
            raise Wrong(f"{path} is {shown(value)}, not {words}")

    return looked_at


def _whole(value: object) -> bool:
    """Whether it is an integer; JSON has booleans of their own."""
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: object) -> bool:
    """Whether it is a number that a run can have measured."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and 0 <= value <= _MOST
    )


def or_null(inner: Check) -> Check:
    """The same, or null."""

    def looked_at(value: object, path: str) -> None:
        if value is not None:
            inner(value, path)

    return looked_at


def each(inner: Check) -> Check:
    """A list of such."""

    def looked_at(value: object, path: str) -> None:
        _LIST(value, path)
        for index, item in enumerate(cast("list[object]", value)):
            inner(item, f"{path}[{index}]")

    return looked_at


def fields(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    """An object with these fields; what else it has is not looked at."""

    def looked_at(value: object, path: str) -> None:
        _OBJECT(value, path)
        given = cast("dict[str, object]", value)
        inside = f"{path}." if path else ""
        for name, inner in required.items():
            if name not in given:
                raise Wrong(f"{inside}{name} is missing")
            inner(given[name], inside + name)
        for name, inner in (optional or {}).items():
            if name in given:
                inner(given[name], inside + name)

    return looked_at


def anything(value: object, path: str) -> None:
    """Whatever there is."""
    del value, path


def counts(value: object, path: str) -> None:
    """An object of counts by name."""
    _OBJECT(value, path)
    for name, count in cast("dict[str, object]", value).items():
        COUNT(count, f"{path}[{shown(name)}]")


def bucket(value: object, path: str) -> None:
    """A pair of seconds and calls."""
    _LIST(value, path)
    pair = cast("list[object]", value)
    if len(pair) != 2:
        raise Wrong(f"{path} is {shown(value)}, not a pair of seconds and calls")
    FIGURE(pair[0], f"{path}[0]")
    COUNT(pair[1], f"{path}[1]")


_OBJECT = is_a("an object", lambda value: isinstance(value, dict))
_LIST = is_a("a list", lambda value: isinstance(value, list))
TEXT = is_a("text", lambda value: isinstance(value, str))
FLAG = is_a("true or false", lambda value: isinstance(value, bool))
COUNT = is_a("a count", lambda value: _whole(value) and 0 <= value <= _MOST)
WHOLE = is_a("a whole number", _whole)
FIGURE = is_a("a number from 0 on", _number)
