"""The caller's stream of requests on its way into grpc, for one attempt or, where there is room, for several.

Reading or checking a request may fail. The exception goes on into grpc, which cancels the call, so that the service does
not take half a stream for a whole one; what really happened is kept as `failure` and `cause`, since grpc hides it.

An attempt is numbered when it is made. One that is over reads no more; what it was just reading is kept for the next.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from eas_grpc.errors import CallFailure
from eas_grpc.rpc._replay import Kept
from eas_grpc.rpc._requests import iterator_failure

__all__ = ["AioRequestFeed", "RequestFeed"]


class _Feed:
    """What both colours know of the requests. `room`: bytes kept for further attempts; with 0 there is one attempt."""

    def __init__(self, requests: Any, check: Callable[[Any], Any], method: str, room: int = 0) -> None:
        self._requests = requests
        self.check = check
        self._method = method
        self._kept = Kept(room)
        self._attempt = 0
        self._over = False
        self.failure: CallFailure | None = None
        self.cause: Exception | None = None

    def _failed(self, error: BaseException) -> None:
        """Notes why reading ended; no attempt may take it for the end of the requests."""
        if not isinstance(error, Exception):
            error = RuntimeError(f"the iterator was ended by {type(error).__name__}")
        self.cause = error
        self.failure = iterator_failure(error, self._method)


class RequestFeed(_Feed):
    """For blocking calls: grpc reads on a thread of its own for each attempt."""

    def __init__(
        self, requests: Iterable[Any], check: Callable[[Any], Any], method: str, room: int = 0
    ) -> None:
        super().__init__(requests, check, method, room)
        self._iterator: Iterator[Any] | None = None
        self._changed = threading.Condition()
        self._reading = False

    def __iter__(self) -> Iterator[Any]:
        if not self._kept.whole and not self._attempt:
            return self._once()
        with self._changed:
            self._attempt += 1
            return self._all(self._attempt)

    def retire(self) -> bool:
        """Ends the present attempt; whether there can be another one."""
        with self._changed:
            self._attempt += 1
            self._changed.notify_all()
            return self._kept.whole and self.cause is None

    def commit(self) -> None:
        """No attempt follows: what has been sent is let go."""
        with self._changed:
            self._kept.commit()

    def _once(self) -> Iterator[Any]:
        try:
            for request in self._requests:
                yield self.check(request)
        except Exception as error:
            self._failed(error)
            raise

    def _all(self, attempt: int) -> Iterator[Any]:
        number = 0
        while self._await(attempt, number):
            with self._changed:
                if attempt != self._attempt:
                    return
                payload = self._kept.take(number)
            yield payload
            number += 1

    def _await(self, attempt: int, number: int) -> bool:
        """Waits for the request of this number; False when there is none. One thread reads, the others wait."""
        while True:
            with self._changed:
                while self._reading and number >= self._kept.end and attempt == self._attempt:
                    self._changed.wait()
                if attempt != self._attempt:
                    return False
                if number < self._kept.end:
                    return True
                if self.cause is not None:
                    raise self.cause
                if self._over:
                    return False
                self._reading = True
            self._read()

    def _read(self) -> None:
        """Reads one request of the caller's, without the lock: that may take as long as the caller likes."""
        read: list[Any] = []
        over = False
        try:
            if self._iterator is None:
                self._iterator = iter(self._requests)
            read.append(self.check(next(self._iterator)))
        except StopIteration:
            over = True
        except BaseException as error:
            self._failed(error)
        with self._changed:
            self._reading = False
            self._over = over
            for payload in read:
                self._kept.add(payload)
            self._changed.notify_all()


class AioRequestFeed(_Feed):
    """For asyncio. `requests` is None where the caller uses `write`.

    Where there may be several attempts, one task reads for all of them, when it is asked to: it has the context in which
    the call was made, and an iterator of the caller's may hold on to that from one request to the next.
    """

    def __init__(
        self,
        requests: AsyncIterable[Any] | Iterable[Any] | None,
        check: Callable[[Any], Any],
        method: str,
        room: int = 0,
    ) -> None:
        super().__init__(requests, check, method, 0 if requests is None else room)
        self._reader: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()
        self._news = asyncio.Event()
        self._closed = False

    def iterator(self) -> AsyncIterator[Any] | None:
        """What to hand to grpc.aio for an attempt."""
        if self._requests is None:
            return None
        if not self._kept.whole and not self._attempt:
            return self._once()
        self._attempt += 1
        return self._all(self._attempt)

    def retire(self) -> bool:
        """Ends the present attempt; whether there can be another one."""
        self._attempt += 1
        self._tell()
        return self._kept.whole and self.cause is None

    def commit(self) -> None:
        """No attempt follows: what has been sent is let go."""
        self._kept.commit()

    def close(self) -> None:
        """The call is over: the caller's iterator is not waited for any longer."""
        self._closed = True
        if self._reader is not None:
            self._reader.cancel()

    async def _once(self) -> AsyncIterator[Any]:
        try:
            async for request in self._each():
                yield self.check(request)
        except Exception as error:
            self._failed(error)
            raise

    async def _all(self, attempt: int) -> AsyncIterator[Any]:
        number = 0
        while attempt == self._attempt and not self._closed:
            if number < self._kept.end:
                yield self._kept.take(number)
                number += 1
            elif self.cause is not None:
                raise self.cause
            elif self._over:
                return
            else:
                news = self._news
                self._wanted.set()
                if self._reader is None:
                    self._reader = asyncio.create_task(self._read())
                await news.wait()

    async def _read(self) -> None:
        try:
            async for request in self._each():
                self._kept.add(self.check(request))
                self._wanted.clear()
                self._tell()
                await self._wanted.wait()
            self._over = True
        except BaseException as error:
            if not self._closed:
                self._failed(error)
            if not isinstance(error, Exception):
                raise
        finally:
            self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _each(self) -> AsyncIterator[Any]:
        if isinstance(self._requests, AsyncIterable):
            async for request in self._requests:
                yield request
        else:
            for request in self._requests:
                yield request
