"""The same message in other bytes: whatever the protobuf wire format leaves to the writer, done differently.

Knows no message of ours, goes by protobuf's descriptors, and shares no code with what it tests.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable
from typing import Any

from google.protobuf.descriptor import FieldDescriptor as Kind
from google.protobuf.message import Message

VARINT, FIXED64, BYTES, GROUP, END_GROUP, FIXED32 = range(6)

# What may be done; the decoys are values that a later one of the same field replaces.
TRICKS = ("shuffled", "unknown", "overlong", "split", "decoys", "defaults", "unpacked")

_FIXED = {
    Kind.TYPE_FIXED32: "<I",
    Kind.TYPE_SFIXED32: "<i",
    Kind.TYPE_FLOAT: "<f",
    Kind.TYPE_FIXED64: "<Q",
    Kind.TYPE_SFIXED64: "<q",
    Kind.TYPE_DOUBLE: "<d",
}
_LENGTH = {Kind.TYPE_STRING, Kind.TYPE_BYTES, Kind.TYPE_MESSAGE}
_LARGEST_NUMBER = 2**29 - 1

# The fields whose order counts among each other, each as it is written.
Stream = list[bytes]


def varint(number: int, width: int = 0) -> bytes:
    """An integer as it travels, in at least `width` bytes."""
    number &= 2**64 - 1
    out = bytearray()
    while number > 127 or len(out) + 1 < width:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def record(number: int, wire_type: int, content: bytes) -> bytes:
    """A field in its shortest form; `content` is what follows the key, without a length."""
    head = varint(number << 3 | wire_type)
    return head + varint(len(content)) + content if wire_type == BYTES else head + content


class Disguise:
    """Writes messages in the ways that `tricks` names, and chooses by `rng`."""

    def __init__(self, rng: random.Random, tricks: Iterable[str] = TRICKS) -> None:
        self.rng = rng
        self.tricks = frozenset(tricks)

    def bytes_of(self, message: Message) -> bytes:
        """The message."""
        return b"".join(self.chunks(message))

    def chunks(self, message: Message) -> list[bytes]:
        """Its fields in the order in which they are written."""
        streams = [stream for stream in self._streams(message) if stream]
        if "unknown" in self.tricks:
            streams += [[self._unknown(message)] for _ in range(self.rng.randrange(4))]
        if "shuffled" not in self.tricks:
            return [chunk for stream in streams for chunk in stream]
        turns = [at for at, stream in enumerate(streams) for _ in stream]
        self.rng.shuffle(turns)
        rest = [iter(stream) for stream in streams]
        return [next(rest[at]) for at in turns]

    def _streams(self, message: Message) -> Iterable[Stream]:
        present = message.ListFields()
        for field, value in present:
            if isinstance(value, (str, bytes, int, float, Message)):
                yield self._decoys(field) + self._singular(field, value)
            elif field.message_type is not None and field.message_type.GetOptions().map_entry:
                yield [chunk for key in sorted(value) for chunk in self._entry(field, key, value[key])]
            else:
                yield self._repeated(field, list(value))
        if "defaults" in self.tricks:
            given = {field.number for field, _ in present}
            for field in message.DESCRIPTOR.fields:
                # The default of a repeated field is a list.
                single = isinstance(field.default_value, (str, bytes, int, float))
                if single and field.number not in given and not field.has_presence and self._often():
                    yield [*self._decoys(field), self._field(field, field.default_value)]

    def _singular(self, field: Any, value: Any) -> Stream:
        if isinstance(value, Message) and "split" in self.tricks:
            chunks = self.chunks(value)
            at = self.rng.randrange(len(chunks) + 1)
            return [self._bytes(field.number, b"".join(part)) for part in (chunks[:at], chunks[at:])]
        return [self._field(field, value)]

    def _decoys(self, field: Any) -> Stream:
        if "decoys" not in self.tricks:
            return []
        siblings = field.containing_oneof.fields if field.containing_oneof else [field]
        scalars = [sibling for sibling in siblings if sibling.type != Kind.TYPE_MESSAGE]
        if not scalars:
            return []
        chosen = (self.rng.choice(scalars) for _ in range(self.rng.randrange(3)))
        return [self._field(sibling, self._other_value(sibling)) for sibling in chosen]

    def _entry(self, field: Any, key: Any, value: Any) -> Stream:
        """An entry of a map, which is a message of two fields; perhaps after another entry of the same key."""
        keys, values = (field.message_type.fields_by_number[number] for number in (1, 2))
        streams = [self._decoys(keys) + self._singular(keys, key)]
        streams.append(self._decoys(values) + self._singular(values, value))
        if "shuffled" in self.tricks:
            self.rng.shuffle(streams)
        entry = [self._bytes(field.number, b"".join(chunk for stream in streams for chunk in stream))]
        if "decoys" in self.tricks and values.type != Kind.TYPE_MESSAGE and self._often():
            other = self._field(keys, key) + self._field(values, self._other_value(values))
            entry.insert(0, self._bytes(field.number, other))
        return entry

    def _repeated(self, field: Any, values: list[Any]) -> Stream:
        if field.type in _LENGTH:
            return [self._field(field, value) for value in values]
        stream = []
        while values:
            count = self.rng.randrange(len(values) + 1) if "split" in self.tricks else len(values)
            taken, values = values[:count], values[count:]
            if "unpacked" in self.tricks and self._often():
                stream += [self._field(field, value) for value in taken]
            else:
                stream.append(
                    self._bytes(field.number, b"".join(self._scalar(field, item) for item in taken))
                )
        return stream

    def _field(self, field: Any, value: Any) -> bytes:
        if field.type == Kind.TYPE_MESSAGE:
            return self._bytes(field.number, self.bytes_of(value))
        if field.type in _LENGTH:
            return self._bytes(field.number, value if isinstance(value, bytes) else value.encode())
        return self._key(field.number, wire_type_of(field)) + self._scalar(field, value)

    def _scalar(self, field: Any, value: Any) -> bytes:
        if field.type in _FIXED:
            return struct.pack(_FIXED[field.type], value)
        encoded = varint(int(value), self._width(10))
        if len(encoded) == 10 and "overlong" in self.tricks and self._often():
            # Bits above the 64th, which every reader drops.
            encoded = encoded[:-1] + bytes((encoded[-1] | self.rng.randrange(64) << 1,))
        return encoded

    def _bytes(self, number: int, content: bytes) -> bytes:
        return self._key(number, BYTES) + varint(len(content), self._width(5)) + content

    def _key(self, number: int, wire_type: int) -> bytes:
        return varint(number << 3 | wire_type, self._width(5))

    def _width(self, longest: int) -> int:
        return self.rng.randrange(longest + 1) if "overlong" in self.tricks and self._often() else 0

    def _often(self) -> bool:
        return self.rng.random() < 0.5

    def _other_value(self, field: Any) -> Any:
        if field.type == Kind.TYPE_STRING:
            return self.rng.choice(["decoy", "", "\N{SNOWMAN}"])
        if field.type == Kind.TYPE_BYTES:
            return self.rng.randbytes(self.rng.randrange(40))
        return self.rng.randrange(2) if field.type == Kind.TYPE_BOOL else self.rng.randrange(100)

    def _unknown(self, message: Message) -> bytes:
        """A field that the message does not have: of another number, or of another wire type."""
        known = message.DESCRIPTOR.fields_by_number
        number = self.rng.choice(
            [*known, 13, 16, 200, self.rng.randrange(1, _LARGEST_NUMBER), _LARGEST_NUMBER]
        )
        wire_types = {VARINT, FIXED64, BYTES, GROUP, FIXED32}
        if number in known:
            # Numbers come packed or not; both are known.
            wire_types -= {BYTES, wire_type_of(known[number])}
        return self.stray(number, self.rng.choice(sorted(wire_types)))

    def stray(self, number: int, wire_type: int, depth: int = 0) -> bytes:
        """A field of any content."""
        if wire_type == BYTES:
            return self._bytes(number, self.rng.randbytes(self.rng.randrange(20)))
        key = self._key(number, wire_type)
        if wire_type == VARINT:
            return key + varint(self.rng.getrandbits(64), self._width(10))
        if wire_type != GROUP:
            return key + self.rng.randbytes(8 if wire_type == FIXED64 else 4)
        inner = (VARINT, FIXED64, BYTES, FIXED32) if depth > 5 else (VARINT, FIXED64, BYTES, GROUP, FIXED32)
        content = [
            self.stray(self.rng.randrange(1, 20), self.rng.choice(inner), depth + 1)
            for _ in range(self.rng.randrange(3))
        ]
        return key + b"".join(content) + self._key(number, END_GROUP)


def wire_type_of(field: Any) -> int:
    """The wire type of one value of a field."""
    if field.type in _LENGTH:
        return BYTES
    if field.type in _FIXED:
        return FIXED32 if struct.calcsize(_FIXED[field.type]) == 4 else FIXED64
    return VARINT
