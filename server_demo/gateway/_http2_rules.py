"""What the headers and trailers of a message over HTTP/2 may not hold (RFC 9113, 8.1 to 8.3). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from server_demo.gateway._exchange import Headers

__all__ = ["Fields", "sort_out", "wrong_request", "wrong_response", "wrong_trailers"]

_CONNECTION_HEADERS: Final = {
    b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade",
}  # fmt: skip
_REQUEST_PSEUDO: Final = {b":method", b":scheme", b":path", b":authority"}
# RFC 9110, 5.6.2, without upper case; and values over HTTP/2 may hold anything that ends no line of HTTP/1.1.
_NAME = re.compile(rb"[a-z0-9!#$%&'*+.^_`|~-]+\Z")
_FORBIDDEN_IN_VALUE = re.compile(rb"[\0\r\n]")
_METHOD = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")
# What would end the first line of HTTP/1.1, or one of its words.
_NO_WORD = re.compile(rb"[\x00-\x20\x7f]")
_LENGTH = re.compile(rb"[0-9]{1,18}\Z")


@dataclass(slots=True)
class Fields:
    """A header block sorted out: pseudo-headers by name, all others in their order, and what is wrong with any.

    `length` is what content-length promises, `host` the first header of that name.
    """

    pseudo: dict[bytes, bytes] = field(default_factory=dict)
    headers: Headers = field(default_factory=list, repr=False)
    length: int | None = None
    host: bytes | None = None
    problem: str | None = None


def sort_out(block: Headers) -> Fields:
    """The fields of a block of any kind, judged by the rules that hold for all kinds (RFC 9113, 8.2)."""
    fields = Fields()
    for name, value in block:
        problem = None
        if name[:1] == b":":
            if fields.headers or name in fields.pseudo:
                problem = "a pseudo-header that is late or there twice"
            fields.pseudo[name] = value
        else:
            problem = _wrong_header(name, value) or _note(fields, name, value)
            fields.headers.append((name, value))
        fields.problem = fields.problem or problem
    return fields


def wrong_request(fields: Fields) -> str | None:
    """What is wrong with the fields as a request's (RFC 9113, 8.3.1); None if nothing is."""
    if fields.problem is not None:
        return fields.problem
    pseudo = fields.pseudo
    if not pseudo.keys() <= _REQUEST_PSEUDO:
        return "a pseudo-header that no request has"
    if not pseudo.keys() >= {b":method", b":scheme", b":path"}:
        return "a pseudo-header is missing"
    if not _METHOD.match(pseudo[b":method"]):
        return "a method that is no word"
    if pseudo[b":method"] == b"CONNECT":
        return "CONNECT, which leads nowhere here"
    path, authority = pseudo[b":path"], pseudo.get(b":authority", b"")
    if (path[:1] != b"/" and path != b"*") or _NO_WORD.search(path) or _NO_WORD.search(authority):
        return "a path or an authority that cannot be one"
    return None


def wrong_response(fields: Fields) -> str | None:
    """What is wrong with the fields as a response's (RFC 9113, 8.3.2); None if nothing is."""
    if fields.problem is not None:
        return fields.problem
    status = fields.pseudo.get(b":status", b"")
    if len(fields.pseudo) != 1 or len(status) != 3 or not status.isdigit() or status < b"100":
        return "a status is missing, or is none"
    return None


def wrong_trailers(fields: Fields) -> str | None:
    """What is wrong with the fields as trailers (RFC 9113, 8.1); None if nothing is."""
    return fields.problem or ("a pseudo-header in trailers" if fields.pseudo else None)


def _wrong_header(name: bytes, value: bytes) -> str | None:
    if not _NAME.match(name) or name in _CONNECTION_HEADERS:
        return "a header that HTTP/2 does not have"
    if name == b"te" and value.lower() != b"trailers":
        return "a TE other than trailers"
    if _FORBIDDEN_IN_VALUE.search(value):
        return "a header value with a line break"
    return None


def _note(fields: Fields, name: bytes, value: bytes) -> str | None:
    if name == b"host" and fields.host is None:
        fields.host = value
    elif name == b"content-length":
        if not _LENGTH.match(value) or fields.length not in {None, int(value)}:
            return "a content-length that is no length, or not the only one"
        fields.length = int(value)
    return None
