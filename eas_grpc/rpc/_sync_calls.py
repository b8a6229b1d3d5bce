"""A call under way on a blocking channel: grpc's own call object, with our errors and limits around it.

The same objects serve `connect()` and `interceptors()`: what differs is only how a call is started, and that
is passed in as `start(metadata, timeout)`.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import grpc

from eas_grpc.calls import Metadata
from eas_grpc.deadline import Deadline
from eas_grpc.errors import CallFailure
from eas_grpc.options import StreamLimits
from eas_grpc.rpc._explain import masked
from eas_grpc.rpc._feeds import RequestFeed
from eas_grpc.rpc._foreign import as_call
from eas_grpc.rpc._policy import CallPolicy, secret_in
from eas_grpc.rpc._replay import EXPIRED, Attempts
from eas_grpc.rpc._requests import silence, unanswered
from eas_grpc.rpc._status import RpcCallError, debug_text, refusal, sync_error
from eas_grpc.rpc._watch import GapWatch

__all__ = ["Start", "StreamCall", "UnaryCall"]

Start = Callable[["Metadata | None", "float | None"], Any]


class _Call(grpc.Call, grpc.Future):  # type: ignore[type-arg]
    """What unary and streaming answers have in common."""

    def __init__(
        self,
        policy: CallPolicy,
        method: str,
        start: Start,
        metadata: Metadata | None,
        timeout: float | None,
        feed: RequestFeed | None = None,
        limits: StreamLimits | None = None,
        attempts: Attempts | None = None,
    ) -> None:
        self._limits = limits
        self._policy = policy
        self._method = method
        self._start = start
        self._metadata = metadata
        self._deadline = Deadline.after(timeout, time.monotonic())
        self._feed = feed
        # Another token is not tried with a stream of requests; what is sent again for UNAVAILABLE counts in `attempts`.
        self._tries_left = 0 if feed is not None or policy.tokens is None else 1
        self._attempts = attempts
        # Set by `cancel`, which also ends the pause between two attempts; then there is no status of grpc's for it.
        self._stopped = threading.Event()
        self._pausing = False
        self._ended_in_pause = False
        self._renewing = threading.Lock()
        self._inner: Any = self._begin(metadata, timeout)

    def _begin(self, metadata: Metadata | None, timeout: float | None) -> Any:
        return self._start(metadata, timeout)

    def _renewed(self, failed: Any) -> bool:
        """Whether the call goes on in another try than `failed`, which is over; waits until that is due.

        It does if the service refused the token and the source has another one by now, or if it was UNAVAILABLE and
        the stream of requests can be sent again.
        """
        if not self._tries_left and self._attempts is None and self._inner is failed:
            return False
        with self._renewing:
            if self._inner is not failed:
                return True
            code = failed.code()
            if code is grpc.StatusCode.OK:
                self._answered()
                return False
            if code is grpc.StatusCode.UNAVAILABLE and self._attempts is not None:
                return self._sent_again(failed, self._attempts)
            tries_left = self._tries_left
            self._no_more()
            if code is not grpc.StatusCode.UNAUTHENTICATED or not tries_left:
                return False
            metadata = self._policy.second_chance(self._metadata)
            if metadata is None:
                return False
            self._metadata = metadata
            return self._went_on(self._deadline.remaining(time.monotonic()))

    def _went_on(self, timeout: float | None) -> bool:
        """Whether another try began; a channel that was closed meanwhile begins none."""
        try:
            inner = self._begin(self._metadata, timeout)
        except Exception:
            self._no_more()
            return False
        self._inner = inner
        if self._stopped.is_set():
            inner.cancel()
        return True

    def _no_more(self) -> None:
        """There is no further try, and nothing is kept for one."""
        self._tries_left = 0
        if self._attempts is not None:
            self._attempts = None
            if self._feed is not None:
                self._feed.commit()

    def _sent_again(self, failed: Any, attempts: Attempts) -> bool:
        assert self._feed is not None
        wait = attempts.wait(failed.initial_metadata(), failed.trailing_metadata())
        left = self._deadline.remaining(time.monotonic())
        if wait is None or not self._feed.retire():
            self._no_more()
            return False
        self._pausing = True
        try:
            stopped = self._stopped.wait(wait if left is None else min(wait, left))
        finally:
            self._pausing = False
        if stopped:
            self._no_more()
            return False
        expired = left is not None and wait >= left
        return self._went_on(EXPIRED if expired else self._deadline.remaining(time.monotonic()))

    def _waits(self, inner: Any) -> bool:
        """Whether `inner`, which is over, may be followed by another attempt after a pause."""
        return self._attempts is not None and inner.code() is grpc.StatusCode.UNAVAILABLE

    def _last(self) -> Any:
        """grpc's own call, of the last attempt; waits for its end."""
        inner = self._settled()
        while self._waits(inner) and self._renewed(inner):
            inner = self._settled()
        return inner

    def _answered(self) -> None:
        """There is a response: nothing is sent again."""
        if self._attempts is not None:
            self._attempts.succeeded()
        self._no_more()

    def _settled(self) -> Any:
        """grpc's own call, of the last try."""
        return self._inner

    def _local_failure(self) -> CallFailure | None:
        """The failure that this side decided, which grpc knows only as a cancellation."""
        if self._ended_in_pause:
            return refusal("CANCELLED", "cancelled between two attempts", self._method, "")
        return None if self._feed is None else self._feed.failure

    def _error(self, error: grpc.RpcError) -> RpcCallError:
        failure = self._local_failure()
        if failure is None:
            return sync_error(error, self._method, secret_in(self._metadata))
        return RpcCallError(failure)

    def _masked(self, text: str | None) -> str | None:
        """What the service said, without the token, should it have repeated that."""
        return text and masked(text, secret_in(self._metadata))

    def _cause(self) -> Exception | None:
        """What the caller's own request iterator raised, if that ended the call."""
        return None if self._feed is None else self._feed.cause

    def code(self) -> grpc.StatusCode:
        """The status; waits for it."""
        inner = self._last().code()
        failure = self._local_failure()
        return inner if failure is None else grpc.StatusCode[failure.status]

    def details(self) -> Any:
        """The text that came with the status; waits for it."""
        details = self._masked(self._last().details())
        failure = self._local_failure()
        return details if failure is None else failure.details

    def debug_error_string(self) -> Any:
        """What grpc core adds for its developers."""
        inner = self._last()
        inner.code()
        return self._masked(debug_text(inner))

    def initial_metadata(self) -> Any:
        """What the service sent first; waits for it."""
        inner = self._settled()
        metadata = inner.initial_metadata()
        # A call that has ended may go on in another attempt; one that has not must not be waited for.
        return self._last().initial_metadata() if inner.done() else metadata

    def trailing_metadata(self) -> Any:
        """What the service sent with its status; waits for it."""
        return self._last().trailing_metadata()

    def is_active(self) -> bool:
        """Whether the call is still under way."""
        return bool(self._inner.is_active())

    def time_remaining(self) -> Any:
        """Seconds until the deadline; None without one."""
        return self._inner.time_remaining()

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """Calls `callback` when the call is over; False if it is already."""
        if self._attempts is None:
            return bool(self._inner.add_callback(callback))
        if self.done():
            return False
        self.add_done_callback(lambda _: callback())
        return True

    def cancel(self) -> bool:
        """Ends the call on this side, a second try included."""
        self._tries_left = 0
        waits = self._pausing or (self._inner.done() and self._waits(self._inner))
        self._ended_in_pause = self._ended_in_pause or waits
        self._stopped.set()
        return bool(self._inner.cancel()) or waits

    def cancelled(self) -> bool:
        """Whether this side ended the call."""
        return self._ended_in_pause or bool(self._inner.cancelled())

    def running(self) -> bool:
        """Whether the call is still under way."""
        return not self.done()

    def done(self) -> bool:
        """Whether the call is over, its further tries included."""
        inner = self._inner
        return bool(inner.done()) and (self._ended_in_pause or not self._waits(inner))

    def result(self, timeout: float | None = None) -> Any:
        """The response; waits for it at most `timeout` seconds. Raises RpcCallError, grpc.FutureTimeoutError."""
        try:
            return self._inner.result(timeout)
        except grpc.RpcError as error:
            raise self._error(error) from self._cause()

    def exception(self, timeout: float | None = None) -> Exception | None:
        """The error of the call, None if it went well; waits as `result` does."""
        try:
            self.result(timeout)
        except RpcCallError as error:
            return error
        return None

    def traceback(self, timeout: float | None = None) -> Any:
        """The traceback of the error, None if the call went well; waits as `result` does."""
        error = self.exception(timeout)
        return None if error is None else error.__traceback__

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        """Calls `fn` with this call when it is over, its further tries included."""

        def finished(inner: Any) -> None:
            if self._waits(inner):
                # Not on grpc's own thread, which serves all calls of the channel.
                threading.Thread(target=go_on, args=(inner,), daemon=True).start()
            else:
                go_on(inner)

        def go_on(inner: Any) -> None:
            if self._renewed(inner):
                self.add_done_callback(fn)
            else:
                fn(self)

        self._inner.add_done_callback(finished)


class UnaryCall(_Call):
    """A call with one response, as `.future()` returns it."""

    def _settled(self) -> Any:
        inner = self._inner
        if self._tries_left and inner.code() is grpc.StatusCode.UNAUTHENTICATED:
            self._renewed(inner)
        return self._inner

    def result(self, timeout: float | None = None) -> Any:
        """The response; waits for it at most `timeout` seconds. Raises RpcCallError, grpc.FutureTimeoutError."""
        until = Deadline.after(timeout, time.monotonic())
        while True:
            inner = self._inner
            try:
                response = super().result(until.remaining(time.monotonic()))
            except RpcCallError:
                renewed = self._renewed_within(inner, until)
                # It prints what the service said, unmasked, where a frame's locals are shown.
                del inner
                if self._ended_in_pause:
                    raise grpc.FutureCancelledError from None
                if not renewed:
                    raise
            else:
                self._answered()
                if response is None:
                    raise RpcCallError(unanswered(self._method))
                return response

    def _renewed_within(self, failed: Any, until: Deadline) -> bool:
        """`_renewed`, but with the caller's patience; raises grpc.FutureTimeoutError at its end."""
        left = until.remaining(time.monotonic())
        if left is None or not self._waits(failed):
            return self._renewed(failed)
        going_on = threading.Thread(target=self._renewed, args=(failed,), daemon=True)
        going_on.start()
        going_on.join(left)
        if going_on.is_alive():
            raise grpc.FutureTimeoutError from None
        return self._renewed(failed)

    def done(self) -> bool:
        """Whether the call is over, its further tries included."""
        return super().done() and not self._renewed(self._inner)


class StreamCall(_Call):
    """A call with a stream of responses: an iterator that reads one message when asked for one.

    The wait for the first message and for each further one has a limit, unless `limits` is None.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._limit = None if self._limits is None else self._limits.first_message
        self._watch = None if self._limits is None else GapWatch(weakref.WeakMethod(self.cancel))

    def _begin(self, metadata: Metadata | None, timeout: float | None) -> Any:
        inner = as_call(super()._begin(metadata, timeout))
        _end_reads_with_the_call(inner)
        return inner

    def __iter__(self) -> StreamCall:
        return self

    def __next__(self) -> Any:
        if self._watch is None or self._limit is None:
            message = self._read()
        else:
            self._watch.arm(self._limit)
            try:
                message = self._read()
            finally:
                self._watch.disarm()
        self._answered()
        if self._limits is not None:
            self._limit = self._limits.gap
        return message

    next = __next__

    def _read(self) -> Any:
        inner = self._inner
        try:
            return next(inner)
        except grpc.RpcError as error:
            renewed = self._renewed(inner)
            del inner  # see UnaryCall.result
            if not renewed:
                raise self._error(error) from self._cause()
        return self._read()

    def _local_failure(self) -> CallFailure | None:
        if self._watch is not None and self._watch.expired and (self._feed is None or not self._feed.failure):
            return silence(self._limit, self._method)
        return super()._local_failure()


def _end_reads_with_the_call(inner: Any) -> None:
    """Ends what still waits for a message when the call has failed.

    When the last attempt of a retried call fails, core (1.71 to 1.85) reports the status but keeps the read
    that was under way, and with it the reader, for ever. Cancelling lets it go; the status stays as it is.
    """
    if not hasattr(inner, "_call"):
        return
    # Not the call itself: one that its caller has dropped must end.
    this = weakref.ref(inner)

    def over() -> None:
        call = this()
        if call is not None and call.code() is not grpc.StatusCode.OK:
            # grpc has no other handle on it: `cancel()` does nothing once there is a status.
            call._call.cancel(grpc.StatusCode.CANCELLED.value[0], "the call is over")  # noqa: SLF001

    if not inner.add_callback(over):
        over()
