"""What a new field type can still read of the old one's bytes, of its JSON, and of its values.

Pure, and without descriptors: see https://protobuf.dev/programming-guides/proto3/#updating for the groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Change", "Type", "type_change"]

_32 = (-(2**31), 2**31 - 1)
_U32 = (0, 2**32 - 1)
_64 = (-(2**63), 2**63 - 1)
_U64 = (0, 2**64 - 1)

# How a number lies on the wire, and which values it holds. An enum counts as what its numbers are; a closed one
# holds less.
_NUMBERS = {
    "bool": ("varint", (0, 1)),
    "enum": ("varint", _32),
    "int32": ("varint", _32),
    "uint32": ("varint", _U32),
    "int64": ("varint", _64),
    "uint64": ("varint", _U64),
    "sint32": ("zigzag", _32),
    "sint64": ("zigzag", _64),
    "fixed32": ("four bytes", _U32),
    "sfixed32": ("four bytes", _32),
    "fixed64": ("eight bytes", _U64),
    "sfixed64": ("eight bytes", _64),
}


@dataclass(frozen=True)
class Type:
    """A field's type: protobuf's word for it, and for messages and enums the full name that the old schema used.

    `values` are an enum's names by number, in the order of the source, None where they are not known. A map has its
    key and its value in `entry`; a message that could be read as a map's entry has the types of those in `like_entry`.
    """

    word: str
    name: str = ""
    values: Mapping[int, frozenset[str]] | None = field(default=None, compare=False)
    closed: bool = field(default=False, compare=False)
    entry: tuple[Type, Type] | None = None
    like_entry: tuple[Type, Type] | None = field(default=None, compare=False)

    def __str__(self) -> str:
        """As it is written in a schema."""
        if self.entry is not None:
            return f"map<{self.entry[0]}, {self.entry[1]}>"
        return self.name.lstrip(".") or self.word


@dataclass(frozen=True)
class Change:
    """The worst rule that a change of type breaks, and why; the names of rules are those of the book."""

    rule: str
    why: str


def type_change(old: Type, new: Type) -> Change | None:
    """None if both are the same type."""
    if old == new:
        return None
    # On the wire a map is a list of messages, each with a key and a value.
    entry = new.entry or new.like_entry
    if old.entry is not None and entry is not None:
        found = [type_change(before, after) for before, after in zip(old.entry, entry, strict=True)]
        if new.entry is None:
            found.append(
                Change(_JSON, "the bytes on the wire are the same, but JSON has an object for a map")
            )
        return min((change for change in found if change), key=lambda change: _WORST.index(change.rule))
    if old.word == new.word == "enum":
        return _enum_change(old, new)
    if old.word == "string" and new.word == "bytes":
        return Change(_JSON, "the bytes on the wire are the same, but JSON has bytes in base64")
    if old.word not in _NUMBERS or new.word not in _NUMBERS or _NUMBERS[old.word][0] != _NUMBERS[new.word][0]:
        return Change(_WIRE, "old bytes mean something else to it, or nothing")
    return _number_change(old, new)


_WIRE, _LOSS = "FIELD_WIRE_COMPATIBLE_TYPE", "FIELD_NO_VALUE_LOSS"
_JSON, _SOURCE = "FIELD_WIRE_JSON_COMPATIBLE_TYPE", "FIELD_SAME_TYPE"
_WORST = (_WIRE, _LOSS, _JSON, _SOURCE)


def _number_change(old: Type, new: Type) -> Change:
    _, (low, high) = _NUMBERS[old.word]
    _, (lowest, highest) = _NUMBERS[new.word]
    if low < lowest or high > highest:
        return Change(_LOSS, f"a value that {new} does not hold is read as another number, without an error")
    if new.closed:
        return Change(_LOSS, f"{new} is closed: a number that it does not name is lost")
    # Two types that JSON writes alike, such as int32 and uint32, always lose something: see above.
    return Change(_JSON, "the bytes on the wire are the same, but JSON writes the two differently")


def _enum_change(old: Type, new: Type) -> Change:
    if old.values is None or new.values is None:
        return Change(_WIRE, "its values are not known here")
    lost = sorted(set(old.values) - set(new.values))
    if lost:
        return Change(_LOSS, f"{new} has no value {', '.join(map(str, lost))}")
    if new.closed and not old.closed:
        return Change(_LOSS, f"{new} is closed: a number that it does not name is lost")
    if any(names - new.values[number] for number, names in old.values.items()):
        return Change(_JSON, "the numbers are the same, but JSON writes the names")
    return Change(_SOURCE, "numbers and names are the same, but code names another enum")
