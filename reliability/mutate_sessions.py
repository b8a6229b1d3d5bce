"""Changes what a client once sent, by a seed: bits, bytes, frames. Pure.

A session is all bytes of one connection. Half of the changes know HTTP/2's frames, so that what is behind the framing is
reached too; the others know nothing.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

__all__ = ["PREFACE", "frames", "mutated"]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEAD = 9
_MOST_CHANGES = 4
_LARGEST = 200_000

Change = Callable[[random.Random, bytes], bytes]


def frames(session: bytes) -> list[bytes]:
    """The frames behind HTTP/2's preface, the preface itself first; a rest that is no whole frame is the last one."""
    found = [PREFACE]
    at = len(PREFACE)
    while at < len(session):
        size = _HEAD + int.from_bytes(session[at : at + 3], "big")
        found.append(session[at : at + size])
        at += size
    return found


def mutated(rng: random.Random, session: bytes, others: Sequence[bytes]) -> bytes:
    """The session with one to four changes; `others` are sessions of which it may get an end."""
    for _ in range(rng.randint(1, _MOST_CHANGES)):
        if rng.random() < 0.1:
            session = _spliced(rng, session, rng.choice(others))
        elif session.startswith(PREFACE) and rng.random() < 0.5:
            session = b"".join(rng.choice(_OF_FRAMES)(rng, frames(session)))
        else:
            session = rng.choice(_OF_BYTES)(rng, session)
        # Doubled again and again it would be a flood, which is another test.
        session = session[:_LARGEST]
    return session


def _span(rng: random.Random, size: int) -> tuple[int, int]:
    start = rng.randint(0, size)
    return start, min(size, start + rng.choice((1, 2, 4, 16, 256)))


def _flipped(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))) if changed else ():
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _deleted(rng: random.Random, data: bytes) -> bytes:
    start, end = _span(rng, len(data))
    return data[:start] + data[end:]


def _doubled(rng: random.Random, data: bytes) -> bytes:
    start, end = _span(rng, len(data))
    return data[:end] + data[start:end] * rng.choice((1, 1, 3, 50)) + data[end:]


def _inserted(rng: random.Random, data: bytes) -> bytes:
    at = rng.randint(0, len(data))
    return data[:at] + rng.choice((rng.randbytes(4), b"\r\n", b"\0", b"\xff" * 4, b": ", b"0")) + data[at:]


def _cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randint(0, len(data))]


def _numbered(rng: random.Random, data: bytes) -> bytes:
    """One byte becomes one at the edge of its range."""
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes((rng.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF)),)) + data[at + 1 :]


def _spliced(rng: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: rng.randint(0, len(data))] + other[rng.randint(0, len(other)) :]


def _frame_gone(rng: random.Random, all_frames: list[bytes]) -> list[bytes]:
    at = rng.randrange(len(all_frames))
    return all_frames[:at] + all_frames[at + 1 :]


def _frame_doubled(rng: random.Random, all_frames: list[bytes]) -> list[bytes]:
    at = rng.randrange(len(all_frames))
    return all_frames[:at] + all_frames[at : at + 1] * rng.choice((2, 2, 20)) + all_frames[at + 1 :]


def _frames_swapped(rng: random.Random, all_frames: list[bytes]) -> list[bytes]:
    a, b = rng.randrange(len(all_frames)), rng.randrange(len(all_frames))
    all_frames[a], all_frames[b] = all_frames[b], all_frames[a]
    return all_frames


def _with_head(change: Callable[[random.Random, bytearray], None]) -> Callable[..., list[bytes]]:
    """A change to the nine bytes in front of a frame's payload."""

    def changed(rng: random.Random, all_frames: list[bytes]) -> list[bytes]:
        at = rng.randrange(len(all_frames))
        frame = bytearray(all_frames[at])
        if at and len(frame) >= _HEAD:
            change(rng, frame)
        all_frames[at] = bytes(frame)
        return all_frames

    return changed


def _length(rng: random.Random, frame: bytearray) -> None:
    size = int.from_bytes(frame[:3], "big")
    size = rng.choice((0, 1, size - 1, size + 1, size + 256, 16_384, 16_385, 2**24 - 1))
    frame[:3] = min(max(0, size), 2**24 - 1).to_bytes(3, "big")


def _type(rng: random.Random, frame: bytearray) -> None:
    frame[3] = rng.randrange(14)


def _flags(rng: random.Random, frame: bytearray) -> None:
    frame[4] ^= rng.choice((1, 4, 8, 0x20, 0xFF))


def _stream(rng: random.Random, frame: bytearray) -> None:
    frame[5:9] = rng.choice((0, 1, 2, 3, 5, 7, 2**31 - 1, 2**31)).to_bytes(4, "big")


def _payload(rng: random.Random, all_frames: list[bytes]) -> list[bytes]:
    """Changes what a frame holds, and its length to what it then has."""
    at = rng.randrange(len(all_frames))
    frame = all_frames[at]
    if at and len(frame) >= _HEAD:
        inside = rng.choice(_OF_BYTES)(rng, frame[_HEAD:])[: 2**24 - 1]
        all_frames[at] = len(inside).to_bytes(3, "big") + frame[3:_HEAD] + inside
    return all_frames


_OF_BYTES: tuple[Change, ...] = (_flipped, _flipped, _deleted, _doubled, _inserted, _cut, _numbered)
_OF_FRAMES = (
    _frame_gone,
    _frame_doubled,
    _frames_swapped,
    _with_head(_length),
    _with_head(_type),
    _with_head(_flags),
    _with_head(_stream),
    _payload,
    _payload,
    _payload,
)
