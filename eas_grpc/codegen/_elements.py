"""Every element of a schema: its descriptor, its place, its comments, and what it is in.

Pure: descriptors in, values out. The only place that knows how protobuf files positions and inherits features.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

from google.protobuf.descriptor_pb2 import FeatureSet, FileDescriptorProto, FileDescriptorSet, SourceCodeInfo

from eas_grpc.codegen._diagnostics import Position
from eas_grpc.errors import SchemaError

__all__ = ["Element", "Kind", "Schema", "read_schema"]


class Kind(str, Enum):
    """What an element is; the value is the word for people."""

    FILE = "file"
    MESSAGE = "message"
    FIELD = "field"
    ONEOF = "oneof"
    EXTENSION = "extension"
    ENUM = "enum"
    VALUE = "enum value"
    SERVICE = "service"
    RPC = "rpc"


@dataclass(frozen=True, kw_only=True, eq=False)
class Element:
    """One element. `proto` is its descriptor message; `leading` its comment above, `comment` all its comments.

    The full name of a file is its import name; that of an enum value is below its enum, as people think of it.
    """

    kind: Kind
    name: str
    full_name: str
    proto: Any
    at: Position
    leading: str
    comment: str
    features: FeatureSet
    parent: Element | None

    @property
    def file(self) -> Element:
        """The file that it is in."""
        return self if self.parent is None else self.parent.file

    @property
    def local_name(self) -> str:
        """The full name without the package: `Outer.Inner`."""
        package = str(self.file.proto.package)
        return self.full_name.removeprefix(f"{package}.") if package else self.full_name

    def __str__(self) -> str:
        """As a sentence begins: `field acme.v1.Thing.name`."""
        return f"{self.kind.value} {self.full_name}"


@dataclass(frozen=True)
class Schema:
    """The elements of somebody's own files, in the order of the sources."""

    elements: tuple[Element, ...]

    def of(self, kind: Kind) -> tuple[Element, ...]:
        """All elements of a kind."""
        return self._of[kind]

    def inside(self, parent: Element, *kinds: Kind) -> tuple[Element, ...]:
        """The elements of these kinds directly in another."""
        return tuple(element for element in self._children.get(parent, ()) if element.kind in kinds)

    def named(self, kind: Kind) -> Mapping[str, Element]:
        """The elements of a kind by full name."""
        return self._named[kind]

    @cached_property
    def _of(self) -> Mapping[Kind, tuple[Element, ...]]:
        return {kind: tuple(element for element in self.elements if element.kind is kind) for kind in Kind}

    @cached_property
    def _named(self) -> Mapping[Kind, Mapping[str, Element]]:
        return {kind: {element.full_name: element for element in self.of(kind)} for kind in Kind}

    @cached_property
    def _children(self) -> Mapping[Element, Sequence[Element]]:
        found: dict[Element, list[Element]] = {}
        for element in self.elements:
            if element.parent is not None:
                found.setdefault(element.parent, []).append(element)
        return found


def read_schema(files: FileDescriptorSet, protos: Collection[str], shown: Mapping[str, str]) -> Schema:
    """The elements of the files named in `protos`; the others of the set are imports, and somebody else's.

    `shown` has the path for people for an import name.
    """
    own = [file for file in files.file if file.name in protos]
    return Schema(tuple(e for file in own for e in _Walk(file, shown.get(file.name, file.name)).elements()))


# Field numbers of descriptor.proto: a position is filed under the path of numbers that leads to its element.
_NAME, _PACKAGE, _SYNTAX, _EDITION = 1, 2, 12, 14
_NESTED = {
    Kind.FILE: (
        (4, "message_type", Kind.MESSAGE),
        (5, "enum_type", Kind.ENUM),
        (6, "service", Kind.SERVICE),
        (7, "extension", Kind.EXTENSION),
    ),
    Kind.MESSAGE: (
        (2, "field", Kind.FIELD),
        (8, "oneof_decl", Kind.ONEOF),
        (3, "nested_type", Kind.MESSAGE),
        (4, "enum_type", Kind.ENUM),
        (6, "extension", Kind.EXTENSION),
    ),
    Kind.ENUM: ((2, "value", Kind.VALUE),),
    Kind.SERVICE: ((2, "method", Kind.RPC),),
}

# What holds where a file says nothing; editions say it with `features`, and differ from proto3 in presence only.
_PROTO2 = FeatureSet(
    field_presence=FeatureSet.EXPLICIT,
    enum_type=FeatureSet.CLOSED,
    utf8_validation=FeatureSet.NONE,
    message_encoding=FeatureSet.LENGTH_PREFIXED,
)
_PROTO3 = FeatureSet(
    field_presence=FeatureSet.IMPLICIT,
    enum_type=FeatureSet.OPEN,
    utf8_validation=FeatureSet.VERIFY,
    message_encoding=FeatureSet.LENGTH_PREFIXED,
)
_EDITIONS = FeatureSet(
    field_presence=FeatureSet.EXPLICIT,
    enum_type=FeatureSet.OPEN,
    utf8_validation=FeatureSet.VERIFY,
    message_encoding=FeatureSet.LENGTH_PREFIXED,
)
_DEFAULTS = {"": _PROTO2, "proto2": _PROTO2, "proto3": _PROTO3, "editions": _EDITIONS}


def _defaults(file: FileDescriptorProto) -> FeatureSet:
    if file.syntax not in _DEFAULTS:
        raise SchemaError(
            f"{file.name} has the syntax `{file.syntax}`, which is not known here: read it with newer tools"
        )
    return _DEFAULTS[file.syntax]


class _Walk:
    """One file, walked from the top."""

    def __init__(self, file: FileDescriptorProto, shown: str) -> None:
        self._file = file
        self._shown = shown
        self._places: Mapping[tuple[int, ...], SourceCodeInfo.Location] = {
            tuple(place.path): place for place in file.source_code_info.location
        }

    def elements(self) -> Iterator[Element]:
        file = self._file
        heads = [
            self._places[(number,)] for number in (_SYNTAX, _EDITION, _PACKAGE) if (number,) in self._places
        ]
        detached = [text for place in heads for text in place.leading_detached_comments]
        root = Element(
            kind=Kind.FILE,
            name=file.name,
            full_name=file.name,
            proto=file,
            at=self._position(heads[-1] if heads else None),
            leading="",
            comment="\n".join([*detached, *(_comments(place) for place in heads)]),
            features=_merged(_defaults(file), file),
            parent=None,
        )
        yield root
        yield from self._below(root, (), f"{file.package}." if file.package else "")

    def _below(self, parent: Element, path: tuple[int, ...], scope: str) -> Iterator[Element]:
        for number, attribute, kind in _NESTED.get(parent.kind, ()):
            for index, proto in enumerate(getattr(parent.proto, attribute)):
                if _is_made_up(parent, kind, proto, index):
                    continue
                here = (*path, number, index)
                place = self._places.get(here)
                element = Element(
                    kind=kind,
                    name=proto.name,
                    full_name=f"{scope}{proto.name}",
                    proto=proto,
                    at=self._position(self._places.get((*here, _NAME), place)),
                    leading="" if place is None else place.leading_comments,
                    comment="" if place is None else _comments(place),
                    features=_merged(parent.features, proto),
                    parent=parent,
                )
                yield element
                yield from self._below(element, here, f"{element.full_name}.")

    def _position(self, place: SourceCodeInfo.Location | None) -> Position:
        # protoc counts from zero; a descriptor without positions points at the start of the file.
        line, column = place.span[:2] if place is not None and len(place.span) > 1 else (0, 0)
        return Position(file=self._shown, line=line + 1, column=column + 1)


def _is_made_up(parent: Element, kind: Kind, proto: Any, index: int) -> bool:
    """What the compiler adds: the messages of a map's entries, and the oneof around an optional field of proto3."""
    if kind is Kind.MESSAGE:
        return bool(proto.options.map_entry)
    if kind is Kind.ONEOF:
        return any(f.proto3_optional and f.oneof_index == index for f in parent.proto.field)
    return False


def _comments(place: SourceCodeInfo.Location) -> str:
    return f"{place.leading_comments}\n{place.trailing_comments}"


def _merged(above: FeatureSet, proto: Any) -> FeatureSet:
    if not proto.options.HasField("features"):
        return above
    merged = FeatureSet()
    merged.CopyFrom(above)
    merged.MergeFrom(proto.options.features)
    return merged
