"""Memory, descriptors, threads and processor time of a process, from /proc."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Sample", "Sampler", "sample", "slope"]

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Sample:
    """One look at a process: `at` in seconds of the monotonic clock, `rss` in bytes, `cpu` in seconds."""

    at: float
    rss: int
    descriptors: int
    threads: int
    cpu: float


def sample(pid: int) -> Sample:
    """A look at this process now; raises FileNotFoundError when it is gone."""
    home = Path("/proc") / str(pid)
    # The name of the command stands in brackets and may have spaces.
    words = (home / "stat").read_text().rpartition(")")[2].split()
    return Sample(
        at=time.monotonic(),
        rss=int((home / "statm").read_text().split()[1]) * _PAGE,
        descriptors=len(os.listdir(home / "fd")),
        threads=int(words[17]),
        cpu=(int(words[11]) + int(words[12])) / _TICKS,
    )


class Sampler:
    """`with Sampler(pid) as sampler:` looks every `interval` seconds; `samples` holds what it saw."""

    def __init__(self, pid: int, interval: float = 0.25) -> None:
        self._pid, self._interval = pid, interval
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.samples: list[Sample] = []

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(5)

    @property
    def peak_rss(self) -> int:
        """The most memory that was seen, in bytes."""
        return max(each.rss for each in self.samples)

    def _look(self) -> None:
        while True:
            try:
                self.samples.append(sample(self._pid))
            except (FileNotFoundError, ProcessLookupError):
                return
            if self._stopped.wait(self._interval):
                return


def slope(points: list[tuple[float, float]]) -> float:
    """The least-squares slope of y over x; 0 for fewer than two points."""
    if len(points) < 2:
        return 0.0
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
