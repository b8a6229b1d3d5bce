"""A whole run: workers, steps, the end when it is due, stable or asked for, and the result."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from eas_grpc.auth import Token, token_source
from eas_grpc.load._assemble import Outcome, result
from eas_grpc.load._crew import RemoteWorker
from eas_grpc.load._job import Job
from eas_grpc.load._loop import run_on_time
from eas_grpc.load._plan import Plan
from eas_grpc.load._record import Record, Window, windows_merged
from eas_grpc.load._result import Result
from eas_grpc.load._stable import Figures, is_stable
from eas_grpc.load._worker import Worker

__all__ = ["Progress", "run"]

# Until the first call: time in which every process has read what to do.
_LEAD = 0.05


@dataclass(frozen=True)
class Progress:
    """How far a run is: after each window, of all processes together."""

    step: Plan
    number: int
    of: int
    # Seconds of this step that were measured so far.
    at: float
    rate: float
    p99: float | None
    failed: int
    in_flight: int


def run(
    job: Job,
    *,
    token: Token | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> Result:
    """Makes the calls and says what came of it.

    In the main thread, an interrupt (Ctrl-C) ends the run early with what it has measured, a second one without waiting
    for the calls in flight; so does `stop`, from anywhere. Then the result's `interrupted` is true. Raises the CallError
    of a call that finds no connection, ConfigError for what cannot be sent.
    """
    return run_on_time(_Run(job, token, progress, stop).whole())


class _Run:
    def __init__(
        self,
        job: Job,
        token: Token | None,
        progress: Callable[[Progress], None],
        stop: threading.Event | None,
    ) -> None:
        self._job = job
        self._progress = progress
        self._asked_to_stop = stop
        self._interrupted = False
        many = job.plan.processes
        self._workers: list[Any] = (
            [Worker(job, token)]
            if many == 1
            else [RemoteWorker(job, token_source(token), part) for part in range(many)]
        )

    async def whole(self) -> Result:
        """Everything, from connecting to the result."""
        started = datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
        watching = asyncio.ensure_future(self._watch_stop())
        with _Interrupts(self._interrupt):
            try:
                await asyncio.gather(*(worker.open() for worker in self._workers))
                steps = self._job.plan.steps()
                outcomes: list[Outcome] = []
                for number, plan in enumerate(steps):
                    if outcomes and self._interrupted:
                        break
                    outcomes.append(await self._step(plan, number, len(steps)))
            finally:
                watching.cancel()
                await asyncio.gather(*(worker.close() for worker in self._workers))
        return result(self._job, outcomes, started=started, interrupted=self._interrupted)

    def _interrupt(self) -> None:
        for worker in self._workers:
            if self._interrupted:
                worker.cut()
            else:
                worker.stop()
        self._interrupted = True

    async def _watch_stop(self) -> None:
        while self._asked_to_stop is not None:
            if self._asked_to_stop.is_set():
                self._interrupt()
                return
            await asyncio.sleep(0.05)

    async def _step(self, plan: Plan, number: int, of: int) -> Outcome:
        tracker = _Tracker(plan, number, of, self._progress, self._end_step)
        at = time.monotonic() + _LEAD
        found = await asyncio.gather(
            *(
                worker.run(plan, at, lambda windows, part=part: tracker.seen(part, windows))
                for part, worker in enumerate(self._workers)
            )
        )
        return Outcome(
            plan,
            Record.merged(record for record, _ in found),
            Record.merged(warm for _, warm in found),
            tracker.figures if plan.until_stable else [],
            tracker.stable if plan.until_stable else None,
        )

    def _end_step(self) -> None:
        for worker in self._workers:
            worker.end_step()


class _Tracker:
    """Puts the windows of all processes together as they come, and says when they have become alike."""

    def __init__(
        self,
        plan: Plan,
        number: int,
        of: int,
        progress: Callable[[Progress], None],
        end_step: Callable[[], None],
    ) -> None:
        self._plan = plan
        self._number = number
        self._of = of
        self._tell = progress
        self._end_step = end_step
        self._parts: list[dict[int, Window]] = [{} for _ in range(plan.processes)]
        self._failed = 0
        self._in_flight = 0
        self.figures: list[Figures] = []
        self.stable = False

    def seen(self, part: int, windows: dict[int, Window]) -> None:
        """Windows of one process that are over."""
        self._parts[part].update(windows)
        while all(len(self.figures) in one for one in self._parts):
            self._over(len(self.figures))

    def _over(self, index: int) -> None:
        length = self._plan.window_seconds
        window = windows_merged({index: one.pop(index)} for one in self._parts)[index]
        self._failed += window.failed
        self._in_flight += window.started - window.ok - window.failed
        rate, p99 = (window.ok + window.failed) / length, window.latency.percentile(99)
        self.figures.append(Figures(index * length, p99, rate))
        at = (index + 1) * length
        self._tell(Progress(self._plan, self._number, self._of, at, rate, p99, self._failed, self._in_flight))
        if self._plan.until_stable and not self.stable:
            self.stable = is_stable(self.figures, self._plan.stable_within)
            if self.stable:
                self._end_step()


class _Interrupts:
    """Hands SIGINT to a callback while it is open; nothing outside the main thread, which gets no signals."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._before: Any = None
        self._main = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> None:
        if self._main:
            self._before = signal.getsignal(signal.SIGINT)
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._callback)

    def __exit__(self, *_: object) -> None:
        if self._main:
            asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)
            if self._before is not None:
                signal.signal(signal.SIGINT, self._before)
