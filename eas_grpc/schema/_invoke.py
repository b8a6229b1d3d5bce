"""One call, whatever its shape, as a row of events; nothing is printed and nothing decided here."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from eas_grpc.deadline import UNSET, Unset
from eas_grpc.errors import CallError, CallFailure, ConfigError, WireError
from eas_grpc.schema._schema import Method

__all__ = ["Ended", "Event", "Headers", "Received", "invoke"]

Metadata = tuple[tuple[str, "str | bytes"], ...]


@dataclass(frozen=True)
class Headers:
    """The service began to answer. `at` is in seconds since the call began, as in every event."""

    metadata: Metadata
    at: float


@dataclass(frozen=True)
class Received:
    """One message of the answer, as it came and as it reads."""

    data: bytes
    message: Message
    at: float


@dataclass(frozen=True)
class Ended:
    """The call is over, well (`failure` is None) or not; always the last event."""

    status: str
    details: str
    trailers: Metadata
    failure: CallFailure | None
    at: float


Event = Headers | Received | Ended


def invoke(
    channel: grpc.Channel,
    method: Method,
    requests: Iterator[bytes],
    *,
    timeout: float | Unset | None,
    metadata: Sequence[tuple[str, str | bytes]] = (),
) -> Iterator[Event]:
    """Calls `method` with serialised requests, which grpc's own thread takes as it sends them.

    `timeout` is None for no limit, and UNSET for the channel's own. A failed call is an event, not an error; closing the iterator, or an interrupt, cancels the call. Raises ConfigError
    where one request is expected and another number given, WireError for an answer that is not the method's message.
    """
    given: Any = requests
    if not method.client_streaming:
        given = _only(requests, method)
    start = time.perf_counter()
    kind = getattr(channel, method.shape)
    # Bytes in and out: what came is shown even when it is not what the schema says.
    stub = kind(method.path, request_serializer=None, response_deserializer=None)
    keywords: dict[str, Any] = {"metadata": tuple(metadata)}
    if timeout is not UNSET:
        keywords["timeout"] = timeout
    try:
        call = stub(given, **keywords) if method.server_streaming else stub.future(given, **keywords)
    except grpc.RpcError as error:
        yield _ended(error, start, method)
        return
    over = began = False
    try:
        for data in _answers(call, method):
            at = time.perf_counter() - start
            if not began:
                began = True
                yield _headers(call, at)
            yield Received(data, _read(method, data), at)
        if not began:
            yield _headers(call, time.perf_counter() - start)
        over = True
        yield _good(call, start)
    except grpc.RpcError as error:
        over = True
        yield _ended(error, start, method, call)
    except grpc.FutureCancelledError:
        over = True
        yield Ended("CANCELLED", "", (), _failure("CANCELLED", "", method), time.perf_counter() - start)
    finally:
        if not over:
            call.cancel()


def _only(requests: Iterator[bytes], method: Method) -> bytes:
    given = iter(requests)
    first = next(given, None)
    if first is None:
        raise ConfigError(f"{method.path} takes one request and none was given")
    if next(given, None) is not None:
        raise ConfigError(f"{method.path} takes one request, not several: it is no stream of requests")
    return first


def _answers(call: Any, method: Method) -> Iterator[bytes]:
    """The messages. A channel's limit for the first of a stream counts while that is waited for, and only then."""
    if method.server_streaming:
        yield from call
    else:
        yield call.result()


def _headers(call: Any, at: float) -> Headers:
    """Known at the latest with the first message; to wait for them before that would be to wait without a limit."""
    return Headers(_pairs(call.initial_metadata()), at)


def _read(method: Method, data: bytes) -> Message:
    try:
        return method.response.FromString(data)
    except DecodeError:
        name = method.response.DESCRIPTOR.full_name
        raise WireError(
            f"the answer of {method.path} is no {name}: the schema and the service do not belong together"
        ) from None


def _good(call: Any, start: float) -> Ended:
    at = time.perf_counter() - start
    return Ended("OK", call.details() or "", _pairs(call.trailing_metadata()), None, at)


def _ended(error: Any, start: float, method: Method, call: Any = None) -> Ended:
    at = time.perf_counter() - start
    if isinstance(error, CallError):
        failure = error.failure
        return Ended(failure.status, failure.details, failure.trailing_metadata, failure, at)
    source = error if hasattr(error, "code") else call
    status, details = source.code().name, source.details() or ""
    trailers = _pairs(source.trailing_metadata())
    return Ended(status, details, trailers, _failure(status, details, method, trailers), at)


def _failure(status: str, details: str, method: Method, trailers: Metadata = ()) -> CallFailure:
    return CallFailure(status=status, details=details, method=method.path, trailing_metadata=trailers)


def _pairs(metadata: Any) -> Metadata:
    return tuple((key, value) for key, value in metadata or ())
