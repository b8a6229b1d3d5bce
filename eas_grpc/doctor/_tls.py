"""What a TLS handshake tells. Pure."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from eas_grpc.doctor._catalogue import found
from eas_grpc.doctor._records import Finding
from eas_grpc.doctor._seen import First, Handshake
from eas_grpc.doctor._text import Showing
from eas_grpc.endpoint import Endpoint

__all__ = ["handshake_problem", "judge_handshake"]

Problem = Literal[
    "not-tls",
    "unknown-ca",
    "self-signed",
    "wrong-host",
    "expired",
    "not-yet-valid",
    "client-certificate",
    "version",
    "closed",
    "silence",
    "other",
]

# OpenSSL's X509_V_ERR_... numbers (x509_vfy.h), which its own texts only paraphrase.
_VERIFY: dict[int, Problem] = {
    2: "unknown-ca",
    9: "not-yet-valid",
    10: "expired",
    18: "self-signed",
    19: "self-signed",
    20: "unknown-ca",
    21: "unknown-ca",
    62: "wrong-host",
    64: "wrong-host",
}
_NOT_TLS = (
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "PACKET_LENGTH_TOO_LONG",
    "RECORD_LAYER_FAILURE",
    "UNKNOWN_PROTOCOL",
)
_CLIENT_CERTIFICATE = ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE", "BAD_CERTIFICATE")
_VERSION = ("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "VERSION_TOO_LOW")
_CLOSED = (
    "SSLEOFError",
    "ConnectionResetError",
    "BrokenPipeError",
    "SSLZeroReturnError",
    "ConnectionAbortedError",
)


def handshake_problem(kind: str, reason: str, verify: int) -> Problem:
    """What went wrong, from the error's class name, its reason and OpenSSL's number of the verification."""
    if kind == "SSLCertVerificationError":
        return _VERIFY.get(verify, "wrong-host" if "match" in reason.lower() else "unknown-ca")
    if kind == "timeout":
        return "silence"
    for marks, problem in (
        (_NOT_TLS, "not-tls"),
        (_CLIENT_CERTIFICATE, "client-certificate"),
        (_VERSION, "version"),
    ):
        if any(mark in reason for mark in marks):
            return problem  # type: ignore[return-value]
    return "closed" if kind in _CLOSED or "EOF" in reason else "other"


def judge_handshake(
    endpoint: Endpoint,
    host: str,
    verified: Handshake,
    seen: Handshake | None,
    plain: First | None,
    now: dt.datetime,
    showing: Showing,
) -> tuple[Finding, ...]:
    """Findings of a handshake. `seen` is a second one that verified nothing; `plain` is what HTTP/2 without TLS got."""
    certificate = seen.certificate if seen is not None else None
    told = showing(str(certificate)) if certificate is not None else showing(verified.detail)
    problem = verified.problem
    if not problem:
        return ()
    if problem in ("not-tls", "closed", "silence", "other") and plain is not None and plain.data:
        return (
            found(
                "plaintext-expected",
                f"{endpoint.authority} speaks plaintext, and the address asks for TLS.",
                f"write http://{endpoint.authority} or no scheme (EAS takes gRPC in plaintext on port 80)",
                evidence=showing(verified.detail),
            ),
        )
    if problem == "not-tls":
        return (
            found(
                "plaintext-expected",
                f"{endpoint.authority} does not speak TLS, and the address asks for it.",
                f"write http://{endpoint.authority} or no scheme (EAS takes gRPC in plaintext on port 80)",
                evidence=showing(verified.detail),
                sure=False,
            ),
        )
    if problem in ("unknown-ca", "self-signed"):
        also = ""
        if certificate is not None and certificate.names and not certificate.covers(host):
            also = f"; it is also for another name ({showing(', '.join(certificate.names[:3]))})"
        by, files = "an authority that is not trusted here", "the certificate of that authority"
        if problem == "self-signed":
            by, files = "itself, or by an authority of its own", "that certificate, or its authority's,"
        return (
            found(
                "tls-unknown-ca",
                f"The server's certificate is signed by {by}{also}.",
                f"pass {files} with --cacert (credentials= of connect())",
                evidence=told,
            ),
        )
    if problem in ("expired", "not-yet-valid"):
        word = "has expired" if problem == "expired" else "is not valid yet"
        when = ""
        if certificate is not None and certificate.begins and certificate.ends:
            end = certificate.ends if problem == "expired" else certificate.begins
            when = f" ({end:%Y-%m-%d %H:%M} UTC; this machine's clock says {now:%Y-%m-%d %H:%M} UTC)"
        return (
            found(
                "tls-expired",
                f"The server's certificate {word}{when}.",
                "have it renewed there, unless this machine's clock is wrong",
                evidence=told,
            ),
        )
    if problem == "wrong-host":
        names = certificate.names if certificate is not None else ()
        shown = showing(", ".join(names[:3])) or "another name"
        advice = (
            f"use {showing(names[0])} in the address"
            if names
            else "use the certificate's name in the address"
        )
        return (
            found(
                "tls-wrong-host",
                f"The server's certificate is for {shown}, not for {host}.",
                f"{advice}, or a certificate for {host} on the server",
                evidence=told,
            ),
        )
    if problem == "client-certificate":
        return (
            found(
                "tls-client-certificate",
                f"{endpoint.authority} ends the handshake: it probably asks for a certificate of the client.",
                "pass --cert and --key",
                evidence=showing(verified.detail),
                sure="CERTIFICATE_REQUIRED" in verified.detail,
            ),
        )
    if problem == "silence":
        return (
            found(
                "silent",
                f"{endpoint.authority} accepts connections and does not answer the TLS handshake.",
                "check that the server runs and that this port is its TLS port",
                evidence=showing(verified.detail),
                sure=False,
            ),
        )
    if problem == "version":
        sentence = f"{endpoint.authority} offers no version of TLS that is safe (1.2 or newer)."
        return (
            found(
                "tls-failed",
                sentence,
                "have TLS 1.2 or newer switched on there",
                evidence=showing(verified.detail),
            ),
        )
    return (
        found(
            "tls-failed",
            f"The TLS handshake with {endpoint.authority} failed: {showing(verified.detail or problem)}.",
            "check that this port speaks TLS; EAS takes gRPC in plaintext on port 80",
            evidence=showing(verified.detail),
            sure=False,
        ),
    )
