"""A client that makes given calls and tells how long each took and how it ended, for the rows on deadlines and retries."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import grpc

from reliability.child import Child, hear, say
from reliability.clients import collected, collected_aio, is_aio, metadata, open_channel
from reliability.ledger import request

__all__ = ["Batch", "Job", "Timed", "TimedClient", "timed_calls"]


@dataclass(frozen=True)
class Job:
    """`count` calls of one kind; `wait`: for ready."""

    address: str
    verb: str
    argument: str = ""
    timeout: float = 5.0
    count: int = 1
    wait: bool = False


@dataclass(frozen=True)
class Batch:
    """Calls that `parallel` callers share, in an order that `seed` decides.

    The callers begin one after the other within `stagger` seconds, so that the calls do not all end at once.
    """

    jobs: list[Job]
    parallel: int = 1
    stagger: float = 0.0
    seed: str = ""


@dataclass(frozen=True)
class Timed:
    """What the call of a job took, in seconds, and its status."""

    job: Job
    took: float
    status: str


@dataclass
class _Work:
    """What is left of a batch, and what was found."""

    batch: Batch
    left: Any = None
    found: list[tuple[int, float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        each = [number for number, job in enumerate(self.batch.jobs) for _ in range(job.count)]
        random.Random(self.batch.seed).shuffle(each)
        self.left = iter(each)
        self.taking = threading.Lock()

    def take(self) -> int | None:
        with self.taking:
            return next(self.left, None)

    def delay(self, caller: int) -> float:
        return self.batch.stagger * caller / self.batch.parallel


class TimedClient(Child):
    """A client process."""

    def begin(self, batch: Batch) -> Callable[[], list[Timed]]:
        """Begins the calls of a batch; what it returns waits for them."""
        self.tell(json.dumps(asdict(batch)))

        def finish() -> list[Timed]:
            found = self.until("batch", 240.0)["found"]
            return [Timed(batch.jobs[number], took, status) for number, took, status in found]

        return finish

    def make(self, batch: Batch) -> list[Timed]:
        """Makes the calls of a batch."""
        return self.begin(batch)()


# In the client's process.


def timed_calls(kind: str) -> None:
    """Makes batches until its parent is gone."""
    if is_aio(kind):
        asyncio.run(_AioClient(kind).run())
    else:
        _SyncClient(kind).run()


def _batch(word: str) -> Batch:
    told = json.loads(word)
    return Batch(**{**told, "jobs": [Job(**each) for each in told["jobs"]]})


class _Client:
    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.metadata = metadata(kind)
        self.channels: dict[str, Any] = {}
        self.ids = itertools.count()

    def channel(self, address: str) -> Any:
        if address not in self.channels:
            self.channels[address] = open_channel(self.kind, address)
        return self.channels[address]

    def asked(self, job: Job) -> tuple[list[bytes], dict[str, Any]]:
        data = [request(f"{self.kind}-{next(self.ids)}", job.verb, job.argument)]
        # As a user writes it: without wait_for_ready the argument is not given.
        more = {"wait_for_ready": True} if job.wait else {}
        return data, {"timeout": job.timeout, "metadata": self.metadata, **more}


class _SyncClient(_Client):
    def run(self) -> None:
        while word := hear():
            work = _Work(_batch(word))
            callers = [
                threading.Thread(target=self._caller, args=(work, number), daemon=True)
                for number in range(work.batch.parallel)
            ]
            for job in work.batch.jobs:
                self.channel(job.address)
            for each in callers:
                each.start()
            for each in callers:
                each.join()
            say("batch", found=work.found)

    def _caller(self, work: _Work, number: int) -> None:
        time.sleep(work.delay(number))
        while (at := work.take()) is not None:
            job = work.batch.jobs[at]
            channel, (data, how) = self.channel(job.address), self.asked(job)
            began = time.monotonic()
            status = _status(lambda: collected(channel, "unary_unary", data, **how))  # noqa: B023
            work.found.append((at, time.monotonic() - began, status))


def _status(call: Callable[[], Any]) -> str:
    try:
        call()
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


class _AioClient(_Client):
    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while word := await loop.run_in_executor(None, hear):
            work = _Work(_batch(word))
            await asyncio.gather(*(self._caller(work, number) for number in range(work.batch.parallel)))
            say("batch", found=work.found)

    async def _caller(self, work: _Work, number: int) -> None:
        await asyncio.sleep(work.delay(number))
        while (at := work.take()) is not None:
            job = work.batch.jobs[at]
            channel, (data, how) = self.channel(job.address), self.asked(job)
            began, status = time.monotonic(), "OK"
            try:
                await collected_aio(channel, "unary_unary", data, **how)
            except grpc.RpcError as error:
                status = error.code().name
            work.found.append((at, time.monotonic() - began, status))
