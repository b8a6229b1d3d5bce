"""What somebody's interceptor made of a stream of responses: often only an iterator, where grpc has a call.

OpenTelemetry's interceptors, and any that are written as generators, return such. The rest of a call's abilities
is answered here from what the iteration has shown.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import grpc

__all__ = ["as_call"]


def as_call(stream: Any) -> Any:
    """The stream itself where it is a call; else one that stands for it."""
    return stream if hasattr(stream, "add_callback") else _IteratorCall(stream)


class _IteratorCall:
    def __init__(self, iterator: Iterator[Any]) -> None:
        self._iterator = iterator
        self._error: Any = None
        self._over = False
        self._callbacks: list[Callable[[], None]] = []

    def __iter__(self) -> _IteratorCall:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._iterator)
        except StopIteration:
            self._end(None)
            raise
        except Exception as error:
            self._end(error)
            raise

    def __del__(self) -> None:
        self._end(None)

    def _end(self, error: Exception | None) -> None:
        if not self._over:
            self._over, self._error = True, error
            for callback in self._callbacks:
                callback()

    def _from_error(self, name: str, otherwise: Any) -> Any:
        return getattr(self._error, name)() if isinstance(self._error, grpc.RpcError) else otherwise

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """Called when the iteration ends, or is dropped."""
        if self._over:
            return False
        self._callbacks.append(callback)
        return True

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        """The same, given the call."""
        if not self.add_callback(lambda: fn(self)):
            fn(self)

    def code(self) -> grpc.StatusCode | None:
        """The status as far as it is known; None while the iteration goes on."""
        if isinstance(self._error, grpc.RpcError):
            code: grpc.StatusCode = self._error.code()
            return code
        if self._error is not None:
            return grpc.StatusCode.UNKNOWN
        return grpc.StatusCode.OK if self._over else None

    def details(self) -> Any:
        """The text of the error, if it ended in one."""
        return self._from_error("details", "")

    def debug_error_string(self) -> str:
        """Nothing: an iterator has none."""
        return ""

    def initial_metadata(self) -> Any:
        """What the error brought, if it ended in one."""
        return self._from_error("initial_metadata", ())

    def trailing_metadata(self) -> Any:
        """What the error brought, if it ended in one."""
        return self._from_error("trailing_metadata", ())

    def is_active(self) -> bool:
        """Whether the iteration goes on."""
        return not self._over

    running = is_active

    def done(self) -> bool:
        """Whether the iteration has ended."""
        return self._over

    def cancelled(self) -> bool:
        """False: an iterator cannot tell."""
        return False

    def time_remaining(self) -> float | None:
        """None: an iterator does not know."""
        return None

    def cancel(self) -> bool:
        """Closes a generator, which drops the call below it; without effect while another thread reads."""
        with contextlib.suppress(ValueError, AttributeError):
            self._iterator.close()  # type: ignore[attr-defined]
            self._end(None)
            return True
        return False

    def result(self, timeout: float | None = None) -> Any:  # noqa: ARG002
        """A stream has no result."""
        raise TypeError("this stream was made by an interceptor: iterate over it")
