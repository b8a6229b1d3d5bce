"""What the clients of the network rows do, each in a process of its own: calls that wait, first calls, many calls.

Every channel has a connection of its own, and one body serves both colours: a blocking call runs in a thread.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from reliability.child import hear, say
from reliability.clients import is_aio, metadata, open_channel
from reliability.ledger import STREAM_LENGTH, answers_are_right, method, request

__all__ = ["Caller", "first_calls", "many_calls", "waiting_calls"]

# Longer than any call of these rows.
_HELD = 300.0


class Caller:
    """One channel of the kind, called in the same way whatever its colour."""

    def __init__(self, kind: str, address: str, threads: ThreadPoolExecutor, **channel: Any) -> None:
        self._kind, self._threads = kind, threads
        # grpcio would give equal channels one connection.
        args = {"grpc.use_local_subchannel_pool": 1, **channel.pop("args", {})}
        self._channel = open_channel(kind, address, args=args, **channel)

    async def call(
        self, shape: str, messages: list[bytes], *, timeout: float, held: bool = False
    ) -> dict[str, Any]:
        """Makes a call and tells how it ended and when; `held`: the stream of requests stays open."""
        made = self._aio if is_aio(self._kind) else self._sync
        began = time.monotonic()
        code, details, answers = "OK", "", []
        try:
            answers = await made(shape, messages, timeout, held)
        except grpc.RpcError as error:
            code, details = error.code().name, error.details() or ""
        ended = time.monotonic()
        return {"code": code, "details": details, "began": began, "ended": ended, "answers": answers}

    async def echo(self, id: str, *, timeout: float = 5.0) -> dict[str, Any]:
        """A small call that has to work."""
        found = await self.call("unary_unary", [request(id)], timeout=timeout)
        found.pop("answers")
        return found

    async def _aio(self, shape: str, messages: list[bytes], timeout: float, held: bool) -> list[bytes]:
        call = getattr(self._channel, shape)(method(shape))
        sent: Any = _later(messages, held) if shape.startswith("stream") else messages[0]
        got = call(sent, timeout=timeout, metadata=metadata(self._kind))
        return [answer async for answer in got] if shape.endswith("stream") else [await got]

    async def _sync(self, shape: str, messages: list[bytes], timeout: float, held: bool) -> list[bytes]:
        def body() -> list[bytes]:
            call = getattr(self._channel, shape)(method(shape))
            sent: Any = _blocking(messages, held) if shape.startswith("stream") else messages[0]
            got = call(sent, timeout=timeout, metadata=metadata(self._kind))
            return list(got) if shape.endswith("stream") else [got]

        return await asyncio.get_running_loop().run_in_executor(self._threads, body)


async def _later(messages: list[bytes], held: bool) -> AsyncIterator[bytes]:
    for message in messages:
        yield message
    if held:
        await asyncio.sleep(_HELD)


def _blocking(messages: list[bytes], held: bool) -> Iterator[bytes]:
    yield from messages
    if held:
        time.sleep(_HELD)


def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count + 2)


# Calls that wait for an answer while their connection dies (C2, C3).


def waiting_calls(kind: str, lanes: list[dict[str, Any]], timeout: float, channel: dict[str, Any]) -> None:
    """Each lane connects, is quiet for its `delay`, and waits for an answer that does not come.

    A lane has `address`, `delay` and `style`: a stream whose first answer has come, or a unary call. Says `up` when all are
    connected, `waited` with how each ended, and, told that the network is whole again, `again` with one more call each.
    """
    asyncio.run(_waiting_calls(kind, lanes, timeout, channel))


async def _waiting_calls(
    kind: str, lanes: list[dict[str, Any]], timeout: float, channel: dict[str, Any]
) -> None:
    threads = _threads(2 * len(lanes))
    callers = [Caller(kind, lane["address"], threads, **channel) for lane in lanes]
    first = await asyncio.gather(*(caller.echo(f"up{n}", timeout=20) for n, caller in enumerate(callers)))
    say("up", codes=sorted({found["code"] for found in first}))
    loop = asyncio.get_running_loop()
    if not await loop.run_in_executor(threads, hear):
        return

    async def waits(number: int) -> dict[str, Any]:
        await asyncio.sleep(lanes[number]["delay"])
        style = lanes[number]["style"]
        shape, verb = ("stream_stream", "echo") if style == "stream" else ("unary_unary", "hold")
        message = request(f"wait{number}", verb)
        found = await callers[number].call(shape, [message], timeout=timeout, held=True)
        return found | {"answers": len(found["answers"])}

    say("waited", found=await asyncio.gather(*(waits(number) for number in range(len(lanes)))))
    await loop.run_in_executor(threads, hear)
    again = await asyncio.gather(*(caller.echo(f"again{n}") for n, caller in enumerate(callers)))
    say("again", found=again)


# First calls after something happened, or after nothing did for long (C4, B5).


def first_calls(
    kind: str, addresses: list[str], idle: list[float], timeout: float, channel: dict[str, Any]
) -> None:
    """Each channel connects; at every word from the parent it makes one call after its idle time, in seconds.

    Says `up` with the codes, and `called` with how each call ended.
    """
    asyncio.run(_first_calls(kind, addresses, idle, timeout, channel))


async def _first_calls(
    kind: str, addresses: list[str], idle: list[float], timeout: float, channel: dict[str, Any]
) -> None:
    threads = _threads(len(addresses))
    callers = [Caller(kind, address, threads, **channel) for address in addresses]
    first = await asyncio.gather(*(caller.echo(f"up{n}", timeout=20) for n, caller in enumerate(callers)))
    say("up", codes=sorted({found["code"] for found in first}))
    loop = asyncio.get_running_loop()
    for turn in itertools.count():
        word = await loop.run_in_executor(threads, hear)
        if not word:
            return
        allowed = json.loads(word).get("timeout", timeout)

        async def calls(number: int, turn: int = turn, allowed: float = allowed) -> dict[str, Any]:
            await asyncio.sleep(idle[number])
            return await callers[number].echo(f"first{turn}-{number}", timeout=allowed)

        say("called", found=await asyncio.gather(*(calls(number) for number in range(len(callers)))))


# Many calls over a bad road (C8, C9).


def many_calls(
    kind: str,
    address: str,
    count: int,
    connections: int,
    workers: int,
    shapes: list[str],
    size: int,
    timeout: float,
) -> list[dict[str, Any]]:
    """Makes `count` calls, so many at a time on so many connections, the shapes in turn; `right`: every byte was."""

    async def made() -> list[dict[str, Any]]:
        threads, numbers = _threads(workers), iter(range(count))
        callers = [Caller(kind, address, threads) for _ in range(connections)]

        async def works(caller: Caller) -> list[dict[str, Any]]:
            return [await _checked(caller, f"n{n}", shapes[n % len(shapes)], size, timeout) for n in numbers]

        found = await asyncio.gather(*(works(callers[n % connections]) for n in range(workers)))
        return [one for each in found for one in each]

    return asyncio.run(made())


async def _checked(caller: Caller, id: str, shape: str, size: int, timeout: float) -> dict[str, Any]:
    several = STREAM_LENGTH if shape.startswith("stream") else 1
    messages = [request(id, size=size, number=number) for number in range(several)]
    found = await caller.call(shape, messages, timeout=timeout)
    right = answers_are_right(shape, id, messages, found["answers"])
    return {
        "shape": shape,
        "code": found["code"],
        "details": found["details"],
        "seconds": found["ended"] - found["began"],
        "right": right,
    }
