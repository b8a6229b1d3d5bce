"""When a run may end because its figures hold still. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["NEEDED", "Figures", "is_stable"]

# Windows in a row that must agree.
NEEDED = 3


class Figures(NamedTuple):
    """What a window says: its 99th percentile in seconds (None without a call), and calls per second."""

    at: float
    p99: float | None
    rate: float


def is_stable(windows: Sequence[Figures], within: float) -> bool:
    """Whether in the last three windows p99 and rate differ by at most `within` of their means."""
    last = windows[-NEEDED:]
    tails = [window.p99 for window in last if window.p99 is not None]
    return len(tails) == NEEDED and _agree(tails, within) and _agree([w.rate for w in last], within)


def _agree(values: Sequence[float], within: float) -> bool:
    mean = sum(values) / len(values)
    return max(values) - min(values) <= within * mean
