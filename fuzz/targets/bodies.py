"""What comes in bodies over HTTP: compressed ones, of bounded size, and the lengths of gRPC messages, however they are cut.

The first byte of an input chooses; Python's own zlib judges what it can.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator

import cramjam

from server_demo.gateway._decompress import BadBody, TooLarge, decompress
from server_demo.gateway._limits import MessageSizes
from server_demo.gateway.options import DECOMPRESSORS

RATE = 5000
LIMIT = 20_000


def check(data: bytes) -> None:
    """Only BadBody is allowed."""
    if len(data) < 2:
        return
    which = data[0] % (len(DECOMPRESSORS) + 1)
    if which == len(DECOMPRESSORS):
        _lengths(data[1] + 1, data[2:])
    else:
        _decompress(DECOMPRESSORS[which], data[1] * 256, data[2:])


def _decompress(how: str, limit: int, body: bytes) -> None:
    found = _result(how, limit, body)
    if isinstance(found, bytes):
        assert len(found) <= limit or not body
    larger = _result(how, LIMIT + limit, body)
    # More room changes nothing but that.
    assert found == larger or found is TooLarge, (found, larger)
    if how == "zlib" and body:
        try:
            plain = zlib.decompressobj()
            judged: object = plain.decompress(body, LIMIT + limit)
            whole = plain.eof and not plain.unused_data
        except zlib.error:
            judged, whole = None, False
        assert not isinstance(larger, bytes) or (whole and judged == larger)


def _result(how: str, limit: int, body: bytes) -> object:
    try:
        return decompress(body, how, limit=limit)
    except TooLarge:
        return TooLarge
    except BadBody:
        return BadBody


def _lengths(step: int, body: bytes) -> None:
    whole, cut = MessageSizes(1000), MessageSizes(1000)
    first = whole.feed(body)
    found = None
    for at in range(0, len(body), step):
        piece = body[at : at + step]
        end = cut.end_of(piece, 2)
        before = cut.messages
        size = cut.feed(piece)
        found = size if found is None else found
        assert end is None or 0 <= end <= len(piece)
        assert (end is None) == (cut.messages < 2)
        assert end or before >= 2 or end is None
    assert (found, cut.messages) == (first, whole.messages)


def seeds() -> Iterator[bytes]:
    """Each way, whole, cut off, and far larger than it looks."""
    for plain in (b"hello" * 20, bytes(200_000)):
        for number, body in enumerate(
            (
                zlib.compress(plain),
                gzip.compress(plain, mtime=0),
                bytes(cramjam.snappy.compress_raw(plain)),
                bytes(cramjam.zstd.compress(plain)),
                bytes(cramjam.lz4.compress(plain)),
            )
        ):
            if len(body) < 4000:
                yield bytes((number, 1)) + body
                yield bytes((number, 100)) + body[: len(body) // 2]
                yield bytes((number, 255)) + body + body
    message = b"\0\0\0\0\3abc"
    yield b"\5\1" + message * 3
    yield b"\5\7" + message + b"\1\0\0\0\0" + b"\0\xff\xff\xff\xff" + message
