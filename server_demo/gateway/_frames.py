"""HTTP/2 frames (RFC 9113, section 4) and header blocks (RFC 7541) to and from bytes. Pure."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final, Generic, TypeVar

import hpack

from server_demo.gateway._exchange import Headers

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    range(10)
)

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
HAS_PRIORITY: Final = 0x20

NO_ERROR: Final = 0x0
PROTOCOL_ERROR: Final = 0x1
INTERNAL_ERROR: Final = 0x2
FLOW_CONTROL_ERROR: Final = 0x3
SETTINGS_TIMEOUT: Final = 0x4
STREAM_CLOSED: Final = 0x5
FRAME_SIZE_ERROR: Final = 0x6
REFUSED_STREAM: Final = 0x7
CANCEL: Final = 0x8
COMPRESSION_ERROR: Final = 0x9
ENHANCE_YOUR_CALM: Final = 0xB

HEADER_TABLE_SIZE: Final = 0x1
ENABLE_PUSH: Final = 0x2
MAX_CONCURRENT_STREAMS: Final = 0x3
INITIAL_WINDOW_SIZE: Final = 0x4
MAX_FRAME_SIZE: Final = 0x5
MAX_HEADER_LIST_SIZE: Final = 0x6

LARGEST_WINDOW: Final = 2**31 - 1
DEFAULT_WINDOW: Final = 65_535
DEFAULT_TABLE_SIZE: Final = 4096
SMALLEST_MAX_FRAME: Final = 16_384
LARGEST_MAX_FRAME: Final = 2**24 - 1

# The length's upper and lower part, type, flags, stream.
FRAME_HEAD: Final = struct.Struct(">HBBBI")
_SETTING = struct.Struct(">HI")
_WORD = struct.Struct(">I")

# The start of a header block that gives up the table (RFC 7541, 6.3).
NO_TABLE: Final = b"\x20"

# How long a block may be to be remembered, and how many are.
_LONGEST_REMEMBERED = 2048
_MOST_REMEMBERED = 64
# The same for a single header that is sent.
_LONGEST_KEPT = 256
_MOST_KEPT = 512

_T = TypeVar("_T")

# It writes each header that it reads, tokens among them, at level DEBUG.
if logging.getLogger("hpack").level == logging.NOTSET:
    logging.getLogger("hpack").setLevel(logging.INFO)


class Http2Error(Exception):
    """The peer broke the protocol: the whole connection has to end, with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    size = len(payload)
    return FRAME_HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream) + payload


def frame_head(kind: int, flags: int, stream: int, size: int) -> bytes:
    """The nine bytes in front of a payload of `size` bytes."""
    return FRAME_HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream)


def settings_frame(values: Iterable[tuple[int, int]]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(key, value) for key, value in values))


def settings_in(payload: bytes) -> list[tuple[int, int]]:
    """What a SETTINGS frame holds, checked as section 6.5.2 wants."""
    if len(payload) % _SETTING.size:
        raise Http2Error(FRAME_SIZE_ERROR, "a SETTINGS frame of a length that is no multiple of six")
    values = [(key, value) for key, value in _SETTING.iter_unpack(payload)]
    for key, value in values:
        if key == ENABLE_PUSH and value > 1:
            raise Http2Error(PROTOCOL_ERROR, "SETTINGS_ENABLE_PUSH is neither 0 nor 1")
        if key == INITIAL_WINDOW_SIZE and value > LARGEST_WINDOW:
            raise Http2Error(FLOW_CONTROL_ERROR, "SETTINGS_INITIAL_WINDOW_SIZE is too large")
        if key == MAX_FRAME_SIZE and not SMALLEST_MAX_FRAME <= value <= LARGEST_MAX_FRAME:
            raise Http2Error(PROTOCOL_ERROR, "SETTINGS_MAX_FRAME_SIZE is out of its range")
    return values


def word(value: int) -> bytes:
    """A number in four bytes."""
    return _WORD.pack(value)


def word_at(payload: bytes, offset: int = 0) -> int:
    """The number in four bytes at `offset`."""
    found: int = _WORD.unpack_from(payload, offset)[0]
    return found


def unpadded(payload: bytes, flags: int) -> bytes:
    """What a DATA or HEADERS frame holds, without padding."""
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise Http2Error(PROTOCOL_ERROR, "more padding than the frame is long")
    return payload[1 : len(payload) - payload[0]]


def header_block(headers: Headers) -> bytes:
    """The headers as a block that refers to no table, so that equal headers give equal bytes (RFC 7541, 6.2.2)."""
    return b"".join(
        [
            _kept_literal(name, value) if len(value) <= _LONGEST_KEPT else _literal(name, value)
            for name, value in headers
        ]
    )


def header_frames(stream: int, block: bytes, *, end: bool, largest: int) -> bytes:
    """A header block as HEADERS and, if it is longer than a frame may be, CONTINUATION."""
    flags = END_STREAM if end else 0
    if len(block) <= largest:
        return frame(HEADERS, flags | END_HEADERS, stream, block)
    pieces = [block[at : at + largest] for at in range(0, len(block), largest)]
    frames = [frame(HEADERS, flags, stream, pieces[0])]
    frames += [frame(CONTINUATION, 0, stream, piece) for piece in pieces[1:-1]]
    return b"".join((*frames, frame(CONTINUATION, END_HEADERS, stream, pieces[-1])))


class HeaderReader(Generic[_T]):
    """Reads the header blocks of one connection, and remembers those that stand for themselves.

    A client sends the same block for each call of a kind. As long as no block changes the table in between, equal
    bytes mean equal headers, and the second one costs a lookup. `judge` makes of the headers what is wanted of them,
    once for all the times that it is given out: it is not to be changed.
    """

    def __init__(self, largest_list: int, judge: Callable[[Headers], _T]) -> None:
        self._decoder = hpack.Decoder(max_header_list_size=largest_list)
        self._judge = judge
        self._known: dict[bytes, _T] = {}

    def read(self, block: bytes) -> _T:
        """What `judge` makes of a block's headers. Raises Http2Error."""
        known = self._known.get(block)
        if known is not None:
            return known
        entries = self._decoder.header_table.dynamic_entries
        before = (len(entries), entries[0] if entries else None)
        try:
            headers: Headers = [
                (bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)
            ]
        except hpack.OversizedHeaderListError:
            raise Http2Error(ENHANCE_YOUR_CALM, "a list of headers far above the announced limit") from None
        except hpack.HPACKError:
            raise Http2Error(COMPRESSION_ERROR, "a header block that cannot be read") from None
        judged = self._judge(headers)
        if block[:1] and block[0] & 0xE0 == 0x20:
            # It changes the table's size (RFC 7541, 6.3): to be heard each time, and others may mean something else now.
            self._known.clear()
        # An entry that came in is a new object, also where its text is the same.
        elif len(entries) != before[0] or (entries and entries[0] is not before[1]):
            self._known.clear()
        elif 0 < len(block) <= _LONGEST_REMEMBERED:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[block] = judged
        return judged


def _literal(name: bytes, value: bytes) -> bytes:
    return b"".join((b"\0", _length(len(name)), name, _length(len(value)), value))


# Most headers are the same from call to call.
_kept_literal = lru_cache(maxsize=_MOST_KEPT)(_literal)


def _length(size: int) -> bytes:
    """A length of seven bits and more, without Huffman coding (RFC 7541, 5.1)."""
    if size < 127:
        return bytes((size,))
    size -= 127
    out = bytearray((127,))
    while size > 127:
        out.append(size & 127 | 128)
        size >>= 7
    out.append(size)
    return bytes(out)
