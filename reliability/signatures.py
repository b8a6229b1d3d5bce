"""The signature of EAS's HTTP interface (G8), written a second time from eas-wire.md 2.2, to judge the gateway's by.

Shares no code with the toolkit: strings, hmac and hashlib alone. The child functions at the end ask the gateway's verifier.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import random
import re
import socket
from dataclasses import dataclass, replace
from typing import Any

__all__ = [
    "VECTORS",
    "Signed",
    "accepted",
    "changed",
    "over_the_wire",
    "random_request",
    "sign",
    "verify_many",
]

TOKEN = "YWJjZGVm"
_DATE = "Tue, 02 Jan 2024 03:04:05 GMT"
_OCTETS = "application/octet-stream"
_MD5 = "7aefac89fe960329be9c88857fd94da8"
_WIRE_SECONDS = 5.0


@dataclass(frozen=True)
class Signed:
    """A request as it travels; None for a header that is not there."""

    target: str
    md5: str | None
    content_type: str | None
    date: str | None
    authorization: str
    body: bytes = b""

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Those that are there."""
        found = (
            ("content-md5", self.md5),
            ("content-type", self.content_type),
            ("date", self.date),
            ("authorization", self.authorization),
        )
        return [(name, value) for name, value in found if value is not None]


# eas-wire.md 2.3: body, content type, resource, Content-MD5, Authorization.
VECTORS = tuple(
    Signed(resource, md5, content_type, _DATE, authorization, body)
    for body, content_type, resource, md5, authorization in (
        (b'[{"x":1}]', _OCTETS, "/api/predict/demo_service", _MD5, "EAS /bv92P4xQH0xUCq2JD8ZFBKjDj0="),
        (
            b'[{"x":1}]',
            "application/json",
            "/api/predict/demo_service",
            _MD5,
            "EAS iEFEXb/UB6y1rynn+UwHkU2U7NA=",
        ),
        (
            b"",
            _OCTETS,
            "/api/predict/demo_service/v1/x",
            "d41d8cd98f00b204e9800998ecf8427e",
            "EAS 2V/KsRkDnnClgcSYGeTDYxSKvX4=",
        ),
        (
            b'[{"x":1}]',
            _OCTETS,
            "/api/predict/demo_service/v1/x?k=v",
            _MD5,
            "EAS H9OGHqAto9Ce+MNDichJ+b3BKiM=",
        ),
        (
            b"a",
            _OCTETS,
            "/api/predict/demo_service",
            "0cc175b9c0f1b6a831c399e269772661",
            "EAS pg5fmla1aCBmNejOx+sifFbvM6o=",
        ),
        # Java leaves the leading zero out.
        (
            b"a",
            _OCTETS,
            "/api/predict/demo_service",
            "cc175b9c0f1b6a831c399e269772661",
            "EAS rMZDGM3PgXddUkAZUSGiYw0Lcis=",
        ),
    )
)


def sign(token: str, resource: str, md5: str | None, content_type: str | None, date: str | None) -> str:
    """The value of Authorization for a POST."""
    lines = ["POST", md5 or "", content_type or "", date or "", resource]
    made = hmac.new(token.encode(), "\n".join(lines).encode("latin-1"), hashlib.sha1).digest()
    return "EAS " + base64.b64encode(made).decode()


def accepted(request: Signed, tokens: list[str], *, strict: bool) -> bool:
    """Whether a verifier that goes by the recipe of eas-wire.md 2.2 lets it in; `strict`: the MD5 has to be the body's.

    Doubled slashes are one (1.1). Only for requests whose Authorization begins with `EAS `.
    """
    path, mark, query = request.target.partition("?")
    resources = set()
    for each in (path, re.sub(r"/+", "/", path)):
        resources |= {each, f"{each}?{query}"} if mark else {each}
    signed = (request.md5, request.content_type, request.date)
    right = {sign(token, resource, *signed) for token in tokens for resource in resources}
    if request.authorization not in right:
        return False
    if not strict or not request.md5:
        return True
    return request.md5.lstrip("0") == hashlib.md5(request.body).hexdigest().lstrip("0")


def random_request(rng: random.Random) -> Signed:
    """A request signed as one of the SDKs does."""
    body = rng.randbytes(rng.choice((0, 1, 9, 200)))
    md5 = hashlib.md5(body).hexdigest()
    path = "/api/predict/" + "".join(rng.choices("abcdexyz_-.0129", k=rng.randint(1, 20)))
    path += "".join(
        f"/{''.join(rng.choices('vxyz019%~', k=rng.randint(1, 6)))}" for _ in range(rng.randint(0, 3))
    )
    query = rng.choice(("", "", "?k=v", "?a=1&b=%20", "?"))
    # Python and Go sign the path alone, Java the query too.
    resource = path + query if rng.random() < 0.5 else path
    kept = md5.lstrip("0") if rng.random() < 0.3 else md5
    given = (
        rng.choice((kept, kept, None)),
        rng.choice((_OCTETS, "application/json", "text/plain; charset=utf-8", None)),
        rng.choice((_DATE, "Mon, 09 Feb 2026 23:59:59 GMT", None)),
    )
    sent = path.replace("/api", "//api") if rng.random() < 0.1 else path
    return Signed(sent + query, *given, sign(TOKEN, resource, *given), body)


# What a change of one character may put in: nothing that HTTP strips, or that a path is cut by or has one more of.
_LETTERS = "abzABZ019=+-_.~"


def changed(rng: random.Random, request: Signed) -> Signed:
    """The same with one bit or one character of what is signed, or of the signature, changed."""
    names = [
        name for name in ("md5", "content_type", "date", "authorization", "target") if getattr(request, name)
    ]
    name = rng.choice(names)
    value = getattr(request, name)
    # A query that is not signed, and slashes that are doubled, are nobody's to protect.
    end = len(value.partition("?")[0]) if name == "target" else len(value)
    at = rng.randrange(end)
    how = rng.randrange(4)
    if how == 0:
        new = value[:at] + chr(ord(value[at]) ^ 1 << rng.randrange(7)) + value[at + 1 :]
    elif how == 1:
        new = value[:at] + rng.choice(_LETTERS.replace(value[at], "")) + value[at + 1 :]
    elif how == 2:
        new = value[:at] + value[at + 1 :]
    else:
        new = value[:at] + rng.choice(_LETTERS) + value[at:]
    if name == "target" and re.sub("/+", "/", new) == re.sub("/+", "/", value):
        # One slash less where there were two.
        return changed(rng, request)
    return replace(request, **{name: new or None if name != "target" else new})


# In the client's process.


def verify_many(seed: str, count: int) -> dict[str, Any]:
    """Vectors, changes and both verifiers side by side, against the gateway's own, in this process."""
    rng = random.Random(seed)
    vectors = sum(
        _gateway_accepts(each, strict=True) and accepted(each, [TOKEN], strict=True) for each in VECTORS
    )
    refused_good = forgeries = disagreements = 0
    for _ in range(count):
        request = random_request(rng)
        forged = changed(rng, request)
        refused_good += not _gateway_accepts(request, strict=False)
        forgeries += _gateway_accepts(forged, strict=False)
        strict = rng.random() < 0.5
        other = replace(rng.choice((request, forged)), body=rng.choice((request.body, b"another")))
        if other.authorization.startswith("EAS "):
            disagreements += _gateway_accepts(other, strict=strict) != accepted(other, [TOKEN], strict=strict)
    return {
        "vectors": vectors,
        "refused_good": refused_good,
        "forgeries": forgeries,
        "disagreements": disagreements,
    }


def _gateway_accepts(request: Signed, *, strict: bool) -> bool:
    from server_demo.gateway._auth import http_verdict
    from server_demo.gateway._exchange import Head

    headers = [(name.encode(), value.encode("latin-1")) for name, value in request.headers]
    head = Head("POST", request.target, "h", headers)
    digest = hashlib.md5(request.body).hexdigest()
    return http_verdict(head, [TOKEN], strict=strict, body_md5=digest).refusal is None


def over_the_wire(port: int, seed: str, count: int) -> dict[str, int]:
    """Good and changed requests to a live gateway, one after the other: how many of each it let in."""
    rng = random.Random(seed)
    good = forged = 0
    for _ in range(count):
        body = rng.randbytes(rng.randint(0, 50))
        signed = (hashlib.md5(body).hexdigest(), _OCTETS, _DATE)
        path = f"/api/predict/echo/{rng.randrange(10**6)}"
        request = Signed(path, *signed, sign(TOKEN, path, *signed), body)
        good += _status(port, request) == 200
        forged += _status(port, changed(rng, request)) == 200
    return {"good": good, "forged": forged}


def _status(port: int, request: Signed) -> int:
    """Of the answer; 0 for none. As bytes: a client library would not send what is malformed."""
    lines = [f"POST {request.target} HTTP/1.1", "Host: h", f"Content-Length: {len(request.body)}"]
    lines += [f"{name}: {value}" for name, value in request.headers]
    with socket.create_connection(("127.0.0.1", port), timeout=_WIRE_SECONDS) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + request.body)
        try:
            answer = http.client.HTTPResponse(connection)
            answer.begin()
        except (http.client.HTTPException, ConnectionError):
            return 0
        return answer.status
