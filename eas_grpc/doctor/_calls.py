"""What the status of a real call means in EAS terms. Pure."""

from __future__ import annotations

import re
from typing import Literal

from eas_grpc._status_codes import status_number
from eas_grpc.doctor._catalogue import found
from eas_grpc.doctor._gateway import gateway_finding
from eas_grpc.doctor._records import Finding
from eas_grpc.doctor._text import Showing
from eas_grpc.errors import CallFailure, Origin

__all__ = ["Known", "is_about_token", "judge_call", "judge_probe", "judge_token_refusal"]

# What the schema knows of the method that was asked for.
Known = Literal["unasked", "method", "service", "neither"]

_TOO_LARGE = re.compile(
    r"larger than max|(?:request|message|body)\b.{0,40}\b(?:larger than|too large|exceeds)", re.IGNORECASE
)
_FIGURES = re.compile(r"\((\d+) vs\.? (\d+)\)")
_UNKNOWN_SERVICE = re.compile(r"unknown service", re.IGNORECASE)
_UNKNOWN_METHOD = re.compile(r"unknown method", re.IGNORECASE)
_NOT_WRITTEN = re.compile(r"method not implemented", re.IGNORECASE)
_DNS = ("DNS resolution failed", "Domain name not found", "errors resolving", "Misformatted domain name")


def is_about_token(failure: CallFailure) -> bool:
    """Whether the call was refused for its token, or for having none."""
    return failure.status == "UNAUTHENTICATED" and failure.origin is not Origin.CLIENT


def judge_token_refusal(
    *, http: bool, token_given: bool, bare_works: bool, evidence: str, what: str = "call"
) -> tuple[Finding, ...]:
    """Findings for UNAUTHENTICATED. `bare_works`: the same request with the token alone was not refused."""
    status = status_number("UNAUTHENTICATED")
    who = "The gateway" if http else "The service"
    if not token_given:
        findings = [
            found(
                "token-missing",
                f"{who} wants a token, and none was given.",
                "pass --token-file or --token, or set EAS_TOKEN; the token stands on the service's details page",
                evidence=evidence,
                status=status,
            )
        ]
        return (*findings, gateway_finding(401, evidence, token_given=False)) if http else tuple(findings)
    if bare_works:
        return (
            found(
                "token-wants-no-bearer",
                f"{who} takes this token alone and refuses it with 'Bearer ' in front.",
                "have the service accept 'authorization: Bearer <token>' as EAS documents it for gRPC; until then pass"
                " -H 'authorization: <token>' (metadata=) instead of token=",
                evidence=evidence,
                status=status,
            ),
        )
    if http:
        return (gateway_finding(401, evidence),)
    return (
        found(
            "token-refused",
            f"The service refuses the token of this {what}.",
            "compare it with the one on the service's details page; it changes when the service is deployed anew",
            evidence=evidence,
            status=status,
        ),
    )


def judge_call(
    failure: CallFailure,
    showing: Showing,
    *,
    method: str,
    known: Known = "unasked",
    name_found: bool = False,
    limit: int | None = None,
    seconds: float = 0.0,
) -> Finding:
    """The finding for a call that failed with anything but UNAUTHENTICATED. `name_found`: Python resolved the host;
    `limit` is our own for answers."""
    status = status_number(failure.status)
    text = showing(failure.details)
    told = f"{method}: {failure.status}: {text}" if text else f"{method}: {failure.status}"
    if failure.http_status is not None:
        return gateway_finding(failure.http_status, told)
    if failure.status == "UNIMPLEMENTED":
        return _unimplemented(failure.details, method, known, told, status)
    if failure.status == "RESOURCE_EXHAUSTED" and _TOO_LARGE.search(failure.details):
        return _too_large(failure, told, status, limit)
    if failure.status == "DEADLINE_EXCEEDED":
        ours = failure.origin is Origin.CLIENT
        return found(
            "timeout",
            f"{method} did not answer within {seconds:.1f} s."
            if ours
            else f"The service says that {method} took too long.",
            "look at the service's load and log, or give the call more time (--timeout)",
            evidence=told,
            sure=ours,
            status=status,
        )
    if failure.status == "UNAVAILABLE" and name_found and any(mark in failure.details for mark in _DNS):
        return found(
            "resolver-disagrees",
            "Python's resolver finds the host, gRPC's does not.",
            "set GRPC_DNS_RESOLVER=native, or use the IP address",
            evidence=told,
        )
    if failure.status == "UNAVAILABLE" and "HTTP proxy returned" in failure.details:
        return found(
            "proxy",
            "A proxy of the environment takes gRPC's connection and refuses it.",
            "go around it with --no-proxy (connect(..., proxy=False)), or add the host to no_proxy",
            evidence=told,
        )
    refused = "PERMISSION_DENIED" in failure.status
    return found(
        "call-failed",
        f"{method} failed with {failure.status}{f': {text}' if text else ''}.",
        showing(failure.hint)
        or ("the token is known, but not allowed to do this" if refused else "look at the service's log"),
        evidence=told,
        status=status,
        connected=failure.status != "UNAVAILABLE" or failure.origin is not Origin.CLIENT,
    )


def _unimplemented(details: str, method: str, known: Known, told: str, status: int) -> Finding:
    service = method.strip("/").rpartition("/")[0]
    if _UNKNOWN_SERVICE.search(details) or known == "neither":
        return found(
            "service-unknown",
            f"There is no service {service} behind this address.",
            "compare the package and the service's name in the .proto with what `eas-grpc list` shows",
            evidence=told,
            status=status,
        )
    if _NOT_WRITTEN.search(details) or known == "method":
        return found(
            "method-unknown",
            f"The service has {method} in its schema, but says that it is not implemented.",
            "write the method on the server: a servicer inherits the refusal until it does",
            evidence=told,
            status=status,
        )
    return found(
        "method-unknown",
        f"The service does not have the method {method}.",
        "compare package, service and method in the .proto with what `eas-grpc list` shows",
        evidence=told,
        sure=known == "service" or bool(_UNKNOWN_METHOD.search(details)),
        status=status,
    )


def _too_large(failure: CallFailure, told: str, status: int, limit: int | None) -> Finding:
    figures = _FIGURES.search(failure.details)
    size = f" ({figures[1]} bytes, and {figures[2]} are taken)" if figures else ""
    if "CLIENT:" in failure.details or failure.origin is Origin.CLIENT:
        bound = f"; the limit here is {limit} bytes" if limit is not None and not figures else ""
        return found(
            "response-too-large",
            f"The answer is larger than this side takes{size}{bound}.",
            "raise --max-message (max_response= of connect(); plain gRPC takes 4 MiB unless told otherwise)",
            evidence=told,
            status=status,
        )
    return found(
        "request-too-large",
        f"The request is larger than the service takes{size}.",
        "send less, or raise grpc.max_receive_message_length on the server; an EAS gateway takes at most 1 MB",
        evidence=told,
        sure=bool(_TOO_LARGE.search(failure.details)),
        status=status,
    )


def judge_probe(size: int, failure: CallFailure | None, showing: Showing) -> tuple[tuple[Finding, ...], str]:
    """Whether a request of `size` bytes is taken, as asked for by --max-request: findings, and what was seen."""
    # Who answers so has read the request to its end.
    read = failure is not None and (
        failure.status in ("NOT_FOUND", "INVALID_ARGUMENT") or "deserializing request" in failure.details
    )
    if failure is None or read:
        return (), f"a request of {size} bytes is taken"
    text = showing(failure.details)
    told = f"a request of {size} bytes: {failure.status}: {text}"
    if failure.http_status is not None and failure.http_status != 401:
        return (gateway_finding(failure.http_status, told),), told
    if failure.status == "RESOURCE_EXHAUSTED" and failure.origin is not Origin.CLIENT:
        return (_too_large(failure, told, status_number(failure.status), None),), told
    if failure.status in ("UNAVAILABLE", "INTERNAL", "UNKNOWN", "CANCELLED"):
        finding = found(
            "request-too-large",
            f"A request of {size} bytes broke the call off; small ones get through.",
            "send less; through an EAS gateway at most 1 MB",
            evidence=told,
            sure=False,
            status=status_number(failure.status),
        )
        return (finding,), told
    return (), told
