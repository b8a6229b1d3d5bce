"""Which messages of a call were compressed, read from the bytes of an HTTP/2 connection. Pure: knows no socket.

grpcio shows the flag of a message to nobody, so the cases about compression ask this reader, which sits between client
and server and changes nothing. It follows calls that carry the metadata CALL_ID, and lets all others pass unread.
"""

from __future__ import annotations

from collections.abc import Callable

import hpack

__all__ = ["CALL_ID", "Connection", "Flags"]

CALL_ID = "x-interop-call"

# Of a call: for each message sent by the client ("up") and by the server ("down"), whether it was compressed.
Flags = dict[str, list[bool]]

_PREFACE = len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
_HEAD = 9
_DATA, _HEADERS, _CONTINUATION = 0x0, 0x1, 0x9
_END_HEADERS, _PADDED, _PRIORITY = 0x4, 0x8, 0x20
_PREFIX = 5


class Connection:
    """Both directions of one connection; what it finds goes into `calls`, by the id that the caller gave."""

    def __init__(self, calls: dict[str, Flags]) -> None:
        self._calls = calls
        self._decoder = hpack.Decoder()
        # A peer may choose a larger table than the default; we only listen.
        self._decoder.max_allowed_table_size = 1 << 20
        self._streams: dict[int, dict[str, _Messages]] = {}
        self._up = _Frames(self._request, lambda stream, data: self._data(stream, "up", data), _PREFACE)
        self._down = _Frames(None, lambda stream, data: self._data(stream, "down", data), 0)

    def from_client(self, data: bytes) -> None:
        """The next bytes that the client sent; call it before they go on, so that nobody asks too early."""
        self._up.feed(data)

    def from_server(self, data: bytes) -> None:
        """The next bytes that the server sent."""
        self._down.feed(data)

    def _request(self, stream: int, block: bytes) -> None:
        # Undecoded: gRPC's binary metadata are bytes.
        for name, value in self._decoder.decode(block, raw=True):
            if name == CALL_ID.encode():
                # A further attempt of the same call begins anew.
                flags: Flags = {"up": [], "down": []}
                self._calls[value.decode()] = flags
                self._streams[stream] = {way: _Messages(found) for way, found in flags.items()}

    def _data(self, stream: int, way: str, data: memoryview) -> None:
        if messages := self._streams.get(stream):
            messages[way].feed(data)


class _Messages:
    """gRPC's messages in the data of one stream, in one direction."""

    def __init__(self, found: list[bool]) -> None:
        self._found = found
        self._prefix = b""
        self._left = 0

    def feed(self, data: memoryview) -> None:
        while data:
            if self._left:
                skipped = min(self._left, len(data))
                self._left, data = self._left - skipped, data[skipped:]
                continue
            wanted = _PREFIX - len(self._prefix)
            self._prefix, data = self._prefix + bytes(data[:wanted]), data[wanted:]
            if len(self._prefix) == _PREFIX:
                self._found.append(bool(self._prefix[0] & 1))
                self._left, self._prefix = int.from_bytes(self._prefix[1:], "big"), b""


class _Frames:
    """HTTP/2 frames in one direction: header blocks whole, data as it comes, the rest skipped."""

    def __init__(
        self,
        headers: Callable[[int, bytes], None] | None,
        data: Callable[[int, memoryview], None],
        skip: int,
    ) -> None:
        self._on_headers, self._on_data = headers, data
        self._skip = skip
        self._head = b""
        self._left = 0
        self._whole: bytearray | None = None
        self._block = bytearray()

    def feed(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            if self._skip:
                skipped = min(self._skip, len(rest))
                self._skip, rest = self._skip - skipped, rest[skipped:]
            elif self._left:
                part, rest = rest[: self._left], rest[self._left :]
                self._payload(part)
            else:
                wanted = _HEAD - len(self._head)
                self._head, rest = self._head + bytes(rest[:wanted]), rest[wanted:]
                if len(self._head) == _HEAD:
                    self._begin()

    def _begin(self) -> None:
        self._left = int.from_bytes(self._head[:3], "big")
        self._kind, self._flags = self._head[3], self._head[4]
        self._stream = int.from_bytes(self._head[5:], "big") & 0x7FFFFFFF
        block = self._kind in (_HEADERS, _CONTINUATION) and self._on_headers is not None
        # Padding is known only when the frame has ended.
        padded = self._kind == _DATA and self._flags & _PADDED
        self._whole = bytearray() if block or padded else None
        if not self._left:
            self._end()

    def _payload(self, part: memoryview) -> None:
        self._left -= len(part)
        if self._whole is not None:
            self._whole += part
        elif self._kind == _DATA:
            self._on_data(self._stream, part)
        if not self._left:
            self._end()

    def _end(self) -> None:
        self._head = b""
        if self._whole is None:
            return
        whole = bytes(self._whole)
        if self._kind != _CONTINUATION and self._flags & _PADDED:
            whole = whole[1 : len(whole) - whole[0]]
        if self._kind == _DATA:
            self._on_data(self._stream, memoryview(whole))
            return
        if self._kind == _HEADERS and self._flags & _PRIORITY:
            whole = whole[5:]
        self._block += whole
        if self._flags & _END_HEADERS and self._on_headers is not None:
            block, self._block = bytes(self._block), bytearray()
            self._on_headers(self._stream, block)
