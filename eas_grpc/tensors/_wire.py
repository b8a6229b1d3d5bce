"""The protobuf wire format, of which every tensor message is made. Pure; knows no message.

Source: protobuf.dev, "Encoding". A reader of it takes fields in any order, skips those that it does not know,
takes the last one of a singular field and joins the pieces of a message field that occurs twice.
A key is a field's number and wire type in one integer, as it travels: a field of another type than the one
expected has another key, and so is unknown.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from eas_grpc.errors import ConfigError, WireError

__all__ = [
    "BYTES",
    "FIXED32",
    "FIXED64",
    "MOST_DIMENSIONS",
    "VARINT",
    "Buffer",
    "Span",
    "bytes_field",
    "dimensions",
    "fields",
    "float64",
    "key",
    "number_field",
    "packed_field",
    "read_varint",
    "signed",
    "text",
    "text_field",
    "utf8",
    "varint",
]

Buffer = bytes | memoryview
# Start and end of a piece of the buffer.
Span = tuple[int, int]

VARINT, FIXED64, BYTES, _GROUP, _END_GROUP, FIXED32 = range(6)

_MASK64 = 2**64 - 1
_SIGN64 = 2**63
_DEEPEST_GROUP = 100
# Of the varint of a key or a length, which have 32 bits; protobuf's own readers refuse longer ones.
_LONGEST_SIZE = 5
# As numpy 2 has it; before, it was 32.
MOST_DIMENSIONS = 64
_ONE_BYTE = tuple(bytes((number,)) for number in range(128))


def key(number: int, wire_type: int) -> int:
    """The key of a field."""
    return number << 3 | wire_type


def varint(number: int) -> bytes:
    """An integer as it travels; negative ones take ten bytes."""
    if 0 <= number < 128:
        return _ONE_BYTE[number]
    number &= _MASK64
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def number_field(key: int, number: int) -> bytes:
    """A field of an integer, a boolean or an enum; nothing for zero, which is what a missing field means."""
    return varint(key) + varint(number) if number else b""


def bytes_field(key: int, content: bytes) -> bytes:
    """A field of bytes or of a whole message; written even when empty."""
    return varint(key) + varint(len(content)) + content


def text_field(key: int, content: str) -> bytes:
    """A field of text; nothing for no text, which is what a missing field means."""
    return bytes_field(key, utf8(content)) if content else b""


def utf8(content: str) -> bytes:
    """Text as it travels. Raises ConfigError for half a surrogate pair, which has no place in UTF-8."""
    try:
        return content.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"the text {content[:100]!r} cannot travel: UTF-8 has no surrogates") from None


def packed_field(key: int, numbers: Iterable[int]) -> bytes:
    """A repeated field of integers, packed; nothing when there is none."""
    content = b"".join(map(varint, numbers))
    return bytes_field(key, content) if content else b""


def fields(data: Buffer, *spans: Span) -> Iterator[tuple[int, int, int]]:
    """The fields of the message that the spans make up, as (key, first, second), in the order they came.

    For a varint `first` is the value, unsigned, and `second` is 0; otherwise they are start and end of the
    content. Groups, which nothing here uses, are skipped. Raises WireError for what no message can hold.
    """
    for start, end in spans:
        at = start
        while at < end:
            # Most keys and lengths are one byte: reading those here halves the time.
            found = data[at]
            if 7 < found < 128:
                at += 1
            else:
                found, at = _key(data, at, end)
            kind = found & 7
            if kind == BYTES:
                if at < end and data[at] < 128:
                    size = data[at]
                    at += 1
                else:
                    size, at = read_varint(data, at, end, _LONGEST_SIZE)
                if size > end - at:
                    raise WireError(f"a field claims {size} bytes at offset {at} and {end - at} are left")
                yield found, at, at + size
                at += size
            elif kind == VARINT:
                value, at = read_varint(data, at, end)
                yield found, value, 0
            elif kind in (FIXED32, FIXED64):
                size = 4 if kind == FIXED32 else 8
                if size > end - at:
                    raise WireError(f"a number of {size} bytes is cut off at offset {at}")
                yield found, at, at + size
                at += size
            elif kind == _GROUP:
                at = _after_group(data, at, end, found >> 3)
            else:
                raise WireError(f"wire type {kind} at offset {at} does not belong there")


def read_varint(data: Buffer, at: int, end: int, longest: int = 10) -> tuple[int, int]:
    """The varint of up to `longest` bytes at `at`, unsigned, and the offset behind it.

    As in protobuf's own readers, bits above the 64th are lost.
    """
    if at < end and data[at] < 128:
        return data[at], at + 1
    value = shift = 0
    while at < end:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & _MASK64, at
        shift += 7
        if shift == 7 * longest:
            raise WireError(f"an integer is longer than {longest} bytes at offset {at}")
    raise WireError(f"an integer is cut off at offset {at}")


def signed(value: int) -> int:
    """What an int64 or int32 field means by its unsigned varint."""
    return value - 2**64 if value & _SIGN64 else value


def text(data: Buffer, start: int, end: int) -> str:
    """The text of a string field, which has to be UTF-8."""
    try:
        return str(data[start:end], "utf-8")
    except UnicodeDecodeError:
        raise WireError(f"the text at offset {start} is not UTF-8") from None


def dimensions(data: Buffer, start: int, end: int) -> list[int]:
    """The values of one packed piece of a shape. Raises WireError when no array has so many dimensions."""
    shape: list[int] = []
    at = start
    while at < end:
        value, at = read_varint(data, at, end)
        shape.append(signed(value))
        if len(shape) > MOST_DIMENSIONS:
            raise WireError(f"a shape has more than {MOST_DIMENSIONS} dimensions, at offset {start}")
    return shape


def float64(data: Buffer, start: int) -> float:
    """A fixed 64-bit number."""
    return float(struct.unpack_from("<d", data, start)[0])


def _key(data: Buffer, at: int, end: int) -> tuple[int, int]:
    found, after = read_varint(data, at, end, _LONGEST_SIZE)
    if found < 8 or found > 0xFFFFFFFF:
        raise WireError(f"field number {found >> 3} at offset {at} does not exist")
    return found, after


def _after_group(data: Buffer, at: int, end: int, number: int) -> int:
    """The offset behind the group of this number whose content starts at `at`."""
    open_groups = [number]
    while open_groups:
        if at >= end:
            raise WireError(f"a group is cut off at offset {at}")
        found, at = _key(data, at, end)
        kind = found & 7
        if kind == _END_GROUP:
            if open_groups.pop() != found >> 3:
                raise WireError(f"the end of another group at offset {at}")
        elif kind == _GROUP:
            if len(open_groups) == _DEEPEST_GROUP:
                raise WireError(f"groups are nested deeper than {_DEEPEST_GROUP} at offset {at}")
            open_groups.append(found >> 3)
        elif kind == VARINT:
            _, at = read_varint(data, at, end)
        else:
            if kind == BYTES:
                size, at = read_varint(data, at, end, _LONGEST_SIZE)
            elif kind in {FIXED32, FIXED64}:
                size = 4 if kind == FIXED32 else 8
            else:
                raise WireError(f"wire type {kind} at offset {at} does not exist")
            at += size
            if at > end:
                raise WireError(f"a group is cut off at offset {end}")
    return at
