"""Real calls through the product's own channel. I/O only."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from eas_grpc.auth import Token
from eas_grpc.doctor._handshake import CertificateFiles
from eas_grpc.doctor._records import Question
from eas_grpc.doctor._seen import Lookup
from eas_grpc.endpoint import Endpoint
from eas_grpc.errors import CallError, CallFailure, ConfigError, Origin, PlaintextTokenWarning

__all__ = [
    "DEFAULT_LIMIT",
    "HEALTH_CHECK",
    "Called",
    "call",
    "channel",
    "given_token",
    "health",
    "padded",
    "resolve",
]

HEALTH_CHECK = "/grpc.health.v1.Health/Check"
DEFAULT_LIMIT = 64 * 1024 * 1024
_DNS = ("DNS resolution failed", "Domain name not found", "errors resolving", "Misformatted domain name")


@dataclass(frozen=True)
class Called:
    """How a call ended: its answer's bytes, or why there are none."""

    answer: bytes = b""
    failure: CallFailure | None = None
    seconds: float = 0.0


def given_token(question: Question, endpoint: Endpoint) -> Token | None:
    """The token that connect() would send: the question's, else the environment's, else a profile's. Raw text."""
    if question.token is not None:
        return question.token
    raw = question.environ.get("EAS_TOKEN", "")
    if raw.strip() and not question.environ.get("EAS_TOKEN_FILE", "").strip():
        return raw
    from eas_grpc.settings import find_settings

    return find_settings(endpoint=endpoint, environ=question.environ).token


@contextmanager
def channel(
    question: Question, endpoint: Endpoint, token: str | None, files: CertificateFiles
) -> Iterator[Any]:
    """A channel as connect() makes it for this question, without retries: each call shows what it met."""
    import grpc

    from eas_grpc.options import PROFILES
    from eas_grpc.rpc import connect

    options: list[tuple[str, Any]] = [("grpc.use_local_subchannel_pool", 1)]
    if question.authority is not None:
        name = "grpc.ssl_target_name_override" if endpoint.tls else "grpc.default_authority"
        options.append((name, question.authority))
    credentials = None
    if endpoint.tls and (files.ca is not None or files.cert is not None):
        credentials = grpc.ssl_channel_credentials(files.ca, files.key, files.cert)
    with warnings.catch_warnings():
        # The report has a note of its own for this.
        warnings.simplefilter("ignore", PlaintextTokenWarning)
        made = connect(
            endpoint,
            token=token,
            # What is too large for a gateway is what --max-request wants to see.
            profile=replace(PROFILES["gateway"], warn_request_bytes=None),
            deadline=question.total,
            retry=None,
            stream_limits=None,
            max_request=None,
            max_response=question.max_response or DEFAULT_LIMIT,
            proxy=question.proxy,
            credentials=credentials,
            options=options,
        )
    with made:
        yield made


def call(
    channel: Any,
    path: str,
    message: bytes,
    timeout: float,
    metadata: tuple[tuple[str, str | bytes], ...] = (),
    *,
    streams: bool = False,
) -> Called:
    """One call with one request; of a stream of answers the first is enough."""
    began = time.monotonic()
    answer = b""
    try:
        if streams:
            stream = channel.stream_stream(path)(iter([message]), timeout=timeout, metadata=metadata)
            answer = next(stream, b"")
            stream.cancel()
        else:
            answer = channel.unary_unary(path)(message, timeout=timeout, metadata=metadata)
    except CallError as error:
        return Called(failure=error.failure, seconds=time.monotonic() - began)
    except (ConfigError, ValueError) as error:
        failure = CallFailure(status="INTERNAL", details=str(error), origin=Origin.CLIENT)
        return Called(failure=failure, seconds=time.monotonic() - began)
    return Called(answer, None, time.monotonic() - began)


def health(called: Called) -> str | None:
    """The answer of a health check by name; None where it is no such answer."""
    from google.protobuf.message import DecodeError
    from grpc_health.v1 import health_pb2

    try:
        status = health_pb2.HealthCheckResponse.FromString(called.answer).status
    except DecodeError:
        return None
    statuses = health_pb2.HealthCheckResponse.ServingStatus
    return str(statuses.Name(status)) if status in statuses.values() else str(status)


def padded(message: bytes, size: int) -> bytes:
    """The message with a field that nobody knows (number 1000), so that it has about `size` bytes."""
    room = max(0, size - len(message) - 7)
    length, left = bytearray(), room
    while left >= 128:
        length.append(left % 128 + 128)
        left //= 128
    return message + b"\xc2\x3e" + bytes((*length, left)) + bytes(room)


def resolve(channel: Any, timeout: float) -> Lookup:
    """What gRPC's own resolver makes of the channel's host, as far as a call tells."""
    called = call(channel, HEALTH_CHECK, b"", timeout)
    details = called.failure.details if called.failure is not None else ""
    if called.failure is not None and any(mark in details for mark in _DNS):
        return Lookup(failure="unknown" if "not found" in details else "unanswered", detail=details)
    if called.failure is not None and called.failure.status == "DEADLINE_EXCEEDED":
        return Lookup(failure="timeout", detail=details)
    return Lookup(("an address",))
