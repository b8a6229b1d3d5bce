"""The fine buckets of a histogram as a few bars that an eye can take in."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["Bar", "bars", "edges"]

_LEAST = 1e-9  # a nanosecond: nothing that is measured is shorter, and zero has no logarithm
# Bars of fewer buckets than this would be high and low in turn, depending on how many fall into each.
_BUCKETS_PER_BAR = 3

Histogram = Sequence[Sequence[float]]  # [upper end of the bucket in seconds, calls]


@dataclass(frozen=True)
class Bar:
    """Calls that took more than `low` and at most `high` seconds."""

    low: float
    high: float
    count: int


def edges(histograms: Sequence[Histogram], most: int) -> list[float]:
    """The ends of at most `most` bars, equally wide on a logarithmic scale, that hold every call; two or more, or none.

    Latencies have a long tail: on a linear scale all but the tail would be one bar.
    """
    filled = sorted({max(bucket[0], _LEAST) for histogram in histograms for bucket in histogram if bucket[1]})
    if not filled:
        return []
    logs = [math.log(upper) for upper in filled]
    step = min((b - a for a, b in pairwise(logs) if b > a), default=0.02)
    start = logs[0] - step  # where the first bucket may begin
    width = logs[-1] - start
    count = max(1, min(most, int(width / step / _BUCKETS_PER_BAR)))
    return [math.exp(start + width * index / count) for index in range(count)] + [filled[-1]]


def bars(histogram: Histogram, most: int, ends: Sequence[float] | None = None) -> list[Bar]:
    """The histogram as bars between the given ends, or those of its own."""
    ends = edges([histogram], most) if ends is None else ends
    counts = [0] * max(len(ends) - 1, 0)
    for upper, number in histogram:
        if number:
            counts[max(bisect_left(ends, max(upper, _LEAST)) - 1, 0)] += int(number)
    return [Bar(low, high, count) for low, high, count in zip(ends, ends[1:], counts, strict=False)]
