"""What the first bytes after HTTP/2's preface tell about the other side. Pure."""

from __future__ import annotations

import re
from typing import Literal

from eas_grpc.doctor._catalogue import found
from eas_grpc.doctor._records import Finding
from eas_grpc.doctor._seen import First, Handshake
from eas_grpc.doctor._text import Showing
from eas_grpc.endpoint import Endpoint

__all__ = ["Speech", "classify", "judge_first"]

Speech = Literal["http2", "goaway", "http1", "tls", "other", "nothing"]

_HTTP1 = re.compile(rb"HTTP/1\.[01] (\d{3})")
_ALPN_HTTP2 = "h2"


def classify(data: bytes) -> Speech:
    """Which protocol these bytes begin."""
    if not data:
        return "nothing"
    if data.startswith(b"HTTP/"):
        return "http1"
    # A TLS record: alert or handshake, version 3.x.
    if len(data) >= 3 and data[0] in (0x15, 0x16) and data[1] == 3:
        return "tls"
    if len(data) >= 9 and data[5:9] == bytes(4):
        size = int.from_bytes(data[:3], "big")
        if data[3] == 4 and size % 6 == 0 and size <= 16_384:
            return "http2"
        if data[3] == 7 and 8 <= size <= 16_384:
            return "goaway"
    return "other"


def judge_first(
    endpoint: Endpoint,
    first: First,
    tls: Handshake | None,
    showing: Showing,
    *,
    alpn: str | None = _ALPN_HTTP2,
    waited: float = 0.0,
    http1: bytes = b"",
) -> tuple[Finding, ...]:
    """Nothing where HTTP/2 is spoken. `tls` is what a TLS handshake got on a port that was taken for plaintext;
    `alpn` is the protocol that was agreed on where the connection is TLS already; `http1` what a question in HTTP/1.1 got."""
    speech = classify(first.data)
    where = endpoint.authority if endpoint.socket is None else endpoint.socket
    if speech == "http2":
        if endpoint.tls and alpn != _ALPN_HTTP2:
            return (
                found(
                    "http1-only",
                    f"{where} speaks HTTP/2 but does not offer it in the TLS handshake (ALPN), which gRPC insists on.",
                    "switch HTTP/2 on for this TLS port",
                    evidence=f"ALPN: {alpn or 'none'}",
                ),
            )
        return ()
    if speech == "tls" or (tls is not None and not tls.problem):
        return (
            found(
                "tls-expected",
                f"{where} speaks TLS, and the address asks for plaintext.",
                f"write https://{endpoint.authority}",
                evidence=_tls_evidence(first, tls, showing),
                sure=tls is not None and not tls.problem,
            ),
        )
    said = http1 if classify(http1) == "http1" else first.data
    if classify(said) == "http1":
        status = _HTTP1.match(said)
        answered = f" ({status[1].decode()})" if status else ""
        return (
            found(
                "http1-only",
                f"{where} answers as an HTTP/1.1 server{answered}, and gRPC needs HTTP/2.",
                "use the gRPC address of the service (deployed with metadata.enable_grpc), and no HTTP/1.1 proxy before it",
                evidence=showing(said),
            ),
        )
    if speech == "goaway":
        return (
            found(
                "closed",
                f"{where} speaks HTTP/2, and ends the connection at once with GOAWAY.",
                "try again: it may be shutting down or overloaded",
                evidence=showing(first.data[17:]),
            ),
        )
    if speech == "nothing":
        return (_nothing(where, first, waited, endpoint),)
    return (
        found(
            "not-http2",
            f"{where} answers with something that is not HTTP/2.",
            "check the port: another kind of server listens there",
            evidence=showing(first.data),
            sure=speech == "other",
        ),
    )


def _nothing(where: str, first: First, waited: float, endpoint: Endpoint) -> Finding:
    if first.ending in ("closed", "reset"):
        verb = "closes" if first.ending == "closed" else "resets"
        return found(
            "closed",
            f"{where} accepts the connection and {verb} it without a word.",
            "something on the way (a load balancer, a port forward) has no server behind it, or the server wants"
            " something else than HTTP/2 here",
            evidence=f"{first.ending} after the preface",
            sure=False,
        )
    return found(
        "silent",
        f"{where} accepts the connection and says nothing" + (f" for {waited:.1f} s." if waited else "."),
        "check that the service runs and is not stuck, and that this is its gRPC port"
        + ("" if endpoint.is_loopback else "; a firewall may swallow what is sent"),
        evidence="no byte after the preface",
    )


def _tls_evidence(first: First, tls: Handshake | None, showing: Showing) -> str:
    if tls is not None and not tls.problem:
        return (
            f"a TLS handshake succeeds: {tls.version}; the certificate is {tls.certificate or 'unreadable'}"
        )
    return showing(first.data)
