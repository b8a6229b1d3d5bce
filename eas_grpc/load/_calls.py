"""One call of each shape, made and measured. The only code between the clock and grpc."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import grpc.aio

from eas_grpc.calls import CallShape, Metadata
from eas_grpc.errors import CallError, ConfigError
from eas_grpc.load._record import Record

__all__ = ["Once", "Sink", "caller"]

clock = time.monotonic


class Sink:
    """Where the figures of calls go: a record and the times that belong to it, on `time.monotonic`.

    Latency counts from when a call was due, in a closed loop the moment in which it was begun.
    """

    __slots__ = ("_open", "_per_second", "cut", "last", "origin", "record", "since", "until")

    def __init__(
        self, record: Record, *, origin: float, since: float, until: float, window: float, open_loop: bool
    ) -> None:
        self.record = record
        self.origin = origin
        # The rate is that of calls that ended between these, whenever they began.
        self.since = since
        self.until = until
        self.last = origin
        # Set when calls in flight are no longer waited for.
        self.cut = False
        self._per_second = 1 / window
        self._open = open_loop

    def began(self, due: float, now: float) -> None:
        """A call is begun."""
        self.record.window(int((now - self.origin) * self._per_second)).started += 1
        if self._open:
            self.record.lag.add(now - due)

    def sent(self, size: int) -> None:
        """A message was handed to grpc."""
        self.record.sent += 1
        self.record.bytes_sent += size

    def came(self, size: int) -> None:
        """A message came."""
        self.record.received += 1
        self.record.bytes_received += size

    def ended(self, due: float, began: float, now: float, error: BaseException | None) -> None:
        """A call ended; `error` is why it failed, which is raised again where it was no call at all."""
        record = self.record
        window = record.window(int((now - self.origin) * self._per_second))
        if error is None:
            window.ok += 1
            record.count_status("OK")
        else:
            status, details = _text(error)
            window.failed += 1
            record.count_status(status)
            record.count_error(status, details)
        window.latency.add(now - due)
        if self._open:
            record.service.add(now - began)
        if self.since <= now <= self.until:
            record.in_time += 1
        self.last = now


def _text(error: BaseException) -> tuple[str, str]:
    if isinstance(error, ConfigError):
        raise error
    if isinstance(error, CallError):
        return error.failure.status, error.failure.details
    if isinstance(error, asyncio.CancelledError):
        return "CANCELLED", "cancelled on this side"
    if isinstance(error, grpc.aio.AioRpcError):
        return error.code().name, error.details() or ""
    raise error


# (payload, when it was due, where its figures go)
Once = Callable[[Any, float, Sink], Coroutine[Any, Any, None]]


def caller(shape: CallShape, call: Callable[..., Any], *, deadline: float, metadata: Metadata | None) -> Once:
    """What makes one call of this shape."""
    if shape.many_responses:
        return _stream(call, deadline, metadata, many_requests=shape.many_requests)
    return (_feed if shape.many_requests else _unary)(call, deadline, metadata)


def _unary(call: Callable[..., Any], deadline: float, metadata: Metadata | None) -> Once:
    async def once(request: bytes, due: float, sink: Sink) -> None:
        began = clock()
        sink.began(due, began)
        sink.sent(len(request))
        try:
            answer = await call(request, timeout=deadline, metadata=metadata)
        except (CallError, grpc.aio.AioRpcError, asyncio.CancelledError) as error:
            if sink.cut:
                raise
            sink.ended(due, began, clock(), error)
        else:
            sink.ended(due, began, clock(), None)
            sink.came(len(answer))

    return once


def _feed(call: Callable[..., Any], deadline: float, metadata: Metadata | None) -> Once:
    async def once(requests: tuple[bytes, ...], due: float, sink: Sink) -> None:
        began = clock()
        sink.began(due, began)
        try:
            answer = await call(_counted(requests, sink), timeout=deadline, metadata=metadata)
        except (CallError, grpc.aio.AioRpcError, asyncio.CancelledError) as error:
            if sink.cut:
                raise
            sink.ended(due, began, clock(), error)
        else:
            sink.ended(due, began, clock(), None)
            sink.came(len(answer))

    return once


def _stream(
    call: Callable[..., Any], deadline: float, metadata: Metadata | None, *, many_requests: bool
) -> Once:
    async def once(payload: Any, due: float, sink: Sink) -> None:
        began = clock()
        sink.began(due, began)
        if many_requests:
            payload = _counted(payload, sink)
        else:
            sink.sent(len(payload))
        last = due
        histogram = sink.record.first
        try:
            async for message in call(payload, timeout=deadline, metadata=metadata):
                now = clock()
                histogram.add(now - last)
                histogram = sink.record.gap
                last = now
                sink.came(len(message))
        except (CallError, grpc.aio.AioRpcError, asyncio.CancelledError) as error:
            if sink.cut:
                raise
            sink.ended(due, began, clock(), error)
        else:
            sink.ended(due, began, clock(), None)

    return once


def _counted(requests: tuple[bytes, ...], sink: Sink) -> Iterator[bytes]:
    for request in requests:
        sink.sent(len(request))
        yield request
