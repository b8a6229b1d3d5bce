"""The same policy as interceptors, for an asyncio channel that somebody else builds.

grpc.aio files an interceptor under the first of its base classes only (grpc/grpc#40946), so there is one
class per call shape and all four must be given to the channel.
"""

from __future__ import annotations

from typing import Any

import grpc.aio

from eas_grpc.calls import CallShape
from eas_grpc.deadline import UNSET
from eas_grpc.errors import ConfigError
from eas_grpc.rpc._aio_calls import (
    StreamStreamCall,
    StreamUnaryCall,
    UnaryStreamCall,
    UnaryUnaryCall,
)
from eas_grpc.rpc._aio_truth import truthful
from eas_grpc.rpc._feeds import AioRequestFeed
from eas_grpc.rpc._policy import CallPolicy
from eas_grpc.rpc._requests import Refused, RequestCheck
from eas_grpc.rpc._status import AioMisuseError, AioRpcCallError, misuse

__all__ = ["policy_interceptors"]


def policy_interceptors(policy: CallPolicy) -> list[grpc.aio.ClientInterceptor]:
    """One interceptor per call shape."""
    return [_UnaryUnary(policy), _UnaryStream(policy), _StreamUnary(policy), _StreamStream(policy)]


class _Interceptor:
    """What the four adapters share.

    An interceptor cannot tell `timeout=None` from no timeout, so here None gets the default as well.
    """

    def __init__(self, policy: CallPolicy) -> None:
        self._policy = policy

    def __repr__(self) -> str:
        return "<eas_grpc asyncio interceptor>"

    def _begin(self, shape: CallShape, method: str, details: Any) -> Any:
        given = UNSET if details.timeout is None else details.timeout
        try:
            return given, *self._policy.begin(shape, given, details.metadata)
        except ConfigError as error:
            raise AioMisuseError(misuse(error, method)) from None

    async def _single(
        self, shape: CallShape, wrapper: Any, continuation: Any, details: Any, request: Any
    ) -> Any:
        method = _text(details.method)
        try:
            RequestCheck(self._policy, method, None).passed(request)
        except Refused as refused:
            raise AioRpcCallError(refused.failure) from None
        given, seconds, sent = self._begin(shape, method, details)

        async def start(metadata: Any, timeout: float | None) -> Any:
            return await continuation(_with(details, timeout, metadata), request)

        limits = self._policy.limits(shape, given)
        inner = await start(sent, seconds)
        return wrapper(self._policy, method, inner, sent, seconds, restart=start, limits=limits)

    async def _many(
        self, shape: CallShape, wrapper: Any, continuation: Any, details: Any, requests: Any
    ) -> Any:
        method = _text(details.method)
        given, seconds, sent = self._begin(shape, method, details)
        feed = AioRequestFeed(requests, RequestCheck(self._policy, method, None).passed, method)
        inner = truthful(await continuation(_with(details, seconds, sent), feed.iterator()))
        limits = self._policy.limits(shape, given)
        return wrapper(self._policy, method, inner, sent, seconds, feed=feed, limits=limits)


class _UnaryUnary(_Interceptor, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await self._single(
            CallShape.UNARY_UNARY, UnaryUnaryCall, continuation, client_call_details, request
        )


class _UnaryStream(_Interceptor, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await self._single(
            CallShape.UNARY_STREAM, UnaryStreamCall, continuation, client_call_details, request
        )


class _StreamUnary(_Interceptor, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return await self._many(
            CallShape.STREAM_UNARY, StreamUnaryCall, continuation, client_call_details, request_iterator
        )


class _StreamStream(_Interceptor, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return await self._many(
            CallShape.STREAM_STREAM, StreamStreamCall, continuation, client_call_details, request_iterator
        )


def _text(method: str | bytes) -> str:
    return method.decode() if isinstance(method, bytes) else method


def _with(details: Any, timeout: float | None, metadata: Any) -> grpc.aio.ClientCallDetails:
    return grpc.aio.ClientCallDetails(
        method=details.method,
        timeout=timeout,
        metadata=grpc.aio.Metadata(*(metadata or ())),
        credentials=details.credentials,
        wait_for_ready=details.wait_for_ready,
    )
