"""Clients whose token changes while they call, and the gateway that refuses the old one (row F1)."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

from reliability.child import hear, say
from reliability.clients import OURS, collected, collected_aio, is_aio, metadata, open_channel
from reliability.ledger import SHAPES, STREAM_LENGTH, answers_are_right, method, request
from server_demo.gateway import Gateway, GatewayOptions, Service

__all__ = ["gateway", "herd", "load"]

_SERVICE = "ledger"
_TIMEOUT = 10.0
# One answer of a source that asks over the network takes about as long.
_FETCH_SECONDS = 0.05
# A mean pause between two calls of a worker: the gateway is not what is measured.
_PAUSE = 0.2
_SINGLE_REQUEST = ("unary_unary", "unary_stream")


def gateway(upstream: str, tokens: list[str]) -> None:
    """A gateway in front of `upstream`; a word sets the tokens that it accepts, `?` asks for the refusals since then."""
    options = GatewayOptions(rate_limit=0, keepalive=30.0)
    with Gateway(Service(name=_SERVICE, grpc=upstream, tokens=tuple(tokens)), options=options) as one:
        say("ready", address=one.address)
        seen = 0
        while word := hear():
            if word == "?":
                calls = one.calls(after=seen)
                say("refused", count=sum(each.status == "UNAUTHENTICATED" for each in calls))
            else:
                one.configure(_SERVICE, tokens=tuple(word.split()))
                seen = max((each.number for each in one.calls()), default=0)
                say("set")


class Source:
    """A token source as users write them, a callable that is asked for each call; it counts how often."""

    def __init__(self, token: str) -> None:
        self._lock = threading.Lock()
        self.token, self.asked = token, 0

    def __call__(self) -> str:
        """The token now."""
        with self._lock:
            self.asked += 1
        return self.token


def load(kind: str, how: str, address: str, first: str, workers: int, seed: int) -> dict[str, Any]:
    """Calls until told `stop`; `how` is `callable`, `file` (then `first` is its path) or `text`, which stays as it is.

    The word `late` leaves the shapes that send one request, which alone can be sent again; any other is the new token.
    """
    source = Source(first)
    token: Any = {"callable": source, "file": Path(first), "text": first}[how]
    plan = _Load(kind, address, token, metadata(kind, first), workers, seed)
    threading.Thread(target=_listen, args=(plan, source), daemon=True).start()
    if is_aio(kind):
        asyncio.run(plan.run_aio())
    else:
        plan.run_threads()
    return {
        "calls": plan.begun,
        "failed": dict(plan.failed),
        "extra": source.asked - plan.begun if how == "callable" else 0,
    }


def _listen(plan: _Load, source: Source) -> None:
    while (word := hear()) not in {"", "stop"}:
        if word == "late":
            plan.shapes = _SINGLE_REQUEST
        else:
            source.token = word
        say("took")
    plan.stopped.set()


class _Load:
    def __init__(self, kind: str, address: str, token: Any, by_hand: Any, workers: int, seed: int) -> None:
        self._open: Callable[[], Any] = lambda: open_channel(kind, address, token=token)
        self._by_hand, self._kind, self._workers, self._seed = by_hand, kind, workers, seed
        self._lock = threading.Lock()
        self.stopped = threading.Event()
        self.shapes = SHAPES
        self.begun, self.failed = 0, Counter()

    def run_threads(self) -> None:
        with self._open() as channel:
            threads = [
                threading.Thread(target=self._work, args=(channel, each)) for each in range(self._workers)
            ]
            for thread in threads:
                thread.start()
            say("up")
            for thread in threads:
                thread.join()

    async def run_aio(self) -> None:
        async with self._open() as channel:
            tasks = [asyncio.create_task(self._work_aio(channel, each)) for each in range(self._workers)]
            say("up")
            await asyncio.gather(*tasks)

    def _work(self, channel: Any, number: int) -> None:
        rng = random.Random(f"{self._seed}/{self._kind}/{number}")
        while not self.stopped.wait(rng.random() * 2 * _PAUSE):
            shape, id, messages = self._next(rng)
            try:
                got = collected(channel, shape, messages, timeout=_TIMEOUT, metadata=self._by_hand)
            except grpc.RpcError as error:
                self._note(error.code().name)
            else:
                self._judge(shape, id, messages, got)

    async def _work_aio(self, channel: Any, number: int) -> None:
        rng = random.Random(f"{self._seed}/{self._kind}/{number}")
        while not self.stopped.is_set():
            await asyncio.sleep(rng.random() * 2 * _PAUSE)
            shape, id, messages = self._next(rng)
            try:
                got = await collected_aio(channel, shape, messages, timeout=_TIMEOUT, metadata=self._by_hand)
            except grpc.RpcError as error:
                self._note(error.code().name)
            else:
                self._judge(shape, id, messages, got)

    def _next(self, rng: random.Random) -> tuple[str, str, list[bytes]]:
        with self._lock:
            self.begun += 1
            id = f"{self._kind}-{self.begun}"
        shape = rng.choice(self.shapes)
        many = STREAM_LENGTH if shape.startswith("stream") else 1
        return shape, id, [request(id, size=rng.randrange(500))] * many

    def _judge(self, shape: str, id: str, messages: list[bytes], got: list[bytes]) -> None:
        if not answers_are_right(shape, id, messages, got):
            self._note("wrong answer")

    def _note(self, how: str) -> None:
        with self._lock:
            self.failed[how] += 1


class _Held(Source):
    """Gives the first `callers` of a round the old token, all at the same time; whoever asks again waits for a new one."""

    def __init__(self, token: str, callers: int, *, block: bool) -> None:
        super().__init__(token)
        self._callers, self._block = callers, block
        self._counting = threading.Lock()
        self.begin_round()

    def begin_round(self) -> None:
        """The next `callers` asks belong to calls that begin."""
        self._left, self.asked = self._callers, 0
        self.all_in, self.go = threading.Event(), threading.Event()

    def __call__(self) -> str:
        with self._counting:
            self.asked += 1
            beginning, self._left = self._left > 0, max(0, self._left - 1)
            old = self.token
            if self._left == 0:
                self.all_in.set()
        if not beginning:
            time.sleep(_FETCH_SECONDS)
            return self.token
        if self._block:
            self.go.wait(_TIMEOUT)
        return old


def herd(kind: str, address: str, token: str, callers: int, rounds: int) -> None:
    """In each round `callers` calls begin with the same token, which the parent has refused by the time they are sent.

    Says `held` when all have their token, and `done` with the failed calls and how often the source was asked again.
    """
    assert kind in OURS
    if is_aio(kind):
        asyncio.run(_herd_aio(kind, address, token, callers, rounds))
        return
    source = _Held(token, callers, block=True)
    with open_channel(kind, address, token=source) as channel:
        collected(channel, "unary_unary", [request("warm")], timeout=_TIMEOUT, metadata=_own(token))
        for _ in range(rounds):
            source.begin_round()
            failed: list[str] = []

            def call(failed: list[str] = failed) -> None:
                try:
                    collected(channel, "unary_unary", [request("herd")], timeout=_TIMEOUT)
                except grpc.RpcError as error:
                    failed.append(error.code().name)

            threads = [threading.Thread(target=call) for _ in range(callers)]
            for thread in threads:
                thread.start()
            source.all_in.wait(_TIMEOUT)
            say("held")
            source.token = hear()
            source.go.set()
            for thread in threads:
                thread.join()
            say("done", failed=failed, extra=source.asked - callers)


async def _herd_aio(kind: str, address: str, token: str, callers: int, rounds: int) -> None:
    source = _Held(token, callers, block=False)
    async with open_channel(kind, address, token=source) as channel:
        await collected_aio(channel, "unary_unary", [request("warm")], timeout=_TIMEOUT, metadata=_own(token))
        stub = channel.unary_unary(method("unary_unary"))
        for _ in range(rounds):
            source.begin_round()
            # None is sent before this task waits for something.
            calls = [stub(request("herd"), timeout=_TIMEOUT) for _ in range(callers)]
            say("held")
            source.token = hear()
            ended = await asyncio.gather(*calls, return_exceptions=True)
            failed = [type(each).__name__ for each in ended if isinstance(each, BaseException)]
            say("done", failed=failed, extra=source.asked - callers)


def _own(token: str) -> tuple[tuple[str, str], ...]:
    """The same token by hand, so that the source is not asked."""
    return (("authorization", f"Bearer {token}"),)
