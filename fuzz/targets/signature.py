"""Who may call: a request with a signature, with another one, and with a signature of which one bit is changed.

The lines of an input are method, target, Content-MD5, Content-Type, Date and Authorization; the first byte says which
bit of a request signed as it should be is changed.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterator

from server_demo.gateway._auth import grpc_verdict, http_verdict, needs_body
from server_demo.gateway._exchange import Head
from server_demo.gateway._routing import path_and_query

RATE = 12000
TOKENS = ("YWJjZGVm", "another-token")
NAMES = (b"content-md5", b"content-type", b"date", b"authorization")
MD5 = "0cc175b9c0f1b6a831c399e269772661"


def check(data: bytes) -> None:
    """Nothing is raised, and nobody comes in without a token."""
    if len(data) < 2:
        return
    lines = [*data[2:].split(b"\n", 5), *([b""] * 6)][:6]
    method, target = lines[0].decode("latin-1"), lines[1].decode("latin-1")
    values = dict(zip(NAMES, lines[2:], strict=True))
    head = Head(method, target, "host", [(name, value) for name, value in values.items() if value])
    for strict in (False, True):
        for md5 in (None, MD5):
            verdict = http_verdict(head, TOKENS, strict=strict, body_md5=md5)
            given = values[b"authorization"].strip(b" \t")
            assert verdict.refusal is not None or _is_right(head, values, given)
            assert verdict.refusal is None or not any(token in verdict.refusal for token in TOKENS)
        needs_body(head, strict)
    grpc_verdict(head, TOKENS)
    _change_one_bit(data[0] * 256 + data[1], method, target, values)


def _is_right(head: Head, values: dict[bytes, bytes], given: bytes) -> bool:
    plain = [token.encode() for token in TOKENS]
    path, query = path_and_query(head.target)
    resources = [path, f"{path}?{query}"]
    while "//" in path:
        path = path.replace("//", "/")
    resources += [path, f"{path}?{query}"]
    right = [_signed(token, head.method, each, values) for token in TOKENS for each in resources]
    return given in plain or given in right or (given[:7].lower() == b"bearer " and given[7:] in plain)


def _signed(token: str, method: str, resource: str, values: dict[bytes, bytes]) -> bytes:
    text = b"\n".join((method.encode(), *(values[name] for name in NAMES[:3]), resource.encode("latin-1")))
    return b"EAS " + base64.b64encode(hmac.digest(token.encode(), text, "sha1"))


def _change_one_bit(bit: int, method: str, target: str, values: dict[bytes, bytes]) -> None:
    """Of what is signed, or of the signature."""
    signed = {**values, b"authorization": _signed(TOKENS[0], method, target, values)}
    name = NAMES[bit % len(NAMES)]
    value = bytearray(signed[name])
    if not value or "//" in target:
        return
    at = bit // len(NAMES) % (8 * len(value))
    value[at // 8] ^= 1 << at % 8
    changed = {**signed, name: bytes(value)}
    good, bad = (
        Head(method, target, "host", [(each, value) for each, value in given.items() if value])
        for given in (signed, changed)
    )
    assert http_verdict(bad, TOKENS[:1], strict=False).refusal is not None
    if path_and_query(target)[0] == target:
        assert http_verdict(good, TOKENS[:1], strict=False).refusal is None


def seeds() -> Iterator[bytes]:
    """Signed as each SDK does, and every other form of credentials."""
    date = b"Tue, 02 Jan 2024 03:04:05 GMT"
    octets = b"application/octet-stream"
    md5 = b"7aefac89fe960329be9c88857fd94da8"
    for target, signature in (
        (b"/api/predict/demo_service", b"EAS /bv92P4xQH0xUCq2JD8ZFBKjDj0="),
        (b"/api/predict/demo_service/v1/x?k=v", b"EAS H9OGHqAto9Ce+MNDichJ+b3BKiM="),
        (b"//api/predict/demo_service", b"EAS /bv92P4xQH0xUCq2JD8ZFBKjDj0="),
    ):
        yield b"\0\7" + b"\n".join((b"POST", target, md5, octets, date, signature))
    for given in (b"YWJjZGVm", b"Bearer YWJjZGVm", b"bearer\tx", b"EAS ", b"\xff", b" another-token "):
        yield b"\1\3" + b"\n".join((b"GET", b"http://h/x", b"", b"", b"", given))
