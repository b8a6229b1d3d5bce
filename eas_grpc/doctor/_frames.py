"""One client's side of an HTTP/2 connection, as bytes in and bytes out (RFC 9113, 7541). Pure.

Just enough for one question at a time, and strict about nothing that does not matter for the diagnosis. What is sent is
written by hand, so that no library logs the token; only what arrives goes through a decoder.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

import hpack

from eas_grpc.doctor._seen import Answer, First

__all__ = ["Conversation", "largest_first_message"]

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST, _SETTINGS, _PING, _GOAWAY, _CONTINUATION = 0, 1, 3, 4, 6, 7, 9
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
_LARGEST_FRAME, _LARGEST_BLOCK, _LARGEST_BODY, _FIRST = 16_384, 65_536, 32_768, 512

# What fits the window that every connection begins with, prefix included.
largest_first_message = 65_000

# At DEBUG hpack writes each header that it decodes: a server may have echoed the token.
if logging.getLogger("hpack").level == logging.NOTSET:
    logging.getLogger("hpack").setLevel(logging.INFO)


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """The bytes of one frame."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def header_block(headers: Iterable[tuple[str, bytes]]) -> bytes:
    """Literal header fields, never indexed, without Huffman (RFC 7541, 6.2.3)."""
    return b"".join(
        b"\x10" + _string(name.encode("latin-1", "replace")) + _string(value) for name, value in headers
    )


def _string(text: bytes) -> bytes:
    if len(text) < 127:
        return bytes((len(text),)) + text
    rest, out = len(text) - 127, bytearray((127,))
    while rest >= 128:
        out.append(rest % 128 + 128)
        rest //= 128
    return bytes((*out, rest)) + text


class Conversation:
    """Requests go in by `ask`, bytes of the peer by `receive`; `outgoing` is what to send next."""

    def __init__(self) -> None:
        # No pushes; the window stays at its default, which is more than is kept of any answer.
        self._out = bytearray(_PREFACE + frame(_SETTINGS, 0, 0, b"\x00\x02" + (0).to_bytes(4, "big")))
        self._in = bytearray()
        self._first = b""
        self._decoder = hpack.Decoder(max_header_list_size=_LARGEST_BLOCK)
        self._next = 1
        self._stream = 0
        self._block: bytearray | None = None
        self._block_ends_stream = False
        self._status: int | None = None
        self._headers: tuple[tuple[str, str], ...] = ()
        self._trailers: tuple[tuple[str, str], ...] = ()
        self._body = bytearray()
        self._reset: int | None = None
        self.goaway: tuple[int, bytes] | None = None
        self.greeted = False
        self.broken = False
        self.answered = False
        self.pongs = 0

    def ask(
        self, path: str, authority: str, scheme: str, headers: Iterable[tuple[str, bytes]], message: bytes
    ) -> None:
        """One gRPC request with one message; at most `largest_first_message` bytes."""
        self._stream, self._next = self._next, self._next + 2
        self._status, self._headers, self._trailers, self._reset = None, (), (), None
        self._body.clear()
        self.answered = False
        fields = [
            (":method", b"POST"),
            (":scheme", scheme.encode()),
            (":path", path.encode("ascii", "replace")),
            (":authority", authority.encode("ascii", "replace")),
            ("te", b"trailers"),
            ("content-type", b"application/grpc"),
            ("user-agent", b"eas-grpc-doctor"),
            *headers,
        ]
        block = header_block(fields)
        kind = _HEADERS
        while len(block) > _LARGEST_FRAME:
            self._out += frame(kind, 0, self._stream, block[:_LARGEST_FRAME])
            block, kind = block[_LARGEST_FRAME:], _CONTINUATION
        self._out += frame(kind, _END_HEADERS, self._stream, block)
        body = b"\x00" + len(message).to_bytes(4, "big") + message
        while len(body) > _LARGEST_FRAME:
            self._out += frame(_DATA, 0, self._stream, body[:_LARGEST_FRAME])
            body = body[_LARGEST_FRAME:]
        self._out += frame(_DATA, _END_STREAM, self._stream, body)

    def ping(self) -> None:
        """A ping; `pongs` counts the answers."""
        self._out += frame(_PING, 0, 0, b"doctor  ")

    def outgoing(self) -> bytes:
        """What is to be sent now; asking takes it."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def receive(self, data: bytes) -> None:
        """Takes bytes of the peer. After `broken` nothing is read any more."""
        self._first = (self._first + data)[:_FIRST] if len(self._first) < _FIRST else self._first
        if self.broken:
            return
        self._in += data
        while len(self._in) >= 9 and not self.broken:
            size = int.from_bytes(self._in[:3], "big")
            kind, flags = self._in[3], self._in[4]
            stream = int.from_bytes(self._in[5:9], "big") & 0x7FFFFFFF
            if size > _LARGEST_FRAME or (not self.greeted and (kind != _SETTINGS or stream)):
                # Before its settings a peer may at most say goodbye.
                self.broken = kind != _GOAWAY or size > _LARGEST_FRAME
                if self.broken:
                    return
            if len(self._in) < 9 + size:
                return
            payload = bytes(self._in[9 : 9 + size])
            del self._in[: 9 + size]
            try:
                self._frame(kind, flags, stream, payload)
            except (hpack.HPACKError, IndexError, UnicodeError, ValueError):
                self.broken = True

    def first(self) -> bytes:
        """The first bytes that came, whatever they are."""
        return self._first

    def answer(self) -> Answer:
        """What the last request got so far."""
        return Answer(
            status=self._status,
            headers=self._headers,
            trailers=self._trailers,
            body=bytes(self._body),
            reset=self._reset,
            goaway=self.goaway,
            failure="broken" if self.broken else "",
            first=First(self._first),
        )

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self._block is not None and kind != _CONTINUATION:
            self.broken = True
        elif kind == _SETTINGS:
            self.greeted = True
            if not flags & _ACK:
                self._out += frame(_SETTINGS, _ACK, 0)
        elif kind == _PING and flags & _ACK:
            self.pongs += 1
        elif kind == _PING:
            self._out += frame(_PING, _ACK, 0, payload)
        elif kind == _GOAWAY:
            self.goaway = (int.from_bytes(payload[4:8], "big"), payload[8 : 8 + _FIRST])
        elif kind == _RST and stream == self._stream:
            self._reset = int.from_bytes(payload[:4], "big")
            self.answered = True
        elif kind == _HEADERS:
            self._begin_block(flags, stream, payload)
        elif kind == _CONTINUATION and self._block is not None:
            self._more_block(payload, flags, stream)
        elif kind == _DATA and stream == self._stream:
            room = _LARGEST_BODY - len(self._body)
            self._body += _unpadded(flags, payload)[: max(0, room)]
            self.answered = self.answered or bool(flags & _END_STREAM) or room <= 0

    def _begin_block(self, flags: int, stream: int, payload: bytes) -> None:
        payload = _unpadded(flags, payload)
        self._block = bytearray()
        self._block_ends_stream = bool(flags & _END_STREAM)
        self._more_block(payload[5:] if flags & _PRIORITY else payload, flags, stream)

    def _more_block(self, payload: bytes, flags: int, stream: int) -> None:
        assert self._block is not None
        self._block += payload
        if len(self._block) > _LARGEST_BLOCK:
            self.broken = True
        if not flags & _END_HEADERS or self.broken:
            return
        block, self._block = bytes(self._block), None
        fields = tuple(
            (_text(name), _text(value)) for name, value, *_ in self._decoder.decode(block, raw=True)
        )
        if stream != self._stream:
            return
        status = next((value for name, value in fields if name == ":status"), None)
        plain = tuple(field for field in fields if not field[0].startswith(":"))
        if self._status is None and status is not None:
            # 1xx: the real answer is still to come.
            if status.startswith("1") and not self._block_ends_stream:
                return
            self._status, self._headers = int(status), plain
        else:
            self._trailers = plain
        self.answered = self.answered or self._block_ends_stream


def _unpadded(flags: int, payload: bytes) -> bytes:
    if not flags & _PADDED:
        return payload
    return payload[1 : len(payload) - payload[0]]


def _text(field: bytes | str) -> str:
    return field if isinstance(field, str) else field.decode("utf-8", "replace")
