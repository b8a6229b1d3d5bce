"""The blocking channel: a `grpc.Channel` that gives every call its token, deadline, limits and clear errors.

It wraps each of grpc's multicallables once, when the stub is made, because `grpc.intercept_channel` builds
objects for every call. `make bench` holds the difference.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import grpc

from eas_grpc.calls import CallShape, Metadata, with_compression
from eas_grpc.deadline import UNSET, Deadline
from eas_grpc.errors import ConfigError
from eas_grpc.rpc._feeds import RequestFeed
from eas_grpc.rpc._foreign import as_call
from eas_grpc.rpc._fork import gate
from eas_grpc.rpc._policy import CallPolicy, secret_in
from eas_grpc.rpc._requests import Refused, RequestCheck, unanswered
from eas_grpc.rpc._status import RpcCallError, RpcMisuseError, misuse, sync_error
from eas_grpc.rpc._sync_calls import StreamCall, UnaryCall

__all__ = ["PolicyChannel"]

# Inherited channels of a parent process. Closing or freeing one in the child would touch state that is
# shared with threads which the child does not have; so they are kept until the process ends.
_inherited: list[Any] = []

Build = Callable[["list[tuple[str, Any]]", bool], grpc.Channel]


class PolicyChannel(grpc.Channel):
    """A channel with a policy. `build` makes grpc's own channels: in each process one, and a second one when a call
    streams its requests, which core must not retry (see `_replay`); the two share a connection.

    It is given arguments to add: in a child one that no other process has, so that core does not hand out the
    parent's connection, which it finds by target and arguments. And whether core may retry.
    """

    def __init__(
        self, build: Build, policy: CallPolicy, described: str, interceptors: Sequence[Any] = ()
    ) -> None:
        self._build = build
        self._policy = policy
        self._described = described
        self._interceptors = interceptors
        self._renew([])

    def _renew(self, more_args: list[tuple[str, Any]]) -> None:
        self._more_args = more_args
        self._own = self._build(more_args, True)
        self._inner = self._intercepted(self._own)
        self._own_plain: Any = None
        self._plain: Any = None
        self._closed = False
        # Last: another thread that sees this process's number must find this process's channel.
        self._pid = os.getpid()

    def __repr__(self) -> str:
        return f"<eas_grpc channel to {self._described}>"

    def _intercepted(self, own: grpc.Channel) -> grpc.Channel:
        return grpc.intercept_channel(own, *self._interceptors) if self._interceptors else own

    def inner(self) -> grpc.Channel:
        """The channel of this process below the policy, with the caller's interceptors."""
        if self._pid != os.getpid():
            with gate.renewing:
                if self._pid != os.getpid():
                    _inherited.extend((self._own, self._inner, self._own_plain, self._plain))
                    self._renew([("eas_grpc.pid", os.getpid())])
        return self._inner

    def plain(self) -> grpc.Channel:
        """The same without core's retries, for calls that stream their requests."""
        self.inner()
        if self._plain is None:
            with gate.renewing:
                if self._closed:
                    return self._inner
                if self._plain is None:
                    self._own_plain = self._build(self._more_args, False)
                    self._plain = self._intercepted(self._own_plain)
        plain: grpc.Channel = self._plain
        return plain

    def started(self, call: Any, *, streams_requests: bool) -> Any:
        """Notes a stream or future that has just been started on this channel; returns it as a call."""
        call = as_call(call)
        gate.opened(self._own_plain if streams_requests else self._own, call)
        return call

    def __reduce__(self) -> NoReturn:
        raise TypeError("a channel is not pickled: call eas_grpc.connect() in the other process")

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
        inner = self.inner()
        with gate.renewing:
            self._closed = True
        for channel in (inner, self._plain):
            if channel is not None:
                channel.close()

    def __enter__(self) -> PolicyChannel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _MultiCallable:
    """What the four shapes share: grpc's multicallable of this process, and how a call begins.

    Each call takes grpc's six parameters: the request, timeout, metadata, and `more` or `named`:
    credentials, wait_for_ready, compression.
    """

    _shape: CallShape

    def __init__(
        self,
        channel: PolicyChannel,
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
        self._response_deserializer = response_deserializer
        self._registered = _registered_method
        self._pid = 0
        self._made: Any = None
        self._target()

    def _target(self) -> Any:
        """grpc's own multicallable; it takes the bytes that `_check` has made."""
        if self._pid != os.getpid():
            inner = self._channel.plain() if self._shape.many_requests else self._channel.inner()
            make = getattr(inner, self._shape.name.lower())
            self._made = make(self._method, None, self._response_deserializer, self._registered)
            self._pid = os.getpid()
        return self._made

    def _begin(self, timeout: Any, metadata: Any) -> tuple[float | None, Metadata | None]:
        try:
            return self._policy.begin(self._shape, timeout, metadata)
        except ConfigError as error:
            raise RpcMisuseError(misuse(error, self._method)) from None

    def _payload(self, request: Any) -> bytes:
        try:
            return self._check(request)
        except Refused as refused:
            raise RpcCallError(refused.failure) from refused.__cause__

    def _open(
        self, wrapper: Any, start: Any, request: Any, feed: RequestFeed | None, said: tuple[Any, ...]
    ) -> Any:
        """Starts a stream or future through `start` and wraps it."""
        timeout, metadata, rest = said
        seconds, sent = self._begin(timeout, metadata)
        payload = self._payload(request) if feed is None else None
        streams = feed is not None

        def begin(metadata: Any, timeout: float | None) -> Any:
            gate.enter()
            try:
                call = start(payload if feed is None else iter(feed), timeout, metadata, **rest)
                return self._channel.started(call, streams_requests=streams)
            finally:
                gate.leave()

        limits = self._policy.limits(self._shape, timeout)
        attempts = self._policy.attempts(self._method) if streams else None
        return wrapper(self._policy, self._method, begin, sent, seconds, feed, limits, attempts)

    def _feed(self, requests: Any) -> RequestFeed:
        return RequestFeed(requests, self._check, self._method, self._policy.room(self._method))


_EXPERT = ("credentials", "wait_for_ready", "compression")


def _said(timeout: Any, metadata: Any, more: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
    """What the caller said about a call: timeout, metadata, and the rest by name.

    `grpc.intercept_channel` spells everything out for every call, None where its caller said nothing. Taken at
    its word, adding somebody's interceptor would silently remove the deadline.
    """
    if len(more) > len(_EXPERT):
        raise TypeError(f"a call takes at most {3 + len(_EXPERT)} arguments, not {3 + len(more)}")
    given = dict(zip(_EXPERT, more, strict=False)) | named
    if timeout is None and len(given) == len(_EXPERT):
        timeout = UNSET
    return timeout, metadata, {name: value for name, value in given.items() if value is not None}


_NOTHING_MORE: dict[str, Any] = {}


class _UnaryUnary(_MultiCallable, grpc.UnaryUnaryMultiCallable):  # type: ignore[type-arg]
    _shape = CallShape.UNARY_UNARY

    def __call__(
        self, request: Any, timeout: Any = UNSET, metadata: Any = None, *more: Any, **named: Any
    ) -> Any:
        call = self._made if self._pid == os.getpid() else self._target()
        return self._blocking(call, request, timeout, metadata, more, named)

    def with_call(
        self, request: Any, timeout: Any = UNSET, metadata: Any = None, *more: Any, **named: Any
    ) -> Any:
        return self._blocking(self._target().with_call, request, timeout, metadata, more, named)

    def future(
        self, request: Any, timeout: Any = UNSET, metadata: Any = None, *more: Any, **named: Any
    ) -> Any:
        said = _said(timeout, metadata, more, named)
        return self._open(UnaryCall, self._target().future, request, None, said)

    def _blocking(
        self,
        call: Any,
        request: Any,
        timeout: Any,
        metadata: Any,
        more: tuple[Any, ...],
        named: dict[str, Any],
    ) -> Any:
        rest = _NOTHING_MORE
        if more or named:
            timeout, metadata, rest = _said(timeout, metadata, more, named)
        seconds, sent = self._begin(timeout, metadata)
        payload = self._payload(request)
        started = time.monotonic()
        try:
            return self._once(call, payload, seconds, sent, rest)
        except RpcCallError as error:
            if error.failure.status != "UNAUTHENTICATED":
                raise
            fresh = self._policy.second_chance(sent)
            if fresh is None:
                raise
        left = Deadline.after(seconds, started).remaining(time.monotonic())
        return self._once(call, payload, left, fresh, rest)

    def _once(
        self, call: Any, payload: bytes, seconds: float | None, sent: Metadata | None, rest: dict[str, Any]
    ) -> Any:
        gate.enter()
        try:
            answer = call(payload, seconds, sent, **rest)
        except grpc.RpcError as error:
            raise sync_error(error, self._method, secret_in(sent)) from None
        finally:
            gate.leave()
        if answer is None or (type(answer) is tuple and answer[0] is None):
            raise RpcCallError(unanswered(self._method))
        return answer


class _UnaryStream(_MultiCallable, grpc.UnaryStreamMultiCallable):  # type: ignore[type-arg]
    _shape = CallShape.UNARY_STREAM

    def __call__(
        self, request: Any, timeout: Any = UNSET, metadata: Any = None, *more: Any, **named: Any
    ) -> Any:
        return self._open(StreamCall, self._target(), request, None, _said(timeout, metadata, more, named))


class _StreamUnary(_MultiCallable, grpc.StreamUnaryMultiCallable):  # type: ignore[type-arg]
    _shape = CallShape.STREAM_UNARY

    def __call__(
        self, request_iterator: Any, timeout: Any = UNSET, metadata: Any = None, *more: Any, **named: Any
    ) -> Any:
        return self.future(request_iterator, timeout, metadata, *more, **named).result()

    def with_call(
        self, request_iterator: Any, timeout: Any = UNSET, metadata: Any = None, *more: Any, **named: Any
    ) -> Any:
        call = self.future(request_iterator, timeout, metadata, *more, **named)
        return call.result(), call

    def future(
        self, request_iterator: Any, timeout: Any = UNSET, metadata: Any = None, *more: Any, **named: Any
    ) -> Any:
        timeout, metadata, rest = _said(timeout, metadata, more, named)
        # grpcio (1.71 to 1.85) forgets the compression of a future whose requests stream.
        metadata = with_compression(metadata, rest.pop("compression", None))
        said = timeout, metadata, rest
        return self._open(UnaryCall, self._target().future, None, self._feed(request_iterator), said)


class _StreamStream(_MultiCallable, grpc.StreamStreamMultiCallable):  # type: ignore[type-arg]
    _shape = CallShape.STREAM_STREAM

    def __call__(
        self, request_iterator: Any, timeout: Any = UNSET, metadata: Any = None, *more: Any, **named: Any
    ) -> Any:
        said = _said(timeout, metadata, more, named)
        return self._open(StreamCall, self._target(), None, self._feed(request_iterator), said)
