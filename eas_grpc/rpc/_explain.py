"""What a failed call means on EAS and what to do about it: status and text in, plain data out. Pure.

gRPC keeps little of what went wrong: a gateway's HTTP status survives only as text, and its body not at all.
The texts below are those of grpc core (reproduced on 1.71 and 1.85); HTTP statuses are from the PAI-EAS page
"Service status codes"; the mapping of HTTP to gRPC codes is gRPC's doc/http-grpc-status-mapping.md.
"""

from __future__ import annotations

import re

from eas_grpc.errors import CallFailure, Origin

__all__ = ["explain"]

_HTTP_STATUS = re.compile(r"http2 header with status: (\d{3})", re.IGNORECASE)

# Status codes that the library itself never makes up (gRPC, doc/statuscodes.md), and three more that it
# makes up only with a text of its own.
_SERVERS_SAY = frozenset(
    {
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
        "PERMISSION_DENIED",
        "UNIMPLEMENTED",
    }
)

# Nothing says reliably whether a status came from the peer (older versions write "Error received from peer" even
# for a deadline of their own); core's own texts give it away.
_CLIENT_TEXTS = (
    "failed to connect",
    "Deadline Exceeded",
    "Locally cancelled",
    "Cancelled upon garbage collection",
    "CANCELLED",
    "Socket closed",
    "Connection reset",
    "Broken pipe",
    "ping timeout",
    "keepalive",
    "DNS resolution failed",
    "Domain name not found",
    "Misformatted domain name",
    "Failed to parse port",
    "GOAWAY",
    "Invalid metadata",
    "sufficient security level",
    "CLIENT: ",
    "Channel closed",
    "Exception serializing",
    "Exception deserializing",
    "Exception iterating",
    "recvmsg",
    "Failed parsing HTTP/2",
    "connections to all backends failing",
    "unavailable, with no details",
    "Trying to connect an http1.x server",
)
_SERVER_TEXTS = ("SERVER: ", "Exception calling application", "Exception iterating responses")

_HTTP_HINTS = {
    400: "the gateway could not read the request: is this the gRPC address of a service with enable_grpc?",
    401: "the gateway refused the token: compare it with the one on the service's details page",
    403: "the gateway forbids this call: check the token and whether this network may use the address",
    404: "no such service or path behind this address, or the service was deployed without"
    " metadata.enable_grpc: check the address in the console",
    405: "the gateway does not take this method: the service was probably deployed without metadata.enable_grpc",
    408: "the service took longer than its own limit (metadata.rpc.keepalive): raise that limit or send less",
    413: "the request is larger than the gateway takes (1 MB): send less, or call the service directly",
    429: "the service's rate limit is reached: slow down, or raise metadata.rpc.rate_limit",
    450: "the service's queue is full (metadata.rpc.max_queue_size): slow down or add instances",
    499: "the gateway saw this client go away before the answer",
    500: "the service or the gateway failed: look at the service's log",
    501: "the gateway does not offer this: was the service deployed with metadata.enable_grpc?",
    502: "the service broke the connection to the gateway: look at its log for a crash or a restart",
    503: "no instance is ready: look at the service's state in the console",
    504: "the gateway got no answer from the service in time",
}

# The first text found in the details (or in grpc's debug text) decides.
_TEXT_HINTS = (
    (
        "Misformatted domain name",
        "the address holds a scheme: eas_grpc.Endpoint.parse() makes a target of it",
    ),
    ("Failed to parse port", "the address holds a path: eas_grpc.Endpoint.parse() makes a target of it"),
    (
        "Domain name not found",
        "the name does not exist here: check it; a VPC address resolves only inside its VPC",
    ),
    (
        "DNS resolution failed",
        "the name does not resolve here: check it; a VPC address resolves only inside its VPC",
    ),
    ("Connection refused", "nothing listens there: check host and port (EAS: port 80), or start the server"),
    ("No route to host", "this network does not lead there: a VPC address needs a machine in the same VPC"),
    (
        "Network is unreachable",
        "this network does not lead there: a VPC address needs a machine in the same VPC",
    ),
    ("Connection timed out", "no answer at all: check the VPC, its security group, and host and port"),
    (
        "WRONG_VERSION_NUMBER",
        "the other side does not speak TLS: write http:// or no scheme (EAS gRPC: port 80)",
    ),
    ("CERTIFICATE_VERIFY_FAILED", "the server's certificate is not trusted: pass its CA in credentials="),
    ("Hostname Verification", "the server's certificate is for another name: use that name as the endpoint"),
    (
        "Expected SETTINGS frame",
        "the other side speaks HTTP/1.1, not gRPC: is this the gRPC port of the service?",
    ),
    (
        "HTTP proxy returned",
        "a proxy from the environment took the call: connect(..., proxy=False) goes around it",
    ),
    ("too_many_pings", "the server forbids pings this frequent: connect(..., profile='direct')"),
    ("ping timeout", "the connection had gone silent and was given up; the next call uses a new one"),
    ("keepalive", "the connection had gone silent and was given up; the next call uses a new one"),
    ("Socket closed", "the other side closed the connection: restarted, or it wants TLS (write https://)"),
    ("Connection reset", "the other side broke the connection: restarted, or it wants TLS (write https://)"),
    ("CLIENT: Received message larger", "the answer is larger than this side takes: raise max_response="),
    (
        "SERVER: Received message larger",
        "the request is larger than the service takes: send less, or raise its limit",
    ),
    ("received metadata size exceeds", "the answer's headers are too large: up to 8 KB are safe"),
    ("END_STREAM", "the answer is not gRPC (a web page?): check the address and metadata.enable_grpc"),
    ("content-type", "the answer is not gRPC (a web page?): check the address and metadata.enable_grpc"),
    (
        "Method not found",
        "the service does not have this method: compare package and service name in the .proto",
    ),
    ("sufficient security level", "these call credentials need TLS: pass token= to connect() instead"),
    ("Invalid metadata", "a metadata key or value is not allowed: lower-case keys, printable ASCII values"),
)

_STATUS_HINTS = {
    "UNAUTHENTICATED": "the token was refused: compare it with the one on the service's details page"
    " (it changes when the service is deployed anew)",
    "UNIMPLEMENTED": "the service does not have this method: compare package and service name in the .proto",
    "UNAVAILABLE": "the service could not be reached: check that it runs and that this network leads there",
}

_DEADLINE_HINT = (
    "the time for this call was over: give it more with timeout=, or find out why the service is slow;"
    " a silent connection is noticed only after keepalive time + timeout"
)


def explain(
    status: str,
    details: str | None,
    *,
    debug: str = "",
    method: str = "",
    initial_metadata: tuple[tuple[str, str | bytes], ...] = (),
    trailing_metadata: tuple[tuple[str, str | bytes], ...] = (),
    secret: str = "",
) -> CallFailure:
    """All that can be known of a failure. `secret` is masked wherever a server may have echoed it."""
    text = _masked(details or "", secret)
    debug = _masked(debug, secret)
    match = _HTTP_STATUS.search(text)
    http_status = int(match[1]) if match else None
    origin = _origin(status, text, debug, http_status)
    return CallFailure(
        status=status,
        details=text,
        origin=origin,
        hint=_hint(status, text, debug, origin, http_status),
        method=method,
        http_status=http_status,
        initial_metadata=_masked_pairs(initial_metadata, secret),
        trailing_metadata=_masked_pairs(trailing_metadata, secret),
        debug=debug,
    )


def _origin(status: str, text: str, debug: str, http_status: int | None) -> Origin:
    if http_status is not None:
        return Origin.GATEWAY
    said = f"{text} {debug}"
    if any(mark in said for mark in _SERVER_TEXTS):
        return Origin.SERVER
    if any(mark in said for mark in _CLIENT_TEXTS):
        return Origin.CLIENT
    return Origin.SERVER if status in _SERVERS_SAY else Origin.UNKNOWN


def _hint(status: str, text: str, debug: str, origin: Origin, http_status: int | None) -> str:
    if http_status is not None:
        fallback = f"a gateway answered with HTTP {http_status} instead of the service"
        return _HTTP_HINTS.get(http_status, fallback)
    haystack = text if origin is Origin.SERVER else f"{text} {debug}"
    for needle, hint in _TEXT_HINTS:
        if needle.lower() in haystack.lower():
            return hint
    if status == "DEADLINE_EXCEEDED" and origin is Origin.CLIENT:
        return _DEADLINE_HINT
    return _STATUS_HINTS.get(status, "")


def _masked(text: str, secret: str) -> str:
    return text.replace(secret, "***") if secret else text


def _masked_pairs(
    pairs: tuple[tuple[str, str | bytes], ...], secret: str
) -> tuple[tuple[str, str | bytes], ...]:
    return tuple(
        (key, _masked(value, secret) if isinstance(value, str) else value.replace(secret.encode(), b"***"))
        if secret
        else (key, value)
        for key, value in pairs
    )
