"""Who may call: what EAS accepts as `authorization`, over HTTP and over gRPC. Pure.

Must never put a token, a signature or any other header into a text.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from eas_grpc.auth import AUTHORIZATION, Masked, token_matches
from eas_grpc.serving._gate import bearer_refusal
from server_demo.gateway._exchange import Head
from server_demo.gateway._routing import path_and_query, single_slashes

__all__ = ["Form", "Verdict", "grpc_verdict", "http_verdict", "needs_body"]

Form = Literal["bearer", "bare", "signature", "none"]

_HEADER = AUTHORIZATION.encode()
_BEARER = "bearer "
_SIGNATURE = "EAS "

# Every byte that may stand in a head is a character of it.
_CHARSET = "latin-1"


@dataclass(frozen=True)
class Verdict:
    """The form of a request's credentials, and why it is not let in; `refusal` is None if it is."""

    form: Form
    refusal: str | None


def http_verdict(head: Head, tokens: Sequence[str], *, strict: bool, body_md5: str | None = None) -> Verdict:
    """Whether a request over HTTP brings a token: bare, behind `Bearer`, or as a signature made with it.

    `strict` refuses `Bearer`, which is documented for gRPC alone, and compares a signed Content-MD5 with
    `body_md5`, the lower-case hex digest of the body, once that is known. Without tokens everybody may call.
    The recipe for signatures is eas-wire.md 2.2. The Date is not compared with a clock, since the vendor's
    clients send local time under the name of GMT.
    """
    given = _given(head)
    form = _form(given)
    return Verdict(form, _http_refusal(head, given, form, tokens, strict, body_md5) if tokens else None)


def grpc_verdict(head: Head, tokens: Sequence[str]) -> Verdict:
    """Whether a gRPC call brings one of the tokens behind `Bearer `; without tokens everybody may call."""
    given = _given(head)
    return Verdict(_form(given), bearer_refusal(given, tokens) if tokens else None)


def needs_body(head: Head, strict: bool) -> bool:
    """Whether the verdict is final only with the digest of the whole body."""
    return strict and _form(_given(head)) == "signature" and head.get(b"content-md5") is not None


def _given(head: Head) -> list[Masked]:
    return [Masked(value.decode(_CHARSET).strip(" \t")) for name, value in head.headers if name == _HEADER]


def _form(given: Sequence[str]) -> Form:
    if not given:
        return "none"
    if f"{given[0]} "[: len(_BEARER)].lower() == _BEARER:
        return "bearer"
    return "signature" if given[0].startswith(_SIGNATURE) else "bare"


def _http_refusal(
    head: Head, given: Sequence[str], form: Form, tokens: Iterable[str], strict: bool, body_md5: str | None
) -> str | None:
    if form == "none":
        return "no token: send the header 'Authorization: <token>'"
    if len(given) > 1:
        return f"{len(given)} Authorization headers: send exactly one"
    if form == "signature":
        return _signature_refusal(head, given[0], tokens, body_md5 if strict else None)
    if form == "bearer" and strict:
        return "over HTTP this gateway takes the token without 'Bearer ': send 'Authorization: <token>'"
    token = Masked(given[0][len(_BEARER) :] if form == "bearer" else given[0])
    if not token:
        return "the Authorization header holds no token: send 'Authorization: <token>'"
    if " " in token:
        return "the Authorization header is neither '<token>' nor 'Bearer <token>' nor 'EAS <signature>'"
    if not token_matches(token, tokens):
        return "wrong token: it has the right form but is not one that this service accepts"
    return None


def _signature_refusal(head: Head, given: str, tokens: Iterable[str], body_md5: str | None) -> str | None:
    signed = []
    for name in (b"content-md5", b"content-type", b"date"):
        values = [value for key, value in head.headers if key == name]
        if len(values) > 1:
            return f"{len(values)} headers {name.decode()}, which is signed: send it once"
        signed.append(values[0] if values else b"")
    right = [
        _signature(token, b"\n".join((head.method.encode(), *signed, resource)))
        for token in tokens
        for resource in _resources(head.target)
    ]
    # A list, not a generator: any() must not stop early and tell by its time which token matched.
    if not any([hmac.compare_digest(given.encode(_CHARSET), each) for each in right]):  # noqa: C419
        return (
            "wrong signature: it was not made with a token that this service accepts, or over another path,"
            " Content-MD5, Content-Type or Date than were sent"
        )
    # Java's SDK leaves out the leading zeros of the digest, and signs that.
    if body_md5 is not None and signed[0] and signed[0].lstrip(b"0") != body_md5.lstrip("0").encode():
        return (
            "Content-MD5 is not the digest of the body: send the lower-case hex MD5 of the body as it is sent"
        )
    return None


def _signature(token: str, text: bytes) -> bytes:
    return _SIGNATURE.encode() + base64.b64encode(hmac.digest(token.encode(), text, "sha1"))


def _resources(target: str) -> Iterable[bytes]:
    """What may have been signed: Java signs the query as well, Python and Go the path alone.

    Slashes that an endpoint with a `/` at its end doubles are not in what was signed.
    """
    path, query = path_and_query(target)
    for each in dict.fromkeys((path, single_slashes(path))):
        yield each.encode(_CHARSET, "backslashreplace")
        if query is not None:
            yield f"{each}?{query}".encode(_CHARSET, "backslashreplace")
