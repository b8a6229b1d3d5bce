"""The service's side of gRPC: connections to one address, shared by all calls, and each call's stream on one."""

from __future__ import annotations

from server_demo.gateway import _frames as f
from server_demo.gateway._exchange import Backend, Exchange, Head, Sent
from server_demo.gateway._http2_rules import Fields
from server_demo.gateway._http2_send import Stream
from server_demo.gateway._http2_service import MOST_STREAMS, ServiceConnection
from server_demo.gateway._link import Outbox

__all__ = ["Http2Pool"]

# What of a request is kept, so that it can be sent once more.
_MOST_KEPT_BYTES = 64 * 1024
# A server that has just ended a call may still count it: under load a call can meet several such connections.
_MOST_ATTEMPTS = 5


class Http2Pool:
    """Connections to the service at `address`, `host:port` or `unix:/path`; closed when idle for `idle_timeout` seconds.

    A call that the service says it has not begun, because it was just about to leave or had too many (RFC 9113, 8.7),
    goes over another connection, if what was sent of it is known: so do gRPC's own clients, and so a service that
    restarts behind the gateway is no other than one that restarts in front of its client.
    """

    def __init__(self, address: str, outbox: Outbox, *, idle_timeout: float, max_header_bytes: int) -> None:
        self._address = address
        self._outbox = outbox
        self._idle_timeout = idle_timeout
        self._max_header_bytes = max_header_bytes
        self._connections: list[ServiceConnection] = []
        # How many calls a new connection will take: what the last one said.
        self._most_streams = MOST_STREAMS

    def open(self, head: Head, exchange: Exchange) -> Backend:
        """Starts a call there; it is under way at once, and waits by itself for a connection."""
        call = _Call(self, head, exchange)
        self.place(call)
        return call

    def close(self) -> None:
        """Ends every connection; calls on them fail."""
        for connection in tuple(self._connections):
            connection.abort()

    def place(self, call: _Call) -> None:
        """Gives a call to a connection that has room, or to a new one."""
        connection = next((known for known in self._connections if known.has_room), None)
        if connection is None:
            connection = ServiceConnection(
                self._address,
                self._outbox,
                room=self._most_streams,
                greeted=self._greeted,
                gone=self._connections.remove,
                idle_timeout=self._idle_timeout,
                max_header_bytes=self._max_header_bytes,
            )
            self._connections.append(connection)
        call.connection = connection
        connection.take(call)

    def _greeted(self, connection: ServiceConnection, left_over: list[_Call]) -> None:
        """A new connection has begun what it has room for; the others are to go elsewhere."""
        self._most_streams = max(1, connection.room)
        for call in left_over:
            if connection.room and connection.protocol.peer_goaway is None:
                self.place(call)
            else:
                call.refused(connection)


class _Call:
    """One call: what the exchange sends on, and the owner that the connection tells what comes."""

    __slots__ = (
        "_attempts",
        "_ended",
        "_exchange",
        "_head",
        "_headed",
        "_kept",
        "_kept_bytes",
        "_over",
        "_pool",
        "_stream",
        "_waiting",
        "connection",
    )

    def __init__(self, pool: Http2Pool, head: Head, exchange: Exchange) -> None:
        self.connection: ServiceConnection
        self._pool = pool
        self._head = head
        self._exchange = exchange
        self._stream: Stream | None = None
        self._headed = self._over = self._ended = False
        # What waits for a connection.
        self._waiting: list[tuple[bytes, Sent | None]] = []
        # What was sent, for another connection; None when it is too much, or is not needed any more.
        self._kept: list[bytes] | None = []
        self._kept_bytes = 0
        self._attempts = 1

    # What the exchange does.

    def send_data(self, data: bytes, sent: Sent | None) -> None:
        """Passes on a piece of the request's body."""
        if self._over:
            if sent is not None:
                sent()
        elif self._stream is None:
            self._waiting.append((data, sent))
        else:
            if self._kept is not None:
                self._keep(data)
            self.connection.sender.data(self._stream, data, sent)
            self.connection.touch()

    def send_end(self) -> None:
        """The request is complete."""
        self._ended = True
        if not self._over and self._stream is not None:
            self.connection.sender.end(self._stream)
            self.connection.touch()

    def cancel(self) -> None:
        """Nobody wants the answer any more."""
        if not self._over:
            self._finish()

    def _keep(self, data: bytes) -> None:
        assert self._kept is not None
        self._kept_bytes += len(data)
        if self._kept_bytes > _MOST_KEPT_BYTES:
            self._kept = None
        else:
            self._kept.append(data)

    # What the pool and the connection do.

    def begin(self) -> None:
        """The connection is there: sends what there is."""
        head = self._head
        headers = [
            (b":method", head.method.encode("latin-1")),
            (b":scheme", b"http"),
            (b":path", head.target.encode("latin-1")),
        ]
        if head.authority:
            headers.append((b":authority", head.authority.encode("latin-1")))
        headers += head.headers
        self._stream = self.connection.protocol.open(headers, self)
        waiting, self._waiting = self._waiting, []
        for data, sent in waiting:
            self.send_data(data, sent)
        if self._ended:
            self.send_end()
        self.connection.touch()

    def refused(self, connection: ServiceConnection) -> None:
        """The service has not begun the call: it goes over another connection, or fails."""
        if self._kept is None or self._attempts == _MOST_ATTEMPTS:
            self.failed("overflow", connected=True)
            return
        self._attempts += 1
        self._waiting = [(data, None) for data in self._kept] + self._waiting
        self._kept, self._kept_bytes, self._stream = [], 0, None
        connection.done(self)
        connection.full = True
        self._pool.place(self)

    def failed(self, reason: str, *, connected: bool) -> None:
        """There will be no answer, or no more of it."""
        if not self._over:
            self._finish()
            self._exchange.answer_failed(reason, connected=connected)

    def on_headers(self, fields: Fields, *, end: bool) -> None:
        """The head, trailers, or both in one; the connection has checked them."""
        if self._over:
            return
        if self._headed:
            self._finish()
            self._exchange.answer_end(fields.headers)
            return
        status = int(fields.pseudo[b":status"])
        if status < 200:
            return
        self._headed = True
        self._kept = None
        if end:
            self._finish()
            self._exchange.answer_only(status, fields.headers)
        else:
            self._exchange.answer_head(status, fields.headers)

    def on_data(self, data: bytes, sent: Sent) -> None:
        """A piece of the answer."""
        if self._over:
            sent()
        else:
            self._exchange.answer_data(data, sent)

    def on_end(self) -> None:
        """The answer is complete, without trailers."""
        if not self._over:
            self._finish()
            self._exchange.answer_end(None)

    def on_reset(self, code: int) -> None:
        """The service broke off, or its connection is gone."""
        if self._over:
            return
        connection = self.connection
        if code == f.REFUSED_STREAM and connection.ended is None:
            self.refused(connection)
        else:
            broken = "remote reset" if connection.protocol.failed is None else "protocol error"
            self.failed(connection.ended or broken, connected=True)

    def _finish(self) -> None:
        """Leaves the connection: what has not gone yet goes nowhere, and the service is told so if it does not know."""
        self._over = True
        if self._stream is not None:
            self.connection.protocol.reset(self._stream, f.CANCEL)
            self.connection.touch()
        waiting, self._waiting = self._waiting, []
        for _, sent in waiting:
            if sent is not None:
                sent()
        self.connection.done(self)
