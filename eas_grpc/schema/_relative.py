"""Names of types that some servers give relative to where they stand, made absolute, as everybody else's are. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto

__all__ = ["absolute"]


def absolute(
    files: Mapping[str, FileDescriptorProto], defined: Collection[str]
) -> dict[str, FileDescriptorProto]:
    """The files with every reference as `.package.Type` that can be found among the names `defined`.

    A file without relative names is the same object as before.
    """
    return {name: _absolute(file, defined) for name, file in files.items()}


def _absolute(file: FileDescriptorProto, defined: Collection[str]) -> FileDescriptorProto:
    found: list[tuple[Any, str, str]] = []

    def note(proto: Any, attribute: str, place: str) -> None:
        name = getattr(proto, attribute)
        if name and not name.startswith("."):
            found.append((proto, attribute, _outwards(name, place, defined)))

    copy = FileDescriptorProto()
    copy.CopyFrom(file)
    _each_reference(copy, note)
    for proto, attribute, name in found:
        setattr(proto, attribute, name)
    return copy if found else file


def _each_reference(file: Any, note: Callable[[Any, str, str], None]) -> None:
    def fields(those: Any, place: str) -> None:
        for field in those:
            note(field, "type_name", place)
            note(field, "extendee", place)

    fields(file.extension, file.package)
    for service in file.service:
        for method in service.method:
            for attribute in ("input_type", "output_type"):
                note(method, attribute, f"{file.package}.{service.name}".lstrip("."))
    waiting = [(file.package, message) for message in file.message_type]
    while waiting:
        around, message = waiting.pop()
        full = f"{around}.{message.name}".lstrip(".")
        fields((*message.field, *message.extension), full)
        waiting += [(full, nested) for nested in message.nested_type]


def _outwards(name: str, place: str, defined: Collection[str]) -> str:
    """The name of the nearest type that is meant; the name itself, made absolute, where there is none."""
    around = place
    while around:
        if f"{around}.{name}" in defined:
            return f".{around}.{name}"
        around = around.rpartition(".")[0]
    return f".{name}"
