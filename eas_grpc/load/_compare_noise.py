"""How far the figures of a run would move if it were made again, judged by how they moved from window to window.

Two questions are asked of the windows of both timelines. How far could a figure be off? The windows of each run are
drawn with replacement, in blocks of neighbours (what happens in one second is often not over in the next), put
together to a run that might have been, and its figures are read. Could it be chance? All windows are dealt out anew
between the two runs, as if there were no old and no new, to see how often they differ as much as these do.
Of a window only some percentiles are known; between them its distribution is taken to be smooth.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from eas_grpc.load._result import TAILS, Percentile, Result, Window

if TYPE_CHECKING:
    import numpy as np

    _Floats = np.ndarray[Any, np.dtype[np.float64]]
    # How often each window is in each imagined run, to the logarithms of the figures of each run.
    _Read = Callable[[_Floats], _Floats]

__all__ = ["LEAST_IN_STEP", "LEAST_WINDOWS", "Noise", "of_failures", "of_percentiles", "of_rate"]

# With fewer windows than this nobody can say how much they differ.
LEAST_WINDOWS = 5
LEAST_IN_STEP = 3

_DRAWS = 2000
_SEED = 7  # the same two files give the same verdict every time
_GRID = 400
_AS_MUCH = 0.9
_SURE = 2.576  # 99 %: there are many lines, and one of twenty would be called wrong at 95 %
_LEAST_SECONDS = 1e-9


@dataclass(frozen=True)
class Noise:
    """What chance could do to the ratio of a figure of two runs."""

    off: float  # how far the logarithm of the ratio could be off
    chance: float  # the share of ways to deal the windows out that differ as much as the runs do


def of_rate(old: Result, new: Result) -> Noise | None:
    """The noise of the calls that end per second; None if it is unknown."""
    # After a run's time no call is started, and those that end then say nothing of its rate.
    known = [
        [one for one in run["timeline"] if one["seconds"] > _LEAST_SECONDS and one["at"] < run["seconds"]]
        for run in (old, new)
    ]
    strata = _strata(old, new, known)
    if strata is None:
        return None
    windows = [*known[0], *known[1]]
    calls = _array([window["ok"] + window["failed"] for window in windows])
    seconds = _array([window["seconds"] for window in windows])

    def read(draws: _Floats) -> _Floats:
        import numpy as np

        # Half a call where there was none: nothing has no logarithm.
        return np.asarray(
            np.log(np.maximum(draws @ calls, 0.5) / (draws @ seconds))[:, None], dtype=np.float64
        )

    return _noises(read, *strata)[0]


def of_percentiles(old: Result, new: Result) -> dict[Percentile, Noise | None]:
    """The noise of each percentile of the latency; None if it is unknown."""
    known = [[window for window in run["timeline"] if _known(window)] for run in (old, new)]
    strata = _strata(old, new, known)
    if strata is None:
        return dict.fromkeys(TAILS)
    found = _noises(_percentiles([*known[0], *known[1]]), *strata)
    return dict(zip(TAILS, found, strict=True))


def of_failures(old: Result, new: Result) -> float:
    """By how much the difference of the shares that failed could be off.

    Counting alone makes a share of rare events uncertain; where failures came in bursts in the old run, a burst in
    the new one is nothing new. A first burst is.
    """
    variance = 0.0
    for result in (old, new):
        calls = result["calls"]
        # One failure and one success more, so that none seen does not mean none possible.
        ended = calls["finished"] + 2
        share = min((calls["failed"] + 1) / ended, 1.0)
        variance += share * (1 - share) / ended
    return _SURE * math.sqrt(variance * _burstiness(old["timeline"]))


def _burstiness(windows: Sequence[Window]) -> float:
    """How many times more the failures of windows differ than they would if each call failed by itself."""
    ended = [window["ok"] + window["failed"] for window in windows]
    failed = sum(window["failed"] for window in windows)
    if len(windows) < 2 or not failed or failed == sum(ended):
        return 1.0
    share = failed / sum(ended)
    parts = (
        (window["failed"] - share * number) ** 2 / (share * (1 - share) * number)
        for window, number in zip(windows, ended, strict=True)
        if number
    )
    return max(1.0, sum(parts) / (len(windows) - 1))


def _known(window: Window) -> bool:
    return bool(window["ok"] + window["failed"]) and None not in (window["p50"], window["p99"], window["max"])


def _strata(
    old: Result, new: Result, known: Sequence[Sequence[Window]]
) -> tuple[list[list[int]], list[list[int]]] | None:
    """The places of the windows that may stand for each other: of a ramp those of one step, or it would be noise itself.

    Of the old run and of the new one, counted through both; None where there are too few to say how they differ.
    """
    if len(old["steps"]) != len(new["steps"]):
        return None
    found, first = [], 0
    for run, windows in zip((old, new), known, strict=True):
        ends = list(accumulate(step.get("seconds", 0.0) for step in run["steps"][:-1]))
        strata: list[list[int]] = [[] for _ in range(len(ends) + 1)]
        for index, window in enumerate(windows):
            strata[bisect_right(ends, window["at"])].append(first + index)
        found.append(strata)
        first += len(windows)
    least = LEAST_IN_STEP if old["steps"] else LEAST_WINDOWS
    if min(len(stratum) for strata in found for stratum in strata) < least:
        return None
    return found[0], found[1]


def _noises(read: _Read, old: list[list[int]], new: list[list[int]]) -> list[Noise]:
    """The noise of each figure that `read` gives."""
    import numpy as np

    rng = np.random.default_rng(_SEED)
    windows = sum(map(len, old + new))
    before, after = _drawn(rng, old, windows), _drawn(rng, new, windows)
    low, middle, high = np.quantile(read(after) - read(before), [0.005, 0.5, 0.995], axis=0)
    off = np.maximum(high - middle, middle - low) * _few(
        min(sum(map(len, old)), sum(map(len, new))), len(old)
    )

    first = np.zeros((1, windows))
    first[0, [index for stratum in old for index in stratum]] = 1.0
    seen = np.abs(read(1 - first) - read(first))
    dealt = np.repeat(first, _DRAWS, axis=0)
    for ours, theirs in zip(old, new, strict=True):
        dealt[:, ours + theirs] = rng.permuted(dealt[:, ours + theirs], axis=1)
    # Where one window decides a figure, what the others add to it is no difference.
    differ = np.abs(read(1 - dealt) - read(dealt)) >= _AS_MUCH * seen
    return [Noise(float(one), float(share)) for one, share in zip(off, differ.mean(axis=0), strict=True)]


def _drawn(rng: np.random.Generator, strata: list[list[int]], windows: int) -> _Floats:
    """How often each window is in each run that might have been: blocks of neighbours, with replacement."""
    import numpy as np

    counts = np.zeros((_DRAWS, windows))
    rows = np.arange(_DRAWS)[:, None]
    for stratum in strata:
        many = len(stratum)
        block = max(1, round(many ** (1 / 3)))
        starts = rng.integers(0, many, (_DRAWS, math.ceil(many / block)))
        picked = ((starts[:, :, None] + np.arange(block)) % many).reshape(_DRAWS, -1)[:, :many]
        np.add.at(counts, (rows, np.array(stratum)[picked]), 1.0)
    return counts


def _few(windows: int, strata: int) -> float:
    """By how much an interval must be wider, the fewer windows it was made of (Student's t)."""
    free = windows - strata
    student = (
        _SURE + (_SURE**3 + _SURE) / (4 * free) + (5 * _SURE**5 + 16 * _SURE**3 + 3 * _SURE) / (96 * free**2)
    )
    return student / _SURE * math.sqrt(windows / free)


def _percentiles(windows: Sequence[Window]) -> _Read:
    """Reads the logarithm of each percentile of runs that are put together of these windows."""
    import numpy as np

    known = [[max(window[key] or 0.0, _LEAST_SECONDS) for key in ("p50", "p99", "max")] for window in windows]
    logs = np.log(np.maximum.accumulate(np.array(known), axis=1))
    low = 2 * logs[:, 0] - logs[:, 1]  # as far below the middle as the 99th percentile is above it
    grid = np.linspace(low.min(), logs.max(), _GRID)
    above = np.empty((len(windows), _GRID))
    calls = _array([window["ok"] + window["failed"] for window in windows])
    for index, (p50, p99, most) in enumerate(logs):
        # The share of calls above: a straight line between the logarithms of both.
        least = math.log(min(0.5 / float(calls[index]), 0.009))
        points = np.array([low[index], p50, p99, most]) + np.arange(4) * 1e-12
        above[index] = np.exp(np.interp(grid, points, [0.0, math.log(0.5), math.log(0.01), least]))
        above[index][grid > most] = 0.0

    def read(draws: _Floats) -> _Floats:
        weighed = draws * calls
        shares = (weighed @ above) / weighed.sum(axis=1, keepdims=True)
        return np.stack([_crossing(grid, shares, tail) for tail in TAILS.values()], axis=1)

    return read


def _crossing(grid: _Floats, shares: _Floats, tail: float) -> _Floats:
    """Where each falling line of shares comes down to `tail`."""
    import numpy as np

    index = np.clip((shares > tail).sum(axis=1), 1, len(grid) - 1)
    rows = np.arange(len(shares))
    before, after = shares[rows, index - 1], shares[rows, index]
    part = np.clip((before - tail) / np.maximum(before - after, 1e-300), 0.0, 1.0)
    return np.asarray(grid[index - 1] + part * (grid[index] - grid[index - 1]), dtype=np.float64)


def _array(numbers: Sequence[float]) -> _Floats:
    import numpy as np

    return np.array(numbers, dtype=np.float64)
