"""The caller's side over HTTP/1.1: requests on one connection, one after the other.

h11 reads; here is decided what becomes of a request and, after it, of the connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import h11

from server_demo.gateway._exchange import Caller, Exchange, Head, Sent
from server_demo.gateway._http1_heads import REASONS, RefusedHead, head_bytes, request_head
from server_demo.gateway._http1_request import Http1Caller
from server_demo.gateway._limits import LEAST_OF_BODY, Patience
from server_demo.gateway._link import Link

__all__ = ["Http1Side"]

# So much of later requests may have come before the present one is answered.
_MAX_PIPELINED_BYTES = 64 * 1024
# What a client still sends is read and dropped after an answer that came too early for it (RFC 9112 section 9.6):
# a reset would take the answer with it. So much, and so long.
_LINGER_BYTES = 64 * 1024 * 1024
_LINGER_SECONDS = 5.0
# Chunks of a body.
_MOST_AT_ONCE = 1000


class Http1Side:
    """A Side that speaks HTTP/1.1.

    `start` makes the exchange of a request when its head has come. A head, its line included, is at most
    `max_header_bytes` long; what is longer is answered 431, what is malformed 400, and the connection closes.
    A client that ends its direction before the answer has begun is gone.
    """

    def __init__(
        self, link: Link, start: Callable[[Head, Caller], Exchange], *, max_header_bytes: int
    ) -> None:
        """Reads nothing yet: `feed` gives it what has come."""
        self.link = link
        self._start = start
        self._max_header_bytes = max_header_bytes
        self._conn = h11.Connection(h11.SERVER, max_incomplete_event_size=max_header_bytes)
        self._caller: Http1Caller | None = None
        # Whose pieces are written, but not with the system yet.
        self._unsent: deque[Sent] = deque()
        self._to_head = False
        # Whether the connection ends with the answer under way, and whether it has ended.
        self._closing = self._closed = False
        # Bytes of a pipe that have come and are not passed on yet, and whether its end has come.
        self._piped = bytearray()
        self._pipe_ended = self._pipe_end_passed = False
        self._pipelined_bytes = 0
        self._held_back = False
        self._catching_up = False
        self._lingering_bytes: int | None = None
        self._linger_timer: asyncio.TimerHandle | None = None
        self._patience = Patience()
        self._received_bytes = 0

    @property
    def idle(self) -> bool:
        """Whether no request is under way; one whose head is not complete does not count."""
        return self._caller is None

    def close_gracefully(self) -> None:
        """Closes now, or after the answer under way; a pipe goes on until its end."""
        if self._caller is None:
            self._close()
            return
        self._closing = True
        self._caller.close_after = True

    def feed(self, data: bytes) -> None:
        """Bytes have come."""
        if self._closed:
            return
        if self._lingering_bytes is not None:
            self._lingering_bytes -= len(data)
            if self._lingering_bytes < 0:
                self._close()
            return
        caller = self._caller
        self._received_bytes += len(data)
        if caller is not None and caller.raw:
            self._piped += data
        else:
            if caller is not None and caller.request_complete:
                self._pipelined_bytes += len(data)
            self._conn.receive_data(data)
        self._advance()

    def eof(self) -> None:
        """The client sends nothing more. One that waits for an answer is taken to be gone, as other gateways do."""
        if self._closed:
            return
        caller = self._caller
        if caller is not None and not caller.raw and not caller.head_sent:
            self._caller = None
            caller.gone()
            self._close()
            return
        if self._lingering_bytes is not None:
            self._close()
            return
        if self._caller is not None and self._caller.raw:
            self._pipe_ended = True
        else:
            self._conn.receive_data(b"")
        self._advance()

    def lost(self) -> None:
        """The connection is gone."""
        if self._linger_timer is not None:
            self._linger_timer.cancel()
        self._unsent.clear()
        caller, self._caller = self._caller, None
        if caller is not None:
            caller.gone()

    def check(self, now: float, *, held_up: bool) -> None:
        """Answers 408 where a head, or the next piece of a body, is waited for too long."""
        caller = self._caller
        if self._closed or self._lingering_bytes is not None or held_up:
            waiting = False
        elif caller is None:
            waiting = bool(self._conn.trailing_data[0])
        else:
            waiting = not (caller.raw or caller.request_complete or caller.paused)
        if caller is None:
            late = self._patience.is_over(now, waiting=waiting, done=self.link.exchanges)
        else:
            late = self._patience.is_over(
                now, waiting=waiting, done=self._received_bytes, least=LEAST_OF_BODY
            )
        if late:
            self._refuse(408, "The request did not come in time.")

    def writable_again(self) -> None:
        """What was written has gone to the system."""
        while self._unsent and self.link.writable:
            self._unsent.popleft()()

    def confirm(self, sent: Sent) -> None:
        """Calls `sent` when what was written up to now has gone to the system."""
        if self.link.writable and not self._unsent:
            sent()
        else:
            self._unsent.append(sent)

    def _advance(self) -> None:
        while not (self._closed or self._catching_up) and self._lingering_bytes is None and self._step():
            pass

    def _catch_up(self) -> None:
        self._catching_up = False
        if not self._held_back and (self._caller is None or not self._caller.paused):
            self.link.resume_reading()
        self._advance()

    def _advance_soon(self) -> None:
        # Not at once: an exchange is in the midst of answering.
        asyncio.get_running_loop().call_soon(self._advance)

    def _step(self) -> bool:
        """Takes what has come next; whether there may be more."""
        if self._caller is not None and self._caller.raw:
            self._pass_piped(self._caller)
            return False
        if self._conn.their_state is h11.SEND_BODY:
            body = self._come_of_body()
            if body is not None:
                self._deliver(*body)
            return body is not None and body[1]
        event = self._next_event()
        if isinstance(event, h11.Request):
            self._begin(event)
            return True
        if event is h11.PAUSED:
            self._hold_back()
        elif isinstance(event, h11.ConnectionClosed) and self._caller is None:
            self._close()
        return False

    def _next_event(self) -> object:
        """The next event of h11; after an error, which is answered here, None."""
        try:
            return self._conn.next_event()
        except h11.RemoteProtocolError as error:
            status = error.error_status_hint
            self._refuse(status, "The head is too large." if status == 431 else "The request is malformed.")
            return None

    def _come_of_body(self) -> tuple[bytes, bool] | None:
        """What has come of the body, many small chunks as one piece, and whether it is complete; None as above."""
        pieces = []
        while isinstance(event := self._next_event(), h11.Data):
            pieces.append(event.data)
            if len(pieces) == _MOST_AT_ONCE:
                # Somebody else's turn; what has come by now is enough to go on with.
                self._catching_up = True
                self.link.pause_reading()
                asyncio.get_running_loop().call_soon(self._catch_up)
                return b"".join(pieces), False
        return None if event is None else (b"".join(pieces), isinstance(event, h11.EndOfMessage))

    def _begin(self, request: h11.Request) -> None:
        self._to_head = request.method == b"HEAD"
        try:
            if head_bytes(request) > self._max_header_bytes:
                raise RefusedHead(431, "The head is too large.")
            head = request_head(request)
        except RefusedHead as refused:
            self._refuse(refused.status, str(refused))
            return
        # What has come of the body is parsed first: an exchange that answers at once then knows whether the
        # connection can go on after it.
        body = self._come_of_body()
        if body is None:
            return
        caller = self._caller = Http1Caller(self, self._conn, request, self._ended)
        self._patience = Patience()
        self.link.exchanges += 1
        caller.exchange = self._start(head, caller)
        if self._conn.they_are_waiting_for_100_continue:
            caller.send_head(100, [])
        self._deliver(*body)

    def _deliver(self, data: bytes, end: bool) -> None:
        if data and self._caller is not None:
            self._caller.take(data)
        if end and self._caller is not None:
            self._caller.end()

    def _pass_piped(self, caller: Http1Caller) -> None:
        if self._piped:
            data = bytes(self._piped)
            self._piped.clear()
            caller.take(data)
        if self._pipe_ended and not self._pipe_end_passed:
            self._pipe_end_passed = True
            caller.end()
            if caller.over:
                self._close()

    def _ended(self) -> None:
        """The answer, or its direction of a pipe, is complete; or the connection has become a pipe."""
        caller = self._caller
        if caller is None:
            return
        if caller.raw:
            self._pipe_begun_or_ended(caller)
            return
        self._caller = None
        self._patience = Patience()
        self._to_head = False
        self._let_go()
        caller.release()
        unread, closed = self._conn.trailing_data
        if (self._conn.our_state, self._conn.their_state) == (h11.DONE, h11.DONE) and not self._closing:
            self._conn.start_next_cycle()
            if unread or closed:
                self._advance_soon()
        elif caller.request_complete and not unread:
            self._close()
        else:
            self._linger(until_close=caller.until_close)

    def _pipe_begun_or_ended(self, caller: Http1Caller) -> None:
        if not caller.over:
            early, self._pipe_ended = self._conn.trailing_data
            self._piped += early
            self._let_go()
            self._advance_soon()
        elif self._pipe_end_passed or self.link.secure:
            self._close()
        else:
            self.link.half_close()
            self._close_later()

    def _hold_back(self) -> None:
        if not self._held_back and self._pipelined_bytes > _MAX_PIPELINED_BYTES:
            self._held_back = True
            self.link.pause_reading()

    def _let_go(self) -> None:
        self._pipelined_bytes = 0
        if self._held_back:
            self._held_back = False
            self.link.resume_reading()

    def _refuse(self, status: int, text: str) -> None:
        """Answers what is no request, or no complete one, and closes."""
        caller, self._caller = self._caller, None
        if caller is not None:
            caller.release()
            caller.gone()
        if self._conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            # The answer has begun; only the end of the connection can say that something is wrong.
            self.link.abort()
            return
        body = f"{text}\n".encode()
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        answer = h11.Response(status_code=status, headers=headers, reason=REASONS.get(status, b""))
        written = self._conn.send(answer)
        self.link.write(written if self._to_head else written + self._conn.send(h11.Data(data=body)))
        self._linger(until_close=False)

    def _linger(self, *, until_close: bool) -> None:
        """Closes when the client has seen the answer and closes itself, or after a while."""
        if self.link.secure and until_close:
            self._close()
            return
        if not self.link.secure:
            self.link.half_close()
        self._lingering_bytes = _LINGER_BYTES
        self._close_later()

    def _close(self) -> None:
        # A link that is slowed down may still read while it writes what is left.
        self._closed = True
        self.link.close()

    def _close_later(self) -> None:
        self._linger_timer = asyncio.get_running_loop().call_later(_LINGER_SECONDS, self._close)
