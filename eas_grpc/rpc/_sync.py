"""The blocking channel: a `grpc.Channel` that gives every call its token, deadline, limits and clear errors.

It wraps each of grpc's multicallables once, when the stub is made, because `grpc.intercept_channel` builds
objects for every call. `make bench` holds the difference.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import grpc

from eas_grpc.calls import CallShape
from eas_grpc.deadline import UNSET, Deadline
from eas_grpc.rpc._fork import gate
from eas_grpc.rpc._policy import CallPolicy, secret_in
from eas_grpc.rpc._requests import Refused, RequestCheck
from eas_grpc.rpc._status import RpcCallError, sync_error
from eas_grpc.rpc._sync_calls import RequestFeed, StreamCall, UnaryCall

__all__ = ["PolicyChannel"]

# Inherited channels of a parent process. Closing or freeing one in the child would touch state that is
# shared with threads which the child does not have; so they are kept until the process ends.
_inherited: list[Any] = []

Build = Callable[["list[tuple[str, Any]]"], grpc.Channel]


class PolicyChannel(grpc.Channel):
    """A channel with a policy. `build` makes grpc's own channel: once, and once more in a forked child.

    It is given arguments to add: in a child one that no other process has, so that core does not hand out the
    parent's connection, which it finds by target and arguments.
    """

    def __init__(
        self, build: Build, policy: CallPolicy, described: str, interceptors: Sequence[Any] = ()
    ) -> None:
        self._build = build
        self._policy = policy
        self._described = described
        self._interceptors = interceptors
        self._open([])

    def _open(self, more_args: list[tuple[str, Any]]) -> None:
        self._pid = os.getpid()
        self._own = self._build(more_args)
        self._inner = grpc.intercept_channel(self._own, *self._interceptors) if self._interceptors else self._own

    def __repr__(self) -> str:
        return f"<eas_grpc channel to {self._described}>"

    def inner(self) -> grpc.Channel:
        """The channel of this process below the policy, with the caller's interceptors."""
        if self._pid != os.getpid():
            _inherited.extend((self._own, self._inner))
            self._open([("eas_grpc.pid", os.getpid())])
        return self._inner

    def started(self, call: Any) -> Any:
        """Notes a stream or future that has just been started on this channel; returns it."""
        gate.opened(self._own, call)
        return call

    def unary_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> grpc.UnaryUnaryMultiCallable[Any, Any]:
        """A callable for a method with one request and one response."""
        return _UnaryUnary(
            self, self._policy, method, request_serializer, response_deserializer, _registered_method
        )

    def unary_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> grpc.UnaryStreamMultiCallable[Any, Any]:
        """A callable for a method with one request and a stream of responses."""
        return _UnaryStream(
            self, self._policy, method, request_serializer, response_deserializer, _registered_method
        )

    def stream_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> grpc.StreamUnaryMultiCallable[Any, Any]:
        """A callable for a method with a stream of requests and one response."""
        return _StreamUnary(
            self, self._policy, method, request_serializer, response_deserializer, _registered_method
        )

    def stream_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> grpc.StreamStreamMultiCallable[Any, Any]:
        """A callable for a method with a stream of requests and a stream of responses."""
        return _StreamStream(
            self, self._policy, method, request_serializer, response_deserializer, _registered_method
        )

    def subscribe(
        self, callback: Callable[[grpc.ChannelConnectivity], None], try_to_connect: bool = False
    ) -> None:
        """Calls `callback` with each state of the connection."""
        self.inner().subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        """Ends a subscription."""
        self.inner().unsubscribe(callback)

    def close(self) -> None:
        """Ends all calls and the connection."""
        self.inner().close()

    def __enter__(self) -> PolicyChannel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _MultiCallable:
    """What the four shapes share: grpc's multicallable of this process, and how a call begins."""

    _shape: CallShape

    def __init__(
        self,
        channel: PolicyChannel,
        policy: CallPolicy,
        method: str,
        request_serializer: Any,
        response_deserializer: Any,
        registered: bool | None,
    ) -> None:
        self._channel = channel
        self._policy = policy
        self._method = method
        self._check = RequestCheck(policy, method, request_serializer)
        self._response_deserializer = response_deserializer
        self._registered = registered
        self._pid = 0
        self._made: Any = None
        self._target()

    def _target(self) -> Any:
        """grpc's own multicallable; it takes the bytes that `_check` has made."""
        if self._pid != os.getpid():
            make = getattr(self._channel.inner(), self._shape.name.lower())
            self._made = make(self._method, None, self._response_deserializer, self._registered)
            self._pid = os.getpid()
        return self._made

    def _started(self, start: Any, request: Any, timeout: Any, metadata: Any, rest: dict[str, Any]) -> Any:
        gate.enter()
        try:
            return self._channel.started(start(request, timeout, metadata, **rest))
        finally:
            gate.leave()

    def _payload(self, request: Any) -> bytes:
        try:
            return self._check(request)
        except Refused as refused:
            raise RpcCallError(refused.failure) from refused.__cause__

    def _feed(self, requests: Iterable[Any]) -> RequestFeed:
        return RequestFeed(requests, self._check, self._method)


def _said(timeout: Any, credentials: Any, wait_for_ready: Any, compression: Any) -> tuple[Any, dict[str, Any]]:
    """What the caller said about a call, as (timeout, the rest).

    `grpc.intercept_channel` spells out all four for every call, None where its caller said nothing. Taken at
    its word, adding somebody's interceptor would silently remove the deadline.
    """
    if timeout is None and UNSET not in (credentials, wait_for_ready, compression):
        timeout = UNSET
    rest = {"credentials": credentials, "wait_for_ready": wait_for_ready, "compression": compression}
    return timeout, {name: value for name, value in rest.items() if value is not UNSET and value is not None}


_NOTHING_MORE: dict[str, Any] = {}


class _UnaryUnary(_MultiCallable, grpc.UnaryUnaryMultiCallable):  # type: ignore[type-arg]
    _shape = CallShape.UNARY_UNARY

    def __call__(
        self,
        request: Any,
        timeout: Any = UNSET,
        metadata: Any = None,
        credentials: Any = UNSET,
        wait_for_ready: Any = UNSET,
        compression: Any = UNSET,
    ) -> Any:
        call = self._made if self._pid == os.getpid() else self._target()
        return self._blocking(call, request, timeout, metadata, credentials, wait_for_ready, compression)

    def with_call(
        self,
        request: Any,
        timeout: Any = UNSET,
        metadata: Any = None,
        credentials: Any = UNSET,
        wait_for_ready: Any = UNSET,
        compression: Any = UNSET,
    ) -> Any:
        call = self._target().with_call
        return self._blocking(call, request, timeout, metadata, credentials, wait_for_ready, compression)

    def _blocking(
        self,
        call: Any,
        request: Any,
        timeout: Any,
        metadata: Any,
        credentials: Any,
        wait_for_ready: Any,
        compression: Any,
    ) -> Any:
        rest = _NOTHING_MORE
        if credentials is not UNSET or wait_for_ready is not UNSET or compression is not UNSET:
            timeout, rest = _said(timeout, credentials, wait_for_ready, compression)
        policy = self._policy
        seconds, sent = policy.begin(self._shape, timeout, metadata)
        payload = self._payload(request)
        started = time.monotonic()
        gate.enter()
        try:
            return call(payload, seconds, sent, **rest)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
                raise sync_error(error, self._method, secret_in(sent)) from None
            first = sync_error(error, self._method, secret_in(sent))
        finally:
            gate.leave()
        fresh = policy.second_chance(sent)
        if fresh is None:
            raise first from None
        gate.enter()
        try:
            return call(payload, Deadline.after(seconds, started).remaining(time.monotonic()), fresh, **rest)
        except grpc.RpcError as error:
            raise sync_error(error, self._method, secret_in(fresh)) from None
        finally:
            gate.leave()

    def future(
        self,
        request: Any,
        timeout: Any = UNSET,
        metadata: Any = None,
        credentials: Any = UNSET,
        wait_for_ready: Any = UNSET,
        compression: Any = UNSET,
    ) -> Any:
        timeout, rest = _said(timeout, credentials, wait_for_ready, compression)
        seconds, sent = self._policy.begin(self._shape, timeout, metadata)
        payload = self._payload(request)
        target = self._target()

        def start(metadata: Any, timeout: float | None) -> Any:
            return self._started(target.future, payload, timeout, metadata, rest)

        return UnaryCall(self._policy, self._method, start, sent, seconds)


class _UnaryStream(_MultiCallable, grpc.UnaryStreamMultiCallable):  # type: ignore[type-arg]
    _shape = CallShape.UNARY_STREAM

    def __call__(
        self,
        request: Any,
        timeout: Any = UNSET,
        metadata: Any = None,
        credentials: Any = UNSET,
        wait_for_ready: Any = UNSET,
        compression: Any = UNSET,
    ) -> Any:
        timeout, rest = _said(timeout, credentials, wait_for_ready, compression)
        seconds, sent = self._policy.begin(self._shape, timeout, metadata)
        payload = self._payload(request)
        target = self._target()

        def start(metadata: Any, timeout: float | None) -> Any:
            return self._started(target, payload, timeout, metadata, rest)

        limits = self._policy.limits(self._shape, timeout)
        return StreamCall(self._policy, self._method, start, sent, seconds, limits=limits)


class _StreamUnary(_MultiCallable, grpc.StreamUnaryMultiCallable):  # type: ignore[type-arg]
    _shape = CallShape.STREAM_UNARY

    def __call__(
        self,
        request_iterator: Any,
        timeout: Any = UNSET,
        metadata: Any = None,
        credentials: Any = UNSET,
        wait_for_ready: Any = UNSET,
        compression: Any = UNSET,
    ) -> Any:
        return self.future(
            request_iterator, timeout, metadata, credentials, wait_for_ready, compression
        ).result()

    def with_call(
        self,
        request_iterator: Any,
        timeout: Any = UNSET,
        metadata: Any = None,
        credentials: Any = UNSET,
        wait_for_ready: Any = UNSET,
        compression: Any = UNSET,
    ) -> Any:
        call = self.future(request_iterator, timeout, metadata, credentials, wait_for_ready, compression)
        return call.result(), call

    def future(
        self,
        request_iterator: Any,
        timeout: Any = UNSET,
        metadata: Any = None,
        credentials: Any = UNSET,
        wait_for_ready: Any = UNSET,
        compression: Any = UNSET,
    ) -> Any:
        timeout, rest = _said(timeout, credentials, wait_for_ready, compression)
        seconds, sent = self._policy.begin(self._shape, timeout, metadata)
        feed = self._feed(request_iterator)
        target = self._target()

        def start(metadata: Any, timeout: float | None) -> Any:
            return self._started(target.future, iter(feed), timeout, metadata, rest)

        return UnaryCall(self._policy, self._method, start, sent, seconds, feed)


class _StreamStream(_MultiCallable, grpc.StreamStreamMultiCallable):  # type: ignore[type-arg]
    _shape = CallShape.STREAM_STREAM

    def __call__(
        self,
        request_iterator: Any,
        timeout: Any = UNSET,
        metadata: Any = None,
        credentials: Any = UNSET,
        wait_for_ready: Any = UNSET,
        compression: Any = UNSET,
    ) -> Any:
        timeout, rest = _said(timeout, credentials, wait_for_ready, compression)
        seconds, sent = self._policy.begin(self._shape, timeout, metadata)
        feed = self._feed(request_iterator)
        target = self._target()

        def start(metadata: Any, timeout: float | None) -> Any:
            return self._started(target, iter(feed), timeout, metadata, rest)

        limits = self._policy.limits(self._shape, timeout)
        return StreamCall(self._policy, self._method, start, sent, seconds, feed, limits)
