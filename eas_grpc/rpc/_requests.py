"""What becomes of a request before grpc sees it: bytes, counted. Shared by both colours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eas_grpc.errors import CallFailure
from eas_grpc.rpc._explain import explain
from eas_grpc.rpc._policy import CallPolicy
from eas_grpc.rpc._status import refusal

__all__ = [
    "Refused",
    "RequestCheck",
    "iterator_failure",
    "message_size",
    "silence",
    "unanswered",
    "unreadable",
]


class Refused(Exception):
    """A request that is not sent; carries the reason out of grpc's request iteration."""

    def __init__(self, failure: CallFailure) -> None:
        super().__init__(failure)
        self.failure = failure


class RequestCheck:
    """Turns a request into its bytes and refuses what the gateway would not take.

    grpc's own serializing swallows the exception and its text; here the caller sees both.
    """

    __slots__ = ("_method", "_notable", "_policy", "_serialize")

    def __init__(self, policy: CallPolicy, method: str, serialize: Callable[[Any], bytes] | None) -> None:
        self._policy = policy
        self._method = method
        self._serialize = serialize
        self._notable = policy.notable_request

    def __call__(self, request: Any) -> bytes:
        """The bytes of `request`. Raises Refused."""
        payload: bytes
        if self._serialize is None:
            payload = request
        else:
            try:
                payload = self._serialize(request)
            except Exception as error:
                raise Refused(_not_serialized(request, error, self._method)) from error
        if len(payload) > self._notable:
            self._weigh(len(payload))
        return payload

    def passed(self, request: Any) -> Any:
        """The request itself, checked: for channels of others, which serialize on their own."""
        if (size := message_size(request)) > self._notable:
            self._weigh(size)
        return request

    def _weigh(self, size: int) -> None:
        failure = self._policy.oversize(size, self._method)
        if failure is not None:
            raise Refused(failure)


def message_size(request: Any) -> int:
    """Size in bytes of a request as far as it can be known before serializing; 0 where it cannot."""
    if hasattr(request, "ByteSize"):
        return int(request.ByteSize())
    return len(request) if isinstance(request, bytes | bytearray | memoryview) else 0


def iterator_failure(error: Exception, method: str) -> CallFailure:
    """The failure of a call whose request iterator raised."""
    if isinstance(error, Refused):
        return error.failure
    return refusal(
        "UNKNOWN",
        f"the request iterator raised {type(error).__name__}: {error}",
        method,
        "the call was cancelled, so that the service does not take half a stream for a whole one",
    )


def silence(limit: float | None, method: str) -> CallFailure:
    """The failure of a stream whose next message did not come within `limit` seconds."""
    return refusal(
        "DEADLINE_EXCEEDED",
        f"no message came within {limit:g} s",
        method,
        "the service is slow or the connection is silent: allow longer waits with"
        " stream_limits=StreamLimits(first_message=..., gap=...), or set timeout= on the call",
    )


def unreadable(method: str) -> CallFailure:
    """The failure of a call whose answer the stub cannot read, where grpc.aio hands out None as if all were well.

    With the words of grpc's blocking calls.
    """
    return explain("INTERNAL", "Exception deserializing response!", method=method)


def unanswered(method: str) -> CallFailure:
    """The failure of a call that the service ended with OK but without its response, for which grpc hands out None.

    The code is that of statuscodes.md: "Response cardinality violation".
    """
    return refusal(
        "UNIMPLEMENTED",
        "the service answered OK without a message",
        method,
        "the service, or a proxy in front of it, ended the call without its response: look into the service's log",
    )


def _not_serialized(request: Any, error: Exception, method: str) -> CallFailure:
    return refusal(
        "INTERNAL",
        f"the request ({type(request).__name__}) could not be serialized: {error}",
        method,
        "pass the message type that the .proto names for this method; nothing was sent",
    )
