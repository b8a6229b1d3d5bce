"""A schema: files in a descriptor pool of their own, asked by name, with JSON in and out of their messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, MethodOptions
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from eas_grpc.errors import SchemaError
from eas_grpc.schema._elements import Element, Scope, elements, look_up, nearest, top_level
from eas_grpc.schema._files import completed, make_pool
from eas_grpc.schema._from_json import parse
from eas_grpc.schema._names import scope_of
from eas_grpc.schema._template import template
from eas_grpc.schema._to_json import to_json

__all__ = ["Method", "Schema", "descriptor_set", "from_descriptor_set", "from_files"]


@dataclass(frozen=True)
class Method:
    """One method of a service, with the classes of its messages."""

    service: str
    name: str
    request: type[Message]
    response: type[Message]
    client_streaming: bool
    server_streaming: bool
    descriptor: MethodDescriptor = field(repr=False)
    deprecated: bool = False
    # "", "no_side_effects" or "idempotent"
    idempotency: str = ""

    @property
    def path(self) -> str:
        """What travels as the request's path: `/package.Service/Method`."""
        return f"/{self.service}/{self.name}"

    @property
    def shape(self) -> str:
        """`unary_unary`, `unary_stream`, `stream_unary` or `stream_stream`."""
        kinds = ("unary", "stream")
        return f"{kinds[self.client_streaming]}_{kinds[self.server_streaming]}"


class Schema:
    """What services, methods and messages look like; made by one of the `from_` functions.

    `origin` says where it is from, `files` are in an order in which each comes after its imports, `services` are
    those that are offered, `notes` what had to be mended, and `undescribed` services whose files are not known, with
    the reason.
    """

    def __init__(
        self,
        files: Sequence[FileDescriptorProto],
        *,
        origin: str,
        services: Iterable[str] | None = None,
        notes: Sequence[str] = (),
        undescribed: Mapping[str, str] | None = None,
        error: type[SchemaError] = SchemaError,
    ) -> None:
        self.origin = origin
        self.files = tuple(files)
        self.pool = make_pool(self.files, origin=origin, error=error)
        self.notes = tuple(notes)
        self.undescribed = dict(undescribed or {})
        declared = {
            f"{file.package}.{service.name}".lstrip(".") for file in self.files for service in file.service
        }
        self.services = tuple(sorted(declared if services is None else declared & set(services)))
        self._declared = declared

    def __repr__(self) -> str:
        """Where it is from and how much it is."""
        return f"<Schema of {self.origin}: {len(self.services)} services in {len(self.files)} files>"

    def methods(self, service: str) -> tuple[Method, ...]:
        """The methods of a service, in the order of its declaration; SchemaError for one that is not there."""
        name = self._service(service)
        descriptor = self.pool.FindServiceByName(name)
        return tuple(self._method(name, each) for each in descriptor.methods)

    def method(self, text: str) -> Method:
        """The method that a text means: `package.Service/Method`, with dots alone, or the end of it if only one fits."""
        name = text.strip().strip("/").replace("/", ".")
        every = {
            f"{service}.{each.name}": (service, each)
            for service in sorted(self._declared)
            for each in self.pool.FindServiceByName(service).methods
        }
        fitting = [full for full in every if full == name] or [
            full for full in every if name and full.endswith(f".{name}")
        ]
        # What is offered comes before what is only declared in some imported file.
        offered = [full for full in fitting if every[full][0] in self.services]
        fitting = offered or fitting
        if len(fitting) == 1:
            return self._method(*every[fitting[0]])
        if fitting:
            which = ", ".join(_slashed(full) for full in fitting[:8])
            raise SchemaError(f"{text!r} may mean {which}: give the full name")
        raise SchemaError(self._no_method(text, name, every))

    def find(self, name: str) -> Element:
        """The element with this full name, or the short one if only one fits; SchemaError with suggestions."""
        text = name.strip()
        inside = [
            each for file in self.files if text in {file.name, file.package} for each in top_level(file)
        ]
        if text and inside and text not in self._index:
            kind = "a file" if text.endswith(".proto") else "a package"
            names = ", ".join(inside[:8])
            raise SchemaError(
                f"{name!r} is {kind}: name what is in it, {names}{', ...' if len(inside) > 8 else ''}"
            )
        return look_up(self._index, name, origin=self.origin)

    def message_class(self, name: str) -> type[Message]:
        """The class of a message by full name; SchemaError if there is none."""
        try:
            descriptor: Descriptor = self.pool.FindMessageTypeByName(name)
        except KeyError:
            raise SchemaError(f"{self.origin} has no message {name!r}") from None
        return GetMessageClass(descriptor)

    def parse(self, message_class: type[Message], json_text_or_obj: Any, *, where: str) -> Message:
        """A message from JSON, given as text or as what `json.loads` makes of it; ConfigError says what is wrong.

        `where` names the JSON in errors: "the request", "data.json".
        """
        return parse(self.pool, message_class, json_text_or_obj, where=where)

    def to_json(self, message: Message, *, emit_defaults: bool = False, indent: int | None = None) -> str:
        """A message as JSON; an `Any` of an unknown type is shown as its bytes."""
        return to_json(self.pool, message, emit_defaults=emit_defaults, indent=indent)

    def template(self, message_class: type[Message]) -> str:
        """JSON with every field of a message, of each oneof the first, to be filled in."""
        return template(message_class.DESCRIPTOR)

    def inside(self, element: Element) -> tuple[Element, ...]:
        """What stands directly in an element, in the order of its kinds and then of its declaration."""
        depth = len(element.path) + 2
        return tuple(
            each
            for each in elements(element.file, self.scope)
            if len(each.path) == depth and each.path[:-2] == element.path
        )

    def needed_by(self, element: Element) -> tuple[FileDescriptorProto, ...]:
        """The file of an element with everything that it imports, in order."""
        wanted = {element.file.name}
        for file in reversed(self.files):
            if file.name in wanted:
                wanted.update(file.dependency)
        return tuple(file for file in self.files if file.name in wanted)

    @cached_property
    def scope(self) -> Scope:
        """All names, for the rendering of elements."""
        return scope_of(self.files, self.pool)

    @cached_property
    def _index(self) -> dict[str, list[Element]]:
        index: dict[str, list[Element]] = {}
        for file in self.files:
            for element in elements(file, self.scope):
                index.setdefault(element.name, []).append(element)
        return index

    def _service(self, text: str) -> str:
        name = text.strip().strip("/")
        fitting = [each for each in self._declared if each == name] or [
            each for each in sorted(self._declared) if name and each.endswith(f".{name}")
        ]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise SchemaError(f"{text!r} may mean {', '.join(fitting[:8])}: give the full name")
        if name in self.undescribed:
            raise SchemaError(
                f"{self.origin} lists {name}, but does not describe it: {self.undescribed[name]}"
            )
        raise SchemaError(f"{self.origin} has no service {text!r}{nearest(name, self.services)}")

    def _no_method(self, text: str, name: str, every: Iterable[str]) -> str:
        service = name.rpartition(".")[0]
        if name in self.undescribed or service in self.undescribed:
            listed = name if name in self.undescribed else service
            return f"{self.origin} lists {listed}, but does not describe it: {self.undescribed[listed]}"
        if name in self._declared:
            methods = [each.name for each in self.pool.FindServiceByName(name).methods]
            return f"{text!r} is a service: add one of its methods, {', '.join(methods[:8])}"
        if service in self._declared:
            methods = [each.name for each in self.pool.FindServiceByName(service).methods]
            near = nearest(name.rpartition(".")[2], methods) or f": it has {', '.join(methods[:8])}"
            return f"{self.origin}: {service} has no method {name.rpartition('.')[2]!r}{near}"
        near = nearest(name, every)
        for each in sorted(every, reverse=True):
            near = near.replace(each, _slashed(each))
        if not near and self.services:
            more = ", ..." if len(self.services) > 5 else ""
            near = f": it offers {', '.join(self.services[:5])}{more}"
        return f"{self.origin} has no method {text!r}{near}"

    def _method(self, service: str, descriptor: Any) -> Method:
        options = MethodOptions.FromString(descriptor.GetOptions().SerializeToString())
        known = MethodOptions.IdempotencyLevel.Name(options.idempotency_level)
        return Method(
            service=service,
            name=descriptor.name,
            request=GetMessageClass(descriptor.input_type),
            response=GetMessageClass(descriptor.output_type),
            client_streaming=descriptor.client_streaming,
            server_streaming=descriptor.server_streaming,
            descriptor=descriptor,
            deprecated=options.deprecated,
            idempotency="" if known == "IDEMPOTENCY_UNKNOWN" else known.lower(),
        )


def from_files(
    files: Iterable[FileDescriptorProto], *, origin: str, services: Iterable[str] | None = None
) -> Schema:
    """A schema of descriptor files in any order; `services` are those offered, by default all.

    Raises SchemaError if an import is missing, files import each other in a circle, or two define the same name.
    """
    return Schema(completed(files, origin=origin), origin=origin, services=services)


def from_descriptor_set(data: bytes, *, origin: str) -> Schema:
    """A schema from the bytes of a FileDescriptorSet, as `protoc --descriptor_set_out` and `buf build` write it.

    Raises SchemaError for bytes that are none, an empty one, and what `from_files` refuses.
    """
    from google.protobuf.message import DecodeError

    try:
        found = FileDescriptorSet.FromString(data)
    except DecodeError:
        found = None
    if found is None or any(not file.name for file in found.file):
        raise SchemaError(
            f"{origin} is no descriptor set: write one with `protoc --include_imports --descriptor_set_out`"
        )
    if not found.file:
        raise SchemaError(f"{origin} is an empty descriptor set: there is no file in it")
    try:
        return from_files(found.file, origin=origin)
    except SchemaError as error:
        if "is missing" in str(error):
            raise SchemaError(f"{error}: write it with `protoc --include_imports`") from None
        raise


def descriptor_set(schema: Schema, files: Sequence[FileDescriptorProto] | None = None) -> bytes:
    """The schema's files, or some of them, as the bytes of a FileDescriptorSet, which every tool for protobuf reads."""
    return FileDescriptorSet(file=schema.files if files is None else files).SerializeToString()


def _slashed(full: str) -> str:
    service, _, method = full.rpartition(".")
    return f"{service}/{method}"
