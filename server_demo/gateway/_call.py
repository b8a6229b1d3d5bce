"""One call on its way through the gateway: let in or refused, held up, passed on, answered, written down."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from eas_grpc.serving._access import printable
from server_demo.gateway import _answers as answers
from server_demo.gateway._admission import admit
from server_demo.gateway._answers import Answer
from server_demo.gateway._auth import http_verdict
from server_demo.gateway._decompress import BadBody, decompress
from server_demo.gateway._exchange import Backend, Caller, Head, Headers, Sent
from server_demo.gateway._limits import MessageSizes
from server_demo.gateway._twists import Twist, twists_of

if TYPE_CHECKING:
    from server_demo.gateway._core import Behind, Core

__all__ = ["Call"]

_ACCESS = logging.getLogger("server_demo.gateway.access")

# EAS closes the connection with it (eas-wire.md 3.6).
_TOO_SLOW = 408

# Of a body that has to be there as a whole, if the gateway itself has no limit.
_MOST_COLLECTED = 64 * 1024 * 1024
_MOST_DECOMPRESSED = 32 * 1024 * 1024
_LONGEST_METHOD = 1000


class Call:
    """An Exchange. `begin` decides over it as soon as its head is there; what comes later is told to it."""

    def __init__(self, core: Core, head: Head, caller: Caller, *, grpc: bool) -> None:
        self.core = core
        self.head = head
        self.caller = caller
        self.grpc = grpc
        path = head.target.partition("?")[0]
        self.record = core.log.begin(
            now=core.wall(),
            protocol="grpc" if grpc else "http",
            # Without a query, where people put tokens.
            method=(path if grpc else f"{head.method} {path}")[:_LONGEST_METHOD],
        )
        self.behind: Behind | None = None
        self.over = False
        self.headed = False
        # What has to be undone when the call is over.
        self.at_end: list[Callable[[], object]] = []
        self._began = core.now()
        self._backend: Backend | None = None
        self._held: list[tuple[bytes, Sent | None]] = []
        self._complete = False
        self._turn = False
        self._delayed_already = False
        self._pipe = False
        self._twists: tuple[Twist, ...] = ()
        self._keepalive: asyncio.TimerHandle | None = None
        self._sizes: MessageSizes | None = None
        self._body: bytearray | None = None
        self._target = head.target
        self._for_instances = False
        self._limit: int | None = None

    # From the head to the service.

    def begin(self) -> None:
        """Lets the call in, or answers it."""
        found = admit(self.core, self.head, grpc=self.grpc, instance_of=self.caller.link.instance_of)
        self.behind, self._target, self._limit = found.behind, found.target, found.limit
        self._for_instances = found.for_instances
        self.record.service = None if found.behind is None else found.behind.service.name
        self.record.auth = found.form
        if found.refusal is not None:
            self.answer(found.refusal)
        elif found.whole_body:
            self._body = bytearray()
        else:
            self._admitted()

    def _admitted(self) -> None:
        """The caller may call: what happens to the call now is up to the faults, and to a free worker."""
        if self.grpc:
            self._sizes = MessageSizes(self._limit)
        chosen = self.core.choose(self)
        if chosen:
            self.record.faults += [each.fault.kind for each in chosen]
            self._twists = twists_of(self, chosen)
            delay = sum(each.delay_seconds for each in chosen)
            if delay > 0:
                self._wait(delay, {each.id for each in chosen if each.delay_seconds > 0})
                return
        self._delayed()

    def _wait(self, delay: float, faults: set[int]) -> None:
        """Until the delay is over, or the faults that want it are."""
        timer = self._later(delay, self._delayed)

        def ended(number: int) -> None:
            faults.discard(number)
            if not faults and not self._delayed_already:
                timer.cancel()
                self._delayed()

        for number in tuple(faults):
            self.at_end.append(self.core.when_ended(number, partial(ended, number)))

    def _delayed(self) -> None:
        self._delayed_already = True
        if not self.over and not any(twist.instead() for twist in self._twists):
            self.queue()

    def queue(self) -> None:
        """Waits for a worker of the service, if it counts them."""
        assert self.behind is not None
        if self._for_instances:
            self.whole(200, self.behind.discovery(), "application/json")
            return
        slots = self.behind.slots
        ticket = slots.arrive(self._forward)
        if ticket is None:
            self.answer(answers.queue_full(slots.max_queue_size))
            return
        self.at_end.append(lambda: slots.leave(ticket))
        if ticket.running:
            self._forward()

    def _forward(self) -> None:
        """It is this call's turn. Whether a request over HTTP has a body is known when some of it comes, or its end."""
        self._turn = True
        if self.grpc or self._held or self._complete:
            self._open()

    def _open(self) -> None:
        """Passes the call on, with what has come of its body."""
        behind, held = self.behind, self._held
        assert behind is not None
        head = Head(self.head.method, self._target, self.head.authority, self.head.headers)
        if self.grpc:
            assert behind.grpc is not None
            self._backend = behind.grpc.open(head, self)
        else:
            assert behind.http is not None
            self._backend = behind.http.open(head, self, has_body=bool(held))
        self._held = []
        for data, sent in held:
            self._backend.send_data(data, sent)
        if self._complete:
            self._pass_end()

    # What the caller sends.

    def data(self, data: bytes, sent: Sent | None) -> None:
        """A piece of the request's body."""
        self.record.request_bytes += len(data)
        if self.over:
            _confirm(sent)
        elif self._is_above_limit(data):
            _confirm(sent)
            self.answer(answers.too_large(self._limit))
        elif self._body is not None:
            self._body += data
            _confirm(sent)
            if len(self._body) > _MOST_COLLECTED:
                self.answer(answers.too_large(_MOST_COLLECTED))
        elif self._backend is None:
            self._held.append((data, sent))
            if self._turn:
                self._open()
        else:
            self._backend.send_data(data, sent)

    def _is_above_limit(self, data: bytes) -> bool:
        if self._sizes is not None:
            return self._sizes.feed(data) is not None
        limit = None if self._pipe else self._limit
        return limit is not None and self.record.request_bytes > limit

    def end(self) -> None:
        """The request is complete."""
        if self.over:
            return
        if self._complete:
            # Once more, of the pipe that the connection has become.
            if self._pipe and self._backend is not None:
                self._backend.send_end()
            return
        self._complete = True
        if self._body is not None:
            self._collected(bytes(self._body))
        elif self._backend is not None:
            self._pass_end()
        elif self._turn:
            self._open()

    def gone(self) -> None:
        """The caller has gone away."""
        self._finish("CANCELLED" if self.grpc else "499", ok=False)

    def _pass_end(self) -> None:
        assert self._backend is not None and self.behind is not None  # noqa: PT018
        # The time that a request may take begins when the service has all of it.
        self._keepalive = self._later(self.behind.keepalive, self._too_slow)
        self._backend.send_end()

    def _collected(self, body: bytes) -> None:
        """The whole body is there: what has to be known of it is known, and it goes on as the service wants it."""
        assert self.behind is not None
        service, options = self.behind.service, self.core.options
        self._body = None
        digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
        verdict = http_verdict(self.head, service.tokens, strict=options.strict_auth, body_md5=digest)
        if verdict.refusal is not None:
            self.answer(answers.unauthorized(verdict.refusal))
            return
        if service.decompressor is None:
            self._prepared(body)
            return
        # In a thread, since a body may take long that is small: nobody else waits for it.
        work = partial(decompress, body, service.decompressor, limit=_MOST_DECOMPRESSED)
        self.core.loop.run_in_executor(None, work).add_done_callback(self._decompressed)

    def _decompressed(self, done: asyncio.Future[bytes]) -> None:
        if done.cancelled() or self.over:
            return
        error = done.exception()
        if error is None:
            self._prepared(done.result())
        elif isinstance(error, BadBody):
            self.answer(answers.bad_request(str(error)))
        else:
            raise error

    def _prepared(self, body: bytes) -> None:
        framing = (b"content-length", b"transfer-encoding")
        headers = [pair for pair in self.head.headers if pair[0] not in framing]
        self.head = Head(
            self.head.method,
            self.head.target,
            self.head.authority,
            [*headers, (b"content-length", b"%d" % len(body))],
        )
        if body:
            self._held.append((body, None))
        self._admitted()

    # What the service answers.

    def answer_head(self, status: int, headers: Headers) -> None:
        """The service's head has come."""
        if not self.over:
            headers = self._twisted(headers)
            if not any(twist.head(status, headers) for twist in self._twists):
                self.send_head(status, headers)

    def send_head(self, status: int, headers: Headers) -> None:
        """Answers with a head, whoever made it."""
        if self._keepalive is not None:
            self._keepalive.cancel()
        self.headed = True
        self._pipe = status == 101
        if not self.grpc:
            self.record.status = str(status)
        self.caller.send_head(status, headers)

    def answer_only(self, status: int, headers: Headers) -> None:
        """The service's head is all there is: gRPC's trailers-only form."""
        if not self.over:
            headers = self._twisted(headers)
            if not any(twist.head(status, headers) for twist in self._twists):
                self.caller.send_only([(b":status", b"%d" % status), *headers])
                self._finish(*answers.outcome(headers, status))

    def _twisted(self, headers: Headers) -> Headers:
        for twist in self._twists:
            headers = twist.headers(headers)
        return headers

    def answer_data(self, data: bytes, sent: Sent | None) -> None:
        """A piece of the service's answer has come."""
        if self.over:
            _confirm(sent)
        elif not any(twist.data(data, sent) for twist in self._twists):
            self.send_data(data, sent)

    def send_data(self, data: bytes, sent: Sent | None = None) -> None:
        """Passes a piece of an answer to the caller."""
        self.record.response_bytes += len(data)
        self.caller.send_data(data, sent)

    def answer_end(self, trailers: Headers | None) -> None:
        """The service's answer is complete."""
        if not self.over:
            self.caller.send_end(trailers)
            outcome = (
                answers.outcome(trailers or [])
                if self.grpc
                else (self.record.status, (self.record.status or "9") < "4")
            )
            self._finish(*outcome)

    def answer_failed(self, reason: str, *, connected: bool) -> None:  # noqa: ARG002
        """No answer of the service, or no more of it."""
        if self.over:
            return
        if self.headed:
            self.break_off()
        else:
            self.answer(answers.broken(reason))

    # What ends it.

    def answer(self, answer: Answer) -> None:
        """Answers in the place of the service; breaks off what it has begun to say."""
        if self.over:
            return
        if self.headed:
            if self.grpc:
                self.caller.send_end(answers.grpc_headers(answer.grpc, answer.text))
                self._finish(answer.grpc, ok=False)
            else:
                self.break_off()
        elif self.grpc:
            self.caller.send_only([(b":status", b"200"), *answers.grpc_only(answer.grpc, answer.text)])
            self._finish(answer.grpc, ok=False)
        else:
            self.whole(answer.http, answer.text.encode(), "text/plain; charset=utf-8")

    def whole(self, status: int, body: bytes, content_type: str) -> None:
        """Answers with a whole body over plain HTTP, whatever the call speaks; 408 ends a connection of HTTP/1.1."""
        self.caller.close_after |= status == _TOO_SLOW
        self.send_head(status, answers.http_headers(body, content_type))
        if self.head.method != "HEAD":
            self.send_data(body)
        self.caller.send_end()
        self._finish(f"HTTP {status}" if self.grpc else str(status), ok=status < 400 and not self.grpc)

    def break_off(self) -> None:
        """Resets the stream, or ends the connection without farewell."""
        self.caller.reset()
        self._finish("RESET", ok=False)

    def abandon(self, status: str) -> None:
        """The connection is done for: nothing can be sent any more."""
        self._finish(status, ok=False)

    def _too_slow(self) -> None:
        assert self.behind is not None
        self.answer(answers.too_slow(self.behind.keepalive))

    def _later(self, seconds: float, action: Callable[[], object]) -> asyncio.TimerHandle:
        handle = self.core.loop.call_later(seconds, action)
        self.at_end.append(handle.cancel)
        return handle

    def _finish(self, status: str | None, ok: bool) -> None:
        if self.over:
            return
        self.over = True
        if self._backend is not None:
            self._backend.cancel()
        for _, sent in self._held:
            _confirm(sent)
        self._held.clear()
        record, core = self.record, self.core
        record.status, record.ok, record.seconds = status, ok, core.now() - self._began
        core.log.touch(record)
        if _ACCESS.isEnabledFor(logging.INFO):
            what = f"{status} {record.service or '-'} {printable(record.method)}"
            _ACCESS.info(
                f"{what} from {self.caller.link.peer} in {record.seconds:.4f} s", extra=record.to_json()
            )
        if self.behind is not None:
            self.behind.counts.calls += 1
            self.behind.counts.errors += not ok
        core.calls.discard(self)
        for action in self.at_end:
            action()


def _confirm(sent: Sent | None) -> None:
    if sent is not None:
        sent()
