"""What the head of an HTTP/1.1 message says, beyond what h11 checks of it. Pure.

h11 refuses what is no HTTP, folds obsolete line folding into spaces, and knows one framing of a body at a time. Here
is what a proxy has to refuse or to drop besides, so that nobody behind it can read a message differently (RFC 9112
sections 3.2, 6.3 and 11.2; RFC 9110 sections 7.6.1 and 7.8).
"""

from __future__ import annotations

import http
import re
from collections.abc import Sequence

import h11

from server_demo.gateway._exchange import Head, Headers

__all__ = ["REASONS", "RefusedHead", "end_to_end", "head_bytes", "request_head", "upgrade_asked"]

REASONS = {status.value: status.phrase.encode("ascii") for status in http.HTTPStatus}

_HOP_BY_HOP = frozenset(
    (b"connection", b"http2-settings", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)
# A tunnel into another HTTP would carry requests that the gateway never sees: their tokens would not be checked.
_NEVER_UPGRADED = re.compile(rb"(?i)\W*(h2c?|http|tls)\b")
_AUTHORITY = re.compile(r"[A-Za-z0-9_.~%:\[\]-]*\Z")
_ABSOLUTE = re.compile(r"(?i)https?://([^/?#]*)([^#]*)\Z")


class RefusedHead(Exception):
    """The head of a request must not go on; `status` is the answer, the text one sentence for its sender."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def end_to_end(headers: Sequence[tuple[bytes, bytes]]) -> Headers:
    """The headers that go on to the next hop; names are in lower case.

    Blanks around a value go, which HTTP/2 carries. Drops those of the connection, those that `Connection` names, `Proxy-*`, and a `Content-Length` beside a
    `Transfer-Encoding`, which does not count (RFC 9112 section 6.3).
    """
    dropped = set(_listed(headers, b"connection")) - {b"content-length"} | _HOP_BY_HOP
    if any(name == b"transfer-encoding" for name, _ in headers):
        dropped.add(b"content-length")
    return [
        (name, value.strip(b" \t"))
        for name, value in headers
        if name not in dropped and not name.startswith(b"proxy-")
    ]


def joined_cookies(headers: Headers) -> Headers:
    """The headers with one `cookie`: HTTP/2 may have split it into several (RFC 9113, 8.2.3)."""
    cookies = [value for name, value in headers if name == b"cookie"]
    if len(cookies) < 2:
        return headers
    return [*(pair for pair in headers if pair[0] != b"cookie"), (b"cookie", b"; ".join(cookies))]


def upgrade_asked(headers: Sequence[tuple[bytes, bytes]]) -> Headers:
    """The two headers that ask for, or agree to, another protocol on this connection; without one, none.

    Another HTTP or TLS is never asked for.
    """
    if b"upgrade" not in _listed(headers, b"connection"):
        return []
    wanted = [each for each in _listed(headers, b"upgrade") if not _NEVER_UPGRADED.match(each)]
    return [(b"connection", b"upgrade"), (b"upgrade", b", ".join(wanted))] if wanted else []


def head_bytes(event: h11.Request | h11.Response | h11.InformationalResponse) -> int:
    """How long a head was on the wire: about, because blanks at the ends of values are gone."""
    start = len(event.target) + len(event.method) if isinstance(event, h11.Request) else len(event.reason)
    return start + sum(len(name) + len(value) + 4 for name, value in event.headers) + 14


def request_head(request: h11.Request) -> Head:
    """The head of a request as it goes on: without what belongs to this connection, the host apart.

    `Expect: 100-continue` is dropped: whoever reads the head answers it. Raises RefusedHead.
    """
    headers = list(request.headers)
    names = [name for name, _ in headers]
    if request.http_version not in {b"1.0", b"1.1"}:
        raise RefusedHead(505, "This port speaks HTTP/1.1 and HTTP/2.")
    if request.method == b"CONNECT":
        raise RefusedHead(405, "This is no forward proxy: CONNECT is not served.")
    if b"transfer-encoding" in names and (b"content-length" in names or request.http_version == b"1.0"):
        raise RefusedHead(400, "The length of the body is ambiguous: Transfer-Encoding must stand alone.")
    host = next((value for name, value in headers if name == b"host"), b"").decode("latin-1")
    target, authority = _target(request.method, request.target.decode("ascii"), host)
    if not _AUTHORITY.match(authority):
        raise RefusedHead(400, "The host is malformed.")
    passed = [
        (name, value)
        for name, value in end_to_end(headers)
        if name != b"host" and (name, value.lower()) != (b"expect", b"100-continue")
    ]
    if b"transfer-encoding" not in names and request.http_version == b"1.1":
        passed += upgrade_asked(headers)
    return Head(request.method.decode("ascii"), target, authority, passed)


def _target(method: bytes, target: str, host: str) -> tuple[str, str]:
    """Path with query, and authority; that of an absolute target counts (RFC 9112 section 3.2.2)."""
    if target.startswith("/") or (target == "*" and method == b"OPTIONS"):
        if "#" in target:
            raise RefusedHead(400, "The target has a fragment.")
        return target, host
    absolute = _ABSOLUTE.match(target)
    if absolute is None or not absolute[1]:
        raise RefusedHead(400, "The target is neither a path nor an http address.")
    path = absolute[2]
    return (path if path.startswith("/") else f"/{path}"), absolute[1]


def _listed(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """The members of a comma-separated header, in lower case."""
    return [
        member.strip().lower()
        for key, value in headers
        if key == name
        for member in value.split(b",")
        if member.strip()
    ]
