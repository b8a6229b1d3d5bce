"""What the probes saw, as plain data: sockets fill it in, pure functions judge it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from eas_grpc.doctor._certificate import Certificate

__all__ = ["Answer", "Attempt", "First", "Handshake", "Lookup", "Tunnel"]


@dataclass(frozen=True)
class Lookup:
    """What a resolver says: addresses, or why there are none."""

    addresses: tuple[str, ...] = ()
    # "unknown": there is no such name; "unanswered": nobody could say; "timeout"
    failure: Literal["", "unknown", "unanswered", "timeout"] = ""
    detail: str = ""


@dataclass(frozen=True)
class Attempt:
    """One try to connect to one address."""

    address: str
    outcome: Literal["ok", "refused", "timeout", "unreachable", "failed"]
    seconds: float
    detail: str = ""


@dataclass(frozen=True)
class Tunnel:
    """What a proxy answered to CONNECT; `status` is None where it was no HTTP answer."""

    status: int | None
    answer: bytes = b""
    failure: str = ""


@dataclass(frozen=True)
class Handshake:
    """How a TLS handshake went; `problem` is empty where it went well.

    `certificate` is the server's also where it was refused, `verified` tells whether it may be given a token.
    """

    problem: Literal[
        "",
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
    ] = ""
    detail: str = ""
    alpn: str | None = None
    version: str = ""
    certificate: Certificate | None = None

    @property
    def verified(self) -> bool:
        """Whether the server proved to be the one that was meant."""
        return not self.problem


@dataclass(frozen=True)
class First:
    """The first bytes after HTTP/2's preface, and what came then."""

    data: bytes = b""
    ending: Literal["open", "closed", "reset", "silence"] = "open"


@dataclass(frozen=True)
class Answer:
    """What one HTTP/2 request got back. `status` is None where no headers came."""

    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    trailers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    reset: int | None = None
    goaway: tuple[int, bytes] | None = None
    # "": answered; "silence", "closed", "reset": the connection's end; "broken": no HTTP/2
    failure: Literal["", "silence", "closed", "reset", "broken"] = ""
    seconds: float = 0.0
    first: First = field(default=First())

    def header(self, name: str) -> str | None:
        """A header of the answer, or of its trailers."""
        return next((value for key, value in (*self.headers, *self.trailers) if key == name), None)

    @property
    def grpc_status(self) -> int | None:
        """The gRPC status as a number; None where there is none that can be read."""
        text = self.header("grpc-status")
        return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 4 else None
