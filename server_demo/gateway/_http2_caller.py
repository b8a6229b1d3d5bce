"""The caller's side of HTTP/2: a link's connection, and each of its streams as somebody who calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from server_demo.gateway import _frames as f
from server_demo.gateway._exchange import Caller, Exchange, Head, Headers, Sent
from server_demo.gateway._http2 import Connection
from server_demo.gateway._http2_rules import Fields
from server_demo.gateway._http2_send import Stream
from server_demo.gateway._limits import LEAST_OF_BODY, Pace, Patience
from server_demo.gateway._link import Link, Outbox

__all__ = ["Http2Caller", "Http2Side"]

# How long a client of plain HTTP may finish a request that is answered: a reset makes some of them forget the answer.
_PATIENCE_SECONDS = 5.0
# So many frames of one connection, and then it is somebody else's turn.
_FRAMES_AT_ONCE = 128
# Calls that a client breaks off: so many at once, then so many a second. Each has cost as much as one that is answered,
# but does not make the client wait for anything.
_BREAKS_AT_ONCE = 500
_BREAKS_PER_SECOND = 1000


class Http2Side:
    """Speaks HTTP/2 on a link: `start(head, caller)` is asked for the exchange of each stream."""

    def __init__(
        self,
        link: Link,
        outbox: Outbox,
        start: Callable[[Head, Caller], Exchange],
        *,
        max_header_bytes: int,
        max_streams: int,
    ) -> None:
        self.link = link
        self._outbox = outbox
        self._start = start
        self.connection = Connection(
            opened=self._opened, wake=self.touch, max_streams=max_streams, max_header_bytes=max_header_bytes
        )
        self._leaving = False
        # Frames have come that are not dealt with yet: nothing more is read until they are.
        self._resting = False
        self._breaks = Pace(_BREAKS_PER_SECOND, _BREAKS_AT_ONCE)
        self._patience = Patience()
        self.touch()

    @property
    def idle(self) -> bool:
        """Whether no stream is open."""
        return not self.connection.streams

    def feed(self, data: bytes) -> None:
        """Bytes have come."""
        before = self.connection.broken_off
        more = self.connection.feed(data, 0 if self._resting else _FRAMES_AT_ONCE)
        pause = self._breaks.pause(self.connection.broken_off - before, time.monotonic())
        if (more or pause) and not self._resting:
            self._rest(pause)
        self.touch()

    def _rest(self, seconds: float) -> None:
        self._resting = True
        self.link.pause_reading()
        asyncio.get_running_loop().call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        self._resting = False
        if not self.link.closed:
            self._outbox.during(self.feed, b"")
            if not self._resting:
                self.link.resume_reading()

    def eof(self) -> None:
        """A client that sends nothing more is gone: HTTP/2 cannot do without its window updates."""
        self.link.close()

    def lost(self) -> None:
        """The connection is gone."""
        self.connection.lost()

    def check(self, now: float, *, held_up: bool) -> None:
        """Closes where an answer of the protocol's is waited for too long, and breaks off bodies that do not come.

        Not those of gRPC: a stream may be quiet.
        """
        connection = self.connection
        owes = not connection.settings_acknowledged or connection.frames.in_block
        if self._patience.is_over(now, waiting=owes and not held_up):
            connection.goaway(f.SETTINGS_TIMEOUT, text=b"SETTINGS or headers did not come in time")
            self.flush()
            self.link.close()
            return
        for stream in tuple(connection.streams.values()):
            caller = stream.owner
            if stream.patient and isinstance(caller, Http2Caller):
                waiting = not (held_up or self._resting or stream.remote_closed) and stream.window_left > 0
                if caller.body_is_late(now, waiting=waiting):
                    connection.break_off(stream, f.CANCEL)
                    self.touch()

    def writable_again(self) -> None:
        """Bodies go on."""
        self.connection.unblocked()
        self.touch()

    def close_gracefully(self) -> None:
        """GOAWAY, and the end as soon as no stream is open."""
        if not self._leaving:
            self._leaving = True
            self.connection.goaway()
        self.touch()

    def goaway(self, *, grace: bool) -> None:
        """Says goodbye: with grace to what comes next, without it to every stream, and closes."""
        if grace:
            self.close_gracefully()
            return
        self.connection.goaway(refuse_above=0)
        self._leaving = True
        self.flush()
        self.link.close()

    def touch(self) -> None:
        """Something may have to be sent."""
        self._outbox.add(self.flush)

    def flush(self) -> None:
        """Sends what has collected."""
        self.connection.sender.flush(self._write)
        if self.connection.failed is not None or (self._leaving and self.idle):
            self.link.close()

    def ended(self, stream: Stream) -> None:
        """The answer to a stream is complete, as far as this side is concerned."""
        if stream.patient and not stream.remote_closed:
            asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, self._call_off, stream)
        self.touch()

    def _call_off(self, stream: Stream) -> None:
        stream.patient = False
        if stream.local_closed:
            self.connection.reset(stream, f.NO_ERROR)
            self.touch()

    def _write(self, data: bytes) -> bool:
        self.link.write(data)
        return self.link.writable

    def _opened(self, stream: Stream, fields: Fields, end: bool) -> Http2Caller:
        self.link.exchanges += 1
        caller = Http2Caller(self, stream)
        head = _head(fields)
        # Clients of gRPC take no notice, and some of theirs would never end.
        stream.patient = not (head.get(b"content-type") or b"").startswith(b"application/grpc")
        caller.exchange = self._start(head, caller)
        if end:
            caller.exchange.end()
        return caller


class Http2Caller:
    """One stream, as a Caller and as the owner that the connection tells what comes."""

    __slots__ = ("_over", "_patience", "_received_bytes", "_side", "_stream", "close_after", "exchange")

    def __init__(self, side: Http2Side, stream: Stream) -> None:
        self.close_after = False
        # The exchange has said all, and hears nothing more.
        self._over = False
        self._side = side
        self._stream = stream
        self._patience = Patience()
        self._received_bytes = 0
        self.exchange: Exchange

    @property
    def link(self) -> Link:
        """The connection."""
        return self._side.link

    @property
    def side(self) -> Http2Side:
        """What speaks on it."""
        return self._side

    @property
    def number(self) -> int:
        """The stream's."""
        return self._stream.id

    # What the exchange does.

    def send_head(self, status: int, headers: Headers) -> None:
        """Sends the status and the headers."""
        self._side.connection.sender.headers(self._stream, [(b":status", b"%d" % status), *headers])
        self._side.touch()

    def send_data(self, data: bytes, sent: Sent | None = None) -> None:
        """Sends a piece of the body."""
        self._side.connection.sender.data(self._stream, data, sent)
        self._side.touch()

    def send_end(self, trailers: Headers | None = None) -> None:
        """Ends the answer."""
        self._over = True
        self._side.connection.sender.end(self._stream, trailers)
        self._side.ended(self._stream)

    def send_only(self, headers: Headers) -> None:
        """Head and end in one frame."""
        self._over = True
        self._side.connection.sender.headers(self._stream, headers, end=True)
        self._side.ended(self._stream)

    def reset(self, code: int = f.INTERNAL_ERROR) -> None:
        """RST_STREAM."""
        self._over = True
        self._side.connection.reset(self._stream, code)
        self._side.touch()

    # What the connection tells.

    def on_headers(self, fields: Fields, *, end: bool) -> None:  # noqa: ARG002
        """Trailers, which no service of EAS reads."""
        self.on_end()

    def body_is_late(self, now: float, *, waiting: bool) -> bool:
        """Whether the body has not come on for too long."""
        return self._patience.is_over(now, waiting=waiting, done=self._received_bytes, least=LEAST_OF_BODY)

    def on_data(self, data: bytes, sent: Sent) -> None:
        """A piece of the request's body."""
        self._received_bytes += len(data)
        if self._over:
            sent()
        else:
            self.exchange.data(data, sent)

    def on_end(self) -> None:
        """The request is complete."""
        if not self._over:
            self.exchange.end()

    def on_reset(self, code: int) -> None:  # noqa: ARG002
        """The caller broke off."""
        if not self._over:
            self.exchange.gone()


def _head(fields: Fields) -> Head:
    pseudo, headers = fields.pseudo, fields.headers
    authority = pseudo.get(b":authority", fields.host)
    if fields.host is not None:
        headers = [pair for pair in headers if pair[0] != b"host"]
    return Head(
        method=pseudo[b":method"].decode("latin-1"),
        target=pseudo[b":path"].decode("latin-1"),
        authority=(authority or b"").decode("latin-1"),
        headers=headers,
    )
