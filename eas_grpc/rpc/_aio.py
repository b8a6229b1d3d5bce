"""The asyncio channel: a `grpc.aio.Channel` with the same policy as the blocking one.

grpc's own channel is made on first use, because it belongs to the event loop that runs at that moment: so a
channel may be made at import time, and in a second `asyncio.run` it simply makes another. In a forked child it
does so too, unless grpc.aio was running at the fork: see `_fork.py`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, NoReturn

import grpc
import grpc.aio

from eas_grpc.calls import CallShape, Metadata
from eas_grpc.deadline import UNSET
from eas_grpc.errors import ConfigError
from eas_grpc.rpc._aio_calls import (
    StreamStreamCall,
    StreamUnaryCall,
    UnaryStreamCall,
    UnaryUnaryCall,
)
from eas_grpc.rpc._aio_truth import reader, truthful
from eas_grpc.rpc._feeds import AioRequestFeed
from eas_grpc.rpc._fork import gate
from eas_grpc.rpc._policy import CallPolicy
from eas_grpc.rpc._requests import Refused, RequestCheck, unanswered
from eas_grpc.rpc._status import AioMisuseError, AioRpcCallError, misuse

__all__ = ["PolicyAioChannel"]


class PolicyAioChannel(grpc.aio.Channel):
    """A channel with a policy. `build` makes grpc's own channels, once per process and event loop: one, and a second
    one when a call streams its requests, which core must not retry (see `_replay`); the two share a connection.
    """

    def __init__(
        self,
        build: Callable[[bool], grpc.aio.Channel],
        policy: CallPolicy,
        described: str,
        *,
        intercepted: bool,
    ) -> None:
        # grpc.aio hands its metadata object to interceptors, which may add to it: then no two calls share one.
        self.intercepted = intercepted
        self._build = build
        self._policy = policy
        self._described = described
        self._pid = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._inner: Any = None
        self._plain: Any = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<eas_grpc asyncio channel to {self._described}>"

    def inner(self) -> Any:
        """grpc's own channel of this process and the running event loop. Raises ConfigError without one."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise ConfigError(
                "an asyncio channel works only inside a running event loop: call it from a coroutine"
                " (asyncio.run(...)), or use eas_grpc.connect() for blocking code"
            ) from None
        if loop is self._loop and self._pid == os.getpid():
            return self._inner
        if self._pid == os.getpid() and self._loop is not None and not self._loop.is_closed():
            raise ConfigError(
                "this channel is in use on another event loop that is still open: make one channel per loop"
            )
        if gate.aio_lost:
            raise ConfigError(
                "grpc.aio was in use when this process was forked off, and does not work in such a child:"
                " fork before the first call, start processes by 'spawn' or 'forkserver', or use eas_grpc.connect()"
            )
        self._inner, self._plain, self._closed = self._build(True), None, False
        self._pid, self._loop = os.getpid(), loop
        return self._inner

    def plain(self) -> Any:
        """The same without core's retries, for calls that stream their requests."""
        inner = self.inner()
        if self._closed:
            return inner
        if self._plain is None:
            self._plain = self._build(False)
        return self._plain

    def unary_unary(self, method: str, *serializers: Any, **named: Any) -> Any:
        """A callable for a method with one request and one response."""
        return _UnaryUnary(self, self._policy, method, *serializers, **named)

    def unary_stream(self, method: str, *serializers: Any, **named: Any) -> Any:
        """A callable for a method with one request and a stream of responses."""
        return _UnaryStream(self, self._policy, method, *serializers, **named)

    def stream_unary(self, method: str, *serializers: Any, **named: Any) -> Any:
        """A callable for a method with a stream of requests and one response."""
        return _StreamUnary(self, self._policy, method, *serializers, **named)

    def stream_stream(self, method: str, *serializers: Any, **named: Any) -> Any:
        """A callable for a method with a stream of requests and a stream of responses."""
        return _StreamStream(self, self._policy, method, *serializers, **named)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """The state of the connection."""
        state: grpc.ChannelConnectivity = self.inner().get_state(try_to_connect)
        return state

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Waits until the state differs from the one given."""
        await self.inner().wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Waits until there is a connection."""
        await self.inner().channel_ready()

    async def close(self, grace: float | None = None) -> None:
        """Ends all calls, after at most `grace` seconds, and the connection."""
        channels = [each for each in (self.inner(), self._plain) if each is not None]
        self._closed = True
        await asyncio.gather(*(channel.close(grace) for channel in channels))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a channel is not pickled: call eas_grpc.aio.connect() in the other process")

    async def __aenter__(self) -> PolicyAioChannel:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class _MultiCallable:
    """What the four shapes share: grpc's multicallable of this process and loop, and how a call begins."""

    _shape: CallShape

    def __init__(
        self,
        channel: PolicyAioChannel,
        policy: CallPolicy,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> None:
        self._channel = channel
        self._policy = policy
        self._method = method
        self._check = RequestCheck(policy, method, request_serializer)
        self._response_deserializer = reader(response_deserializer)
        self._registered = _registered_method
        self._made: Any = None
        self._made_by: Any = None
        self._sent: tuple[Any, Any] = ((), None)

    def _target(self) -> Any:
        """grpc.aio's own multicallable; it takes the bytes that `_check` has made."""
        inner = self._channel.plain() if self._shape.many_requests else self._channel.inner()
        if inner is not self._made_by:
            make = getattr(inner, self._shape.name.lower())
            self._made = make(self._method, None, self._response_deserializer, self._registered)
            self._made_by = inner
        return self._made

    def _metadata(self, sent: Metadata | None) -> Any:
        """What was decided to send, as grpc.aio's own type, which saves it a conversion per call."""
        if sent is not self._sent[0] or self._channel.intercepted:
            self._sent = (sent, grpc.aio.Metadata(*(sent or ())))
        return self._sent[1]

    def _begin(self, timeout: Any, metadata: Any) -> tuple[float | None, Metadata | None]:
        try:
            return self._policy.begin(self._shape, timeout, metadata)
        except ConfigError as error:
            raise AioMisuseError(misuse(error, self._method)) from None

    def _single(self, wrapper: Any, request: Any, timeout: Any, metadata: Any, rest: dict[str, Any]) -> Any:
        seconds, sent = self._begin(timeout, metadata)
        try:
            payload = self._check(request)
        except Refused as refused:
            raise AioRpcCallError(refused.failure) from refused.__cause__
        target = self._target()

        async def restart(metadata: Any, timeout: float | None) -> Any:
            return target(payload, timeout=timeout, metadata=self._metadata(metadata), **rest)

        inner = target(payload, timeout=seconds, metadata=self._metadata(sent), **rest)
        limits = self._policy.limits(self._shape, timeout)
        return wrapper(
            self._policy, self._method, inner, sent, seconds, restart, None, limits, missing=unanswered
        )

    def _many(self, wrapper: Any, requests: Any, timeout: Any, metadata: Any, rest: dict[str, Any]) -> Any:
        seconds, sent = self._begin(timeout, metadata)
        feed = AioRequestFeed(requests, self._check, self._method, self._policy.room(self._method))
        target = self._target()

        def begin(metadata: Metadata | None, timeout: float | None) -> Any:
            metadata = self._metadata(metadata)
            return truthful(target(feed.iterator(), timeout=timeout, metadata=metadata, **rest))

        async def restart(metadata: Any, timeout: float | None) -> Any:
            return begin(metadata, timeout)

        limits = self._policy.limits(self._shape, timeout)
        attempts = None if requests is None else self._policy.attempts(self._method)
        inner = begin(sent, seconds)
        return wrapper(
            self._policy, self._method, inner, sent, seconds, restart, feed, limits, attempts, unanswered
        )


_EXPERT = ("credentials", "wait_for_ready", "compression")


class _UnaryUnary(_MultiCallable, grpc.aio.UnaryUnaryMultiCallable):  # type: ignore[type-arg]
    _shape = CallShape.UNARY_UNARY

    def __call__(self, request: Any, *, timeout: Any = UNSET, metadata: Any = None, **rest: Any) -> Any:
        return self._single(UnaryUnaryCall, request, timeout, metadata, rest)


class _UnaryStream(_MultiCallable, grpc.aio.UnaryStreamMultiCallable):  # type: ignore[type-arg]
    _shape = CallShape.UNARY_STREAM

    def __call__(self, request: Any, *, timeout: Any = UNSET, metadata: Any = None, **rest: Any) -> Any:
        return self._single(UnaryStreamCall, request, timeout, metadata, rest)


class _StreamUnary(_MultiCallable, grpc.aio.StreamUnaryMultiCallable):  # type: ignore[type-arg]
    _shape = CallShape.STREAM_UNARY

    def __call__(
        self,
        request_iterator: Any = None,
        timeout: Any = UNSET,
        metadata: Any = None,
        *more: Any,
        **named: Any,
    ) -> Any:
        rest = dict(zip(_EXPERT, more, strict=False)) | named
        return self._many(StreamUnaryCall, request_iterator, timeout, metadata, rest)


class _StreamStream(_MultiCallable, grpc.aio.StreamStreamMultiCallable):  # type: ignore[type-arg]
    _shape = CallShape.STREAM_STREAM

    def __call__(
        self,
        request_iterator: Any = None,
        timeout: Any = UNSET,
        metadata: Any = None,
        *more: Any,
        **named: Any,
    ) -> Any:
        rest = dict(zip(_EXPERT, more, strict=False)) | named
        return self._many(StreamStreamCall, request_iterator, timeout, metadata, rest)
