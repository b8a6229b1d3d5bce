"""A TCP relay that only listens: when connections came, and the PING and GOAWAY frames that passed.

`with tapped(server.address) as tap:` gives `tap.address` and `tap.report()`. Without a target it closes every connection
at once, as a dead service behind a live load balancer does.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from reliability.child import Child, hear, say
from reliability.storm_frames import Frames

__all__ = ["Tap", "tapped"]


class Tap(Child):
    """A running tap; with `standby` it listens only after `listen()`."""

    address: str = ""

    def listen(self) -> float:
        """Begins; since when it listens, on the monotonic clock."""
        self.tell("go")
        ready = self.until("ready")
        self.address = ready["address"]
        return float(ready["at"])

    def report(self) -> dict[str, Any]:
        """`accepted`: times; `frames`: [time, connection, "client" or "server", kind, code, text]."""
        self.tell("report")
        return self.until("report")


@contextmanager
def tapped(target: str = "", *, port: int = 0, standby: bool = False) -> Iterator[Tap]:
    """A tap in front of a server; `standby`: do not listen yet."""
    with Tap(relay, target, port) as tap:
        tap.until("standby")
        if not standby:
            tap.listen()
        yield tap


# In the tap's process.


def relay(target: str, port: int) -> None:
    """Relays until it is killed."""
    say("standby")
    hear()
    asyncio.run(_Relay(target).serve(port))


class _Relay:
    def __init__(self, target: str) -> None:
        self._target = target
        self._accepted: list[float] = []
        self._frames: list[tuple[Any, ...]] = []

    async def serve(self, port: int) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", port, backlog=512)
        host, bound = server.sockets[0].getsockname()
        say("ready", address=f"{host}:{bound}", at=time.monotonic())
        threading.Thread(target=self._answer, daemon=True).start()
        await server.serve_forever()

    def _answer(self) -> None:
        while hear():
            say("report", accepted=list(self._accepted), frames=list(self._frames))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._accepted.append(time.monotonic())
        number = len(self._accepted)
        try:
            if self._target:
                host, _, port = self._target.rpartition(":")
                to_read, to_write = await asyncio.open_connection(host, int(port))
                await asyncio.gather(
                    self._pass(reader, to_write, number, from_client=True),
                    self._pass(to_read, writer, number, from_client=False),
                )
        except OSError:
            pass
        finally:
            writer.close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int, *, from_client: bool
    ) -> None:
        frames, side = Frames(from_client=from_client), "client" if from_client else "server"
        try:
            while data := await reader.read(65536):
                writer.write(data)
                for seen in frames.feed(data):
                    self._frames.append((time.monotonic(), number, side, seen.kind, seen.code, seen.text))
                await writer.drain()
        finally:
            writer.close()
