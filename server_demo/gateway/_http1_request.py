"""One request of an HTTP/1.1 connection, as a Caller: h11 frames its answer, and nothing here waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import h11

from server_demo.gateway._exchange import Exchange, Headers, Sent
from server_demo.gateway._http1_heads import REASONS, end_to_end, upgrade_asked

if TYPE_CHECKING:
    from server_demo.gateway._http1_caller import Http1Side

__all__ = ["MAX_UNCONFIRMED_BYTES", "Http1Caller"]

# So much of a body may be on its way through the gateway before its sender has to wait.
MAX_UNCONFIRMED_BYTES = 256 * 1024


class Http1Caller:
    """A Caller that asked over HTTP/1.1.

    `close_after`, set before the answer's head, ends the connection after the answer. After an answer 101 the
    exchange is a pipe: `data` and, a second time, `end` come from the caller as they are on the connection.
    """

    def __init__(
        self, side: Http1Side, conn: h11.Connection, request: h11.Request, ended: Callable[[], None]
    ) -> None:
        """A request read from `conn`; `ended` is called when the answer, or its direction of a pipe, is complete."""
        self.side = side
        self.link = side.link
        self.close_after = False
        self.exchange: Exchange | None = None
        # The connection is a pipe now.
        self.raw = False
        # Nothing may be sent any more.
        self.over = False
        # The client learns the end of the answer by the end of the connection alone.
        self.until_close = False
        # A final answer has begun.
        self.head_sent = False
        self._conn = conn
        self._method = request.method
        self._old = request.http_version < b"1.1"
        self._ended = ended
        self._bodiless = self._chunked = self._finished = False
        self._unconfirmed_bytes = 0
        self._paused = False

    @property
    def request_complete(self) -> bool:
        """Whether the whole request has been read."""
        return self._conn.their_state not in {h11.SEND_BODY, h11.ERROR}

    @property
    def paused(self) -> bool:
        """Whether the client has to wait until pieces of its body have gone on."""
        return self._paused

    # What the exchange does.

    def send_head(self, status: int, headers: Headers) -> None:
        """Sends the status and the headers; the framing is h11's choice."""
        if self.over:
            return
        if status < 200:
            self._send_informational(status, headers)
            return
        passed = end_to_end(headers)
        self._bodiless = self._method == b"HEAD" or status in {204, 304}
        sized = any(name == b"content-length" for name, _ in passed)
        self._chunked = not (sized or self._bodiless or self._old)
        self.until_close = self._old and not sized and not self._bodiless
        if self.close_after or not self.request_complete:
            passed.append((b"connection", b"close"))
        self.head_sent = True
        self._send(h11.Response, status, passed)

    def _send_informational(self, status: int, headers: Headers) -> None:
        if status == 101:
            self._send(h11.InformationalResponse, 101, end_to_end(headers) + upgrade_asked(headers))
            if not self.over:
                self.raw = self.head_sent = True
                self._ended()
        elif not self._old and (status != 100 or self._conn.they_are_waiting_for_100_continue):
            self._send(h11.InformationalResponse, status, end_to_end(headers))

    def send_data(self, data: bytes, sent: Sent | None = None) -> None:
        """Sends a piece of the body; none goes where none may."""
        if self.over:
            return
        if self.raw:
            self.link.write(data)
        elif not self._bodiless:
            self._write(lambda: self._conn.send(h11.Data(data=data)))
        if sent is not None and not self.over:
            self.side.confirm(sent)

    def send_end(self, trailers: Headers | None = None) -> None:
        """Ends the answer; breaks off when it is shorter than its head promised."""
        if self.over:
            return
        self._finished = True
        if not self.raw:
            passed = end_to_end(trailers or []) if self._chunked else []
            self._write(lambda: self._conn.send(h11.EndOfMessage(headers=passed)))
        if not self.over:
            self.over = True
            self._ended()

    def send_only(self, headers: Headers) -> None:
        """Sends head and end in one; `:status` is among the headers."""
        status = next(value for name, value in headers if name == b":status")
        self.send_head(int(status), [each for each in headers if each[0] != b":status"])
        self.send_end()

    def reset(self) -> None:
        """Ends the connection without farewell."""
        if not self.over:
            self._finished = self.over = True
            self.link.abort()

    def _send(
        self, kind: type[h11.Response | h11.InformationalResponse], status: int, headers: Headers
    ) -> None:
        reason = REASONS.get(status, b"")
        self._write(lambda: self._conn.send(kind(status_code=status, headers=headers, reason=reason)))

    def _write(self, framed: Callable[[], bytes]) -> None:
        try:
            data = framed()
        except h11.LocalProtocolError:
            # What the service said cannot be said in HTTP/1.1: too much, too little, or no header. The end of the
            # connection tells the client; the exchange hears of it as `gone`, after this.
            self.over = True
            self.link.abort()
        else:
            if data:
                self.link.write(data)

    # What the side does.

    def take(self, data: bytes) -> None:
        """Passes on a piece from the client, and holds the client back while too much is on its way."""
        if self.exchange is None or (self.over and not self.raw):
            return
        self._unconfirmed_bytes += len(data)
        if self._unconfirmed_bytes > MAX_UNCONFIRMED_BYTES and not self._paused:
            self._paused = True
            self.link.pause_reading()
        self.exchange.data(data, lambda: self._confirm(len(data)))

    def _confirm(self, size: int) -> None:
        self._unconfirmed_bytes -= size
        if self._unconfirmed_bytes <= MAX_UNCONFIRMED_BYTES // 2:
            self.release()

    def release(self) -> None:
        """Lets the client send again."""
        if self._paused:
            self._paused = False
            self.link.resume_reading()

    def end(self) -> None:
        """Tells the exchange that the request, or the pipe from the caller, has ended."""
        if self.exchange is not None and (self.raw or not self.over):
            self.exchange.end()

    def gone(self) -> None:
        """Tells the exchange, unless it has ended, that nobody is there any more."""
        exchange, self.exchange = self.exchange, None
        self.over = True
        if exchange is not None and not self._finished:
            exchange.gone()
