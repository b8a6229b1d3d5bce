"""Arrays of every kind, and messages that mean the same and look different, for the tests of tensor formats."""

from __future__ import annotations

from typing import Any

import numpy as np
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message
from hypothesis import strategies as st

from eas_grpc.errors import WireError
from eas_grpc.tensors import _wire
from eas_grpc.tensors._dtypes import ELEMENTS, dtype_of, element_named
from eas_grpc.tensors._wire import varint

NUMERIC = [element.name for element in ELEMENTS if element.name != "bytes"]
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
_WITHOUT_BYTE_ORDER = ("bfloat16", "int4", "uint4", "float8")
SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)


@st.composite
def arrays(draw: st.DrawFn, names: list[str]) -> np.ndarray[Any, Any]:
    """Arrays of these element types, of any shape, in any layout and byte order."""
    name = draw(st.sampled_from(names))
    shape = draw(SHAPES)
    count = int(np.prod(shape))
    if name == "bytes":
        kind = draw(st.sampled_from(["bytes", "text"]))
        array = np.empty(count, object)
        array[:] = draw(
            st.lists(st.binary(max_size=5) if kind == "bytes" else TEXTS, min_size=count, max_size=count)
        )
    else:
        array = of_bytes(name, draw(st.binary(min_size=count * 16, max_size=count * 16)))[:count]
        if draw(st.booleans()) and not name.startswith(_WITHOUT_BYTE_ORDER):
            array = array.astype(array.dtype.newbyteorder(">"))
    array = array.reshape(shape)
    layout = draw(st.sampled_from(["as it is", "transposed", "reversed", "every other"]))
    if layout == "transposed":
        return np.asfortranarray(array)
    if layout == "reversed" and array.ndim:
        return np.ascontiguousarray(array[::-1])[::-1]
    if layout == "every other" and array.ndim:
        return np.repeat(array, 2, axis=-1)[..., ::2]
    return array


def every_form(name: str) -> list[np.ndarray[Any, Any]]:
    """An array of numbers in either byte order, without dimensions, empty, and where its elements lie apart."""
    array = of_bytes(name, bytes(range(7, 103)))[:6].reshape(2, 3)
    forms = [array, array[1, 2], array[:0], array.T, array[::-1, ::2]]
    if not name.startswith(_WITHOUT_BYTE_ORDER):
        forms += [form.astype(form.dtype.newbyteorder(">")) for form in forms]
    return [np.asarray(form) for form in forms]


def of_bytes(name: str, data: bytes) -> np.ndarray[Any, Any]:
    """An array of this element type with many different elements, of which no NaN has a payload."""
    dtype = dtype_of(element_named(name))
    if name == "bool":
        return np.frombuffer(data, np.uint8) > 127
    if name in {"int4", "uint4"}:
        return (
            (np.frombuffer(data, np.uint8) % 16 - (8 if name == "int4" else 0)).astype(np.int8).astype(dtype)
        )
    array = np.frombuffer(data, dtype).copy()
    if name.startswith(("float", "complex")):
        array[np.isnan(array)] = np.nan
    elif dtype.itemsize > 1 and name != "bfloat16":
        # Small numbers as often as large ones, because that is where the length of a varint changes.
        array >>= (np.arange(array.size) % (8 * dtype.itemsize)).astype(dtype)
    return array


def same(one: Any, other: Any) -> bool:
    """Whether two arrays have the same element type, shape and elements, bit by bit."""
    if one.dtype == object:
        texts = [item.encode() if isinstance(item, str) else item for item in one.ravel()]
        return other.dtype == object and one.shape == other.shape and texts == list(other.ravel())
    return (
        one.dtype.name == other.dtype.name
        and one.shape == other.shape
        and little_bytes(one) == little_bytes(other)
    )


def little_bytes(array: Any) -> bytes:
    """The elements as they travel: row-major, little-endian."""
    return array.astype(dtype_of(element_named(array.dtype.name)), order="C").tobytes()


def split(data: bytes) -> list[tuple[int, int, bytes]]:
    """The fields of a message without groups, as number, wire type, and content without the length."""
    found = []
    at = 0
    while at < len(data):
        key, at = _wire.read_varint(data, at, len(data))
        kind = key & 7
        end = at
        if kind == _wire.BYTES:
            size, at = _wire.read_varint(data, at, len(data))
            end = at + size
        elif kind == _wire.VARINT:
            _, end = _wire.read_varint(data, at, len(data))
        else:
            end = at + (4 if kind == _wire.FIXED32 else 8)
        found.append((key >> 3, kind, data[at:end]))
        at = end
    return found


def field(number: int, kind: int, content: bytes, overlong: int = 0) -> bytes:
    """A field; its key and length may take more bytes than they need."""
    head = _long(number << 3 | kind, overlong)
    return head + (_long(len(content), overlong) if kind == _wire.BYTES else b"") + content


def _long(number: int, more: int) -> bytes:
    out = bytearray(varint(number))
    for _ in range(min(more, 5 - len(out))):
        out[-1] |= 128
        out.append(0)
    return bytes(out)


_UNKNOWN = [
    field(1000, _wire.VARINT, b"\x07"),
    field(1000, _wire.BYTES, b"abc"),
    field(1001, _wire.FIXED32, bytes(4)),
    field(1001, _wire.FIXED64, bytes(8)),
    b"\xc3\x3e" + field(1, _wire.VARINT, b"\x01") + b"\xc4\x3e",
]
_PACKABLE = {
    FieldDescriptor.TYPE_FLOAT: (_wire.FIXED32, 4),
    FieldDescriptor.TYPE_DOUBLE: (_wire.FIXED64, 8),
}
_BYTES_LIKE = {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_MESSAGE}


@st.composite
def rewritten(draw: st.DrawFn, descriptor: Descriptor, data: bytes) -> bytes:
    """The same message as another writer might have it.

    Fields in another order, with unknown ones between them; singular ones that occur twice; messages in two
    pieces; packed fields in pieces and number by number; keys and lengths that take more bytes than they need.
    """
    return b"".join(_rewritten(draw, descriptor, data))


def _rewritten(draw: st.DrawFn, descriptor: Descriptor, data: bytes) -> list[bytes]:
    out: list[tuple[int, bytes]] = []
    for number, kind, content in split(data):
        known = descriptor.fields_by_number[number]
        overlong = draw(st.sampled_from([0, 0, 0, 1, 4]))
        if known.type == FieldDescriptor.TYPE_MESSAGE:
            inner = _rewritten(draw, known.message_type, content)
            cut = 0 if _repeated(known) else draw(st.integers(0, len(inner)))
            contents = [b"".join(inner[:cut]), b"".join(inner[cut:])] if cut else [b"".join(inner)]
        elif _repeated(known) and known.type not in _BYTES_LIKE:
            out += ((number, piece) for piece in _mixture(draw, number, known.type, content, overlong))
            continue
        elif _repeated(known) or draw(st.integers(0, 4)):
            contents = [content]
        else:
            contents = [b"x" * draw(st.integers(0, 3)) if kind == _wire.BYTES else content, content]
        out += ((number, field(number, kind, content, overlong)) for content in contents)
    # Any order, as long as the occurrences of one field keep theirs.
    queues: dict[int, list[bytes]] = {}
    for number, piece in out:
        queues.setdefault(number, []).append(piece)
    pieces = [queues[number].pop(0) for number in draw(st.permutations([number for number, _ in out]))]
    # Not in an entry of a map: the runtime in C would keep the whole entry as something unknown.
    if not descriptor.GetOptions().map_entry and draw(st.booleans()):
        pieces.insert(draw(st.integers(0, len(pieces))), draw(st.sampled_from(_UNKNOWN)))
    return pieces


def _repeated(field: FieldDescriptor) -> bool:
    # protobuf 5 has only the one, protobuf 7 only the other.
    return (
        field.is_repeated if hasattr(field, "is_repeated") else field.label == FieldDescriptor.LABEL_REPEATED
    )


def _mixture(draw: st.DrawFn, number: int, kind: int, content: bytes, overlong: int) -> list[bytes]:
    """The numbers of a packed field, packed in several pieces and one by one."""
    wire_type, size = _PACKABLE.get(kind, (_wire.VARINT, 0))
    numbers = []
    at = 0
    while at < len(content):
        end = at + size if size else _wire.read_varint(content, at, len(content))[1]
        numbers.append(content[at:end])
        at = end
    out = []
    while numbers:
        count = draw(st.integers(0, len(numbers)))
        taken, numbers = numbers[:count], numbers[count:]
        if draw(st.booleans()):
            out.append(field(number, _wire.BYTES, b"".join(taken), overlong))
        else:
            out += (field(number, wire_type, one, overlong) for one in taken)
    return out


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """A message that something happened to: cut off, bits flipped, bytes lost, doubled or made up."""
    out = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(out)))
        end = min(at + draw(st.integers(0, 12)), len(out))
        how = draw(st.sampled_from(["cut", "flip", "lose", "double", "make up", "replace"]))
        if how == "cut":
            del out[at:]
        elif how == "flip" and at < len(out):
            out[at] ^= 1 << draw(st.integers(0, 7))
        elif how == "lose":
            del out[at:end]
        elif how == "double":
            out[at:at] = out[at:end]
        elif how == "make up":
            out[at:at] = draw(st.binary(max_size=12))
        elif at < len(out):
            out[at] = draw(st.sampled_from([0, 1, 127, 128, 255]))
    return bytes(out)


def meaning(message: type[Message], data: bytes) -> Any:
    """What protobuf reads, without what it does not know."""
    read = message.FromString(data)
    read.DiscardUnknownFields()
    return read


def judged(decode: Any, message: type[Message], data: bytes) -> None:
    """Decodes what may be damaged, and has protobuf's own reader say whether it is a message.

    We never accept what it refuses. What it accepts we may refuse, but for what a tensor says and never for
    what the bytes are, which errors name by their offset. Two things that the encoding forbids protobuf lets
    pass: its older releases lengths in more than five bytes, all of them field 0 in a group that is skipped.
    """
    try:
        message.FromString(data)
        is_message = True
    except DecodeError:
        is_message = False
    try:
        decode(data)
    except WireError as error:
        lets_pass = "longer than 5 bytes" in str(error) or "field number 0 " in str(error)
        assert not is_message or lets_pass or "offset" not in str(error), f"{error}: {data.hex()}"
    else:
        assert is_message, data.hex()
