"""One connection to a service over HTTP/2: comes about, takes calls, is given up when it is idle or the service leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from server_demo.gateway import _frames as f
from server_demo.gateway._http2 import Connection
from server_demo.gateway._http2_send import Sender
from server_demo.gateway._link import WRITE_LIMIT, Outbox

__all__ = ["MOST_STREAMS", "ServiceConnection"]

MOST_STREAMS = 100
# Until the service has said its settings.
_CONNECT_SECONDS = 5.0
# Above this much, a service makes us send and does not read: it is cut off.
_MOST_UNREAD = 8 * 1024 * 1024


class _Call(Protocol):
    def begin(self) -> None:
        """Sends what there is."""

    def failed(self, reason: str, *, connected: bool) -> None:
        """There will be no answer."""


class ServiceConnection(asyncio.Protocol):
    """A connection to `host:port` or `unix:/path`, which it begins to make at once.

    Calls wait until the service has said how many it takes. `greeted(self, calls)` then hears of those for which there
    is no room, once; `gone(self)` hears of the end.
    """

    def __init__(
        self,
        address: str,
        outbox: Outbox,
        *,
        room: int,
        greeted: Callable[[ServiceConnection, list[Any]], object],
        gone: Callable[[ServiceConnection], object],
        idle_timeout: float,
        max_header_bytes: int,
    ) -> None:
        """`room` is how many calls it will probably take."""
        # One caller who does not read must not stop the others: the streams' windows alone are the bound.
        self.protocol = Connection(
            opened=None, wake=self.touch, max_header_bytes=max_header_bytes, window=f.LARGEST_WINDOW
        )
        # Why it is no more.
        self.ended: str | None = None
        # It has refused a call, and none of its others has ended since.
        self.full = False
        self._room = room
        self._outbox = outbox
        self._greeted, self._gone = greeted, gone
        self._idle_timeout = idle_timeout
        self._transport: Any = None
        self._writable = True
        self._calls: set[_Call] = set()
        self._waiting: dict[_Call, None] = {}
        self._loop = asyncio.get_running_loop()
        # Runs while it is not ready, and while it is idle.
        self._timer: asyncio.TimerHandle | None = self._loop.call_later(_CONNECT_SECONDS, self._too_late)
        self._connecting = self._loop.create_task(self._connect(address))

    @property
    def sender(self) -> Sender:
        """What sends on it."""
        return self.protocol.sender

    @property
    def room(self) -> int:
        """How many calls it takes at a time."""
        return min(self.protocol.peer_max_streams, MOST_STREAMS) if self.protocol.greeted else self._room

    @property
    def has_room(self) -> bool:
        """Whether one more call may go over it."""
        return (
            self.ended is None
            and self._writable
            and self.protocol.may_open
            and not self.full
            and len(self._calls) < self.room
        )

    def take(self, call: _Call) -> None:
        """Begins a call here, now or as soon as the service has said its settings."""
        self._calls.add(call)
        if not self.protocol.greeted:
            self._waiting[call] = None
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        call.begin()

    def done(self, call: _Call) -> None:
        """A call is over, or has gone elsewhere."""
        self._calls.discard(call)
        self._waiting.pop(call, None)
        self.full = False
        self._rest()

    def _rest(self) -> None:
        """Without calls, it ends after a while; at once if the service leaves."""
        if not self._calls and self.protocol.greeted and self.ended is None and self._timer is None:
            leaving = self.protocol.peer_goaway is not None
            self._timer = self._loop.call_later(0 if leaving else self._idle_timeout, self.abort)

    def touch(self) -> None:
        """Something may have to be sent."""
        if self._transport is not None:
            self._outbox.add(self._flush)

    def abort(self) -> None:
        """Ends it; calls on it fail."""
        if self._transport is not None:
            self._transport.abort()
        else:
            self._connecting.cancel()
            self._lost("the gateway closed", connected=False)

    # What the transport does.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The service is there."""
        self._transport = transport
        self._transport.set_write_buffer_limits(high=WRITE_LIMIT)
        self.touch()
        self._outbox.flush()

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        self._outbox.during(self._take, data)

    def _take(self, data: bytes) -> None:
        waits = not self.protocol.greeted
        self.protocol.feed(data)
        if self.protocol.failed is not None:
            self._flush()
            self._transport.close()
            self._lost("protocol error")
        elif waits and self.protocol.greeted:
            self._begin()
        elif self.protocol.peer_goaway is not None and not self._calls:
            # It will not be needed again, however long it would have been kept.
            self._transport.close()
        self.touch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._lost("connection termination" if exc is None else "connection reset")

    def pause_writing(self) -> None:
        """The system takes no more."""
        self._writable = False

    def resume_writing(self) -> None:
        """The system takes bytes again."""
        self._writable = True
        self.protocol.unblocked()
        self.touch()
        self._outbox.flush()

    def _begin(self) -> None:
        waiting, self._waiting = list(self._waiting), {}
        assert self._timer is not None
        self._timer.cancel()
        self._timer = None
        room = self.room if self.protocol.peer_goaway is None else 0
        for call in waiting[:room]:
            call.begin()
        for call in waiting[room:]:
            self._calls.discard(call)
        self._greeted(self, waiting[room:])
        self._rest()

    def _flush(self) -> None:
        if self.ended is None:
            self.sender.flush(self._write)

    def _write(self, data: bytes) -> bool:
        self._transport.write(data)
        if not self._writable and self._transport.get_write_buffer_size() > _MOST_UNREAD:
            self._transport.abort()
        return self._writable

    async def _connect(self, address: str) -> None:
        try:
            if address.startswith("unix:"):
                await self._loop.create_unix_connection(lambda: self, address.removeprefix("unix:"))
            else:
                host, _, port = address.rpartition(":")
                await self._loop.create_connection(lambda: self, host.strip("[]"), int(port))
        # UnicodeError: a host whose name cannot be asked for.
        except (OSError, UnicodeError):
            self._lost("connection failure", connected=False)

    def _too_late(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        else:
            self._connecting.cancel()
        self._lost("connection timeout", connected=False)

    def _lost(self, reason: str, *, connected: bool = True) -> None:
        if self.ended is not None:
            return
        self.ended = reason
        self._gone(self)
        if self._timer is not None:
            self._timer.cancel()
        self.protocol.lost()
        for call in tuple(self._waiting):
            call.failed(reason, connected=connected)
        self._outbox.flush()
