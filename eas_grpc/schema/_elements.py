"""What a schema is made of, by name: services, methods, messages, and what is in them. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from eas_grpc.errors import SchemaError

__all__ = ["Comments", "Element", "Scope", "elements", "look_up", "nearest", "top_level"]

# Numbers of the fields in descriptor.proto, as the paths of source_code_info have them.
_FILE_MESSAGE, _FILE_ENUM, _FILE_SERVICE, _FILE_EXTENSION = 4, 5, 6, 7
_FIELD, _NESTED, _ENUM, _EXTENSION, _ONEOF = 2, 3, 4, 6, 8
_VALUE, _METHOD = 2, 2

# How alike two names are for one to be taken for the other; difflib's own measure.
_NEAR = 0.6
_MUCH = 0.15

# What somebody who gives a short name means first.
_FIRST = ("service", "method", "message", "enum")


@dataclass(frozen=True)
class Comments:
    """The comments at an element, without their markers; empty where the schema came without them."""

    detached: tuple[str, ...] = ()
    leading: str = ""
    trailing: str = ""


@dataclass(frozen=True)
class Scope:
    """What the rendering of an element has to know of the schema around it.

    `aggregates` are the names that others can be in: packages, messages, enums, services; `names` are all others.
    """

    names: frozenset[str] = frozenset()
    aggregates: frozenset[str] = frozenset()
    pool: Any = None


@dataclass(frozen=True, eq=False)
class Element:
    """One element of a schema; `proto` is its message of descriptor.proto, `path` its place in `file`.

    `kind` is "service", "method", "message", "enum", "value", "field", "oneof" or "extension". The full name of an
    enum value is below its enum, as people think of it.
    """

    kind: str
    name: str
    proto: Any
    file: FileDescriptorProto
    path: tuple[int, ...]
    scope: Scope = Scope()

    @property
    def parent(self) -> str:
        """The full name of what it is in; "" at the top of a file without a package."""
        return self.name.rpartition(".")[0]


def elements(file: FileDescriptorProto, scope: Scope = Scope()) -> Iterator[Element]:
    """Every element of a file that has a name; the entries of maps are left out."""
    prefix = f"{file.package}." if file.package else ""

    def one(kind: str, full: str, proto: Any, path: tuple[int, ...]) -> Element:
        return Element(kind, full, proto, file, path, scope)

    def enums(before: str, found: Iterable[Any], path: tuple[int, ...]) -> Iterator[Element]:
        for index, enum in enumerate(found):
            full, here = before + enum.name, (*path, index)
            yield one("enum", full, enum, here)
            for number, value in enumerate(enum.value):
                yield one("value", f"{full}.{value.name}", value, (*here, _VALUE, number))

    def messages(before: str, found: Iterable[Any], path: tuple[int, ...]) -> Iterator[Element]:
        for index, message in enumerate(found):
            if message.options.map_entry:
                continue
            full, here = before + message.name, (*path, index)
            yield one("message", full, message, here)
            inside = f"{full}."
            for kind, number, parts in (
                ("field", _FIELD, message.field),
                ("oneof", _ONEOF, message.oneof_decl),
                ("extension", _EXTENSION, message.extension),
            ):
                for position, part in enumerate(parts):
                    yield one(kind, inside + part.name, part, (*here, number, position))
            yield from enums(inside, message.enum_type, (*here, _ENUM))
            yield from messages(inside, message.nested_type, (*here, _NESTED))

    yield from messages(prefix, file.message_type, (_FILE_MESSAGE,))
    yield from enums(prefix, file.enum_type, (_FILE_ENUM,))
    for index, service in enumerate(file.service):
        yield one("service", prefix + service.name, service, (_FILE_SERVICE, index))
        for position, method in enumerate(service.method):
            path = (_FILE_SERVICE, index, _METHOD, position)
            yield one("method", f"{prefix}{service.name}.{method.name}", method, path)
    for index, extension in enumerate(file.extension):
        yield one("extension", prefix + extension.name, extension, (_FILE_EXTENSION, index))


def top_level(file: FileDescriptorProto) -> list[str]:
    """The full names of the services, messages and enums of a file that are in no other."""
    prefix = f"{file.package}." if file.package else ""
    found: list[Any] = [*file.service, *file.message_type, *file.enum_type]
    return [prefix + each.name for each in found]


def look_up(index: Mapping[str, Sequence[Element]], text: str, *, origin: str) -> Element:
    """The element that a full name means, or a short one when only one fits; SchemaError with suggestions."""
    name = text.strip().strip("/").replace("/", ".").removeprefix(".")
    found = list(index.get(name, ()))
    if not found and name:
        ending = f".{name}"
        found = [each for full, those in index.items() if full.endswith(ending) for each in those]
        first = [each for each in found if each.kind in _FIRST]
        found = first or found
    if len(found) == 1:
        return found[0]
    if found:
        # A field and the oneof around it cannot share a name; a message and a service of two files may end alike.
        which = ", ".join(sorted({each.name for each in found})[:8])
        raise SchemaError(f"{text!r} may mean {which}: give the full name")
    raise SchemaError(f"{origin} has no {text!r}{nearest(name, index)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """`: do you mean x or y?`, or the empty text when nothing is near; what is much nearer comes alone."""
    known = sorted(set(known))
    found = _alike(name, {each: each for each in known})
    found = found or _alike(name.rpartition(".")[2], {each: each.rpartition(".")[2] for each in known})
    return f": do you mean {' or '.join(found)}?" if found else ""


def _alike(name: str, known: Mapping[str, str]) -> list[str]:
    matcher = difflib.SequenceMatcher()
    matcher.set_seq2(name.lower())
    scores: dict[str, float] = {}
    for each, text in known.items():
        matcher.set_seq1(text.lower())
        if matcher.real_quick_ratio() >= _NEAR and matcher.quick_ratio() >= _NEAR:
            scores[each] = matcher.ratio()
    least = max(_NEAR, max(scores.values(), default=0.0) - _MUCH)
    near = [each for each, score in scores.items() if score >= least]
    return sorted(near, key=lambda each: -scores[each])[:3]
