"""What asyncio calls of all four shapes have in common: our errors, and further tries.

How a call is started again is passed in as `restart(metadata, timeout)`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import grpc
import grpc.aio

from eas_grpc.calls import Metadata
from eas_grpc.deadline import Deadline
from eas_grpc.errors import CallFailure
from eas_grpc.options import StreamLimits
from eas_grpc.rpc._aio_truth import Unreadable
from eas_grpc.rpc._explain import masked
from eas_grpc.rpc._feeds import AioRequestFeed
from eas_grpc.rpc._policy import CallPolicy, secret_in
from eas_grpc.rpc._replay import EXPIRED, Attempts
from eas_grpc.rpc._requests import unreadable
from eas_grpc.rpc._status import AioRpcCallError, aio_error

__all__ = ["Restart", "WrappedCall"]

_RENEWABLE = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAVAILABLE})

Restart = Callable[["Metadata | None", "float | None"], Awaitable[Any]]


class WrappedCall(grpc.aio.Call):
    """What the four shapes have in common."""

    def __init__(
        self,
        policy: CallPolicy,
        method: str,
        inner: Any,
        metadata: Metadata | None,
        timeout: float | None,
        restart: Restart | None = None,
        feed: AioRequestFeed | None = None,
        limits: StreamLimits | None = None,
        attempts: Attempts | None = None,
        missing: Callable[[str], CallFailure] = unreadable,
    ) -> None:
        self._policy = policy
        self._missing = missing
        self._method = method
        self._inner = inner
        self._metadata = metadata
        self._timeout = timeout
        self._started = time.monotonic()
        self._restart = restart
        # Another token is not tried with a stream of requests; what is sent again for UNAVAILABLE counts in `attempts`.
        self._token_left = feed is None and policy.tokens is not None
        self._attempts = attempts
        self._renewing: asyncio.Lock | None = None
        self._feed = feed
        self._limits = limits
        self._tasks: set[asyncio.Task[None]] = set()
        # Set by `cancel`, which also ends the pause between two attempts; then there is no status of grpc's for it.
        self._stopped = asyncio.Event()
        self._pausing = False
        self._ended_in_pause = False
        if attempts is not None:
            self._follow(inner)

    def _local_failure(self) -> CallFailure | None:
        """The failure that this side decided, which grpc.aio knows only as a cancellation."""
        return None if self._feed is None else self._feed.failure

    def _error(self, error: grpc.aio.AioRpcError) -> AioRpcCallError:
        failure = self._local_failure()
        if failure is None:
            return aio_error(error, self._method, secret_in(self._metadata))
        return AioRpcCallError(failure)

    def _masked(self, text: Any) -> Any:
        """What the service said, without the token, should it have repeated that."""
        return text and masked(text, secret_in(self._metadata))

    def _raise_local(self) -> None:
        """Raises what really ended the call, where grpc.aio says only that it was cancelled."""
        failure = self._local_failure()
        if failure is not None:
            raise AioRpcCallError(failure) from (None if self._feed is None else self._feed.cause)

    async def _renewed(self, failed: Any) -> bool:
        """Whether the call goes on in another try than `failed`, which is over; waits until that is due.

        It does if the service refused the token and the source has another one by now, or if it was UNAVAILABLE and
        the stream of requests can be sent again.
        """
        if self._renewing is None:
            self._renewing = asyncio.Lock()
        # A done callback may ask at the same time as the caller who awaits the call.
        async with self._renewing:
            if self._inner is not failed:
                return True
            if not self._may_renew:
                return False
            code = await failed.code()
            if code is grpc.StatusCode.OK:
                self._answered()
                return False
            if code is grpc.StatusCode.UNAVAILABLE and self._attempts is not None:
                return await self._sent_again(failed, self._attempts)
            token_left = self._token_left
            self._no_more()
            if code is not grpc.StatusCode.UNAUTHENTICATED or not token_left:
                return False
            metadata = self._policy.second_chance(self._metadata)
            if metadata is None:
                return False
            self._metadata = metadata
            return await self._went_on(self._left())

    async def _went_on(self, timeout: float | None) -> bool:
        """Whether another try began; a channel that was closed meanwhile begins none."""
        assert self._restart is not None
        try:
            inner = await self._restart(self._metadata, timeout)
        except Exception:
            self._no_more()
            return False
        self._inner = inner
        if self._stopped.is_set():
            inner.cancel()
        return True

    def _no_more(self) -> None:
        """There is no further try, and nothing is kept for one."""
        self._token_left = False
        if self._attempts is not None:
            self._attempts = None
            if self._feed is not None:
                self._feed.commit()

    async def _renewed_for_caller(self, failed: Any) -> bool:
        """`_renewed`; a caller who is cancelled while it waits ends the call, as while grpc.aio waits."""
        try:
            renewed = await self._renewed(failed)
        except asyncio.CancelledError:
            self.cancel()
            raise
        if self._ended_in_pause:
            self._raise_local()
            raise asyncio.CancelledError
        return renewed

    @property
    def _may_renew(self) -> bool:
        return self._token_left or self._attempts is not None

    async def _sent_again(self, failed: Any, attempts: Attempts) -> bool:
        assert self._feed is not None
        wait = attempts.wait(await failed.initial_metadata(), await failed.trailing_metadata())
        if wait is None or not self._feed.retire():
            self._no_more()
            return False
        left = self._left()
        self._pausing = True
        try:
            await asyncio.wait_for(self._stopped.wait(), wait if left is None else min(wait, left))
        except asyncio.TimeoutError:
            pass
        else:
            self._no_more()
            return False
        finally:
            self._pausing = False
        if await self._went_on(EXPIRED if left is not None and wait >= left else self._left()):
            self._follow(self._inner)
            return True
        return False

    def _left(self) -> float | None:
        return Deadline.after(self._timeout, self._started).remaining(time.monotonic())

    def _follow(self, inner: Any) -> None:
        """Goes on when an attempt is over, also while nobody waits for the call."""

        async def after() -> None:
            if not await self._renewed(inner) and self._feed is not None:
                self._feed.close()

        inner.add_done_callback(lambda _: self._spawn(after()))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _check_read(self, message: Any) -> None:
        """Raises where grpc.aio hands out something else than a message that came and could be read."""
        if isinstance(message, Unreadable):
            raise AioRpcCallError(unreadable(self._method)) from message.error
        if message is None:
            raise AioRpcCallError(self._missing(self._method))

    def _answered(self) -> None:
        """There is a response: nothing is sent again."""
        if self._attempts is not None:
            self._attempts.succeeded()
        self._no_more()

    async def _settled(self) -> Any:
        """grpc.aio's own call, of the last try."""
        inner = self._inner
        while self._may_renew and await inner.code() in _RENEWABLE and await self._renewed(inner):
            inner = self._inner
        return self._inner

    async def code(self) -> grpc.StatusCode:
        """The status; waits for it."""
        code: grpc.StatusCode = await (await self._settled()).code()
        failure = self._local_failure()
        return code if failure is None else grpc.StatusCode[failure.status]

    async def details(self) -> str:
        """The text that came with the status; waits for it."""
        details: str = self._masked(await (await self._settled()).details())
        failure = self._local_failure()
        return details if failure is None else failure.details

    async def debug_error_string(self) -> Any:
        """What grpc core adds for its developers."""
        return self._masked(await (await self._settled()).debug_error_string())

    async def initial_metadata(self) -> Any:
        """What the service sent first; waits for it."""
        inner = self._inner
        metadata = await inner.initial_metadata()
        # A call that has ended may go on in another attempt; one that has not must not be waited for.
        return await (await self._settled()).initial_metadata() if inner.done() else metadata

    async def trailing_metadata(self) -> Any:
        """What the service sent with its status; waits for it."""
        return await (await self._settled()).trailing_metadata()

    async def wait_for_connection(self) -> None:
        """Waits until the call is on a connection."""
        try:
            await self._inner.wait_for_connection()
        except grpc.aio.AioRpcError as error:
            raise self._error(error) from None

    def cancelled(self) -> bool:
        """Whether this side ended the call."""
        return self._ended_in_pause or bool(self._inner.cancelled())

    def done(self) -> bool:
        """Whether the call is over, its further attempts included."""
        return self._ended_in_pause or (bool(self._inner.done()) and self._attempts is None)

    def time_remaining(self) -> float | None:
        """Seconds until the deadline; None without one."""
        remaining: float | None = self._inner.time_remaining()
        return remaining

    def cancel(self) -> bool:
        """Ends the call on this side, further tries included."""
        self._token_left = False
        waits = self._pausing or (self._attempts is not None and bool(self._inner.done()))
        self._ended_in_pause = self._ended_in_pause or waits
        self._stopped.set()
        return bool(self._inner.cancel()) or waits

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Calls `callback` with this call when it is over, its further tries included."""
        if not self._may_renew:
            self._inner.add_done_callback(lambda _: callback(self))
            return

        async def after(inner: Any) -> None:
            if await self._renewed(inner):
                self.add_done_callback(callback)
            else:
                callback(self)

        self._inner.add_done_callback(lambda inner: self._spawn(after(inner)))
