"""The service's side over HTTP/1.1: connections to one address, kept alive and used by one call at a time."""

from __future__ import annotations

import asyncio
from collections import deque

from server_demo.gateway._exchange import Backend, Exchange, Head, Headers, Sent
from server_demo.gateway._http1_connection import ServiceConnection

__all__ = ["Http1Pool"]

_CONNECT_SECONDS = 5.0
# What of a request is kept, so that it can be sent once more.
_MAX_KEPT_BYTES = 64 * 1024


# A service that dies on one of the others may have done its work (RFC 9110, 9.2.2).
_REPEATED = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE")
_MOST_IDLE = 32


class Http1Pool:
    """Connections to the service at `address`, `host:port` or `unix:/path`.

    A connection that has served a call to its clean end waits `idle_timeout` seconds for the next one. If it turns
    out to be dead, before any byte of an answer, the call goes once over a new one, if what was sent of it is known.
    """

    def __init__(self, address: str, *, idle_timeout: float) -> None:
        """Connects to nothing yet."""
        self._address = address
        self._idle_timeout = idle_timeout
        self._idle: dict[ServiceConnection, asyncio.TimerHandle] = {}
        self._connections: set[ServiceConnection] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._closed = False

    def open(self, head: Head, exchange: Exchange, *, has_body: bool) -> Backend:
        """Starts a call; nothing is reported to `exchange` before this has returned.

        With `has_body`, what `send_data` gives follows, framed by the head's Content-Length or else in chunks. After
        an answer 101 the backend is a pipe, and `send_end` ends its direction.
        """
        call = _Call(self, head, exchange, has_body=has_body)
        while self._idle:
            connection, timer = self._idle.popitem()
            timer.cancel()
            if not connection.closing:
                call.use(connection, reused=True)
                return call
        self.connect(call)
        return call

    def close(self) -> None:
        """Ends every connection; calls under way fail."""
        self._closed = True
        for task in self._connecting:
            task.cancel()
        for timer in self._idle.values():
            timer.cancel()
        self._idle.clear()
        for connection in tuple(self._connections):
            connection.abort()

    def connect(self, call: _Call) -> None:
        """Makes a connection for this call."""
        task = asyncio.get_running_loop().create_task(self._connect(call))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, call: _Call) -> None:
        try:
            connection = await asyncio.wait_for(self._connected(), _CONNECT_SECONDS)
        except (asyncio.TimeoutError, TimeoutError):
            call.failed("connection timeout", connected=False)
        except asyncio.CancelledError:
            call.failed("the gateway closes", connected=False)
            raise
        except (OSError, UnicodeError):
            call.failed("connection failure", connected=False)
        else:
            if call.over:
                self.release(connection)
            else:
                call.use(connection, reused=False)

    async def _connected(self) -> ServiceConnection:
        loop = asyncio.get_running_loop()
        if self._address.startswith("unix:"):
            path = self._address.removeprefix("unix:")
            return (await loop.create_unix_connection(self._made, path))[1]
        host, _, port = self._address.rpartition(":")
        return (await loop.create_connection(self._made, host.strip("[]"), int(port)))[1]

    def _made(self) -> ServiceConnection:
        return ServiceConnection(opened=self._opened, lost=self._lost)

    def _opened(self, connection: ServiceConnection) -> None:
        self._connections.add(connection)
        if self._closed:
            connection.abort()

    def _lost(self, connection: ServiceConnection) -> None:
        self._connections.discard(connection)
        timer = self._idle.pop(connection, None)
        if timer is not None:
            timer.cancel()

    def release(self, connection: ServiceConnection) -> None:
        """Keeps a connection that is ready for another call."""
        if len(self._idle) >= _MOST_IDLE:
            connection.abort()
        elif not self._closed and not connection.closing:
            loop = asyncio.get_running_loop()
            self._idle[connection] = loop.call_later(self._idle_timeout, connection.abort)


class _Call:
    """One request, as a Backend; and the owner of its connection, which reports to it."""

    def __init__(self, pool: Http1Pool, head: Head, exchange: Exchange, *, has_body: bool) -> None:
        self.over = False
        self._pool = pool
        self._head = head
        self._exchange = exchange
        self._has_body = has_body
        self._connection: ServiceConnection | None = None
        self._reused = False
        self._ended = not has_body
        # What waits for a connection.
        self._waiting: deque[tuple[bytes, Sent | None]] = deque()
        # What was sent, for another connection; None when it is too much, or is not needed any more.
        self._kept: bytearray | None = bytearray()

    # What the exchange does.

    def send_data(self, data: bytes, sent: Sent | None) -> None:
        """Passes on a piece, or lets it wait for the connection."""
        if self.over:
            return
        if self._connection is None:
            self._waiting.append((data, sent))
        else:
            self._keep(data)
            self._connection.send_data(data, sent)

    def send_end(self) -> None:
        """The request is complete; in a pipe, the caller sends nothing more."""
        if self.over:
            return
        if self._connection is None:
            self._ended = True
        elif not self._ended or self._connection.raw:
            self._ended = True
            self._connection.send_end()

    def cancel(self) -> None:
        """Ends the connection with the call: what comes on it still belongs to this answer."""
        self.over = True
        self._waiting.clear()
        if self._connection is not None:
            self._connection.abort()

    # What the pool and the connection do.

    def use(self, connection: ServiceConnection, *, reused: bool) -> None:
        """Sends over this connection, from the start."""
        self._connection = connection
        self._reused = reused
        waiting, self._waiting = self._waiting, deque()
        connection.begin(self._head, self, has_body=self._has_body)
        for data, sent in waiting:
            self._keep(data)
            connection.send_data(data, sent)
        if self._ended and self._has_body:
            connection.send_end()

    def _keep(self, data: bytes) -> None:
        if self._kept is None:
            return
        if not self._reused or len(self._kept) + len(data) > _MAX_KEPT_BYTES:
            self._kept = None
        else:
            self._kept += data

    def answering(self) -> None:
        """The first bytes of an answer have come: the request will not be sent again."""
        self._kept = None
        self._reused = False

    def answer_head(self, status: int, headers: Headers) -> None:
        """The answer's head has come."""
        if not self.over:
            self._exchange.answer_head(status, headers)

    def answer_data(self, data: bytes, sent: Sent) -> None:
        """A piece of the answer has come."""
        if not self.over:
            self._exchange.answer_data(data, sent)

    def answer_end(self, trailers: Headers | None, *, reusable: bool) -> None:
        """The answer is complete; in a pipe, the service sends nothing more."""
        connection = self._connection
        if reusable and connection is not None:
            self._connection = None
            self._pool.release(connection)
        if self.over:
            return
        # The other direction of a pipe goes on.
        self.over = connection is None or not connection.raw
        self._exchange.answer_end(trailers)

    def lost(self, reason: str, unsent: list[Sent]) -> None:
        """The connection is gone, or useless, before the answer was complete; `unsent` are not confirmed."""
        self._connection = None
        if self.over:
            return
        if not self._reused or self._kept is None or self._head.method not in _REPEATED:
            self.failed(reason, connected=True)
            return
        self._reused = False
        if self._kept or unsent:
            self._waiting.append((bytes(self._kept), lambda: [sent() for sent in unsent]))
        self._kept = None
        self._pool.connect(self)

    def failed(self, reason: str, *, connected: bool) -> None:
        """There will be no answer, or no more of it."""
        if not self.over:
            self.over = True
            self._waiting.clear()
            self._exchange.answer_failed(reason, connected=connected)
