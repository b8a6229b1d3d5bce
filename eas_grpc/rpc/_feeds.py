"""The caller's stream of requests on its way into grpc, for one attempt or, where there is room, for several.

Reading or checking a request may fail. The exception goes on into grpc, which cancels the call, so that the service does
not take half a stream for a whole one; what really happened is kept as `failure` and `cause`, since grpc hides it.
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


class RequestFeed:
    """For blocking calls: grpc reads on a thread of its own for each attempt. `room`: bytes kept for further ones."""

    def __init__(
        self,
        requests: Iterable[Any],
        check: Callable[[Any], Any],
        method: str,
        room: int = 0,
    ) -> None:
        self._requests = requests
        self._iterator: Iterator[Any] | None = None
        self._check = check
        self._method = method
        self._kept = Kept(room)
        self._changed = threading.Condition()
        self._attempt = 0
        self._reading = False
        self._over = False
        self.failure: CallFailure | None = None
        self.cause: Exception | None = None

    @property
    def whole(self) -> bool:
        """Whether the call can be sent again, from its first request on."""
        with self._changed:
            return self._kept.whole and self.cause is None

    def __iter__(self) -> Iterator[Any]:
        with self._changed:
            self._attempt += 1
            attempt = self._attempt
        number = 0
        while self._await(attempt, number):
            with self._changed:
                # An attempt that is over takes nothing from the one that followed it.
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
        payload, over = None, False
        try:
            if self._iterator is None:
                self._iterator = iter(self._requests)
            payload = self._check(next(self._iterator))
        except StopIteration:
            over = True
        except Exception as error:
            self.failure = iterator_failure(error, self._method)
            self.cause = error
        finally:
            with self._changed:
                self._reading = False
                self._over = over
                if not over and self.cause is None:
                    self._kept.add(payload)
                self._changed.notify_all()


class AioRequestFeed:
    """For asyncio. `requests` is None where the caller uses `write`."""

    def __init__(
        self,
        requests: AsyncIterable[Any] | Iterable[Any] | None,
        check: Callable[[Any], Any],
        method: str,
        room: int = 0,
    ) -> None:
        self._requests = requests
        self._iterator: Any = None
        self.check = check
        self._method = method
        self._kept = Kept(0 if requests is None else room)
        self._attempt = 0
        self._reading: asyncio.Task[None] | None = None
        self._over = False
        self.failure: CallFailure | None = None
        self.cause: Exception | None = None

    @property
    def whole(self) -> bool:
        """Whether the call can be sent again, from its first request on."""
        return self._kept.whole and self.cause is None

    def iterator(self) -> AsyncIterator[Any] | None:
        """What to hand to grpc.aio for an attempt."""
        return None if self._requests is None else self._all()

    def close(self) -> None:
        """No attempt follows: the caller's iterator is not waited for any longer."""
        if self._reading is not None:
            self._reading.cancel()

    async def _all(self) -> AsyncIterator[Any]:
        self._attempt += 1
        attempt, number = self._attempt, 0
        while await self._await(number):
            # An attempt that is over takes nothing from the one that followed it.
            if attempt != self._attempt:
                return
            yield self._kept.take(number)
            number += 1

    async def _await(self, number: int) -> bool:
        """Waits for the request of this number; False when there is none."""
        while number >= self._kept.end:
            if self.cause is not None:
                raise self.cause
            if self._over:
                return False
            if self._reading is None:
                self._reading = asyncio.create_task(self._read())
            if self._kept.whole:
                # grpc.aio cancels who waits when an attempt is over; the next one goes on from here.
                await asyncio.shield(self._reading)
            else:
                await self._reading
        return True

    async def _read(self) -> None:
        try:
            payload = self.check(await self._next())
        except (StopIteration, StopAsyncIteration):
            self._over = True
        except Exception as error:
            self.cause = error
            self.failure = iterator_failure(error, self._method)
        else:
            self._kept.add(payload)
        finally:
            self._reading = None

    async def _next(self) -> Any:
        if isinstance(self._requests, AsyncIterable):
            if self._iterator is None:
                self._iterator = aiter(self._requests)
            return await anext(self._iterator)
        if self._iterator is None:
            self._iterator = iter(self._requests or ())
        for request in self._iterator:
            return request
        raise StopAsyncIteration
