"""The reading half of an HTTP/2 connection: bytes in pieces of any size to frames and whole header blocks. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from server_demo.gateway import _frames as f
from server_demo.gateway._frames import Http2Error

__all__ = ["OUR_MAX_FRAME", "FrameReader"]

OUR_MAX_FRAME = 64 * 1024
_MOST_CONTINUATIONS = 64

_FOR_CONNECTION = {f.SETTINGS, f.PING, f.GOAWAY}
_FOR_STREAM = {f.DATA, f.HEADERS, f.PRIORITY, f.RST_STREAM, f.CONTINUATION}
_SIZES = {f.PRIORITY: 5, f.RST_STREAM: 4, f.PING: 8, f.WINDOW_UPDATE: 4}


class FrameReader:
    """Calls `handlers[kind](flags, stream, payload)` for each frame that a peer may send at this point.

    HEADERS comes with its whole block, without padding and priority. Bytes of an unfinished frame are kept, and an
    unfinished block of `largest_block` bytes at most. Frames of kinds that have no handler are for extensions, and pass
    (RFC 9113, 5.5).
    """

    def __init__(
        self,
        handlers: Mapping[int, Callable[[int, int, bytes], object]],
        *,
        preface: bool,
        largest_block: int,
    ) -> None:
        """With `preface` the peer is a client, and says so first."""
        # The peer's first SETTINGS have come.
        self.greeted = False
        self._handlers = handlers
        self._awaits_preface = preface
        self._largest_block = largest_block
        self._buffer = b""
        self._block: tuple[int, int, list[bytes]] | None = None
        self._block_size = 0

    @property
    def in_block(self) -> bool:
        """Whether a header block has begun that is not complete."""
        return self._block is not None

    def feed(self, data: bytes, most: int | None = None) -> bool:
        """Takes bytes of the peer, and deals with so many frames at most; whether there are more.

        What is left is dealt with by the next call, for which `data` may be empty. Raises Http2Error, after which
        nothing more can be read.
        """
        if self._buffer:
            data = self._buffer + data
        at, size = 0, len(data)
        if self._awaits_preface:
            if not data.startswith(f.PREFACE[:size]):
                raise Http2Error(f.PROTOCOL_ERROR, "no HTTP/2 preface")
            if size < len(f.PREFACE):
                self._buffer = data
                return False
            self._awaits_preface = False
            at = len(f.PREFACE)
        while size - at >= f.FRAME_HEAD.size:
            high, low, kind, flags, stream = f.FRAME_HEAD.unpack_from(data, at)
            start = at + f.FRAME_HEAD.size
            end = start + (high << 8 | low)
            if end - start > OUR_MAX_FRAME:
                raise Http2Error(f.FRAME_SIZE_ERROR, "a frame longer than announced")
            if end > size:
                break
            if most is not None:
                if not most:
                    self._buffer = data[at:]
                    return True
                most -= 1
            self._frame(kind, flags, stream & f.LARGEST_WINDOW, data[start:end])
            at = end
        self._buffer = data[at:] if at < size else b""
        return False

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if not self.greeted:
            if kind != f.SETTINGS or flags & f.ACK:
                raise Http2Error(f.PROTOCOL_ERROR, "the first frame is not SETTINGS")
            self.greeted = True
        if self._block is not None and (kind != f.CONTINUATION or number != self._block[0]):
            raise Http2Error(f.PROTOCOL_ERROR, "a frame in the middle of a header block")
        if kind in (_FOR_CONNECTION if number else _FOR_STREAM):
            raise Http2Error(f.PROTOCOL_ERROR, "a frame on stream 0, or not on it, against the rules")
        if len(payload) != _SIZES.get(kind, len(payload)):
            raise Http2Error(f.FRAME_SIZE_ERROR, "a frame of another length than its kind has")
        if kind == f.HEADERS:
            self._headers(flags, number, payload)
        elif kind == f.CONTINUATION:
            self._continuation(flags, payload)
        else:
            handler = self._handlers.get(kind)
            if handler is not None:
                handler(flags, number, payload)

    def _headers(self, flags: int, number: int, payload: bytes) -> None:
        block = f.unpadded(payload, flags)
        if flags & f.HAS_PRIORITY:
            if len(block) < _SIZES[f.PRIORITY]:
                raise Http2Error(f.FRAME_SIZE_ERROR, "a HEADERS frame too short for its priority")
            if f.word_at(block) & f.LARGEST_WINDOW == number:
                raise Http2Error(f.PROTOCOL_ERROR, "a stream that depends on itself")
            block = block[_SIZES[f.PRIORITY] :]
        if flags & f.END_HEADERS:
            self._handlers[f.HEADERS](flags, number, block)
        else:
            self._block = (number, flags, [block])
            self._block_size = len(block)

    def _continuation(self, flags: int, payload: bytes) -> None:
        if self._block is None:
            raise Http2Error(f.PROTOCOL_ERROR, "CONTINUATION without a header block")
        number, first_flags, parts = self._block
        parts.append(payload)
        self._block_size += len(payload)
        # Also the many that are empty cost something to read.
        if len(parts) > _MOST_CONTINUATIONS or self._block_size > self._largest_block:
            raise Http2Error(f.ENHANCE_YOUR_CALM, "a header block far above the announced limit")
        if flags & f.END_HEADERS:
            self._block = None
            self._handlers[f.HEADERS](first_flags, number, b"".join(parts))
