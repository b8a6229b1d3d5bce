"""One step of a run in one process: callers that wait for their answers, or a clock that does not wait.

Times are `time.monotonic`, which all processes of a machine share, and which is an event loop's own clock.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Coroutine
from typing import Any

from eas_grpc.load._calls import Once, Sink
from eas_grpc.load._plan import Plan, share
from eas_grpc.load._record import Record, Window
from eas_grpc.load._requests import Payload
from eas_grpc.load._schedule import arrivals

__all__ = ["ClosedLoop", "OpenLoop", "Step", "Watch"]

clock = time.monotonic

# How often a closed loop's generator looks whether it is late; how long calls are waited for after their deadline.
_TICK, _GRACE = 0.02, 1.0
# A generator that is behind: calls started before it looks at answers, and seconds that it may work after the end.
_AT_ONCE, _OVERTIME = 32, 0.25

# Told about windows when they are over.
Watch = Callable[[dict[int, Window]], None]


class Step:
    """What both loops share: `run` until the plan's end or `stop`, then the calls in flight are waited for.

    Begins at `at`; `once` has a way to make a call for each channel, used in turn.
    """

    def __init__(
        self,
        plan: Plan,
        at: float,
        watch: Watch,
        once: list[Once],
        payload: Callable[[], Payload],
        part: int,
    ) -> None:
        self._plan = plan
        self._at = at
        self._watch = watch
        self._once = once
        self._payload = payload
        self._part = part
        self._origin = at + plan.warmup
        how: dict[str, Any] = {
            "since": self._origin,
            "until": self._origin + plan.lasting,
            "window": plan.window_seconds,
            "open_loop": plan.rate is not None,
        }
        self._sink = Sink(Record(), origin=self._origin, **how)
        self._warm = Sink(Record(), origin=at, **how)
        requests = plan.requests
        self._left = math.inf if requests is None else share(requests, part, plan.processes)
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()
        self._exhausted = False
        self._shown = 0
        self._cpu: tuple[float, float, float] | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._broken: BaseException | None = None

    async def run(self) -> tuple[Record, Record]:
        """What was measured, and the same of the warm-up."""
        self._call_at("measure", self._origin, self._measure)
        self._begin()
        try:
            await self._over.wait()
            await self._in_flight()
        finally:
            for timer in self._timers.values():
                timer.cancel()
        if self._broken is not None:
            raise self._broken
        return self._result()

    def stop(self) -> None:
        """Nothing more is started."""
        if not self._over.is_set():
            self._sink.until = self._warm.until = min(self._sink.until, clock())
            self._read_cpu()
            self._over.set()
            self._close_windows()

    def cut(self) -> None:
        """Ends the calls in flight too."""
        self.stop()
        self._sink.cut = self._warm.cut = True
        for task in self._tasks:
            task.cancel()

    def _begin(self) -> None:
        raise NotImplementedError

    def _call_at(self, name: str, when: float, do: Callable[[], None]) -> None:
        self._timers[name] = asyncio.get_running_loop().call_at(when, do)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and self._broken is None:
            self._broken = error
            self.cut()

    def _exhaust(self) -> None:
        """As many requests as were asked for are started."""
        if not self._over.is_set():
            self._exhausted = True
            self.stop()

    async def _in_flight(self) -> None:
        """Waits for the calls in flight: not longer than their deadline lets them be."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._plan.deadline + _GRACE)
        if self._tasks:
            self.cut()
            await asyncio.wait(self._tasks, timeout=_GRACE)

    def _measure(self) -> None:
        """The warm-up is over."""
        self._cpu = (clock(), time.process_time(), time.thread_time())
        self._close_windows()

    def _read_cpu(self) -> None:
        if self._cpu is not None:
            began, process, thread = self._cpu
            passed = max(1e-9, clock() - began)
            self._sink.record.cpu = (time.process_time() - process) / passed
            self._sink.record.thread = (time.thread_time() - thread) / passed

    def _close_windows(self) -> None:
        """Shows the windows that are over, as often as there are such."""
        length = self._plan.window_seconds
        current = int((clock() - self._origin) / length)
        over = range(self._shown, current)
        if over:
            # First, because whoever watches may stop this step.
            self._shown = current
            # A window without any call is one too.
            self._watch({index: self._sink.record.window(index) for index in over})
        if not self._over.is_set():
            self._call_at("window", self._origin + (current + 1) * length, self._close_windows)

    def _result(self) -> tuple[Record, Record]:
        record = self._sink.record
        if self._exhausted:
            record.in_time = record.ok + record.failed
        else:
            # Begun in the warm-up and ended later; as many others end after the run.
            record.in_time += self._warm.record.in_time
        record.seconds = max(0.0, (self._sink.last if self._exhausted else self._sink.until) - self._origin)
        return record, self._warm.record


class ClosedLoop(Step):
    """`concurrency` callers, each starting a call when its last one has ended."""

    def _begin(self) -> None:
        plan = self._plan
        self._slot = self._at
        self._call_at("until", self._sink.until, self.stop)
        for number in range(share(plan.concurrency or 1, self._part, plan.processes)):
            self._spawn(self._caller(self._once[number % len(self._once)]))

    async def _caller(self, once: Once) -> None:
        payload, over, pace = self._payload, self._over.is_set, self._plan.pace
        await asyncio.sleep(max(0.0, self._at - clock()))
        while not over():
            if pace is not None:
                await self._next_slot(self._plan.processes / pace)
                if over():
                    return
            sent = payload()
            due = clock()
            if due < self._origin:
                await once(sent, due, self._warm)
                continue
            if due >= self._sink.until:
                return
            if self._left <= 0:
                self._exhaust()
                return
            self._left -= 1
            await once(sent, due, self._sink)
        # The last answer may be what was waited for.
        if self._left <= 0:
            self._exhaust()

    async def _next_slot(self, distance: float) -> None:
        self._slot = max(self._slot + distance, clock())
        await asyncio.sleep(self._slot - clock())

    def _measure(self) -> None:
        super()._measure()
        self._tick(None)

    def _tick(self, due: float | None) -> None:
        """Counts how late this thread comes to something that is due: an answer that has come waits as long."""
        now = clock()
        if due is not None:
            self._sink.record.lag.add(now - due)
        if not self._over.is_set():
            following = now + _TICK
            self._call_at("tick", following, lambda: self._tick(following))


class OpenLoop(Step):
    """Calls start when they are due, whatever became of the others."""

    def _begin(self) -> None:
        plan = self._plan
        assert plan.rate is not None
        self._room = share(plan.max_in_flight, self._part, plan.processes)
        self._turn = 0
        self._due = arrivals(
            plan.rate,
            at_random=plan.poisson,
            seed=plan.seed,
            until=plan.warmup + plan.lasting,
            part=self._part,
            parts=plan.processes,
        )
        self._following = next(self._due, None)
        self._advance()

    def _advance(self) -> None:
        """Starts what is due by now, then sleeps until something is. Never waits for a call."""
        now = clock() - self._at
        if now > self._sink.until - self._at + _OVERTIME:
            # Far behind: the rest would go on long after the end. It is counted there.
            self.stop()
        before = self._turn
        while (due := self._following) is not None and due <= now and not self._over.is_set():
            if self._turn - before >= _AT_ONCE:
                # Answers that have come must not wait until all is started.
                asyncio.get_running_loop().call_soon(self._advance)
                return
            self._following = next(self._due, None)
            self._start(self._at + due)
        if self._over.is_set():
            return
        if due is None:
            self._call_at("until", self._sink.until, self.stop)
        else:
            self._call_at("advance", self._at + due, self._advance)

    def _start(self, due: float) -> None:
        sink = self._sink if due >= self._origin else self._warm
        if sink is self._sink:
            if self._left <= 0:
                self._exhaust()
                return
            self._left -= 1
        if len(self._tasks) >= self._room:
            sink.record.not_started += 1
            return
        self._turn += 1
        once = self._once[self._turn % len(self._once)]
        self._spawn(once(self._payload(), due, sink))

    def stop(self) -> None:
        """Nothing more is started; what is due already, and late, is counted."""
        if self._over.is_set():
            return
        super().stop()
        now = clock() - self._at
        while not self._exhausted and self._following is not None and self._following <= now:
            sink = self._sink if self._following >= self._plan.warmup else self._warm
            sink.record.not_started += 1
            self._following = next(self._due, None)
