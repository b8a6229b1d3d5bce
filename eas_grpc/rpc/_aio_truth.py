"""Keeps grpc.aio from hiding how a call ended, and that a message could not be read.

When the connection breaks while a request is sent, grpc.aio (1.71 to 1.85) does not wait for the call's status: it makes
up INTERNAL "Internal error from Core", or, where it was just saying that no request follows, cancels the call, so that
its caller sees CancelledError as if they had been cancelled themselves (grpc issue 36066). The status is on its way in
both cases, since core refuses to send only over a call that has ended.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc.aio

__all__ = ["Unreadable", "reader", "truthful"]


@dataclass(frozen=True)
class Unreadable:
    """A message whose reading raised `error`; grpc.aio would hand out None, as it does where none came."""

    error: Exception


def reader(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes | None], Any] | None:
    """The deserializer, for grpc.aio to call: it raises nothing."""
    if deserialize is None:
        return None

    def read(data: bytes | None) -> Any:
        # grpc.aio calls it also where there is no message.
        try:
            return None if data is None else deserialize(data)
        except Exception as error:
            return Unreadable(error)

    return read


def truthful(call: Any) -> Any:
    """The call, which from now on ends with the status that core gives it; one that interceptors wrap stays as it is."""
    if hasattr(call, "_cython_call"):
        call._cython_call = _CoreCall(call._cython_call)  # noqa: SLF001
    return call


class _CoreCall:
    """grpc.aio's handle on core's call, without the two ways in which it covers the status up."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def set_internal_error(self, _: str) -> None:
        """Nothing: whoever calls this asks for the status next."""

    async def send_receive_close(self) -> None:
        try:
            await self._inner.send_receive_close()
        except grpc.aio.InternalError:
            # The call is over, and says itself how it ended.
            return
