"""The same .proto under another package name, for reflection. Pure; registers nothing anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Protocol

from google.protobuf import descriptor_pb2

__all__ = ["repackaged", "repackaged_together"]

_NO_FILES: Mapping[str, str] = MappingProxyType({})


class DescribesFile(Protocol):
    """The `DESCRIPTOR` of a generated module; its class differs between protobuf's implementations."""

    @property
    def name(self) -> str:
        """The file's path."""
        ...

    def CopyToProto(self, proto: descriptor_pb2.FileDescriptorProto, /) -> None:  # noqa: N802
        """Writes the file into a message."""
        ...


def repackaged(
    file: DescribesFile, *, package: str, name: str, imports: Mapping[str, str] = _NO_FILES
) -> descriptor_pb2.FileDescriptorProto:
    """A copy of `file` called `name`, in `package` ("" for none), every reference to its own types adapted.

    `imports` gives the new names of files that it imports and that are repackaged in the same way; types of its
    own package are taken for theirs. What travels on the wire is the same. Add it to a DescriptorPool of your own,
    after the files that it imports: in protobuf's default pool it would collide with whoever owns that package.
    """
    copy = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(copy)
    old, new = _prefix(copy.package), _prefix(package)
    copy.name, copy.package = name, package
    copy.dependency[:] = [imports.get(each, each) for each in copy.dependency]
    for message in copy.message_type:
        _adapt_message(message, old, new)
    for extension in copy.extension:
        _adapt_field(extension, old, new)
    for service in copy.service:
        for method in service.method:
            method.input_type = _adapted(method.input_type, old, new)
            method.output_type = _adapted(method.output_type, old, new)
    return copy


def repackaged_together(
    files: Iterable[DescribesFile], *, package: str, folder: str
) -> list[descriptor_pb2.FileDescriptorProto]:
    """Copies of several files of one package, each below `folder`, that import each other.

    Give them in such an order that each comes after those that it imports.
    """
    imports: dict[str, str] = {}
    copies = []
    for file in files:
        copies.append(repackaged(file, package=package, name="", imports=imports))
        copies[-1].name = imports[file.name] = f"{folder}/{file.name.rpartition('/')[2]}"
    return copies


def _prefix(package: str) -> str:
    return f".{package}." if package else "."


def _adapted(reference: str, old: str, new: str) -> str:
    return new + reference.removeprefix(old) if reference.startswith(old) else reference


def _adapt_message(message: descriptor_pb2.DescriptorProto, old: str, new: str) -> None:
    for field in (*message.field, *message.extension):
        _adapt_field(field, old, new)
    for nested in message.nested_type:
        _adapt_message(nested, old, new)


def _adapt_field(field: descriptor_pb2.FieldDescriptorProto, old: str, new: str) -> None:
    if field.HasField("type_name"):
        field.type_name = _adapted(field.type_name, old, new)
    if field.HasField("extendee"):
        field.extendee = _adapted(field.extendee, old, new)
