"""A TCP proxy on loopback that goes wrong on demand, with toxiproxy's names for the ways, in a process of its own.

`with FaultProxy(server.address) as proxy:` passes `proxy.address` on to the server. Toxics hold for the connections that
are open and for later ones, until they are removed:

| toxic | what it does | attributes |
|---|---|---|
| latency | delays each piece | latency, jitter: seconds |
| bandwidth | lets so much through | rate: bytes a second |
| slicer | cuts into small pieces | size: bytes, delay: seconds |
| timeout | swallows everything; closes after a while | timeout: seconds, 0 for never |
| freeze | stops reading, so that the sender's window closes | |
| limit_data | closes after so much | bytes |
| slow_close | passes the end of a side on late | delay: seconds |
| corrupt | flips one bit in some of the pieces | share: 0 to 1 |
| down | refuses connections, and resets those that are open | |

`kill` (a reset), `half_open` (the end of one side alone) and `targets` (where new connections go, by chance) happen at
once. A proxy acknowledges what it swallows: packets that vanish need a namespace and a firewall.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import socket
import struct
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from reliability.child import Child, say

__all__ = ["FaultProxy"]

_CHUNK = 65536
_LINGER_NONE = struct.pack("ii", 1, 0)


class FaultProxy(Child):
    """The proxy as the judge sees it; `direction` is `up` (to the server), `down` or `both`."""

    def __init__(
        self, *targets: str, seed: int = 0, host: str = "127.0.0.1", wrap: tuple[str, ...] = ()
    ) -> None:
        super().__init__(serve, list(targets), seed, host, wrap=wrap)
        self.address: str = self.until("ready")["address"]

    def add(self, kind: str, *, direction: str = "both", **attributes: float) -> int:
        """Puts a toxic on; returns what `remove` takes."""
        return self._ask(do="add", kind=kind, direction=direction, attributes=attributes)

    def remove(self, number: int) -> None:
        """Takes a toxic off; what it held back goes on."""
        self._ask(do="remove", number=number)

    def clear(self) -> None:
        """Takes all of them off."""
        self._ask(do="clear")

    def reset(self, which: int | None = None) -> int:
        """Resets the open connection of this number, counted from 0 and round, or all; how many it were."""
        return self._ask(do="reset", which=which)

    def half_open(self, direction: str = "down") -> int:
        """Ends one side of all open connections in good order, and keeps the other; how many it were."""
        return self._ask(do="half_open", direction=direction)

    def connections(self) -> int:
        """How many are open."""
        return self._ask(do="connections")

    def accepted(self) -> int:
        """How many there have been."""
        return self._ask(do="accepted")

    def targets(self, *addresses: str) -> None:
        """Where new connections go from now on, by chance where these are several."""
        self._ask(do="targets", addresses=list(addresses))

    def _ask(self, **order: Any) -> Any:
        self.tell(json.dumps(order))
        return self.until("done", 20)["value"]


# In the proxy's process.


@dataclass
class _Toxic:
    kind: str
    directions: tuple[str, ...]
    attributes: dict[str, float]
    over: asyncio.Event = field(default_factory=asyncio.Event)


class _Link:
    """One connection of a client, and the one made for it to the server."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.writers = {"down": client, "up": server}
        self.passed = {"down": 0, "up": 0}

    def abort(self) -> None:
        for writer in self.writers.values():
            bare = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
            writer.transport.abort()


class _Proxy:
    def __init__(self, targets: list[str], seed: int) -> None:
        self._targets = targets
        self._rng = random.Random(seed)
        self._numbers = itertools.count(1)
        self.toxics: dict[int, _Toxic] = {}
        self.links: list[_Link] = []
        self.accepted = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if any(toxic.kind == "down" for toxic in self.toxics.values()):
            _reset(writer)
            return
        host, _, port = self._rng.choice(self._targets).rpartition(":")
        try:
            answers, server = await asyncio.open_connection(host, int(port))
        except OSError:
            _reset(writer)
            return
        for one in (writer, server):
            one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = _Link(writer, server)
        self.links.append(link)
        try:
            await asyncio.gather(self._pump(link, "up", reader), self._pump(link, "down", answers))
        except (ConnectionError, OSError):
            link.abort()
        finally:
            self.links.remove(link)
            for one in (writer, server):
                one.close()

    async def _pump(self, link: _Link, direction: str, reader: asyncio.StreamReader) -> None:
        """Passes one direction on. Delayed pieces wait in a queue, so that a delay does not cost throughput."""
        due: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(1000)
        sender = asyncio.create_task(self._send(link, direction, due))
        try:
            while data := await self._read(direction, reader):
                wait = 0.0
                for toxic in self._on(direction, "latency"):
                    jitter = toxic.attributes.get("jitter", 0.0)
                    wait += toxic.attributes.get("latency", 0.0) + self._rng.uniform(-jitter, jitter)
                await due.put((time.monotonic() + wait, data))
            for toxic in self._on(direction, "slow_close"):
                await asyncio.sleep(toxic.attributes["delay"])
            await due.put((0.0, b""))
            await sender
        finally:
            sender.cancel()

    async def _read(self, direction: str, reader: asyncio.StreamReader) -> bytes:
        while frozen := self._on(direction, "freeze"):
            await frozen[0].over.wait()
        data = await reader.read(_CHUNK)
        # What was read as the freeze came is held back too.
        while frozen := self._on(direction, "freeze"):
            await frozen[0].over.wait()
        return data

    async def _send(self, link: _Link, direction: str, due: asyncio.Queue[tuple[float, bytes]]) -> None:
        writer, owed = link.writers[direction], 0.0
        while True:
            at, data = await due.get()
            await asyncio.sleep(at - time.monotonic())
            if not data:
                with contextlib.suppress(OSError, RuntimeError):
                    writer.write_eof()
                return
            for toxic in self._on(direction, "timeout"):
                # Swallowed; the connection ends after the toxic's time, or never.
                seconds = toxic.attributes.get("timeout", 0.0)
                if seconds:
                    asyncio.get_running_loop().call_later(seconds, link.abort)
                data = b""
            for piece, wait in self._pieces(direction, self._flipped(direction, data)):
                writer.write(piece)
                await writer.drain()
                link.passed[direction] += len(piece)
                for toxic in self._on(direction, "limit_data"):
                    if link.passed[direction] >= toxic.attributes["bytes"]:
                        link.abort()
                # The loop's clock counts whole milliseconds: shorter waits are saved up.
                owed += wait
                if owed > 0.002:
                    began = time.monotonic()
                    await asyncio.sleep(owed)
                    owed -= time.monotonic() - began

    def _flipped(self, direction: str, data: bytes) -> bytes:
        for toxic in self._on(direction, "corrupt"):
            if data and self._rng.random() < toxic.attributes["share"]:
                at = self._rng.randrange(len(data))
                data = data[:at] + bytes((data[at] ^ 1 << self._rng.randrange(8),)) + data[at + 1 :]
        return data

    def _pieces(self, direction: str, data: bytes) -> list[tuple[bytes, float]]:
        """The data in pieces, and how long to wait after each."""
        size, wait, rate = len(data) or 1, 0.0, 0.0
        for toxic in self._on(direction, "slicer"):
            size, wait = max(1, int(toxic.attributes["size"])), toxic.attributes.get("delay", 0.0)
        for toxic in self._on(direction, "bandwidth"):
            rate = toxic.attributes["rate"]
            size = min(size, max(1, int(rate / 50)))
        for toxic in self._on(direction, "limit_data"):
            size = min(size, max(1, int(toxic.attributes["bytes"])))
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        return [(piece, wait + (len(piece) / rate if rate else 0.0)) for piece in pieces]

    def _on(self, direction: str, kind: str) -> list[_Toxic]:
        return [each for each in self.toxics.values() if each.kind == kind and direction in each.directions]

    def order(self, do: str, **details: Any) -> Any:
        """Does what the judge asks for."""
        if do == "add":
            return self._add(details["kind"], details["direction"], details["attributes"])
        if do == "remove":
            self.toxics.pop(details["number"]).over.set()
        elif do == "clear":
            while self.toxics:
                self.toxics.popitem()[1].over.set()
        elif do == "reset":
            return self._reset(details["which"])
        elif do == "half_open":
            for link in self.links:
                link.writers[details["direction"]].write_eof()
            return len(self.links)
        elif do == "connections":
            return len(self.links)
        elif do == "accepted":
            return self.accepted
        elif do == "targets":
            self._targets = details["addresses"]
        else:
            raise ValueError(do)
        return None

    def _add(self, kind: str, direction: str, attributes: dict[str, float]) -> int:
        directions = ("up", "down") if direction == "both" else (direction,)
        number = next(self._numbers)
        self.toxics[number] = _Toxic(kind, directions, attributes)
        if kind == "down":
            self._reset(None)
        return number

    def _reset(self, which: int | None) -> int:
        chosen = list(self.links)
        if which is not None and chosen:
            chosen = [chosen[which % len(chosen)]]
        for link in chosen:
            link.abort()
        return len(chosen)


def _reset(writer: asyncio.StreamWriter) -> None:
    bare = writer.get_extra_info("socket")
    bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
    writer.transport.abort()


def serve(targets: list[str], seed: int, host: str) -> None:
    """Runs the proxy until the judge is gone."""
    asyncio.run(_serve(targets, seed, host))


async def _serve(targets: list[str], seed: int, host: str) -> None:
    proxy = _Proxy(targets, seed)
    server = await asyncio.start_server(proxy.accept, host, 0, backlog=1000)
    port = server.sockets[0].getsockname()[1]
    say("ready", address=f"{host}:{port}")
    orders = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        say("done", value=proxy.order(**json.loads(json.loads(line))))
