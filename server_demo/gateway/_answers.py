"""What the gateway itself answers when a call does not reach a service: over HTTP and over gRPC. Pure.

Statuses over HTTP are those of "Service status codes" (eas-wire.md 3.6). Over gRPC the answer is what a gateway of the
Envoy family makes of them, trailers only, except where gRPC has the better word: RESOURCE_EXHAUSTED for limits,
DEADLINE_EXCEEDED for a request that takes too long.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from server_demo.gateway._exchange import Headers

__all__ = ["CODES", "NAMES", "Answer", "grpc_headers", "http_headers"]

NAMES: Final = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
]
CODES: Final = {name: number for number, name in enumerate(NAMES)}


@dataclass(frozen=True)
class Answer:
    """A refusal or failure in both protocols."""

    http: int
    grpc: str
    text: str


def no_service(names: Iterable[str], *, grpc: bool) -> Answer:
    """Nothing of that name is behind the gateway, where there are these."""
    there = ", ".join(names) or "none"
    how = (
        "the host names the service"
        if grpc
        else "call /api/predict/<service>[/path], or the service's own host"
    )
    return Answer(
        404, "UNIMPLEMENTED", f"no such service behind this gateway, where there are: {there} ({how})"
    )


def wrong_method(right: str) -> Answer:
    """The path is right, what is asked of it is not."""
    return Answer(405, "UNIMPLEMENTED", f"this method is not allowed here: use {right}")


def not_spoken(name: str, protocol: str) -> Answer:
    """The service is there, but not over this protocol."""
    return Answer(404, "UNIMPLEMENTED", f"service {name!r} is not served over {protocol}")


def unauthorized(reason: str) -> Answer:
    """Who calls has no valid token."""
    return Answer(401, "UNAUTHENTICATED", reason)


def too_large(limit: int | None) -> Answer:
    """Above the limit for bodies; a message of gRPC counts as a body."""
    return Answer(
        413, "RESOURCE_EXHAUSTED", f"the request is larger than the gateway's limit of {limit} bytes"
    )


def too_slow(seconds: float) -> Answer:
    """The service did not answer in the time of metadata.rpc.keepalive."""
    return Answer(
        408,
        "DEADLINE_EXCEEDED",
        f"the service did not answer within its keepalive of {seconds:g} s",
    )


def too_many(limit: int) -> Answer:
    """Above the rate limit."""
    return Answer(429, "RESOURCE_EXHAUSTED", f"rate limit: more than {limit} calls a second")


def queue_full(size: int) -> Answer:
    """All workers are busy and the queue in front of them is full."""
    return Answer(450, "RESOURCE_EXHAUSTED", f"the request queue is full: {size} requests wait already")


def bad_request(reason: str) -> Answer:
    """What cannot be read."""
    return Answer(400, "INTERNAL", reason)


def headers_too_large(limit: int) -> Answer:
    """A head above the limit."""
    return Answer(
        431, "RESOURCE_EXHAUSTED", f"the headers are larger than the gateway's limit of {limit} bytes"
    )


def broken(reason: str) -> Answer:
    """The service cannot be reached, or broke off before it said anything."""
    text = f"upstream connect error or disconnect/reset before headers. reset reason: {reason}"
    return Answer(503, "UNAVAILABLE", text)


NO_HEALTHY_UPSTREAM: Final = Answer(503, "UNAVAILABLE", "no healthy upstream")


def grpc_headers(code: str, text: str) -> Headers:
    """A status of gRPC as trailers."""
    headers = [(b"grpc-status", b"%d" % CODES[code])]
    if text:
        # Percent-encoded but for printable ASCII ("gRPC over HTTP2", Status-Message).
        headers.append((b"grpc-message", quote(text, safe=_PRINTABLE).encode()))
    return headers


def grpc_only(code: str, text: str) -> Headers:
    """A status of gRPC as the only headers of an answer."""
    return [(b"content-type", b"application/grpc"), *grpc_headers(code, text)]


def http_headers(body: bytes, content_type: str = "text/plain; charset=utf-8") -> Headers:
    """The headers of a whole body."""
    return [(b"content-type", content_type.encode("latin-1")), (b"content-length", b"%d" % len(body))]


_PRINTABLE: Final = "".join(chr(c) for c in range(0x20, 0x7F) if chr(c) != "%")


def outcome(trailers: Headers, status: int = 200) -> tuple[str, bool]:
    """The status by its name and whether it is a good one, from trailers of gRPC."""
    for name, value in trailers:
        if name == b"grpc-status":
            # As long as a status may be: int() of a service's endless number would raise.
            code = int(value) if value.isdigit() and len(value) <= 4 else CODES["UNKNOWN"]
            return (NAMES[code] if code < len(NAMES) else f"CODE {code}"), code == 0
    return f"HTTP {status}", False
