"""One connection to a service over HTTP/1.1: h11 frames requests and reads answers, one call after the other."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import h11

from server_demo.gateway._exchange import Head, Headers, Sent
from server_demo.gateway._http1_heads import end_to_end, head_bytes, joined_cookies, upgrade_asked
from server_demo.gateway._http1_request import MAX_UNCONFIRMED_BYTES

__all__ = ["Call", "ServiceConnection"]

_MAX_HEAD_BYTES = 60 * 1024
# So long a pipe stays open for the caller's direction after the service has ended its own.
_HALF_OPEN_SECONDS = 5.0


class Call(Protocol):
    """Whose request is on the connection."""

    def answering(self) -> None:
        """The first bytes of an answer have come."""

    def answer_head(self, status: int, headers: Headers) -> None:
        """The head has come; 101 makes the connection a pipe."""

    def answer_data(self, data: bytes, sent: Sent) -> None:
        """A piece of the body, or out of the pipe, has come."""

    def answer_end(self, trailers: Headers | None, *, reusable: bool) -> None:
        """The answer is complete. If `reusable`, the connection is ready for another call and knows this one no more."""

    def lost(self, reason: str, unsent: list[Sent]) -> None:
        """There is no more of the answer; `unsent` are of the pieces that did not go to the system."""


class ServiceConnection(asyncio.Protocol):
    """A connection of a pool, which `opened` and `lost` tell."""

    def __init__(
        self,
        *,
        opened: Callable[[ServiceConnection], object],
        lost: Callable[[ServiceConnection], object],
    ) -> None:
        """Is not connected yet."""
        self.raw = False
        self._opened, self._lost = opened, lost
        self._transport: Any = None
        self._conn = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES)
        self._call: Call | None = None
        self._answering = False
        self._writable = True
        self._unsent: deque[Sent] = deque()
        self._unconfirmed_bytes = 0
        self._paused = False
        # In a pipe, which direction has ended.
        self._read_ended = self._write_ended = False
        self._closing_timer: asyncio.TimerHandle | None = None

    @property
    def closing(self) -> bool:
        """Whether no call can go over it any more."""
        return self._transport.is_closing()  # type: ignore[no-any-return]

    # What the call does.

    def begin(self, head: Head, call: Call, *, has_body: bool) -> None:
        """Sends the head of a request; without a body, that is all of it."""
        self._call = call
        self._answering = False
        headers = [
            (b"host", head.authority.encode("latin-1") or b"localhost"),
            *joined_cookies(end_to_end(head.headers)),
        ]
        named = {name for name, _ in headers}
        if has_body and b"content-length" not in named:
            headers.append((b"transfer-encoding", b"chunked"))
        elif not has_body:
            headers += upgrade_asked(head.headers)
            if head.method in {"POST", "PUT", "PATCH"} and b"content-length" not in named:
                # "a valid Content-Length [...] SHOULD" be sent (RFC 9110 section 8.6); some servers answer 411.
                headers.append((b"content-length", b"0"))
        self._send(lambda: h11.Request(method=head.method, target=head.target, headers=headers))
        if not has_body:
            self._send(h11.EndOfMessage)

    def send_data(self, data: bytes, sent: Sent | None) -> None:
        """Sends a piece of the body, or into the pipe."""
        if not self.raw:
            self._send(lambda: h11.Data(data=data))
        elif not self._write_ended and not self.closing:
            self._transport.write(data)
        if sent is None or self._call is None:
            return
        if self._writable and not self._unsent:
            sent()
        else:
            self._unsent.append(sent)

    def send_end(self) -> None:
        """Ends the request, or this direction of the pipe."""
        if not self.raw:
            self._send(h11.EndOfMessage)
        elif not self._write_ended and not self.closing:
            self._write_ended = True
            if self._read_ended:
                self._transport.close()
            else:
                # A service that has reset the connection is noticed later.
                with contextlib.suppress(OSError):
                    self._transport.write_eof()

    def abort(self) -> None:
        """Ends the connection at once; a call on it hears so."""
        self._transport.abort()

    def _send(self, event: Callable[[], h11.Request | h11.Data | h11.EndOfMessage]) -> None:
        if self._call is None or self._conn.our_state is h11.ERROR:
            return
        try:
            data = self._conn.send(event())
        except h11.LocalProtocolError:
            # Longer or shorter than its Content-Length, or what HTTP/1.1 has no form for; h11's text could show a
            # header. Not within the call of the one who is to hear it.
            self._conn.send_failed()
            reason = "the request cannot be sent over HTTP/1.1"
            asyncio.get_running_loop().call_soon(self._break_off, reason)
        else:
            self._transport.write(data)

    # What the transport does.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = transport
        self._opened(self)

    def data_received(self, data: bytes) -> None:
        """Bytes of an answer have come."""
        call = self._call
        if call is None:
            # Nobody has asked for it; what comes later must not be taken for an answer.
            self._transport.abort()
            return
        if not self._answering:
            self._answering = True
            call.answering()
        if self.raw:
            self._pass(call, data)
        else:
            self._conn.receive_data(data)
            self._read()

    def eof_received(self) -> bool:
        """The service sends nothing more."""
        if self.raw and self._call is not None:
            self._end_pipe(self._call)
            return True
        self._conn.receive_data(b"")
        if self._call is not None:
            self._read()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The connection is gone."""
        self._lost(self)
        if self._closing_timer is not None:
            self._closing_timer.cancel()
        self._break_off("the service closed the connection before the answer was complete")

    def pause_writing(self) -> None:
        """The system takes no more."""
        self._writable = False

    def resume_writing(self) -> None:
        """The system takes bytes again."""
        self._writable = True
        while self._unsent and self._writable:
            self._unsent.popleft()()

    def _read(self) -> None:
        # Many small chunks go on as one piece.
        pieces: list[bytes] = []
        while (call := self._call) is not None and not self.raw:
            try:
                event = self._conn.next_event()
                if isinstance(event, h11.Response) and head_bytes(event) > _MAX_HEAD_BYTES:
                    raise h11.RemoteProtocolError("the head is too large")
            except h11.RemoteProtocolError:
                if pieces:
                    self._pass(call, b"".join(pieces))
                what = "incomplete" if self._conn.trailing_data[1] else "no HTTP/1.1"
                self._break_off(f"the service's answer is {what}")
                return
            if isinstance(event, h11.Data):
                pieces.append(event.data)
                continue
            if pieces:
                self._pass(call, b"".join(pieces))
                pieces.clear()
            if isinstance(event, h11.InformationalResponse):
                if event.status_code == 101:
                    self._become_pipe(call, event)
            elif isinstance(event, h11.Response):
                call.answer_head(event.status_code, end_to_end(event.headers))
            elif isinstance(event, h11.EndOfMessage):
                self._end(call, event)
            else:
                return

    def _pass(self, call: Call, data: bytes) -> None:
        self._unconfirmed_bytes += len(data)
        if self._unconfirmed_bytes > MAX_UNCONFIRMED_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        call.answer_data(data, lambda: self._confirm(call, len(data)))

    def _confirm(self, call: Call, size: int) -> None:
        # A caller that still reads its answer does not hold up the next call.
        if call is self._call:
            self._unconfirmed_bytes -= size
            self._resume_below(MAX_UNCONFIRMED_BYTES // 2)

    def _resume_below(self, most_bytes: int) -> None:
        if self._paused and self._unconfirmed_bytes <= most_bytes:
            self._paused = False
            if not self.closing:
                self._transport.resume_reading()

    def _become_pipe(self, call: Call, event: h11.InformationalResponse) -> None:
        self.raw = True
        early, closed = self._conn.trailing_data
        call.answer_head(101, end_to_end(event.headers) + upgrade_asked(event.headers))
        if early:
            self._pass(call, early)
        if closed:
            self._end_pipe(call)

    def _end_pipe(self, call: Call) -> None:
        self._read_ended = True
        if self._write_ended:
            self._transport.close()
        else:
            loop = asyncio.get_running_loop()
            self._closing_timer = loop.call_later(_HALF_OPEN_SECONDS, self._transport.abort)
        call.answer_end(None, reusable=False)

    def _end(self, call: Call, event: h11.EndOfMessage) -> None:
        trailers = end_to_end(event.headers) or None
        clean = (self._conn.our_state, self._conn.their_state) == (h11.DONE, h11.DONE)
        reusable = clean and not any(self._conn.trailing_data) and not self._unsent and not self.closing
        self._call = None
        if reusable:
            self._conn.start_next_cycle()
            self._unconfirmed_bytes = 0
            self._resume_below(0)
        else:
            # Also after an answer that came before the whole request was sent: the rest of it would follow here.
            self._transport.abort()
        call.answer_end(trailers, reusable=reusable)

    def _break_off(self, reason: str) -> None:
        call, self._call = self._call, None
        unsent = list(self._unsent)
        self._unsent.clear()
        self._transport.abort()
        if call is not None and not self._read_ended:
            call.lost(reason, unsent)
