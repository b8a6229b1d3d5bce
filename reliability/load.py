"""A client that makes calls of all shapes without a pause and writes down how each one ended.

`Child(run, kind, address, ...)`: `kind` as in `clients`; the child says `up` after its first good answer, and a word from
the parent ends it. What is sent is decided by the seed alone; how calls end, by the network.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import grpc

from reliability.child import hear, say
from reliability.clients import collected, collected_aio, is_aio, metadata, open_channel
from reliability.history import Call
from reliability.ledger import SERVICE, SHAPES, STREAM_LENGTH, answers_are_right, request

__all__ = ["run"]


def run(
    kind: str,
    address: str,
    history: str,
    *more: Any,
) -> dict[str, Any]:
    """Calls until told to stop; `more` are seconds at most, workers, shapes, seed, timeout and the rest of `Plan`."""
    plan = Plan(kind, address, *more)
    recorder = _Recorder(Path(history))
    stopped = threading.Event()
    threading.Thread(target=lambda: (hear(), stopped.set()), daemon=True).start()
    if is_aio(kind):
        asyncio.run(_run_aio(plan, recorder, stopped))
    else:
        _run_threads(plan, recorder, stopped)
    recorder.close()
    return {"calls": recorder.calls}


class Plan:
    """What a worker sends, by its number and the seed."""

    def __init__(
        self,
        kind: str,
        address: str,
        seconds: float,
        workers: int = 8,
        shapes: Iterable[str] = SHAPES,
        seed: int = 0,
        timeout: float = 5.0,
        largest: int = 2000,
        excluded: bool = False,
        channel: dict[str, Any] | None = None,
        pause: float = 0.002,
    ) -> None:
        self.kind, self.address, self.seconds, self.workers = kind, address, seconds, workers
        self.shapes, self.seed, self.timeout = tuple(shapes), seed, timeout
        self.largest, self.pause, self.excluded = largest, pause, excluded
        # Apart from those of other clients of the same ledger.
        self.name = f"{kind}-excluded" if excluded else kind
        self.channel = dict(channel or {})
        # What is not tried again should not fail before it is sent either.
        self.waits = True if excluded else None
        if excluded:
            settings = {**self.channel.get("settings", {}), "exclude": [SERVICE]}
            self.channel["settings"] = settings

    def open(self) -> Any:
        """The channel that all workers share."""
        return open_channel(self.kind, self.address, **self.channel)

    def worker(self, number: int) -> _Worker:
        """What this worker does."""
        return _Worker(self, number)


class _Worker:
    def __init__(self, plan: Plan, number: int) -> None:
        self._plan, self._number = plan, number
        self._rng = random.Random(f"{plan.seed}/{number}")
        self._count = 0

    def next(self) -> tuple[str, str, list[bytes], float]:
        """Id, shape and messages of the next call, and the pause after it."""
        self._count += 1
        id = f"{self._plan.name}-{self._number}-{self._count}"
        shape = self._rng.choice(self._plan.shapes)
        size = self._rng.randrange(self._plan.largest + 1)
        many = STREAM_LENGTH if shape.startswith("stream") else 1
        return (
            id,
            shape,
            [request(id, size=size, number=number) for number in range(many)],
            self._rng.random() * self._plan.pause,
        )

    def call(self, id: str, shape: str, sent: list[bytes], began: float, ended: float, how: Any) -> Call:
        """How a call ended: with answers, or with an error of grpc's."""
        plan = self._plan
        common = {"id": id, "shape": shape, "began": began, "ended": ended, "timeout": plan.timeout}
        if isinstance(how, list):
            right = answers_are_right(shape, id, sent, how)
            details = "" if right else repr([each[:16] + b".." + each[-5:] for each in how])[:400]
            return Call(**common, code="OK", details=details, right=right, retried=not plan.excluded)
        if not isinstance(how, grpc.RpcError):
            # Nothing but grpc's own errors may come out of a call.
            return Call(**common, code=type(how).__name__, details=str(how), retried=not plan.excluded)
        return Call(**common, code=how.code().name, details=str(how.details()), retried=not plan.excluded)


class _Recorder:
    def __init__(self, path: Path) -> None:
        self._file = path.open("w")
        self._lock = threading.Lock()
        self.calls = 0

    def write(self, call: Call) -> None:
        with self._lock:
            self._file.write(f"{call}\n")
            self.calls += 1
            if self.calls == 1:
                say("up")

    def close(self) -> None:
        with self._lock:
            self._file.close()


def _run_threads(plan: Plan, recorder: _Recorder, stopped: threading.Event) -> None:
    until = time.monotonic() + plan.seconds
    channel, sent_by_hand = plan.open(), metadata(plan.kind)

    def work(number: int) -> None:
        worker = plan.worker(number)
        while not stopped.is_set() and time.monotonic() < until:
            id, shape, messages, pause = worker.next()
            began, how = time.monotonic(), None
            try:
                how = collected(
                    channel,
                    shape,
                    messages,
                    timeout=plan.timeout,
                    metadata=sent_by_hand,
                    wait_for_ready=plan.waits,
                )
            except (Exception, asyncio.CancelledError) as error:
                how = error
            recorder.write(worker.call(id, shape, messages, began, time.monotonic(), how))
            time.sleep(pause)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(plan.workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    channel.close()


async def _run_aio(plan: Plan, recorder: _Recorder, stopped: threading.Event) -> None:
    until = time.monotonic() + plan.seconds
    sent_by_hand = metadata(plan.kind)

    async def work(channel: Any, number: int) -> None:
        worker = plan.worker(number)
        while not stopped.is_set() and time.monotonic() < until:
            id, shape, messages, pause = worker.next()
            began, how = time.monotonic(), None
            try:
                how = await collected_aio(
                    channel,
                    shape,
                    messages,
                    timeout=plan.timeout,
                    metadata=sent_by_hand,
                    wait_for_ready=plan.waits,
                )
            except (Exception, asyncio.CancelledError) as error:
                how = error
            recorder.write(worker.call(id, shape, messages, began, time.monotonic(), how))
            await asyncio.sleep(pause)

    async with plan.open() as channel:
        await asyncio.gather(*(work(channel, number) for number in range(plan.workers)))
