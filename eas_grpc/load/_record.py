"""What is measured: counts and histograms of one process in one step, and how those of several become one.

Merging adds up counts, so nothing is lost by it, in whatever order it is done.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any

from eas_grpc.load._histogram import Histogram

__all__ = ["OTHER_TEXTS", "Record", "Window", "windows_merged"]

# Texts with a number in them could be as many as there are calls.
_MOST_TEXTS = 200
OTHER_TEXTS = "(other texts)"


class Window:
    """A short stretch of time: the calls that started in it, and those that ended in it."""

    __slots__ = ("failed", "latency", "ok", "started")

    def __init__(self) -> None:
        self.started = 0
        self.ok = 0
        self.failed = 0
        self.latency = Histogram()

    def merge(self, other: Window) -> None:
        """Adds the same stretch of another process."""
        self.started += other.started
        self.ok += other.ok
        self.failed += other.failed
        self.latency.merge(other.latency)


@dataclass
class Record:
    """All that one process measured in one step; only calls that were due after the warm-up."""

    windows: dict[int, Window] = field(default_factory=dict)
    service: Histogram = field(default_factory=Histogram)
    first: Histogram = field(default_factory=Histogram)
    gap: Histogram = field(default_factory=Histogram)
    # How late the generator itself was: calls of an open loop, and a clock that ticks beside a closed one.
    lag: Histogram = field(default_factory=Histogram)
    statuses: dict[str, int] = field(default_factory=dict)
    errors: dict[tuple[str, str], int] = field(default_factory=dict)
    not_started: int = 0
    sent: int = 0
    received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    # From the end of the warm-up until nothing more was started.
    seconds: float = 0.0
    # Calls that had ended by then.
    in_time: int = 0
    # Cores that the process, and the thread of its event loop, used in that time: of several processes the most.
    cpu: float = 0.0
    thread: float = 0.0

    def window(self, index: int) -> Window:
        """The window of this number; it is made when it is first asked for."""
        found = self.windows.get(index)
        if found is None:
            found = self.windows[index] = Window()
        return found

    def count_status(self, status: str) -> None:
        """Counts how a call ended."""
        self.statuses[status] = self.statuses.get(status, 0) + 1

    def count_error(self, status: str, details: str) -> None:
        """Counts a failure by its text; after 200 texts, others are counted together."""
        key = (status, details)
        if key not in self.errors and len(self.errors) >= _MOST_TEXTS:
            key = (status, OTHER_TEXTS)
        self.errors[key] = self.errors.get(key, 0) + 1

    @property
    def started(self) -> int:
        """Calls that were begun."""
        return sum(window.started for window in self.windows.values())

    @property
    def ok(self) -> int:
        """Calls that ended with OK."""
        return sum(window.ok for window in self.windows.values())

    @property
    def failed(self) -> int:
        """Calls that ended with anything else."""
        return sum(window.failed for window in self.windows.values())

    @property
    def latency(self) -> Histogram:
        """Of all calls, from when they were due to their end."""
        return Histogram.merged(window.latency for window in self.windows.values())

    @classmethod
    def merged(cls, many: Iterable[Record]) -> Record:
        """All of them in a new one."""
        found = cls()
        for one in many:
            found._add(one)
        return found

    def _add(self, other: Record) -> None:
        for each in fields(self):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            if isinstance(mine, Histogram):
                mine.merge(theirs)
            elif each.name == "windows":
                _merge_windows(mine, theirs)
            elif isinstance(mine, dict):
                _add_counts(mine, theirs)
            elif each.name in _GREATEST:
                setattr(self, each.name, max(mine, theirs))
            else:
                setattr(self, each.name, mine + theirs)


_GREATEST = frozenset({"seconds", "cpu", "thread"})


def _add_counts(mine: dict[Any, int], theirs: dict[Any, int]) -> None:
    for key, count in theirs.items():
        mine[key] = mine.get(key, 0) + count


def _merge_windows(mine: dict[int, Window], theirs: dict[int, Window]) -> None:
    for index, window in theirs.items():
        mine.setdefault(index, Window()).merge(window)


def windows_merged(many: Iterable[dict[int, Window]]) -> dict[int, Window]:
    """The windows of several processes as those of one."""
    found: dict[int, Window] = {}
    for one in many:
        _merge_windows(found, one)
    return found
