"""What the raw answer of whoever answers means: the service, the gateway in front of it, or a web page. Pure."""

from __future__ import annotations

import datetime as dt
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

from eas_grpc._status_codes import status_name, status_number
from eas_grpc.doctor._catalogue import CATALOGUE, found
from eas_grpc.doctor._records import Finding
from eas_grpc.doctor._seen import Answer
from eas_grpc.doctor._text import Showing

__all__ = [
    "describe",
    "gateway_finding",
    "is_grpc",
    "judge_answer",
    "judge_clock",
    "refuses_token",
]


# What gRPC makes of an HTTP status (doc/http-grpc-status-mapping.md); everything else is UNKNOWN.
_FROM_HTTP = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 431: 13, 502: 14, 503: 14, 504: 14}

_MEANINGS = {
    400: (
        "could not read the request",
        "is this the gRPC address of a service that has metadata.enable_grpc?",
    ),
    401: ("refused the token", "compare the token with the one on the service's details page"),
    403: ("forbids this call", "check the token, and whether this network may use the address"),
    404: (
        "knows no service behind this address",
        "check the address in the console, and that the service was deployed with metadata.enable_grpc",
    ),
    405: ("does not take this method", "deploy the service with metadata.enable_grpc"),
    408: (
        "ended the call: the service took longer than its own limit",
        "raise metadata.rpc.keepalive of the service, or send less",
    ),
    413: ("does not take a request of this size (1 MB)", "send less, or call the service directly"),
    429: ("refused the call: the rate limit is reached", "slow down, or raise metadata.rpc.rate_limit"),
    450: ("refused the call: the service's queue is full", "slow down, or add instances"),
    500: ("failed, or the service did", "look at the service's log"),
    502: ("lost its connection to the service", "look at the service's log for a crash or a restart"),
    503: ("has no instance that is ready", "look at the service's state in the console: is it running?"),
    504: ("got no answer from the service in time", "find out why the service is slow: its log, its load"),
}


def is_grpc(answer: Answer) -> bool:
    """Whether a gRPC status came, from the service or from something that speaks for it."""
    return answer.status == 200 and answer.grpc_status is not None


def refuses_token(answer: Answer) -> bool:
    """Whether the answer is about the token."""
    return answer.status == 401 or (
        is_grpc(answer) and answer.grpc_status == status_number("UNAUTHENTICATED")
    )


def describe(answer: Answer, showing: Showing) -> list[str]:
    """The answer, fit to be shown: status line, who says so, the gRPC status, the body."""
    lines = []
    if answer.status is not None:
        kind = answer.header("content-type")
        server = answer.header("server")
        lines.append(
            f"HTTP {answer.status}"
            + (f", {showing(kind, longest=80)}" if kind else "")
            + (f", server: {showing(server, longest=80)}" if server else "")
        )
    if (location := answer.header("location")) is not None:
        lines.append(f"location: {showing(location)}")
    if answer.grpc_status is not None:
        message = unquote(answer.header("grpc-message") or "", errors="replace")
        lines.append(
            f"gRPC status {status_name(answer.grpc_status)}" + (f": {showing(message)}" if message else "")
        )
    if answer.body and not is_grpc(answer):
        lines.append(f"body: {showing(answer.body)}")
    if answer.reset:
        lines.append(f"the request was reset, error code {answer.reset}")
    if answer.goaway is not None:
        lines.append(f"GOAWAY, error code {answer.goaway[0]} {showing(answer.goaway[1])}".rstrip())
    if answer.failure:
        lines.append(
            {"silence": "no answer in time", "broken": "what came is no HTTP/2"}.get(
                answer.failure, f"the connection was {answer.failure}"
            )
        )
    return lines


def gateway_finding(http: int, evidence: str, *, token_given: bool = True) -> Finding:
    """The finding for an HTTP status that is not 200."""
    status = _FROM_HTTP.get(http, status_number("UNKNOWN"))
    name = f"gateway-{http}"
    if name in CATALOGUE:
        what, advice = _MEANINGS[http]
        if http == 401 and not token_given:
            what, advice = "takes no call without a token", "pass --token-file or --token, or set EAS_TOKEN"
        return found(name, f"The gateway {what} (HTTP {http}).", advice, evidence=evidence, status=status)
    if 300 <= http < 400:
        advice = "try https:// in front of the address, or the address that it redirects to"
        sentence = f"The gateway redirects (HTTP {http})."
        return found("gateway-other", sentence, advice, evidence=evidence, status=status)
    return found(
        "gateway-other",
        f"Something in front of the service answers with HTTP {http}.",
        "look at the text of its answer, and at the service's state in the console",
        evidence=evidence,
        status=status,
    )


def judge_answer(answer: Answer, showing: Showing, *, where: str) -> tuple[Finding, ...]:
    """What the raw answer alone tells; nothing about the token, which takes a second question."""
    told = "; ".join(describe(answer, showing))
    if answer.status is not None and answer.status != 200:
        return (gateway_finding(answer.status, told),)
    if answer.status == 200 and answer.grpc_status is None:
        kind = (answer.header("content-type") or "").lower()
        if kind.startswith("application/grpc"):
            return (_cut(answer, where, told),)
        return (
            found(
                "gateway-html",
                f"{where} answers with {'a web page' if 'html' in kind else 'HTTP 200, but not with gRPC'}: this is"
                " not the gRPC service.",
                "check the address in the console, and that the service was deployed with metadata.enable_grpc",
                evidence=told,
                status=status_number("UNKNOWN"),
            ),
        )
    if answer.status is None:
        return (_cut(answer, where, told),)
    return ()


def _cut(answer: Answer, where: str, told: str) -> Finding:
    if answer.failure == "silence":
        return found(
            "timeout",
            f"{where} speaks HTTP/2 but does not answer a request within {answer.seconds:.1f} s.",
            "look at the service's load and log; what is behind the gateway may not run",
            evidence=told,
            sure=False,
            status=status_number("DEADLINE_EXCEEDED"),
        )
    return found(
        "call-failed",
        f"{where} breaks a request off before its end.",
        "look at the service's log for a crash or a restart, and try again",
        evidence=told,
        sure=False,
        status=status_number("UNAVAILABLE"),
    )


# What signatures of the HTTP interface allow for; the cloud's other services refuse beyond 15 minutes.
_LARGEST_SKEW = 900.0


def judge_clock(date: str | None, now: dt.datetime) -> tuple[tuple[Finding, ...], str]:
    """Our clock against the answer's Date header: findings, and what was seen."""
    if date is None:
        return (), ""
    try:
        theirs = parsedate_to_datetime(date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return (), "the Date of the answer cannot be read"
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=dt.timezone.utc)
    skew = (now - theirs).total_seconds()
    seen = (
        f"this machine's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the answer's Date"
    )
    if abs(skew) <= _LARGEST_SKEW:
        return (), seen
    amount = f"{abs(skew) / 3600:.1f} hours" if abs(skew) > 7200 else f"{abs(skew) / 60:.0f} minutes"
    return (
        found(
            "clock-skew",
            f"This machine's clock is {amount} {'ahead of' if skew > 0 else 'behind'} the server's.",
            "set the clock (NTP): signatures and certificates are judged by it",
            evidence=seen,
        ),
    ), seen
