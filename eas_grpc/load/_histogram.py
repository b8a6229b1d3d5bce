"""Durations counted in buckets whose width grows with the duration: cheap to add to, exact to merge.

Each power of two is cut into 128 equal buckets, so a bucket is at most 1/128 of its duration wide, and a figure read
from its middle is off by less than 0.4 %. Only buckets that hold something take room.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from math import frexp, ldexp

__all__ = ["PERCENTILES", "Histogram", "upper_end"]

PERCENTILES: Mapping[str, float] = {
    "p50": 50.0,
    "p90": 90.0,
    "p95": 95.0,
    "p99": 99.0,
    "p99.9": 99.9,
    "p99.99": 99.99,
}

# No clock tells less apart; it also keeps zero and what a clock's step made negative out of the logarithm.
_LEAST = 1e-9
_BITS = 7
_CUT = 1 << _BITS


def _lower_end(index: int) -> float:
    return ldexp(((index & (_CUT - 1)) + _CUT) / (2 * _CUT), (index >> _BITS) - 1)


def upper_end(index: int) -> float:
    """Where a bucket ends, in seconds."""
    return _lower_end(index + 1)


class Histogram:
    """Counts of durations in seconds."""

    __slots__ = ("count", "counts", "least", "most", "squares", "total")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.count = 0
        self.total = 0.0
        self.squares = 0.0
        self.least = math.inf
        self.most = 0.0

    def add(self, seconds: float) -> None:
        """Counts one duration."""
        if seconds < _LEAST:
            seconds = _LEAST
        mantissa, exponent = frexp(seconds)
        index = (exponent << _BITS) + int(mantissa * (2 * _CUT))
        counts = self.counts
        counts[index] = counts.get(index, 0) + 1
        self.count += 1
        self.total += seconds
        self.squares += seconds * seconds
        if seconds < self.least:
            self.least = seconds
        if seconds > self.most:
            self.most = seconds

    def merge(self, other: Histogram) -> None:
        """Adds all that another one has counted; the order of merging changes no percentile."""
        counts = self.counts
        for index, count in other.counts.items():
            counts[index] = counts.get(index, 0) + count
        self.count += other.count
        self.total += other.total
        self.squares += other.squares
        self.least = min(self.least, other.least)
        self.most = max(self.most, other.most)

    def percentile(self, percent: float) -> float | None:
        """The shortest duration that so many percent of all do not exceed; None when nothing was counted."""
        if not self.count:
            return None
        # Without the rounding, 99.9 % of 1,000 would be a hair above 999.
        rank = max(1, math.ceil(round(self.count * percent / 100, 9)))
        if rank >= self.count:
            return self.most
        seen = 0
        for index in sorted(self.counts):
            seen += self.counts[index]
            if seen >= rank:
                middle = (_lower_end(index) + upper_end(index)) / 2
                return min(max(middle, self.least), self.most)
        raise AssertionError("the counts add up to fewer than their count")

    def summary(self) -> dict[str, float | int | None]:
        """Count, mean, least, most, standard deviation and percentiles, as a result shows them."""
        if not self.count:
            names = ("mean", "min", "max", "stdev", *PERCENTILES)
            return {"count": 0, **dict.fromkeys(names)}
        mean = self.total / self.count
        spread = math.sqrt(max(0.0, self.squares / self.count - mean * mean))
        return {
            "count": self.count,
            "mean": mean,
            "min": self.least,
            "max": self.most,
            "stdev": spread,
            **{name: self.percentile(percent) for name, percent in PERCENTILES.items()},
        }

    def buckets(self) -> list[list[float | int]]:
        """`[upper end in seconds, count]` of each bucket that holds something, shortest first."""
        return [[upper_end(index), self.counts[index]] for index in sorted(self.counts)]

    @classmethod
    def merged(cls, many: Iterable[Histogram]) -> Histogram:
        """All of them in a new one."""
        found = cls()
        for one in many:
            found.merge(one)
        return found
