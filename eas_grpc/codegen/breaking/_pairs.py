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
    """Find the partners: files, types, services and extensions by name, fields (and renamed extensions) by number."""
    partners: dict[Element, Element] = {}
    for kind in (Kind.FILE, Kind.MESSAGE, Kind.ENUM, Kind.SERVICE):
        _by_name(old, new, kind, partners)
    renamed = {}
    for before in (*old.of(Kind.MESSAGE), *old.of(Kind.ENUM)):
        if before in partners and partners[before].full_name != before.full_name:
            renamed[before.full_name] = partners[before].full_name
    _extensions(old, new, partners, renamed)
    for service in old.of(Kind.SERVICE):
        if service in partners:
            _inside(old, new, service, Kind.RPC, partners)
    for message in old.of(Kind.MESSAGE):
        if message in partners:
            _inside(old, new, message, Kind.FIELD, partners)
            _inside(old, new, message, Kind.ONEOF, partners)
    return Pairs(old, new, partners, renamed)


def _by_name(old: Schema, new: Schema, kind: Kind, partners: dict[Element, Element]) -> None:
    by_name = new.named(kind)
    taken = set()
    # Nobody may be the partner of two: a whole name comes first, then the same place in a renamed package.
    for name_now in (_full_name, _in_its_file, _in_its_package):
        for before in old.of(kind):
            after = None if before in partners else by_name.get(name_now(before, new))
            if after is not None and after not in taken:
                partners[before] = after
                taken.add(after)


def _full_name(element: Element, _: Schema) -> str:
    return element.full_name


def _in_its_file(element: Element, new: Schema) -> str:
    """The name in the package that its file has now, if it is still in that file; otherwise no name."""
    name = _in_its_package(element, new)
    home = new.named(element.kind).get(name)
    return name if home is not None and home.file.full_name == element.file.full_name else ""


def _in_its_package(element: Element, new: Schema) -> str:
    """The name in the package that its file has now; otherwise no name."""
    file = new.named(Kind.FILE).get(element.file.full_name)
    if file is None:
        return ""
    return f"{file.proto.package}.{element.local_name}" if file.proto.package else element.local_name


def _extensions(
    old: Schema, new: Schema, partners: dict[Element, Element], renamed: Mapping[str, str]
) -> None:
    # The whole name first, since code asks by it: who has it with another number is no other extension.
    _by_name(old, new, Kind.EXTENSION, partners)
    taken = set(partners.values())
    by_number = {(e.proto.extendee, e.proto.number): e for e in new.of(Kind.EXTENSION) if e not in taken}
    for before in old.of(Kind.EXTENSION):
        extended = before.proto.extendee.removeprefix(".")
        after = by_number.get((f".{renamed.get(extended, extended)}", before.proto.number))
        if after is not None:
            partners.setdefault(before, after)


def _inside(old: Schema, new: Schema, before: Element, part: Kind, partners: dict[Element, Element]) -> None:
    def key(element: Element) -> object:
        return element.proto.number if part is Kind.FIELD else element.name

    by_key = {key(element): element for element in new.inside(partners[before], part)}
    for element in old.inside(before, part):
        if key(element) in by_key:
            partners[element] = by_key[key(element)]
