"""The one border where grpc's errors become ours. Both colours raise the same facts in their own class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import grpc
import grpc.aio

from eas_grpc.errors import CallError, CallFailure, ConfigError, Origin
from eas_grpc.rpc._explain import explain

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = [
    "AioMisuseError",
    "AioRpcCallError",
    "RpcCallError",
    "RpcMisuseError",
    "aio_error",
    "debug_text",
    "misuse",
    "refusal",
    "sync_error",
]


class Metadatum(NamedTuple):
    """A pair of metadata, readable as grpc's own pairs are."""

    key: str
    value: str | bytes


class RpcCallError(CallError, grpc.RpcError, grpc.Call, grpc.Future):  # type: ignore[type-arg]
    """A failed call. What grpc's own error offers works here too: it is also a finished call and future."""

    def code(self) -> grpc.StatusCode:
        """The status as grpc's enum."""
        return grpc.StatusCode[self.failure.status]

    def details(self) -> str:
        """The text that came with the status."""
        return self.failure.details

    def initial_metadata(self) -> Any:
        """What the service sent first; empty if nothing came."""
        return tuple(Metadatum(*pair) for pair in self.failure.initial_metadata)

    def trailing_metadata(self) -> Any:
        """What the service sent with its status; empty if nothing came."""
        return tuple(Metadatum(*pair) for pair in self.failure.trailing_metadata)

    def debug_error_string(self) -> str:
        """What grpc core adds for its developers."""
        return self.failure.debug

    # What is left makes the error usable where interceptors of others expect a finished call.

    def result(self, timeout: float | None = None) -> NoReturn:  # noqa: ARG002
        """Raises this error."""
        raise self

    def exception(self, timeout: float | None = None) -> RpcCallError:  # noqa: ARG002
        """This error."""
        return self

    def traceback(self, timeout: float | None = None) -> TracebackType | None:  # noqa: ARG002
        """Where it was raised."""
        return self.__traceback__

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        """Calls `fn` now: the call is over."""
        fn(self)

    def add_callback(self, callback: Callable[[], None]) -> bool:  # noqa: ARG002
        """False: the call is over."""
        return False

    def is_active(self) -> bool:
        """False: the call is over."""
        return False

    def time_remaining(self) -> Any:
        """None: the call is over."""
        return None

    def cancel(self) -> bool:
        """False: the call is over."""
        return False

    def cancelled(self) -> bool:
        """Whether this side ended the call."""
        return self.failure.status == "CANCELLED" and self.failure.origin is Origin.CLIENT

    def running(self) -> bool:
        """False: the call is over."""
        return False

    def done(self) -> bool:
        """True: the call is over."""
        return True


class AioRpcCallError(CallError, grpc.aio.AioRpcError):
    """A failed call of an asyncio channel."""

    def __init__(self, failure: CallFailure) -> None:
        CallError.__init__(self, failure)

    def code(self) -> grpc.StatusCode:
        """The status as grpc's enum."""
        return grpc.StatusCode[self.failure.status]

    def details(self) -> str:
        """The text that came with the status."""
        return self.failure.details

    def initial_metadata(self) -> Any:
        """What the service sent first; empty if nothing came."""
        return grpc.aio.Metadata(*self.failure.initial_metadata)

    def trailing_metadata(self) -> Any:
        """What the service sent with its status; empty if nothing came."""
        return grpc.aio.Metadata(*self.failure.trailing_metadata)

    def debug_error_string(self) -> str:
        """What grpc core adds for its developers."""
        return self.failure.debug

    # AioRpcError has its own repr, str and reduce, over fields that this class does not have.
    __str__ = CallError.__str__
    __repr__ = Exception.__repr__
    __reduce__ = CallError.__reduce__


class RpcMisuseError(ConfigError, RpcCallError):
    """A ConfigError about one call: the `grpc.RpcError` too that callers expect from a call. Nothing was sent."""


class AioMisuseError(ConfigError, AioRpcCallError):
    """The same for asyncio."""


def sync_error(error: grpc.RpcError, method: str, secret: str) -> RpcCallError:
    """Our error for one of grpc's."""
    return error if isinstance(error, RpcCallError) else RpcCallError(_failure(error, method, secret))


def aio_error(error: grpc.aio.AioRpcError, method: str, secret: str) -> AioRpcCallError:
    """Our error for one of grpc.aio's."""
    return error if isinstance(error, AioRpcCallError) else AioRpcCallError(_failure(error, method, secret))


def misuse(error: ConfigError, method: str) -> CallFailure:
    """The failure of a call that was not made because of how it was asked for."""
    return refusal("INVALID_ARGUMENT", str(error), method, "")


def refusal(status: str, details: str, method: str, hint: str) -> CallFailure:
    """A failure that this side decided, before or instead of a status from elsewhere."""
    return CallFailure(status=status, details=details, origin=Origin.CLIENT, hint=hint, method=method)


def debug_text(call: Any) -> str:
    """What grpc core adds for its developers about a call that is over; empty if there is nothing.

    Where this side ended a call (cancel, a response that cannot be read) grpc never makes that text, and its
    `debug_error_string()` waits for it for ever. So its state is asked first.
    """
    state = getattr(call, "_state", None)
    if state is not None and getattr(state, "debug_error_string", "") is None:
        return ""
    return getattr(call, "debug_error_string", str)() or ""


def _failure(error: Any, method: str, secret: str) -> CallFailure:
    return explain(
        error.code().name,
        error.details(),
        debug=debug_text(error),
        method=method,
        initial_metadata=_plain(error.initial_metadata()),
        trailing_metadata=_plain(error.trailing_metadata()),
        secret=secret,
        token_sent=bool(secret),
    )


def _plain(metadata: Any) -> tuple[tuple[str, str | bytes], ...]:
    """Metadata as tuples of str and bytes: grpc's own pair types do not always pickle."""
    return tuple(
        (str(key), value if isinstance(value, bytes) else str(value)) for key, value in metadata or ()
    )
