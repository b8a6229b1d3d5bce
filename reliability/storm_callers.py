"""A client that calls without end through restarts and GOAWAYs, and notes how each call went."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import grpc

from reliability.child import Child, hear, say
from reliability.clients import collected, collected_aio, is_aio, metadata, open_channel
from reliability.ledger import STREAM_LENGTH, request

__all__ = ["CUT", "Caller", "Callers", "Outcome", "call_until_told", "verdict"]

# A call that ended well and without all of its answers.
CUT = "CUT"


@dataclass(frozen=True)
class Caller:
    """Calls one after another, with a pause of up to `pause` seconds between them; `wait`: for ready."""

    shape: str = "unary_unary"
    verb: str = "echo"
    argument: str = ""
    timeout: float = 5.0
    pause: float = 0.0
    wait: bool = False


@dataclass(frozen=True)
class Outcome:
    """A call: its id, the number of its caller, when it began and ended (monotonic clock), its status."""

    id: str
    caller: int
    began: float
    ended: float
    status: str


class Callers(Child):
    """`with Callers.start(...) as client:` calls from the start; `finish()` gives all outcomes."""

    @classmethod
    def start(
        cls, kind: str, address: str, callers: list[Caller], *, seed: str = "", channels: int = 0
    ) -> Callers:
        """`channels` of their own connections, for the callers in turn; 0 is one that shares as grpc does."""
        return cls(call_until_told, kind, address, [asdict(each) for each in callers], seed, channels)

    def finish(self, timeout: float = 60.0) -> list[Outcome]:
        """Lets the calls under way end, begins no more."""
        self.tell("stop")
        return [Outcome(*each) for each in self.result(timeout)]


def verdict(shape: str, got: int, wanted: int) -> str:
    """The status of a call that ended well with so many answers."""
    return "OK" if got == (wanted if shape.endswith("stream") else 1) else CUT


# In the client's process.


def call_until_told(
    kind: str, address: str, callers: list[dict[str, Any]], seed: str, channels: int
) -> list[tuple[Any, ...]]:
    """Says `calling` once a call went well, calls until it is told to stop, and returns the outcomes."""
    work = _Work(kind, [Caller(**each) for each in callers], seed)
    args = {"grpc.use_local_subchannel_pool": 1} if channels else {}

    def opened() -> list[Any]:
        return [open_channel(kind, address, args=args) for _ in range(max(1, channels))]

    if is_aio(kind):
        asyncio.run(work.run_aio(opened))
    else:
        work.run(opened())
    return work.found


class _Work:
    def __init__(self, kind: str, callers: list[Caller], seed: str) -> None:
        self._kind, self._callers, self._seed = kind, callers, seed
        self._metadata = metadata(kind)
        self._ids = itertools.count()
        self._said = False
        self._saying = threading.Lock()
        self.found: list[tuple[Any, ...]] = []

    def run(self, channels: list[Any]) -> None:
        stopped = threading.Event()
        threads = [
            threading.Thread(
                target=self._calls, args=(channels[number % len(channels)], number, stopped), daemon=True
            )
            for number in range(len(self._callers))
        ]
        for each in threads:
            each.start()
        hear()
        stopped.set()
        for each in threads:
            each.join()

    def _calls(self, channel: Any, number: int, stopped: threading.Event) -> None:
        caller, chance = self._callers[number], random.Random(f"{self._seed}/{number}")
        while not stopped.is_set():
            id, messages, how = self._next(caller)
            began = time.monotonic()
            try:
                got = collected(channel, caller.shape, messages, **how)
                status = verdict(caller.shape, len(got), _answers(caller))
            except grpc.RpcError as error:
                status = error.code().name
            self._note(id, number, began, status)
            if caller.pause or status != "OK":
                stopped.wait(self._pause(caller, chance, status))

    async def run_aio(self, opened: Callable[[], list[Any]]) -> None:
        # A bare channel belongs to the loop in which it is made.
        channels, stopped = opened(), asyncio.Event()
        tasks = [
            asyncio.ensure_future(self._calls_aio(channels[number % len(channels)], number, stopped))
            for number in range(len(self._callers))
        ]
        await asyncio.get_running_loop().run_in_executor(None, hear)
        stopped.set()
        await asyncio.gather(*tasks)

    async def _calls_aio(self, channel: Any, number: int, stopped: asyncio.Event) -> None:
        caller, chance = self._callers[number], random.Random(f"{self._seed}/{number}")
        while not stopped.is_set():
            id, messages, how = self._next(caller)
            began = time.monotonic()
            try:
                got = await collected_aio(channel, caller.shape, messages, **how)
                status = verdict(caller.shape, len(got), _answers(caller))
            except grpc.RpcError as error:
                status = error.code().name
            self._note(id, number, began, status)
            if caller.pause or status != "OK":
                await asyncio.sleep(self._pause(caller, chance, status))

    def _next(self, caller: Caller) -> tuple[str, list[bytes], dict[str, Any]]:
        id = f"{self._kind}-{self._seed}-{next(self._ids)}"
        # A stream of requests has one caller's verb in its first message, and echoes after it.
        more = STREAM_LENGTH - 1 if caller.shape.startswith("stream") else 0
        messages = [request(id, caller.verb, caller.argument), *(request(id) for _ in range(more))]
        waits = {"wait_for_ready": True} if caller.wait else {}
        return id, messages, {"timeout": caller.timeout, "metadata": self._metadata, **waits}

    def _note(self, id: str, number: int, began: float, status: str) -> None:
        self.found.append((id, number, began, time.monotonic(), status))
        if status == "OK" and not self._said:
            with self._saying:
                if not self._said:
                    self._said = True
                    say("calling")

    @staticmethod
    def _pause(caller: Caller, chance: random.Random, status: str) -> float:
        # Who fails at once would otherwise spin.
        return chance.uniform(0, caller.pause) + (0.02 if status != "OK" else 0.0)


def _answers(caller: Caller) -> int:
    """How many answers a stream has to have."""
    if caller.shape == "unary_stream" and caller.verb == "count":
        return int(caller.argument)
    return STREAM_LENGTH
