"""Figures from lists of times: percentiles, how densely events come, who was cut off. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

__all__ = ["cut_off", "percentile", "share_in_densest", "spread"]


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that at least this share of all is not above; ValueError for none at all."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(times: Collection[float]) -> float:
    """From the first to the last, in seconds."""
    return max(times) - min(times) if times else 0.0


def share_in_densest(times: Iterable[float], window: float) -> float:
    """Which part of all events falls into the window of this length that has the most, wherever it begins."""
    ordered = sorted(times)
    most = first = 0
    for last, at in enumerate(ordered):
        while at - ordered[first] > window:
            first += 1
        most = max(most, last - first + 1)
    return most / len(ordered) if ordered else 0.0


def cut_off(began: Iterable[str], outcomes: Sequence[tuple[str, str]]) -> list[str]:
    """The calls whose handler began on the server and that the caller saw fail: pairs of id and status."""
    known = set(began)
    return [id for id, status in outcomes if status != "OK" and id in known]
