"""The same policy as interceptors, for a blocking channel that somebody else built."""

from __future__ import annotations

from typing import Any, NamedTuple

import grpc

from eas_grpc.calls import CallShape
from eas_grpc.deadline import UNSET
from eas_grpc.errors import ConfigError
from eas_grpc.rpc._feeds import RequestFeed
from eas_grpc.rpc._policy import CallPolicy
from eas_grpc.rpc._requests import Refused, RequestCheck
from eas_grpc.rpc._status import RpcCallError, RpcMisuseError, misuse
from eas_grpc.rpc._sync_calls import StreamCall, UnaryCall

__all__ = ["PolicyInterceptor"]


class _Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: Any
    compression: Any


class _ClientCallDetails(_Details, grpc.ClientCallDetails):
    """grpc's record of a call with our timeout and metadata."""


class PolicyInterceptor(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """One policy for the four shapes.

    An interceptor cannot tell `timeout=None` from no timeout, so here None gets the default as well.
    """

    def __init__(self, policy: CallPolicy) -> None:
        self._policy = policy

    def __repr__(self) -> str:
        return "<eas_grpc interceptor>"

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """One request, one response."""
        return self._single(CallShape.UNARY_UNARY, continuation, client_call_details, request)

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """One request, a stream of responses."""
        return self._single(CallShape.UNARY_STREAM, continuation, client_call_details, request)

    def intercept_stream_unary(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        """A stream of requests, one response."""
        return self._many(CallShape.STREAM_UNARY, continuation, client_call_details, request_iterator)

    def intercept_stream_stream(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        """A stream of requests, a stream of responses."""
        return self._many(CallShape.STREAM_STREAM, continuation, client_call_details, request_iterator)

    def _single(self, shape: CallShape, continuation: Any, details: Any, request: Any) -> Any:
        try:
            checked = RequestCheck(self._policy, details.method, None).passed(request)
        except Refused as refused:
            raise RpcCallError(refused.failure) from None
        return self._open(shape, continuation, details, checked, None)

    def _many(self, shape: CallShape, continuation: Any, details: Any, requests: Any) -> Any:
        check = RequestCheck(self._policy, details.method, None)
        feed = RequestFeed(requests, check.passed, details.method)
        return self._open(shape, continuation, details, iter(feed), feed)

    def _open(
        self, shape: CallShape, continuation: Any, details: Any, request: Any, feed: RequestFeed | None
    ) -> Any:
        given = UNSET if details.timeout is None else details.timeout
        try:
            seconds, sent = self._policy.begin(shape, given, details.metadata)
        except ConfigError as error:
            raise RpcMisuseError(misuse(error, details.method)) from None

        def start(metadata: Any, timeout: float | None) -> Any:
            return continuation(_with(details, timeout, metadata), request)

        wrapper = StreamCall if shape.many_responses else UnaryCall
        limits = self._policy.limits(shape, given)
        return wrapper(self._policy, details.method, start, sent, seconds, feed, limits)


def _with(details: Any, timeout: float | None, metadata: Any) -> _ClientCallDetails:
    return _ClientCallDetails(
        details.method,
        timeout,
        metadata,
        getattr(details, "credentials", None),
        getattr(details, "wait_for_ready", None),
        getattr(details, "compression", None),
    )
