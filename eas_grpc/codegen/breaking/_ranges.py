"""Ranges of numbers, from the first to the one after the last. Pure."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["covers", "missing", "written"]

Range = tuple[int, int]


def covers(ranges: Iterable[Range], number: int) -> bool:
    """Whether a number is in one of the ranges."""
    return any(start <= number < end for start, end in ranges)


def missing(old: Iterable[Range], new: Iterable[Range]) -> list[Range]:
    """What the old ranges have and the new ones have not."""
    left = sorted(old)
    for start, end in new:
        left = [
            part
            for first, last in left
            for part in ((first, min(last, start)), (max(first, end), last))
            if part[0] < part[1]
        ]
    return left


def written(part: Range) -> str:
    """As a schema writes it, with both ends in it."""
    start, end = part
    return str(start) if end == start + 1 else f"{start} to {end - 1}"
