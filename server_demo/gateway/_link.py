"""A caller's connection: tells HTTP/2 from HTTP/1.1 by its first bytes, and is where connections are broken."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from server_demo.gateway._frames import PREFACE
from server_demo.gateway._limits import Patience
from server_demo.gateway._outbox import Outbox
from server_demo.gateway._shape import OPEN, Shape

__all__ = ["Link", "Outbox", "Side"]

# Above this much waiting for the system, bodies wait where they come from.
WRITE_LIMIT = 256 * 1024
# Above this much, a peer makes us answer and does not read: it is cut off.
_MOST_UNREAD = 8 * 1024 * 1024

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Side(Protocol):
    """What speaks a protocol on a link."""

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        raise NotImplementedError

    def feed(self, data: bytes) -> None:
        """Bytes have come."""

    def eof(self) -> None:
        """The caller sends nothing more, but may still read."""

    def lost(self) -> None:
        """The connection is gone."""

    def writable_again(self) -> None:
        """What was written has gone to the system, after `link.writable` was false."""

    def close_gracefully(self) -> None:
        """Closes when nothing is under way any more, with the protocol's farewell."""

    def check(self, now: float, *, held_up: bool) -> None:
        """Ends what the caller has begun and does not go on with; not what is `held_up` on its way."""


class Link(asyncio.Protocol):
    """One accepted connection. `speaks_http2(link)` and `speaks_http1(link)` make its side; `ended` hears of its end."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        speaks_http2: Callable[[Link], Side],
        speaks_http1: Callable[[Link], Side],
        begun: Callable[[Link], object],
        ended: Callable[[Link], object],
        instance_of: str | None = None,
        is_exempt: Callable[[bytes], bool] | None = None,
    ) -> None:
        # Tells by the first bytes whether faults pass this connection by: the page must stay in reach.
        self._is_exempt = is_exempt
        self._exempt = False
        # The service that this connection was made to directly, beside the gateway.
        self.instance_of = instance_of
        self._outbox = outbox
        self._sides = (speaks_http1, speaks_http2)
        self._begun, self._ended = begun, ended
        self._transport: Any = None
        self._start = b""
        self.side: Side | None = None
        self.peer = ""
        # Of this end.
        self.port: int | None = None
        self.secure = False
        self.closed = False
        # Counts what was begun on it, so that somebody who looks now and then sees that it was not idle.
        self.exchanges = 0
        self._writable = True
        self._paused_by: set[str] = set()
        self._shape = OPEN
        self._held: deque[bytes] = deque()
        self._held_bytes = 0
        # How many bytes were held back and have gone, and what is to be done when it is so many.
        self._gone_bytes = 0
        self._marks: deque[tuple[int, Callable[[], object]]] = deque()
        # What has come and is not let in yet.
        self._arrived = bytearray()
        self._closing: Callable[[], object] | None = None
        self._shut_by_us = self._shut_by_peer = False
        self._dripping: asyncio.TimerHandle | None = None
        self._trickling: asyncio.TimerHandle | None = None
        self._patience = Patience()

    @property
    def writable(self) -> bool:
        """Whether more may be written; if not, `writable_again` of the side comes."""
        return self._writable and self._held_bytes < WRITE_LIMIT

    @property
    def idle(self) -> bool:
        """Whether no request is under way."""
        return self.side is None or self.side.idle

    # What the side does.

    def write(self, data: bytes) -> None:
        """Sends bytes, through whatever the link has to suffer."""
        # A transport that has failed tells `connection_lost` later, and complains of what is written until then.
        if self.closed or self._closing is not None or self._transport.is_closing():
            return
        if self._suffers.plain_out and not self._held:
            self._transport.write(data)
            if self._transport.get_write_buffer_size() > _MOST_UNREAD:
                self.abort()
            return
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > _MOST_UNREAD:
            self.abort()
        else:
            self._let_go()

    def close(self) -> None:
        """Closes after what was written has gone."""
        self._finish(self._transport.close)

    def half_close(self) -> None:
        """Sends the end of the stream after what was written, and goes on reading."""
        self._finish(self._shut)

    def abort(self) -> None:
        """Closes at once, with a TCP reset."""
        if self._transport is not None and not self.closed:
            raw = self._transport.get_extra_info("socket")
            # Under TLS the end may be on its way here already.
            if raw is not None and raw.fileno() != -1:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._transport.abort()

    def leave(self) -> None:
        """Closes with the protocol's farewell, as soon as nothing is under way."""
        if self.side is None:
            self.close()
        else:
            self.side.close_gracefully()

    def check(self, now: float) -> None:
        """Is called now and then: closes what says nothing, or does not go on with what it has begun."""
        held_up = self._suffers != OPEN
        if self.side is not None:
            self.side.check(now, held_up=held_up)
        elif self._patience.is_over(now, waiting=not held_up):
            self.close()

    def pause_reading(self) -> None:
        """Takes no more bytes for now."""
        self._pause("side")

    def resume_reading(self) -> None:
        """Takes bytes again."""
        self._resume("side")
        self._let_in()

    # What faults do.

    def shape(self, shape: Shape) -> None:
        """What the link suffers from now on; what was held back goes on as far as the new shape allows."""
        if shape != self._shape:
            # Nobody waits out a pause that is no more.
            self._stop_timers()
        self._shape = shape
        if self.closed or self._transport is None:
            return
        # What nobody has looked at yet may be exempt: it is held back when it has come.
        if self._suffers.hold_in and (self.side is not None or self._is_exempt is None):
            self._pause("hole")
        elif not self._suffers.hold_in:
            self._resume("hole")
            if self._start:
                self._feed(b"")
        self._let_in()
        self._let_go()

    def when_gone(self, action: Callable[[], object]) -> None:
        """`action` is called when what is held back now has gone; at once if nothing is, never if the connection ends."""
        if self._held:
            self._marks.append((self._gone_bytes + self._held_bytes, action))
        else:
            action()

    @property
    def _suffers(self) -> Shape:
        return OPEN if self._exempt else self._shape

    # What the transport does.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A caller is there."""
        self._transport = transport
        self._transport.set_write_buffer_limits(high=WRITE_LIMIT)
        peer = transport.get_extra_info("peername")
        self.peer = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "unix:"
        place = transport.get_extra_info("sockname")
        self.port = place[1] if isinstance(place, tuple) else None
        self.secure = transport.get_extra_info("ssl_object") is not None
        raw = transport.get_extra_info("socket")
        if raw.family in (socket.AF_INET, socket.AF_INET6):
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._begun(self)

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        if self.side is None and self._is_exempt is not None:
            self._exempt = self._exempt or self._is_exempt(self._start + self._arrived + data)
        if self._suffers.rate_in is None and not self._arrived:
            self._feed(data)
        else:
            self._arrived += data
            self._pause("rate")
            self._let_in()

    def _let_in(self) -> None:
        """Takes what has come, as far as the shape allows."""
        shape = self._suffers
        if self._trickling is not None or not self._arrived or self.closed:
            return
        if shape.hold_in or "side" in self._paused_by:
            return
        size = len(self._arrived) if shape.rate_in is None else shape.piece_in
        piece = bytes(self._arrived[:size])
        del self._arrived[:size]
        if shape.rate_in is not None:
            pause = len(piece) / shape.rate_in
            self._trickling = asyncio.get_running_loop().call_later(pause, self._next_trickle)
        if not self._arrived:
            self._resume("rate")
        self._feed(piece)

    def _next_trickle(self) -> None:
        self._trickling = None
        self._let_in()

    def _feed(self, data: bytes) -> None:
        if self.side is None:
            self._start += data
            if self._suffers.hold_in:
                self._pause("hole")
                return
            same = PREFACE.startswith(self._start) or self._start.startswith(PREFACE)
            if same and len(self._start) < len(PREFACE):
                return
            data, self._start = self._start, b""
            self.side = self._sides[same](self)
        self._outbox.during(self.side.feed, data)

    def eof_received(self) -> bool:
        """The caller sends nothing more."""
        self._shut_by_peer = True
        if self.side is None:
            return False
        self.side.eof()
        self._outbox.flush()
        # TLS cannot stay half open; asyncio would only warn.
        return not (self.closed or self.secure or self._shut_by_us)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The connection is gone."""
        self.closed = True
        self._held.clear()
        self._marks.clear()
        self._arrived.clear()
        self._stop_timers()
        if self.side is not None:
            self.side.lost()
        self._ended(self)
        self._outbox.flush()

    def pause_writing(self) -> None:
        """The system takes no more."""
        self._writable = False

    def resume_writing(self) -> None:
        """The system takes bytes again."""
        self._writable = True
        self._let_go()
        self._tell_writable()

    def _let_go(self) -> None:
        """Sends what is held back, as far as the shape allows."""
        shape = self._suffers
        if self._dripping is not None or not self._held or self.closed:
            return
        if shape.hold_out:
            return
        before = self.writable
        if shape.plain_out:
            self._transport.writelines(tuple(self._held))
            self._held.clear()
            self._gone_bytes += self._held_bytes
            self._held_bytes = 0
        else:
            # Not b"".join of all: what drips a byte at a time would be copied for each.
            first = self._held.popleft()
            piece = first[: shape.piece]
            if len(first) > len(piece):
                self._held.appendleft(first[shape.piece :])
            self._held_bytes -= len(piece)
            self._gone_bytes += len(piece)
            self._transport.write(piece)
            self._dripping = asyncio.get_running_loop().call_later(
                shape.pause_after(len(piece)), self._next_drop
            )
        if not self._held and self._closing is not None:
            self._closing()
        while self._marks and self._marks[0][0] <= self._gone_bytes:
            self._marks.popleft()[1]()
        if not before:
            self._tell_writable()

    def _next_drop(self) -> None:
        self._dripping = None
        self._let_go()

    def _tell_writable(self) -> None:
        if self.writable and self.side is not None and not self.closed:
            self.side.writable_again()
            self._outbox.flush()

    def _finish(self, closing: Callable[[], object]) -> None:
        if self.closed:
            return
        self._closing = closing
        if not self._held:
            closing()

    def _shut(self) -> None:
        self._shut_by_us = True
        if self._shut_by_peer:
            self._transport.close()
            return
        # The peer may have reset the connection, which the transport does not know yet.
        with contextlib.suppress(OSError):
            if self._transport.can_write_eof():
                self._transport.write_eof()
                return
            # TLS has no half-close of its own: the connection underneath has.
            raw = self._transport.get_extra_info("socket")
            if raw is not None:
                raw.shutdown(socket.SHUT_WR)

    def _stop_timers(self) -> None:
        for timer in (self._dripping, self._trickling):
            if timer is not None:
                timer.cancel()
        self._dripping = self._trickling = None

    def _pause(self, why: str) -> None:
        if not self._paused_by and not self.closed:
            self._transport.pause_reading()
        self._paused_by.add(why)

    def _resume(self, why: str) -> None:
        if why in self._paused_by:
            self._paused_by.discard(why)
            if not self._paused_by and not self.closed and not self._transport.is_closing():
                self._transport.resume_reading()
