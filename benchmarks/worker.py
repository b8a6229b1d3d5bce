"""A client process of a measurement: does round trips when it is told to, and says what they cost.

Standard library and numpy alone: it also runs in the environment of a peer, where nothing of ours is installed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

import numpy as np

ROOT = Path(__file__).parent.parent

Trip = Callable[[], object]


def images(nbytes: int) -> np.ndarray:
    """float32 noise of this many bytes, as rows of one picture of 224 x 224 in three colours if it divides."""
    row = 3 * 224 * 224 * 4
    shape = (nbytes // row, 3, 224, 224) if nbytes % row == 0 else (nbytes // 4,)
    return np.random.default_rng(7).random(shape, dtype=np.float32)


def work(trip_for: Callable[[np.ndarray], Trip]) -> None:
    """Reads `{"nbytes": n, "calls": n}` from standard input, and prints wall and processor seconds per call."""
    trips: dict[int, Trip] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        nbytes = asked["nbytes"]
        if nbytes not in trips:
            trips = {nbytes: trip_for(images(nbytes))}
            for _ in range(3):
                trips[nbytes]()
        trip = trips[nbytes]
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(asked["calls"]):
            trip()
        answer = {
            "wall": (time.perf_counter() - wall) / asked["calls"],
            "cpu": (time.process_time() - cpu) / asked["calls"],
        }
        print(json.dumps(answer), flush=True)


def peak_of(step: Trip, payload: int) -> float:
    """How much resident memory rises at most during a step, over the payload. Linux alone."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew: man 5 proc
    before = _peak_kib()
    kept = step()
    rise = _peak_kib() - before
    del kept
    return rise * 1024 / payload


def _peak_kib() -> int:
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])


class Worker(AbstractContextManager["Worker"]):
    """The parent's end: a worker process, killed in the end."""

    def __init__(self, module: str, *args: str, python: str = sys.executable) -> None:
        self._process = subprocess.Popen(
            [python, "-m", module, *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def measure(self, nbytes: int, calls: int) -> dict[str, float]:
        """Wall and processor seconds per call of so many round trips of so many bytes."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"nbytes": nbytes, "calls": calls}) + "\n")
        stdin.flush()
        answer: dict[str, float] = json.loads(stdout.readline())
        return answer

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Kills it."""
        self._process.kill()
        self._process.communicate()
