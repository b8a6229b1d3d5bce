"""A name that changes its addresses: a tiny name server whose answers the judge decides, and a client that calls all the time.

The packets of the name server are pure functions (RFC 1035, A records only); it answers whatever name it is asked for.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from reliability.child import Child, hear, say
from reliability.network_calls import Caller
from reliability.server import Serving, serving

__all__ = ["Hosts", "answered", "asked_for", "name_server", "steady_calls"]

_A, _IN = 1, 1
_ANSWER, _NO_SUCH_NAME = 0x8580, 0x8583


def asked_for(query: bytes) -> tuple[str, int]:
    """The name and the type of record that a query asks for; raises ValueError for what is none."""
    labels, at = [], 12
    try:
        while length := query[at]:
            if length > 63:
                raise ValueError("a query holds no pointers")
            labels.append(query[at + 1 : at + 1 + length].decode("ascii"))
            at += 1 + length
        kind = int.from_bytes(query[at + 1 : at + 3], "big")
        if len(query) < at + 5:
            raise ValueError("the query ends early")
    except IndexError:
        raise ValueError("the query ends early") from None
    return ".".join(labels), kind


def answered(query: bytes, addresses: list[str]) -> bytes:
    """The answer to a query: these IPv4 addresses; without any there is no such name."""
    name, kind = asked_for(query)
    # The question is sent back without what may follow it (EDNS).
    question = query[12 : 12 + len(name) + 2 + 4]
    records = b""
    given = addresses if kind == _A else []
    for address in given:
        # The name is that of the question (a pointer to byte 12), and nobody may remember it.
        records += b"\xc0\x0c" + _words(_A, _IN, 0, 0, 4) + socket.inet_aton(address)
    flags = _ANSWER if addresses else _NO_SUCH_NAME
    return query[:2] + _words(flags, 1, len(given), 0, 0) + question + records


def _words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(2, "big") for number in numbers)


class Hosts:
    """The judge's side: servers at one port of several addresses, and what the name server says of them."""

    port = 50051

    def __init__(
        self, addresses: Sequence[str], wrap: tuple[str, ...], names: Child, stack: ExitStack
    ) -> None:
        self._addresses, self._wrap, self._names, self._stack = addresses, wrap, names, stack
        self._running: dict[int, Serving] = {}
        self.steps: list[tuple[str, float]] = []

    def start(self, *numbers: int) -> None:
        """Servers at these addresses."""
        for number in numbers:
            started = serving("asyncio", host=self._addresses[number], port=self.port, wrap=self._wrap)
            self._running[number] = self._stack.enter_context(started)

    def name(self, *numbers: int) -> int:
        """What the name means from now on; how often it was asked for so far."""
        self._names.tell(json.dumps([self._addresses[number] for number in numbers]))
        return int(self._names.until("set")["queries"])

    def change(self, what: str, *, to: tuple[int, ...], gone: int, overlap: float = 1.0) -> None:
        """The name changes, and after the overlap one server goes without a word; some seconds of calls follow."""
        self.steps.append((what, time.monotonic()))
        self.name(*to)
        time.sleep(overlap)
        self._running[gone].kill()
        time.sleep(4.0)


# In processes of their own.


def name_server(host: str, addresses: list[str]) -> None:
    """Answers on port 53 of `host`; a word of the parent's, a JSON list, sets the addresses. Says `set` with the queries so far."""
    current = {"addresses": addresses, "queries": 0}
    bare = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bare.bind((host, 53))
    threading.Thread(target=_answer_all, args=(bare, current), daemon=True).start()
    say("ready")
    while word := hear():
        current["addresses"] = json.loads(word)
        say("set", queries=current["queries"])


def _answer_all(bare: socket.socket, current: dict[str, Any]) -> None:
    while True:
        query, sender = bare.recvfrom(4096)
        try:
            reply = answered(query, current["addresses"])
            current["queries"] += asked_for(query)[1] == _A
        except ValueError:
            continue
        bare.sendto(reply, sender)


def steady_calls(
    kind: str, address: str, workers: int, pause: float, channel: dict[str, Any]
) -> dict[str, Any]:
    """Calls with short pauses until the parent says a word; how many calls, and those that failed."""
    return asyncio.run(_steady_calls(kind, address, workers, pause, channel))


async def _steady_calls(
    kind: str, address: str, workers: int, pause: float, channel: dict[str, Any]
) -> dict[str, Any]:
    threads = ThreadPoolExecutor(workers + 2)
    caller = Caller(kind, address, threads, **channel)
    first = await caller.echo("up", timeout=20)
    say("up", codes=[first["code"]])
    word = asyncio.get_running_loop().run_in_executor(threads, hear)
    numbers, calls, failed = itertools.count(), 0, []

    async def works() -> None:
        nonlocal calls
        while not word.done():
            found = await caller.echo(f"n{next(numbers)}")
            calls += 1
            if found["code"] != "OK":
                failed.append(found)
            await asyncio.sleep(pause)

    await asyncio.gather(*(works() for _ in range(workers)))
    return {"calls": calls, "failed": failed, "ended": time.monotonic()}
