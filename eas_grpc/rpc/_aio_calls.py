"""A call under way on an asyncio channel: grpc.aio's own call object, with our errors and limits around it.

The same objects serve `aio.connect()` and `aio.interceptors()`.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import grpc
import grpc.aio

from eas_grpc.errors import CallFailure
from eas_grpc.rpc._aio_call import WrappedCall
from eas_grpc.rpc._aio_gap import GapTimer
from eas_grpc.rpc._requests import Refused, silence
from eas_grpc.rpc._status import AioRpcCallError

__all__ = [
    "StreamStreamCall",
    "StreamUnaryCall",
    "UnaryStreamCall",
    "UnaryUnaryCall",
]


class _SingleResponse(WrappedCall):
    def __await__(self) -> Generator[Any, None, Any]:
        inner = self._inner
        try:
            response = yield from inner.__await__()
        except grpc.aio.AioRpcError as error:
            renewed = yield from self._renewed_for_caller(inner).__await__()
            # It prints what the service said, unmasked, where a frame's locals are shown.
            del inner
            if not renewed:
                raise self._error(error) from (None if self._feed is None else self._feed.cause)
        except asyncio.CancelledError:
            self._raise_local()
            raise
        else:
            self._check_read(response)
            self._answered()
            return response
        return (yield from self.__await__())


class _ManyResponses(WrappedCall):
    """Reads one message when asked for one; each wait has a limit, unless `limits` is None."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limit = None if self._limits is None else self._limits.first_message
        self._watch = None if self._limits is None else GapTimer(weakref.WeakMethod(self.cancel))
        self._iterator: Any = None

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        return await self._bounded(self._next)

    async def read(self) -> Any:
        """The next message, or `grpc.aio.EOF` when the stream has ended."""
        return await self._bounded(self._read)

    async def _next(self) -> Any:
        if self._iterator is None:
            self._iterator = self._inner.__aiter__()
        return await self._iterator.__anext__()

    async def _read(self) -> Any:
        return await self._inner.read()

    async def _bounded(self, read: Callable[[], Awaitable[Any]]) -> Any:
        inner = self._inner
        if self._watch is not None and self._limit is not None:
            self._watch.arm(self._limit)
        try:
            message = await read()
        except grpc.aio.AioRpcError as error:
            renewed = await self._renewed_for_caller(inner)
            del inner  # see _SingleResponse
            if not renewed:
                raise self._error(error) from (None if self._feed is None else self._feed.cause)
        except asyncio.CancelledError:
            self._raise_local()
            raise
        else:
            self._check_read(message)
            self._answered()
            if self._limits is not None:
                self._limit = self._limits.gap
            return message
        finally:
            if self._watch is not None:
                self._watch.disarm()
        self._iterator = None
        return await self._bounded(read)

    def _local_failure(self) -> CallFailure | None:
        failure = super()._local_failure()
        if failure is not None or self._watch is None or not self._watch.expired:
            return failure
        return silence(self._limit, self._method)


class _ManyRequests(WrappedCall):
    async def write(self, request: Any) -> None:
        """Sends one request. One that is too large is refused and the call stays open."""
        try:
            payload = request if self._feed is None else self._feed.check(request)
        except Refused as refused:
            raise AioRpcCallError(refused.failure) from refused.__cause__
        try:
            await self._inner.write(payload)
        except grpc.aio.AioRpcError as error:
            raise self._error(error) from None

    @property
    def _done_writing_flag(self) -> bool:
        """What grpc.aio's own wrapper around an intercepted call asks before it writes."""
        return bool(self._inner._done_writing_flag)  # noqa: SLF001

    async def done_writing(self) -> None:
        """Says that no request follows."""
        await self._inner.done_writing()


class UnaryUnaryCall(_SingleResponse, grpc.aio.UnaryUnaryCall[Any, Any]):
    """One request, one response."""


class UnaryStreamCall(_ManyResponses, grpc.aio.UnaryStreamCall[Any, Any]):
    """One request, a stream of responses."""


class StreamUnaryCall(_SingleResponse, _ManyRequests, grpc.aio.StreamUnaryCall[Any, Any]):
    """A stream of requests, one response."""


class StreamStreamCall(_ManyResponses, _ManyRequests, grpc.aio.StreamStreamCall[Any, Any]):
    """A stream of requests, a stream of responses."""
