"""What the clients of the endurance rows do, in processes of their own."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import statistics
import time
from array import array
from typing import Any

import grpc

from reliability.clients import collected, collected_aio, is_aio, metadata, open_channel
from reliability.ledger import method, request
from reliability.sampler import sample

__all__ = ["cancelled_streams", "channels", "long_stream", "soak"]

_WARM = 50
_TIMEOUT = 20.0


def _either(kind: str, blocking: Any, coroutine: Any) -> Any:
    """Runs the one of two that fits the kind of channel."""
    return asyncio.run(coroutine()) if is_aio(kind) else blocking()


def _room(kind: str) -> dict[str, Any]:
    """Sizes beyond a gateway's are asked for by name."""
    return {"settings": {"profile": "direct"}} if kind in {"sync", "aio"} else {}


def soak(kind: str, address: str, calls: int, up: int, down: int) -> dict[str, Any]:
    """Makes the same call again and again; failures, the 99th percentile in seconds, and when it began."""
    sent, hand = [request("soak", "size", down, size=up)], metadata(kind)
    # Made as a whole, so that it does not grow with the calls.
    took, done, failures, began = array("d", bytes(8 * calls)), 0, 0, time.monotonic()

    def note(start: float) -> None:
        nonlocal done
        took[done] = time.monotonic() - start
        done += 1

    def blocking() -> None:
        nonlocal failures
        with open_channel(kind, address, **_room(kind)) as channel:
            for _ in range(calls):
                start = time.monotonic()
                try:
                    collected(channel, "unary_unary", sent, timeout=_TIMEOUT, metadata=hand)
                except grpc.RpcError:
                    failures += 1
                note(start)

    async def coroutine() -> None:
        nonlocal failures
        async with open_channel(kind, address, **_room(kind)) as channel:
            for _ in range(calls):
                start = time.monotonic()
                try:
                    await collected_aio(channel, "unary_unary", sent, timeout=_TIMEOUT, metadata=hand)
                except grpc.RpcError:
                    failures += 1
                note(start)

    _either(kind, blocking, coroutine)
    return {"failures": failures, "p99": statistics.quantiles(took, n=100)[98], "began": began}


def channels(kind: str, address: str, count: int) -> dict[str, int]:
    """Makes, uses and closes channels one after the other; what is left of them."""
    sent, hand = [request("one")], metadata(kind)
    # A pool of its own: equal channels of a process would share one connection.
    alone = {"grpc.use_local_subchannel_pool": 1}

    def blocking() -> dict[str, int]:
        def one() -> None:
            with open_channel(kind, address, args=alone) as channel:
                collected(channel, "unary_unary", sent, timeout=_TIMEOUT, metadata=hand)
                collected(channel, "stream_stream", sent, timeout=_TIMEOUT, metadata=hand)

        for _ in range(_WARM):
            one()
        before = _settled(None)
        for _ in range(count):
            one()
        return _left(before, _settled(before))

    async def coroutine() -> dict[str, int]:
        async def one() -> None:
            async with open_channel(kind, address, args=alone) as channel:
                await collected_aio(channel, "unary_unary", sent, timeout=_TIMEOUT, metadata=hand)
                await collected_aio(channel, "stream_stream", sent, timeout=_TIMEOUT, metadata=hand)

        for _ in range(_WARM):
            await one()
        before = _settled(None)
        for _ in range(count):
            await one()
        return _left(before, _settled(before))

    return _either(kind, blocking, coroutine)


def _settled(before: Any) -> Any:
    """A look at this process; core closes what a channel had a moment after it."""
    gc.collect()
    until = time.monotonic() + 3
    while True:
        now = sample(os.getpid())
        time.sleep(0.1)
        again = sample(os.getpid())
        calm = (now.descriptors, now.threads) == (again.descriptors, again.threads)
        done = before is None or (again.descriptors <= before.descriptors and again.threads <= before.threads)
        if (calm and done) or time.monotonic() > until:
            return again


def _left(before: Any, after: Any) -> dict[str, int]:
    return {
        "descriptors": after.descriptors - before.descriptors,
        "threads": after.threads - before.threads,
        "memory": after.rss - before.rss,
    }


def cancelled_streams(kind: str, address: str, count: int, seed: int) -> int:
    """Opens streams of responses and cancels each after some of its messages; how many."""
    rng, hand = random.Random(seed), metadata(kind)

    def blocking() -> int:
        with open_channel(kind, address) as channel:
            call = channel.unary_stream(method("unary_stream"))
            for number in range(count):
                stream = call(request(f"s{number}", "count", 1000), timeout=_TIMEOUT, metadata=hand)
                for _ in range(rng.randrange(4)):
                    next(stream)
                stream.cancel()
        return count

    async def coroutine() -> int:
        async with open_channel(kind, address) as channel:
            call = channel.unary_stream(method("unary_stream"))
            for number in range(count):
                stream = call(request(f"s{number}", "count", 1000), timeout=_TIMEOUT, metadata=hand)
                for _ in range(rng.randrange(4)):
                    await stream.read()
                stream.cancel()
        return count

    return _either(kind, blocking, coroutine)


def long_stream(kind: str, address: str, messages: int) -> dict[str, Any]:
    """Reads one stream to its end; how many messages came, and when it began."""
    sent, hand, began = request("long", "count", messages), metadata(kind), time.monotonic()

    def blocking() -> int:
        with open_channel(kind, address) as channel:
            return sum(1 for _ in channel.unary_stream(method("unary_stream"))(sent, metadata=hand))

    async def coroutine() -> int:
        async with open_channel(kind, address) as channel:
            stream = channel.unary_stream(method("unary_stream"))(sent, metadata=hand)
            count = 0
            async for _ in stream:
                count += 1
            return count

    return {"messages": _either(kind, blocking, coroutine), "began": began}
