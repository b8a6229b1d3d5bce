"""A message as the list of its parts, so that an array's memory is copied once: into the bytes that are sent."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from eas_grpc.tensors._arrays import Array
from eas_grpc.tensors._dtypes import dtype_of, element_of

__all__ = ["Part", "Strided", "join", "pieces", "raw_part", "size_of"]


class Strided:
    """The elements of an array whose memory is not what travels: strided, or big-endian."""

    __slots__ = ("array", "dtype", "nbytes")

    def __init__(self, array: Array) -> None:
        self.array = array
        self.dtype: np.dtype[Any] = dtype_of(element_of(array.dtype))
        self.nbytes: int = array.size * self.dtype.itemsize

    def copy_to(self, target: memoryview) -> None:
        """Writes all elements, row-major and little-endian."""
        np.copyto(np.ndarray(self.array.shape, self.dtype, target), self.array, casting="equiv")

    def piece(self, start: int, end: int) -> bytes:
        """Some of the bytes that `copy_to` writes; both offsets are multiples of the element size."""
        size = self.dtype.itemsize
        return self.array.flat[start // size : end // size].astype(self.dtype, copy=False).tobytes()


Part = bytes | memoryview | Strided

_BIG_MACHINE = not np.dtype("=i2").newbyteorder("<").isnative


def raw_part(array: Array) -> Part:
    """The elements of an array, row-major and little-endian: its own memory where it lies like that."""
    if array.flags.c_contiguous and array.dtype.isnative and not _BIG_MACHINE:
        # Through bytes, because the buffer protocol has no word for bfloat16 and its like.
        return array.reshape(-1).view(np.uint8).data
    return Strided(array)


def size_of(part: Part) -> int:
    """Its length in bytes."""
    return len(part) if isinstance(part, bytes) else part.nbytes


def join(parts: Sequence[Part]) -> bytes:
    """The message. Every array is copied once, whatever its layout."""
    if not any(isinstance(part, Strided) for part in parts):
        return b"".join(parts)  # type: ignore[arg-type]
    # The one way in Python to fill the memory of a bytes object: BytesIO hands out its own without a copy.
    buffer = io.BytesIO(bytes(sum(map(size_of, parts))))
    at = 0
    with buffer.getbuffer() as target:
        for part in parts:
            end = at + size_of(part)
            if isinstance(part, Strided):
                part.copy_to(target[at:end])
            else:
                target[at:end] = part
            at = end
    return buffer.getvalue()


def pieces(parts: Iterable[Part], size: int) -> Iterator[bytes]:
    """The message in pieces of `size` bytes, the last one shorter, with no more than one of them in memory."""
    held: list[bytes | memoryview] = []
    room = size
    for part in parts:
        for content in _contents(part, size):
            rest = content
            while len(rest) >= room:
                yield b"".join((*held, rest[:room]))
                rest, held, room = rest[room:], [], size
            if rest:
                held.append(rest)
                room -= len(rest)
    if held:
        yield b"".join(held)


def _contents(part: Part, size: int) -> Iterator[memoryview]:
    if not isinstance(part, Strided):
        yield memoryview(part)
        return
    step = max(size // part.dtype.itemsize, 1) * part.dtype.itemsize
    for start in range(0, part.nbytes, step):
        yield memoryview(part.piece(start, min(start + step, part.nbytes)))
