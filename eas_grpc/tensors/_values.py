"""What the formats of others have and ours has not: elements as numbers one by one, and maps. Pure.

A repeated field of numbers travels packed, as one piece, in several pieces, or number by number, in any mixture
(protobuf.dev, "Encoding"). Here it becomes an array, and an array becomes it, without a loop over the elements.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from eas_grpc.errors import WireError
from eas_grpc.tensors._arrays import Array, element_count
from eas_grpc.tensors._parts import Part, raw_part
from eas_grpc.tensors._wire import BYTES, FIXED32, FIXED64, VARINT, Buffer, Span, fields, key, text, varint

__all__ = [
    "Field",
    "Numbers",
    "Pieces",
    "collect",
    "keys_of",
    "map_entry",
    "packed",
    "shaped",
    "values_of",
    "varints",
    "within",
]

# What is worked on at a time: small enough for the cache, and what a calculation needs besides its result.
_BLOCK_READ = 2**15
_BLOCK_WRITTEN = 2**14
# Pieces below it are copied together: a view of a few bytes costs many times what it shows.
_SMALL = 4096
_LONGEST = 10
# The bits that count in eight bytes that begin with a varint of so many bytes.
_BITS = np.array(
    [(1 << 8 * min(size, 8)) - 1 & 0x7F7F7F7F7F7F7F7F for size in range(_LONGEST + 1)], np.uint64
)

_KEY, _VALUE = key(1, BYTES), key(2, BYTES)


class Numbers(NamedTuple):
    """A repeated field of numbers: its field number, and their type."""

    number: int
    dtype: np.dtype[Any]


# A field as `fields` yields it.
Field = tuple[int, int, int]
# The content of such a field so far; joined, it is one packed field.
Pieces = list[bytearray | memoryview]


def keys_of(repeated: Iterable[Numbers]) -> dict[int, Numbers]:
    """The fields by the keys that they have on the wire: one for packed pieces, one for single numbers."""
    return {
        key(field.number, wire_type): field for field in repeated for wire_type in (BYTES, _wire_type(field))
    }


def _wire_type(field: Numbers) -> int:
    if field.dtype.kind != "f":
        return VARINT
    return FIXED32 if field.dtype.itemsize == 4 else FIXED64


def collect(
    values: dict[int, Pieces], field: Numbers, data: Buffer, found: int, first: int, second: int
) -> None:
    """Adds one occurrence of a field, as `fields` yields it, to the pieces of that field's number.

    No empty piece is added. Raises WireError when a number is cut off at the end of a packed piece.
    """
    piece: bytes | memoryview
    if found & 7 == VARINT:
        piece = varint(first)
    else:
        piece = memoryview(data)[first:second]
        if not piece:
            return
        if piece[-1] > 127 if field.dtype.kind != "f" else len(piece) % field.dtype.itemsize:
            raise WireError(f"a number is cut off at the end of a packed field, at offset {second}")
    pieces = values.setdefault(field.number, [])
    last = pieces[-1] if pieces else None
    if last is None or len(piece) >= _SMALL or (isinstance(last, memoryview) and len(last) >= _SMALL):
        pieces.append(memoryview(piece))
    elif isinstance(last, bytearray):
        last += piece
    else:
        pieces[-1] = bytearray(last) + piece


def values_of(pieces: Pieces, field: Numbers, dtype: np.dtype[Any], name: str) -> Array:
    """The numbers as an array of one dimension: a view of the message if they are floats in one packed piece.

    `dtype` is the little-endian type of the elements: complex where the field holds their two floats in turn,
    and a smaller integer where no field has that size. Raises WireError when an element does not fit.
    """
    if field.dtype.kind == "f":
        if not pieces:
            return np.empty(0, dtype)
        content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if len(content) % dtype.itemsize:
            raise WireError(f"tensor {name[:100]!r} has a number without the other half of its {dtype.name}")
        return np.frombuffer(content, dtype)
    values = _integers(pieces, field.dtype)
    if values.dtype == dtype:
        return values
    narrow: Array = values.astype(dtype)
    if not np.array_equal(narrow.astype(values.dtype), values):
        raise WireError(f"tensor {name[:100]!r} has a value that is no {dtype.name}")
    return narrow


def shaped(values: Array, shape: list[int], name: str) -> Array:
    """The values in their shape, read-only. Raises WireError when their count does not fit."""
    count = element_count(shape, name)
    if count != values.size:
        raise WireError(
            f"tensor {name[:100]!r} has {values.size} values, but its shape {shape[:32]} needs {count}"
        )
    try:
        array = values.reshape(shape)
    except ValueError as error:
        # An empty tensor may claim dimensions that no array can have.
        raise WireError(f"tensor {name[:100]!r} has a shape that no array can have: {error}") from None
    array.flags.writeable = False
    return array


def packed(array: Array) -> Part:
    """The elements as the content of a packed field: their own memory where it is that already."""
    return raw_part(array) if array.dtype.kind in "fcb" else varints(array)


def varints(array: Array) -> bytes:
    """An array of integers, row-major, as varints; negative ones take ten bytes."""
    flat = array.reshape(-1)
    return b"".join(
        _written(flat[start : start + _BLOCK_WRITTEN].astype(np.uint64))
        for start in range(0, flat.size, _BLOCK_WRITTEN)
    )


def within(data: Buffer, found: int, *spans: Span) -> Iterator[Field]:
    """The fields of the message in a field of a message; of all of them, where it came in several pieces.

    It is read in place, for a list of the pieces may be many times as large as they are.
    """
    for outer, first, second in fields(data, *spans):
        if outer == found:
            yield from fields(data, (first, second))


def map_entry(data: Buffer, start: int, end: int) -> tuple[str, Iterator[Field]]:
    """An entry of a map from text to messages: the key, and the fields of the message."""
    name = ""
    for found, first, second in fields(data, (start, end)):
        if found == _KEY:
            name = text(data, first, second)
    return name, within(data, _VALUE, (start, end))


def _written(values: Array) -> bytes:
    """The varints of unsigned numbers, one place at a time for all of them."""
    size = -(-int(values.max()).bit_length() // 7)
    if size <= 1:
        return values.astype(np.uint8).tobytes()
    octets = np.empty((size, values.size), np.uint8)
    used = np.ones((size, values.size), np.bool_)
    for position in range(size):
        if position:
            np.not_equal(values, 0, out=used[position])
        octets[position] = values & 127 | (values > 127).astype(np.uint64) << 7
        values = values >> 7
    return octets.T[used.T].tobytes()


def _integers(pieces: Pieces, dtype: np.dtype[Any]) -> Array:
    blocks = [np.frombuffer(piece, np.uint8) for piece in pieces]
    # A varint ends with the first byte below 128.
    out = np.empty(sum(int(np.count_nonzero(block < 128)) for block in blocks), dtype.newbyteorder("="))
    unsigned = f"u{dtype.itemsize}"
    at = 0
    for block in blocks:
        start = 0
        while start < block.size:
            values, used = _read(block[start : start + _BLOCK_READ])
            # As in C: a bool is whether it is not zero, and an int32 is the low 32 bits of what travels.
            out[at : at + values.size] = (
                values if dtype.kind == "b" else values.astype(unsigned).view(out.dtype)
            )
            at += values.size
            start += used
    return out.astype(dtype, copy=False)


def _read(octets: Array) -> tuple[Array, int]:
    """The varints that lie in the block as a whole, unsigned, and how many bytes they take.

    As in `read_varint`, bits above the 64th are lost.
    """
    ends = np.flatnonzero(octets < 128)
    if ends.size == octets.size:
        return octets, octets.size
    sizes = np.diff(ends, prepend=-1)
    longest = int(sizes.max()) if ends.size else octets.size
    if longest > _LONGEST:
        raise WireError("an integer in a packed field is longer than ten bytes")
    starts = ends - sizes + 1
    # Eight bytes from every start on, whatever they are; then 7 of 8 bits move together, in 3 steps.
    padded = np.concatenate((octets, np.zeros(8, np.uint8)))
    values: Array = np.ndarray(octets.size, "<u8", padded, 0, 1)[starts] & _BITS[sizes]
    values = values & 0x007F007F007F007F | (values & 0x7F007F007F007F00) >> 1
    values = values & 0x00003FFF00003FFF | (values & 0x3FFF00003FFF0000) >> 2
    values = values & 0x000000000FFFFFFF | (values & 0x0FFFFFFF00000000) >> 4
    for position in range(8, longest):
        longer = np.flatnonzero(sizes > position)
        values[longer] |= (octets[starts[longer] + position] & 127).astype(np.uint64) << 7 * position
    return values, int(ends[-1]) + 1
