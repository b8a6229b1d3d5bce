"""A request in pieces, each with a checksum: UploadChunk of eas_grpc_pb/tensor/v1/tensor.proto. Pure.

`chunks` cuts, `Assembly` puts together again: in one buffer, whose memory the arrays of the request then are.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from eas_grpc.errors import WireError
from eas_grpc.tensors._parts import Part, pieces, size_of
from eas_grpc.tensors._wire import BYTES, FIXED32, VARINT, Buffer, fields, key, number_field, varint

__all__ = ["Assembly", "DamagedUpload", "chunks"]

_TOTAL = key(1, VARINT)
_DATA = key(2, BYTES)
_CRC = key(3, FIXED32)


class DamagedUpload(WireError):
    """The pieces do not make up what was sent: one is missing, doubled, out of its place or changed."""


def chunks(parts: Sequence[Part], size: int) -> Iterator[bytes]:
    """The message that the parts make up, as UploadChunks of `size` bytes of it each, the last one shorter.

    There is no more than one of them in memory. An empty message is one empty chunk.
    """
    total = sum(map(size_of, parts))
    if total == 0:
        yield b""
    head = number_field(_TOTAL, total)
    crc = 0
    for piece in pieces(parts, size):
        crc = zlib.crc32(piece, crc)
        yield b"".join(
            (head, varint(_DATA), varint(len(piece)), piece, varint(_CRC), crc.to_bytes(4, "little"))
        )
        head = b""


class Assembly:
    """Takes UploadChunks in their order; at the end `message()` is what they make up.

    `admit` is told the size of the whole before any memory is taken for it, and refuses by raising. Memory is
    taken once, and each piece is copied into it once. Raises WireError for bytes that are no chunk,
    DamagedUpload for chunks that do not fit together.
    """

    def __init__(self, admit: Callable[[int], None]) -> None:
        self._admit = admit
        self._memory: memoryview | None = None
        self._filled = 0
        self._crc = 0
        self._count = 0

    def add(self, chunk: Buffer) -> None:
        """Puts one piece behind the others."""
        total, start, end, crc = _read(chunk)
        self._count += 1
        if self._memory is None:
            self._admit(total)
            # Not bytearray: numpy leaves the memory as it is, so that an upload that never comes touches none.
            self._memory = np.empty(total, np.uint8).data
        elif total:
            raise DamagedUpload(
                f"piece {self._count} states a total of {total} bytes, which the first piece alone does:"
                " the pieces are out of order, or of two uploads"
            )
        filled = self._filled + end - start
        if filled > len(self._memory):
            raise DamagedUpload(
                f"the pieces hold more than the {len(self._memory)} bytes that the first one states:"
                f" {filled} bytes with piece {self._count}"
            )
        data = memoryview(chunk)[start:end]
        self._crc = zlib.crc32(data, self._crc)
        if self._crc != crc:
            raise DamagedUpload(
                f"piece {self._count} has checksum {crc:08x} and the bytes up to its end give {self._crc:08x}:"
                " a piece is missing, out of order, or changed on the way"
            )
        self._memory[self._filled : filled] = data
        self._filled = filled

    @property
    def filled(self) -> int:
        """How many bytes have come."""
        return self._filled

    def message(self) -> memoryview:
        """The whole, read-only. Raises DamagedUpload when there is less than the first piece stated."""
        if self._memory is None:
            raise WireError("the upload has no pieces: send the request as UploadChunk messages")
        if self._filled < len(self._memory):
            raise DamagedUpload(
                f"the upload ends after {self._filled} of {len(self._memory)} bytes: pieces are missing"
            )
        return self._memory.toreadonly()


def _read(chunk: Buffer) -> tuple[int, int, int, int]:
    """Total, start and end of the data within the chunk, and checksum."""
    total = start = end = crc = 0
    for found, first, second in fields(chunk, (0, len(chunk))):
        if found == _DATA:
            start, end = first, second
        elif found == _TOTAL:
            total = first
        elif found == _CRC:
            crc = int.from_bytes(chunk[first:second], "little")
    return total, start, end, crc
