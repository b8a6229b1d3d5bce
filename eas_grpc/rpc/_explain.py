"""What a failed call means on EAS and what to do about it: status and text in, plain data out. Pure.

gRPC keeps little of what went wrong: a gateway's HTTP status survives only as text, and its body not at all.
The texts below are those of grpc core (reproduced on 1.71 and 1.85); HTTP statuses are from the PAI-EAS page
"Service status codes"; the mapping of HTTP to gRPC codes is gRPC's doc/http-grpc-status-mapping.md.
"""

from __future__ import annotations

import re

from eas_grpc.errors import CallFailure, Origin

__all__ = ["explain", "masked"]

_HTTP_STATUS = re.compile(r"http2 header with status: (\d{3})", re.IGNORECASE)

# Older cores add where a status came from, and leave the address out where they made it up themselves.
_FROM_PEER = re.compile(r"Error received from peer [^\s{]")

# Status codes that the library never makes up (gRPC, doc/statuscodes.md), and three more that it makes up
# only with a text of its own.
_SERVERS_ALONE = frozenset(
    {
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "DATA_LOSS",
    }
)
_SERVERS_MOSTLY = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED"})
_CREDENTIAL_TEXTS = ("sufficient security level", "plugin failed", "Credentials failed")

# The one exception to both: core refuses the channel's own arguments with INVALID_ARGUMENT.
_NO_CHANNEL = ("Failed to create channel", "Failed to create client channel")

# Where core does not follow gRPC's table of HTTP statuses.
_CORRECTED: dict[tuple[int | None, str], str] = {(431, "UNKNOWN"): "INTERNAL"}

# statuscodes.md: "Error parsing returned status" is UNKNOWN; core says INTERNAL.
_UNREADABLE_STATUS = "Error parsing 'grpc-status' metadata"

# Newer cores do not say whether a status came from the peer; their own texts give them away.
_CLIENT_TEXTS = (
    "failed to connect to all addresses",
    "connections to all backends failing",
    "empty address list",
    "Deadline Exceeded",
    "Locally cancelled",
    "Cancelled upon garbage collection",
    "Channel closed",
    "Socket closed",
    "Connection reset by peer",
    "Broken pipe",
    "ping timeout",
    "keepalive timeout",
    "keepalive watchdog timeout",
    "errors resolving",
    "DNS resolution failed",
    "Domain name not found",
    "Misformatted domain name",
    "Failed to parse port",
    "GOAWAY received",
    "too_many_pings",
    "Invalid metadata",
    *_CREDENTIAL_TEXTS,
    "CLIENT: ",
    "Exception serializing",
    "Exception deserializing",
    "Exception iterating requests",
    "recvmsg:",
    "Failed parsing HTTP/2",
    "unavailable, with no details",
    "http1.x server",
)
_SERVER_TEXTS = ("SERVER: ", "Exception calling application", "Exception iterating responses")

_REDIRECT = "the gateway answers with a redirect, perhaps to TLS: try https:// in front of the address"

_HTTP_HINTS = {
    400: "the gateway could not read the request: is this the gRPC address of a service with enable_grpc?",
    401: "the gateway refused the token: compare it with the one on the service's details page",
    403: "the gateway forbids this call: check the token and whether this network may use the address",
    404: "no such service or path behind this address, or the service was deployed without"
    " metadata.enable_grpc: check the address in the console",
    405: "the gateway does not take this method: the service was probably deployed without metadata.enable_grpc",
    301: _REDIRECT,
    302: _REDIRECT,
    307: _REDIRECT,
    308: _REDIRECT,
    408: "the service took longer than its own limit (metadata.rpc.keepalive): raise that limit or send less",
    413: "the request is larger than the gateway takes (1 MB): send less, or call the service directly",
    415: "the other side does not take gRPC: was the service deployed with metadata.enable_grpc?",
    429: "the service's rate limit is reached: slow down, or raise metadata.rpc.rate_limit",
    431: "the metadata of the call are too large: up to 8 KB are safe",
    450: "the service's queue is full (metadata.rpc.max_queue_size): slow down or add instances",
    499: "the gateway saw this client go away before the answer",
    500: "the service or the gateway failed: look at the service's log",
    501: "the gateway does not offer this: was the service deployed with metadata.enable_grpc?",
    502: "the service broke the connection to the gateway: look at its log for a crash or a restart",
    503: "no instance is ready: look at the service's state in the console",
    504: "the gateway got no answer from the service in time",
}

_NO_CHANNEL_HINT = "gRPC cannot use what this channel was told in options= or retry=; its message on standard error names the part"

# The first text found in the details (or in grpc's debug text) decides. These are core's own, about connections;
# in the words of a service they would mean something else.
_CLIENT_HINTS = (
    ("Failed to create channel", _NO_CHANNEL_HINT),
    ("Failed to create client channel", _NO_CHANNEL_HINT),
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
    (
        "errors resolving",
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
        "before receiving SETTINGS",
        "the other side accepts connections but says nothing: is this the gRPC port, and does the service run?",
    ),
    (
        "WRONG_VERSION_NUMBER",
        "the other side does not speak TLS: write http:// or no scheme (EAS gRPC: port 80)",
    ),
    (
        "certificate has expired",
        "the server's certificate has expired: it has to be renewed there, unless this machine's clock is wrong",
    ),
    (
        "certificate is not yet valid",
        "the server's certificate is not valid yet: compare this machine's clock with the right time",
    ),
    ("CERTIFICATE_VERIFY_FAILED", "the server's certificate is not trusted: pass its CA in credentials="),
    ("Hostname Verification", "the server's certificate is for another name: use that name as the endpoint"),
    (
        "not in peer certificate",
        "the server's certificate is for another name: use that name as the endpoint",
    ),
    (
        "PROTOCOL_VERSION",
        "the server offers no TLS that is safe: it has to speak TLS 1.2 or newer",
    ),
    (
        "UNSUPPORTED_PROTOCOL",
        "the server offers no TLS that is safe: it has to speak TLS 1.2 or newer",
    ),
    ("security handshaker", "the certificates in credentials= cannot be read: pass the bytes of PEM files"),
    (
        "empty address list",
        "the certificates in credentials= cannot be read, or the name has no address here",
    ),
    (
        "Handshake read failed",
        "the other side did not answer the TLS handshake: write http:// or no scheme (EAS gRPC: port 80)",
    ),
    (
        "Expected SETTINGS frame",
        "the other side speaks HTTP/1.1, not gRPC: is this the gRPC port of the service?",
    ),
    ("http1.x server", "the other side speaks HTTP/1.1, not gRPC: is this the gRPC port of the service?"),
    (
        "HTTP proxy returned",
        "a proxy from the environment took the call: connect(..., proxy=False) goes around it",
    ),
    ("too_many_pings", "the server forbids pings this frequent: connect(..., profile='direct')"),
    ("ping timeout", "the connection had gone silent and was given up; the next call uses a new one"),
    ("keepalive", "the connection had gone silent and was given up; the next call uses a new one"),
    (
        "GOAWAY",
        "the other side closed the connection (a restart, or its idle limit); the next call uses a new one",
    ),
    ("Socket closed", "the other side closed the connection: restarted, or it wants TLS (write https://)"),
    ("Connection reset", "the other side broke the connection: restarted, or it wants TLS (write https://)"),
    ("CLIENT: Received message larger", "the answer is larger than this side takes: raise max_response="),
    (
        "deserializing",
        "the answer is not the message that this stub expects: compare its .proto with the service's",
    ),
    ("sufficient security level", "these call credentials need TLS: pass token= to connect() instead"),
    ("Invalid metadata", "a metadata key or value is not allowed: lower-case keys, printable ASCII values"),
)

_PAGE_HINT = (
    "the answer is not gRPC but perhaps a page, and grpc lost its HTTP status: something in front refuses the call"
    " (token, rate, no instance), or the address or metadata.enable_grpc is wrong"
)
_ENDED_HINT = (
    "something in front of the service ended this call: it was silent for longer than that allows, or it is refused"
    " (token, rate, no instance) and grpc lost the HTTP status"
)
_SWALLOWED_HINT = (
    "the other side broke this call off: a restart, a time limit, or a refusal of a stream of requests"
    " (token, method, limit) whose reason a proxy swallowed"
)
_OVERTAKEN_HINT = (
    "the other side ended this call before all requests were sent, and grpc.aio lost its reason (token, method,"
    " limit, no instance): a call with a single request shows it"
)

# Core's too, but it does not tell whether the service or something in front of it caused them.
_TRANSPORT_HINTS = (
    (":path:", "the metadata of the call are larger than the other side takes: up to 8 KB are safe"),
    ("received metadata size exceeds", "the answer's headers are too large: up to 8 KB are safe"),
    ("END_STREAM flag received) (RST_STREAM", _ENDED_HINT),
    ("END_STREAM", _PAGE_HINT),
    (
        "No status received",
        "the answer is not gRPC (a web page?): check the address and metadata.enable_grpc",
    ),
    (
        "RST_STREAM with error code 7",
        "the other side did not begin this call: too many at once, or nothing behind it answers; send it again",
    ),
    ("RST_STREAM with error code 8", _SWALLOWED_HINT),
    ("RST_STREAM with error code 11", "the other side asks for fewer calls or pings: slow down"),
    (
        "RST_STREAM",
        "the other side broke this call off: a restart, or a time limit of the service or the gateway",
    ),
    ("Internal error from Core", _OVERTAKEN_HINT),
    ("Stream removed", "the answer broke off or is not gRPC: check the address and metadata.enable_grpc"),
)

_SERVER_HINTS = (
    (
        "SERVER: Received message larger",
        "the request is larger than the service takes: send less, or raise its limit",
    ),
    ("Exception calling application", "the service's own code failed: its log has the traceback"),
    ("Exception iterating responses", "the service's own code failed: its log has the traceback"),
    (
        "Method not found",
        "the service does not have this method: compare package and service name in the .proto",
    ),
)

_STATUS_HINTS = {
    "UNAUTHENTICATED": "the token was refused: compare it with the one on the service's details page"
    " (it changes when the service is deployed anew)",
    "UNIMPLEMENTED": "the service does not have this method: compare package and service name in the .proto",
    "UNAVAILABLE": "the service, or something in front of it, cannot answer now: look at its state in the console",
}

_UNREACHABLE_HINT = "the service could not be reached: check that it runs and that this network leads there"
_DEADLINE_HINT = (
    "the time for this call was over: give it more with timeout=, or find out why the service is slow;"
    " a silent connection is noticed only after keepalive time + timeout"
)

_SHORTEST_SECRET = 8

_UNSENT_HINT = (
    "no token was sent: pass token= to connect(), or set EAS_TOKEN or EAS_TOKEN_FILE; the token stands on the"
    " service's details page"
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
    token_sent: bool = True,
) -> CallFailure:
    """All that can be known of a failure. `secret` is masked wherever a server may have echoed it."""
    text = details or ""
    match = _HTTP_STATUS.search(text)
    http_status = int(match[1]) if match else None
    status = _CORRECTED.get((http_status, status), status)
    if status == "INTERNAL" and _UNREADABLE_STATUS in text:
        status = "UNKNOWN"
    origin = _origin(status, text, debug, http_status, answered=bool(trailing_metadata))
    hint = _hint(status, text, debug, origin, http_status)
    if status == "UNAUTHENTICATED" and not token_sent and origin is not Origin.CLIENT:
        hint = _UNSENT_HINT
    return CallFailure(
        status=status,
        details=masked(text, secret),
        origin=origin,
        hint=hint,
        method=method,
        http_status=http_status,
        initial_metadata=_masked_pairs(initial_metadata, secret),
        trailing_metadata=_masked_pairs(trailing_metadata, secret),
        debug=masked(debug, secret),
    )


def masked(text: str, secret: str) -> str:
    """The text with every occurrence of `secret` replaced; what is too short to be one would garble the text."""
    return text.replace(secret, "***") if len(secret) >= _SHORTEST_SECRET else text


def _origin(status: str, text: str, debug: str, http_status: int | None, *, answered: bool) -> Origin:
    """`answered`: trailing metadata came, which core never makes up."""
    if http_status is not None:
        return Origin.GATEWAY
    if text.startswith(_NO_CHANNEL):
        return Origin.CLIENT
    if status in _SERVERS_ALONE:
        return Origin.SERVER
    ours = _CREDENTIAL_TEXTS if status in _SERVERS_MOSTLY else _CLIENT_TEXTS
    if any(mark in text for mark in ours):
        return Origin.CLIENT
    if status in _SERVERS_MOSTLY or any(mark in text for mark in _SERVER_TEXTS):
        return Origin.SERVER
    if any(mark in text for mark, _ in _TRANSPORT_HINTS):
        return Origin.UNKNOWN
    return Origin.SERVER if answered or _FROM_PEER.search(debug) else Origin.UNKNOWN


def _hint(status: str, text: str, debug: str, origin: Origin, http_status: int | None) -> str:
    if http_status is not None:
        fallback = f"a gateway answered with HTTP {http_status} instead of the service"
        return _HTTP_HINTS.get(http_status, fallback)
    if origin is Origin.SERVER:
        return _first(_SERVER_HINTS, text) or _STATUS_HINTS.get(status, "")
    if origin is Origin.UNKNOWN:
        return _first(_TRANSPORT_HINTS, text) or _STATUS_HINTS.get(status, "")
    if hint := _first(_CLIENT_HINTS, f"{text} {debug}"):
        return hint
    return {"DEADLINE_EXCEEDED": _DEADLINE_HINT, "UNAVAILABLE": _UNREACHABLE_HINT}.get(status, "")


def _first(hints: tuple[tuple[str, str], ...], text: str) -> str:
    """The hint of the first needle that is in the text."""
    text = text.lower()
    return next((hint for needle, hint in hints if needle.lower() in text), "")


def _masked_pairs(
    pairs: tuple[tuple[str, str | bytes], ...], secret: str
) -> tuple[tuple[str, str | bytes], ...]:
    if len(secret) < _SHORTEST_SECRET:
        return pairs
    return tuple(
        (key, masked(value, secret) if isinstance(value, str) else value.replace(secret.encode(), b"***"))
        for key, value in pairs
    )
