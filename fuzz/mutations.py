"""Changes to messages that keep them readable: libFuzzer's own changes rarely get past the lengths of the wire."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor as Kind
from google.protobuf.message import DecodeError, Message
from support.disguise import TRICKS, Disguise

_RANGES = {
    Kind.TYPE_INT32: (-(2**31), 2**31 - 1),
    Kind.TYPE_ENUM: (-(2**31), 2**31 - 1),
    Kind.TYPE_INT64: (-(2**63), 2**63 - 1),
    Kind.TYPE_UINT32: (0, 2**32 - 1),
    Kind.TYPE_UINT64: (0, 2**64 - 1),
}
_INTEGERS = (
    0,
    1,
    2,
    3,
    4,
    8,
    64,
    255,
    2**15,
    2**16,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**62,
    2**63 - 1,
    2**64 - 1,
)
_TEXTS = (
    "",
    "a",
    "x",
    "FP32",
    "INT8",
    "BYTES",
    "BOOL",
    "BF16",
    "binary_data_output",
    "\N{SNOWMAN}",
    "a" * 200,
)


def mutated(data: bytes, type_: Any, rng: random.Random) -> bytes | None:
    """The message with a few changes, written in an unusual way; None where protobuf cannot read it."""
    try:
        message = type_.FromString(data)
    except DecodeError:
        return None
    message.DiscardUnknownFields()
    for _ in range(rng.randrange(4)):
        _change(rng.choice(list(_nodes(message))), rng)
    return Disguise(rng, [trick for trick in TRICKS if rng.random() < 0.3]).bytes_of(message)


def _nodes(message: Message) -> Iterator[Message]:
    """A message and those in it."""
    yield message
    for field, value in message.ListFields():
        if field.type == Kind.TYPE_MESSAGE:
            inner = value.values() if _is_map(field) else [value] if isinstance(value, Message) else value
            for one in inner:
                if isinstance(one, Message):
                    yield from _nodes(one)


def _change(message: Message, rng: random.Random) -> None:
    field = rng.choice(message.DESCRIPTOR.fields)
    if _is_map(field):
        entries = getattr(message, field.name)
        key = rng.choice(_TEXTS)
        if entries and rng.random() < 0.3:
            del entries[rng.choice(sorted(entries))]
        elif entries:
            entries[key].CopyFrom(entries[rng.choice(sorted(entries))])
        else:
            entries[key].SetInParent()
    elif not isinstance(field.default_value, (str, bytes, int, float, type(None))):
        _change_list(getattr(message, field.name), field, rng)
    elif field.type == Kind.TYPE_MESSAGE:
        getattr(message, field.name).SetInParent()
    elif rng.random() < 0.1:
        message.ClearField(field.name)
    else:
        setattr(message, field.name, _value(field, getattr(message, field.name), rng))


def _change_list(values: Any, field: Any, rng: random.Random) -> None:
    at = rng.randrange(len(values) + 1)
    if at < len(values) and rng.random() < 0.3:
        del values[at]
    elif field.type == Kind.TYPE_MESSAGE:
        values.append(rng.choice(values)) if values else values.add()
    elif at < len(values) and rng.random() < 0.7:
        values[at] = _value(field, values[at], rng)
    else:
        count = rng.choice((1, 1, 1, 2, 70))
        values.extend([_value(field, b"", rng)] * count)


def _value(field: Any, old: Any, rng: random.Random) -> Any:
    if field.type == Kind.TYPE_STRING:
        return rng.choice(_TEXTS)
    if field.type == Kind.TYPE_BYTES:
        return _bytes(old, rng)
    if field.type == Kind.TYPE_BOOL:
        return rng.random() < 0.5
    if field.type == Kind.TYPE_ENUM and field.enum_type.is_closed:
        return rng.choice(field.enum_type.values).number
    if field.type in _RANGES:
        low, high = _RANGES[field.type]
        small = rng.randrange(32)
        number = rng.choice((small, small, rng.choice(_INTEGERS), -rng.choice(_INTEGERS)))
        return min(max(number, low), high)
    return rng.choice((0.0, -0.0, 1.5, float("inf"), float("nan")))


def _bytes(old: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(old) + 1)
    return rng.choice(
        (
            old[:at],
            old + bytes(rng.choice((1, 2, 3, 4, 8, 16))),
            old[:at] + bytes((rng.randrange(4),)) + old[at + 1 :],
            rng.randbytes(rng.choice((0, 1, 2, 4, 8, 16))),
        )
    )


def _is_map(field: Any) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry
