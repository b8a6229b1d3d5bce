"""A TCP relay on loopback that can go wrong: fall silent without closing, close, or reset.

It runs on a thread of its own. What is done to it holds for the connections of that moment; a later one is
relayed as usual, so a test sees whether a client gives up a bad connection for a new one.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

_CHUNK = 65536


class Link:
    """One connection of a client, and the one made for it to the server."""

    def __init__(self, client: asyncio.StreamWriter) -> None:
        self.client = client
        self.server: asyncio.StreamWriter | None = None
        self.silent_up = False
        self.silent_down = False
        self.bytes_up = 0
        self.bytes_down = 0
        # Set when the client closed its side.
        self.given_up = threading.Event()
        self._passed = threading.Condition()

    @property
    def silent(self) -> bool:
        return self.silent_up or self.silent_down

    def count_up(self, size: int) -> None:
        with self._passed:
            self.bytes_up += size
            self._passed.notify_all()

    def await_up(self, size: int, timeout: float) -> bool:
        """Whether the client sends `size` more bytes in time; waits for them."""
        with self._passed:
            wanted = self.bytes_up + size
            return self._passed.wait_for(lambda: self.bytes_up >= wanted, timeout)

    def close(self) -> None:
        for writer in (self.client, self.server):
            if writer is not None:
                writer.transport.abort()


class Relay:
    """`with Relay(port) as relay:` passes what arrives at `relay.address` on to that port of this machine."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._tasks: set[asyncio.Task[Any]] = set()
        self.links: list[Link] = []

    def __enter__(self) -> Relay:
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def accepted(self) -> int:
        """How many connections there have been."""
        return len(self.links)

    @property
    def last(self) -> Link:
        return self.links[-1]

    def silence(self, *, up: bool = True, down: bool = True) -> Link:
        """Swallows what comes over the newest connection, to the server (`up`) or to the client (`down`)."""

        def silence() -> Link:
            self.last.silent_up, self.last.silent_down = up, down
            return self.last

        return self._do(silence)

    def close(self, *, reset: bool = False) -> None:
        """Ends the newest connection as its server would: in good order (FIN), or with a reset (RST)."""

        def close() -> None:
            if reset:
                bare = self.last.client.get_extra_info("socket")
                bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.last.close()

        self._do(close)

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _do(self, step: Callable[[], Any]) -> Any:
        async def run() -> Any:
            return step()

        return self._run(run())

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(writer)
        self.links.append(link)
        self._tasks.add(asyncio.current_task())
        try:
            answers, link.server = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            link.close()
            return
        await asyncio.gather(self._up(link, reader), self._down(link, answers))

    async def _up(self, link: Link, reader: asyncio.StreamReader) -> None:
        while data := await _read(reader):
            if not link.silent_up:
                link.count_up(len(data))
                link.server.write(data)
        link.given_up.set()
        # A link that is silent does not pass on that its client went away.
        if not link.silent:
            link.close()

    async def _down(self, link: Link, reader: asyncio.StreamReader) -> None:
        while data := await _read(reader):
            if not link.silent_down:
                link.bytes_down += len(data)
                link.client.write(data)
        if not link.silent:
            link.close()

    async def _shut(self) -> None:
        self._server.close()
        for link in self.links:
            link.close()
        await asyncio.gather(*self._tasks)
        await asyncio.sleep(0)  # aborted transports close their sockets on the loop's next turn


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(_CHUNK)
    except ConnectionError:
        return b""
