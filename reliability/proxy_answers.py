"""What haproxy itself answers instead of the service, and whether a caller makes the right thing of it. Pure.

The codes are those of gRPC's doc/http-grpc-status-mapping.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from reliability.clients import OURS
from reliability.ledger import SHAPES
from reliability.proxy_calls import Seen

__all__ = ["ANSWERS", "HEADER", "IDLE", "SECTIONS", "Answer", "code_of", "rules", "verdict"]

# A call asks for one of the answers by its name with this header.
HEADER = "x-answer"
# Seconds after which haproxy gives up waiting, in this test.
IDLE = 0.3

SECTIONS = ("userlist people", "  user somebody insecure-password something")

_CODES = {
    400: "INTERNAL",
    431: "INTERNAL",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "UNIMPLEMENTED",
    429: "UNAVAILABLE",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "UNAVAILABLE",
}

_PAGE = "<html><body><h1>A page</h1>" + "<p>of some length</p>" * 20 + "</body></html>"

# How core words it when the end of the answer overtook its beginning, and grpc.aio when it overtook a request.
_LOST = ("Stream removed", "Pending writes failed due to stream closure")
_LOST_BY_AIO = ("Internal error from Core", "Locally cancelled by application!")


@dataclass(frozen=True)
class Answer:
    """One answer: `rule` makes haproxy give it, or the `backend`, or the call itself by `verb` or `pause`.

    `status` is the HTTP status that the caller has to see, None where there is none; `code` the gRPC code. `refused`: it
    may come as a stream that was refused instead.
    """

    name: str
    status: int | None
    code: str
    origin: str = "GATEWAY"
    rule: str = ""
    backend: str = ""
    verb: str = "echo"
    pause: float = 0.0
    shapes: tuple[str, ...] = SHAPES
    refused: bool = False


def code_of(status: int) -> str:
    """The gRPC code for an HTTP status without a grpc-status."""
    return _CODES.get(status, "UNKNOWN")


def rules() -> list[str]:
    """The lines for haproxy's frontend."""
    made = [
        f"{answer.rule} if {{ req.hdr({HEADER}) -m str {answer.name} }}" for answer in ANSWERS if answer.rule
    ]
    return [f"timeout tarpit {round(IDLE * 1000)}ms", *made]


def verdict(answer: Answer, seen: Seen, kind: str) -> str:
    """`right`, `lost` where grpc lost the HTTP status of an answer to a stream, or what is wrong, in words.

    Ours have to have origin, status and a hint too; a bare channel has no more than a code.
    """
    ours = kind in OURS
    if _is_lost(seen, kind):
        return "no hint" if ours and not seen.hint else "lost"
    if seen.code != answer.code:
        return f"{seen.code} ({seen.details[:80]}) instead of {answer.code}"
    if not ours:
        return "right"
    if answer.refused and "RST_STREAM with error code 7" in seen.details:
        return "right" if seen.hint else "no hint"
    if (seen.origin, seen.http_status) != (answer.origin, answer.status):
        return f"from {seen.origin} with HTTP {seen.http_status}, not {answer.origin} with {answer.status}"
    return "right" if seen.hint or answer.origin == "SERVER" else "no hint"


def _is_lost(seen: Seen, kind: str) -> bool:
    if seen.shape == "unary_unary":
        return False
    # Ours mend what grpc.aio does (eas_grpc.rpc._aio_truth), so for them it is no excuse.
    by_aio = kind == "raw-aio" and seen.shape.startswith("stream")
    texts = _LOST + (_LOST_BY_AIO if by_aio else ())
    codes = {"UNKNOWN", "CANCELLED", "INTERNAL"}
    return seen.code in codes and any(text in seen.details for text in texts)


def _denied(status: int) -> Answer:
    rule = f"http-request deny deny_status {status}"
    return Answer(f"deny-{status}", status, code_of(status), rule=rule)


def _page(status: int) -> Answer:
    rule = f"http-request return status {status} content-type text/html string '{_PAGE}'"
    if status == 200:
        # Nothing but the end of the stream tells that this is no answer of gRPC's.
        return Answer("page-200", None, "UNKNOWN", "UNKNOWN", rule)
    return Answer(f"page-{status}", status, code_of(status), rule=rule)


def _trailers(number: int, code: str) -> Answer:
    rule = (
        "http-request return status 200 content-type application/grpc"
        f" hdr grpc-status {number} hdr grpc-message 'the proxy says no'"
    )
    return Answer(f"trailers-{number}", None, code, "SERVER", rule)


ANSWERS: tuple[Answer, ...] = (
    Answer("auth-401", 401, "UNAUTHENTICATED", rule="http-request auth realm here"),
    *map(_denied, (400, 401, 403, 404, 405, 408, 413, 429, 500, 502, 503, 504)),
    *map(_page, (200, 400, 401, 403, 404, 429, 431, 451, 500, 502, 503, 504)),
    Answer("redirect-302", 302, "UNKNOWN", rule="http-request redirect location https://localhost/ code 302"),
    Answer("tarpit-500", 500, "UNKNOWN", rule="http-request tarpit"),
    _trailers(7, "PERMISSION_DENIED"),
    _trailers(8, "RESOURCE_EXHAUSTED"),
    _trailers(16, "UNAUTHENTICATED"),
    Answer("no-server", 503, "UNAVAILABLE", backend="empty"),
    Answer("server-down", 503, "UNAVAILABLE", backend="down"),
    Answer("server-refuses", 503, "UNAVAILABLE", backend="refusing"),
    # haproxy may pass such a failure on as a stream that was never begun, in which case there is no status.
    Answer("server-hangs-up", 503, "UNAVAILABLE", backend="hanging-up", refused=True),
    Answer("server-is-no-http2", 503, "UNAVAILABLE", backend="garbage", refused=True),
    Answer("service-is-slow", 504, "UNAVAILABLE", verb="hold"),
    Answer(
        "request-is-slow",
        408,
        "UNKNOWN",
        rule="http-request wait-for-body time 100ms",
        pause=1.0,
        shapes=("stream_unary", "stream_stream"),
    ),
)
