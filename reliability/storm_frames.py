"""Reads HTTP/2 frames out of a byte stream that passes by, and keeps those that say something of a connection's health. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["ENHANCE_YOUR_CALM", "Frames", "Seen"]

ENHANCE_YOUR_CALM = 11

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEAD = 9
_PING, _GOAWAY = 6, 7
_ACK = 1
# Of a frame's payload; GOAWAY has eight bytes and then a text.
_KEPT = 256


@dataclass(frozen=True)
class Seen:
    """A frame that was kept: `ping` (answers to one are left out) or `goaway` with its error code and text."""

    kind: str
    code: int = 0
    text: str = ""


class Frames:
    """One direction of a connection; feed it pieces of any size."""

    def __init__(self, *, from_client: bool) -> None:
        self._skip = len(_PREFACE) if from_client else 0
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[Seen]:
        """What became complete with these bytes."""
        self._held += data
        while True:
            dropped = min(self._skip, len(self._held))
            del self._held[:dropped]
            self._skip -= dropped
            if len(self._held) < _HEAD:
                return
            size, kind, flags = int.from_bytes(self._held[:3], "big"), self._held[3], self._held[4]
            kept = min(size, _KEPT) if kind in {_PING, _GOAWAY} else 0
            if len(self._held) < _HEAD + kept:
                return
            payload = bytes(self._held[_HEAD : _HEAD + kept])
            self._skip = _HEAD + size
            if kind == _PING and not flags & _ACK:
                yield Seen("ping")
            elif kind == _GOAWAY:
                yield Seen(
                    "goaway", int.from_bytes(payload[4:8], "big"), payload[8:].decode("latin-1", "replace")
                )
