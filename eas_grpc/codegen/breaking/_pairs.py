"""Which element of the new schema is which of the old one, and where to point if there is none.

A package may have been renamed: a file of the same name says so, and its types are then the same types.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from eas_grpc.codegen._elements import Element, Kind, Schema

__all__ = ["Pairs", "pair"]


@dataclass(frozen=True)
class Pairs:
    """Two schemas, and the map from one to the other."""

    old: Schema
    new: Schema
    new_of: Mapping[Element, Element]
    renamed: Mapping[str, str]

    def of(self, *kinds: Kind) -> Iterator[tuple[Element, Element]]:
        """The pairs of these kinds."""
        for kind in kinds:
            for old in self.old.of(kind):
                if old in self.new_of:
                    yield old, self.new_of[old]

    def gone(self, *kinds: Kind) -> Iterator[Element]:
        """The elements of these kinds that the new schema has not."""
        for kind in kinds:
            yield from (old for old in self.old.of(kind) if old not in self.new_of)

    def fresh(self, kind: Kind) -> Collection[Element]:
        """The elements of a kind that the old schema has not, in the order of the sources."""
        return self._fresh[kind]

    def place(self, old: Element) -> Element:
        """The nearest surviving container of an element that is gone; itself if even its file is gone."""
        parent = old.parent
        while parent is not None:
            if parent in self.new_of:
                return self.new_of[parent]
            parent = parent.parent
        return old

    def same_type(self, old: str, new: str) -> bool:
        """Whether two full names, with the leading dot, mean the same type."""
        return self.renamed.get(old.lstrip("."), old.lstrip(".")) == new.lstrip(".")

    @cached_property
    def _fresh(self) -> Mapping[Kind, Collection[Element]]:
        known = set(self.new_of.values())
        # Dictionaries, as sets that keep their order.
        return {kind: {new: None for new in self.new.of(kind) if new not in known}.keys() for kind in Kind}


def pair(old: Schema, new: Schema) -> Pairs:
    """Find the partners: files, types and services by name, fields and extensions by number."""
    partners: dict[Element, Element] = {}
    _by_name(old, new, partners)
    _extensions(old, new, partners)
    renamed = {}
    for before in (*old.of(Kind.MESSAGE), *old.of(Kind.ENUM)):
        if before in partners and partners[before].full_name != before.full_name:
            renamed[before.full_name] = partners[before].full_name
    for service in old.of(Kind.SERVICE):
        if service in partners:
            _inside(old, new, service, Kind.RPC, partners)
    for message in old.of(Kind.MESSAGE):
        if message in partners:
            _inside(old, new, message, Kind.FIELD, partners)
            _inside(old, new, message, Kind.ONEOF, partners)
    return Pairs(old, new, partners, renamed)


def _by_name(old: Schema, new: Schema, partners: dict[Element, Element]) -> None:
    files = new.named(Kind.FILE)
    for kind in (Kind.FILE, Kind.MESSAGE, Kind.ENUM, Kind.SERVICE):
        by_name = new.named(kind)
        for before in old.of(kind):
            after = by_name.get(before.full_name)
            file = files.get(before.file.full_name)
            if after is None and file is not None:
                package = file.proto.package
                after = by_name.get(f"{package}.{before.local_name}" if package else before.local_name)
            if after is not None:
                partners[before] = after


def _extensions(old: Schema, new: Schema, partners: dict[Element, Element]) -> None:
    by_number = {(e.proto.extendee, e.proto.number): e for e in new.of(Kind.EXTENSION)}
    by_name = new.named(Kind.EXTENSION)
    for before in old.of(Kind.EXTENSION):
        number = (before.proto.extendee, before.proto.number)
        after = by_number.get(number, by_name.get(before.full_name))
        if after is not None:
            partners[before] = after


def _inside(old: Schema, new: Schema, before: Element, part: Kind, partners: dict[Element, Element]) -> None:
    def key(element: Element) -> object:
        return element.proto.number if part is Kind.FIELD else element.name

    by_key = {key(element): element for element in new.inside(partners[before], part)}
    for element in old.inside(before, part):
        if key(element) in by_key:
            partners[element] = by_key[key(element)]
