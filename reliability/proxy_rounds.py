"""Clients that go quiet between calls, and clients that send large messages, each in a process of its own."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from typing import Any

import grpc

from reliability import clients, proxy_mirror
from reliability.ledger import answers_are_right, request

__all__ = ["paired_rounds", "quiet_rounds", "round_trips"]

# A TCP connection for each channel, where grpc would share one among equals.
_OWN = {"grpc.use_local_subchannel_pool": 1}
_LARGE = {"grpc.max_receive_message_length": -1}
_TIMEOUT = 20.0


def quiet_rounds(
    kind: str, address: str, channels: int, rounds: int, quiet: tuple[float, float], seed: int
) -> list[dict[str, Any]]:
    """Each channel makes a call, is quiet for so long (from, to), and goes on; how each call ended, the first left out."""
    return (
        asyncio.run(_quiet_aio(kind, address, channels, rounds, quiet, seed))
        if clients.is_aio(kind)
        else _quiet_threads(kind, address, channels, rounds, quiet, seed)
    )


def _waits(seed: int, number: int, rounds: int, quiet: tuple[float, float]) -> list[float]:
    rng = random.Random(f"{seed}/{number}")
    return [0.0, *(rng.uniform(*quiet) for _ in range(rounds))]


def _quiet_threads(
    kind: str, address: str, channels: int, rounds: int, quiet: tuple[float, float], seed: int
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    def work(number: int) -> None:
        with clients.open_channel(kind, address, args=_OWN) as channel:
            for turn, wait in enumerate(_waits(seed, number, rounds, quiet)):
                time.sleep(wait)
                sent, began, code, details = request(f"{kind}/{number}/{turn}"), time.monotonic(), "OK", ""
                try:
                    clients.collected(
                        channel, "unary_unary", [sent], timeout=_TIMEOUT, metadata=clients.metadata(kind)
                    )
                except grpc.RpcError as error:
                    code, details = error.code().name, str(error.details())
                if turn:
                    found.append({"seconds": time.monotonic() - began, "code": code, "details": details})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(channels)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


async def _quiet_aio(
    kind: str, address: str, channels: int, rounds: int, quiet: tuple[float, float], seed: int
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    async def work(number: int) -> None:
        async with clients.open_channel(kind, address, args=_OWN) as channel:
            for turn, wait in enumerate(_waits(seed, number, rounds, quiet)):
                await asyncio.sleep(wait)
                sent, began, code, details = request(f"{kind}/{number}/{turn}"), time.monotonic(), "OK", ""
                try:
                    await clients.collected_aio(
                        channel, "unary_unary", [sent], timeout=_TIMEOUT, metadata=clients.metadata(kind)
                    )
                except grpc.RpcError as error:
                    code, details = error.code().name, str(error.details())
                if turn:
                    found.append({"seconds": time.monotonic() - began, "code": code, "details": details})

    await asyncio.gather(*(work(number) for number in range(channels)))
    return found


def round_trips(kind: str, address: str, sizes: list[int], seed: int) -> dict[str, Any]:
    """Sends random bytes of each size through the mirror, in a unary call and in a stream; what came back changed."""
    rng = random.Random(seed)
    messages = [(f"{kind}/{size}", rng.randbytes(size)) for size in sizes]
    wrong = (
        asyncio.run(_trips_aio(kind, address, messages))
        if clients.is_aio(kind)
        else _trips(kind, address, messages)
    )
    return {"trips": 2 * len(sizes), "wrong": wrong}


def _open(kind: str, address: str) -> Any:
    return clients.open_channel(kind, address, settings={"profile": "direct"}, args=_LARGE)


def _sent(id: str, payload: bytes) -> bytes:
    return request(id) + payload  # whose filler begins with a byte of its own


def _told(shape: str, id: str, sent: list[bytes], got: list[bytes]) -> str:
    """What is wrong with the answers, in words."""
    same = answers_are_right(shape, id, sent, got)
    return "" if same else f"{id}: {len(got)} answers of {sum(map(len, got))} bytes"


def _trips(kind: str, address: str, messages: list[tuple[str, bytes]]) -> list[str]:
    common = {"timeout": _TIMEOUT, "metadata": clients.metadata(kind), "service": proxy_mirror.SERVICE}
    wrong = []
    with _open(kind, address) as channel:
        for id, payload in messages:
            for shape, many in (("unary_unary", 1), ("stream_stream", 2)):
                sent = [_sent(id, payload)] * many
                try:
                    got = clients.collected(channel, shape, sent, **common)
                    wrong.append(_told(shape, id, sent, got))
                except grpc.RpcError as error:
                    wrong.append(f"{id}: {error.code().name} {error.details()}")
    return [each for each in wrong if each]


async def _trips_aio(kind: str, address: str, messages: list[tuple[str, bytes]]) -> list[str]:
    common = {"timeout": _TIMEOUT, "metadata": clients.metadata(kind), "service": proxy_mirror.SERVICE}
    wrong = []
    async with _open(kind, address) as channel:
        for id, payload in messages:
            for shape, many in (("unary_unary", 1), ("stream_stream", 2)):
                sent = [_sent(id, payload)] * many
                try:
                    got = await clients.collected_aio(channel, shape, sent, **common)
                    wrong.append(_told(shape, id, sent, got))
                except grpc.RpcError as error:
                    wrong.append(f"{id}: {error.code().name} {error.details()}")
    return [each for each in wrong if each]


def paired_rounds(kind: str, bare: str, address: str, size: int, calls: int, rounds: int) -> list[float]:
    """How long rounds of large calls take over one of our channels, each divided by a round over a bare one."""
    if clients.is_aio(kind):
        return asyncio.run(_paired_aio(kind, bare, address, size, calls, rounds))
    sent, ratios = _sent("pair", bytes(size)), []
    with _open(kind, address) as ours, _open(bare, address) as theirs:

        def seconds(one: str, channel: Any) -> float:
            began = time.monotonic()
            for _ in range(calls):
                clients.collected(
                    channel,
                    "unary_unary",
                    [sent],
                    timeout=_TIMEOUT,
                    service=proxy_mirror.SERVICE,
                    metadata=clients.metadata(one),
                )
            return time.monotonic() - began

        for turn in range(rounds + 1):
            # Whoever is first in a round has the colder cache: they take turns.
            if turn % 2:
                mine, other = seconds(kind, ours), seconds(bare, theirs)
            else:
                other, mine = seconds(bare, theirs), seconds(kind, ours)
            ratios.append(mine / other)
    return ratios[1:]


async def _paired_aio(kind: str, bare: str, address: str, size: int, calls: int, rounds: int) -> list[float]:
    sent, ratios = _sent("pair", bytes(size)), []
    async with _open(kind, address) as ours, _open(bare, address) as theirs:

        async def seconds(one: str, channel: Any) -> float:
            began = time.monotonic()
            for _ in range(calls):
                await clients.collected_aio(
                    channel,
                    "unary_unary",
                    [sent],
                    timeout=_TIMEOUT,
                    service=proxy_mirror.SERVICE,
                    metadata=clients.metadata(one),
                )
            return time.monotonic() - began

        for turn in range(rounds + 1):
            if turn % 2:
                mine, other = await seconds(kind, ours), await seconds(bare, theirs)
            else:
                other, mine = await seconds(bare, theirs), await seconds(kind, ours)
            ratios.append(mine / other)
    return ratios[1:]
