"""Elements and whole files as text of the .proto language, which protoc turns into the same descriptors again. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

from eas_grpc.schema._comments import Places, above, behind, places
from eas_grpc.schema._elements import Element
from eas_grpc.schema._names import referred
from eas_grpc.schema._options import options, quoted
from eas_grpc.schema._render_parts import (
    Item,
    brackets,
    by_extendee,
    container,
    default,
    edition,
    entry,
    in_order,
    joined,
    json_name,
    made_by_fields,
    number_range,
    real_oneofs,
    spaced,
    unknown_note,
    visibility,
)
from eas_grpc.schema._schema import Schema

__all__ = ["describe", "file_text", "protos"]

_TAB = "  "
_GROUP = FieldDescriptorProto.TYPE_GROUP
_TYPES = {number: name.removeprefix("TYPE_").lower() for name, number in FieldDescriptorProto.Type.items()}

# Numbers of the fields in descriptor.proto, as the paths of source_code_info have them.
_PACKAGE, _IMPORT, _MESSAGE, _ENUM, _SERVICE, _EXTENSION, _SYNTAX = 2, 3, 4, 5, 6, 7, 12


def describe(element: Element) -> str:
    """An element as .proto text, with its comments as far as they are known."""
    text = _Text(element.file, element)
    render = {
        "message": text.message,
        "enum": text.enum,
        "service": text.service,
        "method": text.method,
        "value": text.value,
        "oneof": text.lone_oneof,
        "field": text.lone_field,
        "extension": text.extend,
    }[element.kind]
    return "\n".join(render(element)) + "\n"


def protos(schema: Schema, files: Sequence[FileDescriptorProto] | None = None) -> dict[str, str]:
    """The text of every file of a schema, or of some, by name; protobuf's own are left out, every compiler has them."""
    chosen = schema.files if files is None else files
    return {file.name: file_text(schema, file) for file in chosen if not _own(file.name)}


def file_text(schema: Schema, file: FileDescriptorProto) -> str:
    """A whole .proto file."""
    top = Element("file", file.package, file, file, (), schema.scope)
    return "\n".join(_Text(file, top).file()) + "\n"


def _own(name: str) -> bool:
    return name.startswith("google/protobuf/")


class _Text:
    """Writes the elements of one file."""

    def __init__(self, file: FileDescriptorProto, element: Element) -> None:
        self._file = file
        self._scope = element.scope
        self._places: Places = places(element)
        self._editions = file.syntax == "editions"

    # Whole files.

    def file(self) -> list[str]:
        file = self._file
        syntax = (
            f'edition = "{edition(file)}";' if self._editions else f'syntax = "{file.syntax or "proto2"}";'
        )
        lines = [*self._with_comments((_SYNTAX,), syntax, ""), ""]
        if file.package:
            lines += [*self._with_comments((_PACKAGE,), f"package {file.package};", ""), ""]
        if imports := list(self._imports()):
            lines += [*imports, ""]
        if settings := self._statements(file, file.package, ""):
            lines += [*settings, ""]
        for item in in_order(self._declared(file, (), file.package, "")):
            lines += [*item, ""]
        return lines[:-1]

    def _imports(self) -> Iterator[str]:
        file = self._file
        for index, name in enumerate(file.dependency):
            kind = (
                "public "
                if index in file.public_dependency
                else "weak "
                if index in file.weak_dependency
                else ""
            )
            yield from self._with_comments((_IMPORT, index), f"import {kind}{quoted(name)};", "")
        # Edition 2024; older runtimes do not know the field.
        for name in getattr(file, "option_dependency", ()):
            yield f"import option {quoted(name)};"

    def _declared(self, parent: Any, path: tuple[int, ...], place: str, indent: str) -> list[Item]:
        """The messages, enums, extensions and services in a file, or what a message has of those."""
        top = parent is self._file
        nested = parent.message_type if top else parent.nested_type
        numbers = (_MESSAGE, _ENUM, _EXTENSION) if top else (3, 4, 6)
        fields = [] if top else list(parent.field)
        made = made_by_fields(nested, [*fields, *parent.extension], place)
        items: list[Item] = []

        def add(where: tuple[int, ...], rank: float, lines: list[str]) -> None:
            items.append((self._places.position(where), rank, lines))

        for index, message in enumerate(nested):
            if index not in made:
                # Groups and maps are messages too, and keep their place among the others.
                rank = min((made[each] - 0.5 for each in made if each > index), default=10_000_000 + index)
                where = (*path, numbers[0], index)
                add(where, rank, self._message(message, where, joined(place, message.name), indent))
        for index, enum in enumerate(parent.enum_type):
            where = (*path, numbers[1], index)
            add(where, 20_000_000 + index, self._enum(enum, where, joined(place, enum.name), indent))
        for first, together in by_extendee(parent.extension):
            where = (*path, numbers[2], first)
            lines = self._extend(together, first, (*path, numbers[2]), place, indent, nested)
            add(where, len(fields) + first, lines)
        for index, service in enumerate(self._file.service if top else ()):
            where = (_SERVICE, index)
            add(where, 30_000_000 + index, self._service(service, where, joined(place, service.name), indent))
        return items

    # Messages.

    def message(self, element: Element) -> list[str]:
        return self._message(element.proto, element.path, element.name, "")

    def _message(self, message: DescriptorProto, path: tuple[int, ...], full: str, indent: str) -> list[str]:
        head = f"{visibility(message)}message {message.name} {{"
        return self._block(path, head, self._body(message, path, full, indent + _TAB), indent)

    def _body(self, message: DescriptorProto, path: tuple[int, ...], full: str, indent: str) -> list[str]:
        items = self._declared(message, path, full, indent)
        done: set[int] = set()
        real = real_oneofs(message)
        for index, field in enumerate(message.field):
            where = (*path, 2, index)
            if field.HasField("oneof_index") and field.oneof_index in real:
                if field.oneof_index in done:
                    continue
                done.add(field.oneof_index)
                lines = self._oneof(message, field.oneof_index, path, full, indent)
                where = (*path, 8, field.oneof_index)
            else:
                lines = self._field(field, where, full, indent, message.nested_type, path)
            items.append((self._places.position(where), index, lines))
        for index, span in enumerate(message.extension_range):
            where = (*path, 5, index)
            text = f"extensions {number_range(span.start, span.end - 1)}"
            text += brackets(options(span, full, self._scope)[0])
            items.append(
                (
                    self._places.position(where),
                    40_000_000 + index,
                    self._with_comments(where, f"{text};", indent),
                )
            )
        for index, (where, text) in enumerate(self._reserved(message, path, 9, 1)):
            items.append(
                (self._places.position(where), -1 + index / 4, self._with_comments(where, text, indent))
            )
        settings = self._statements(message, full, indent)
        blocks = list(in_order(items))
        return [*settings, *spaced(blocks)]

    def _reserved(
        self, parent: Any, path: tuple[int, ...], number: int, beyond: int
    ) -> Iterator[tuple[tuple[int, ...], str]]:
        """`beyond`: the end of a range is the first number after it in messages, and the last one in enums."""
        if parent.reserved_range:
            spans = ", ".join(number_range(each.start, each.end - beyond) for each in parent.reserved_range)
            yield (*path, number), f"reserved {spans};"
        if parent.reserved_name:
            names = parent.reserved_name if self._editions else map(quoted, parent.reserved_name)
            yield (*path, number + 1), f"reserved {', '.join(names)};"

    def _oneof(
        self, message: DescriptorProto, index: int, path: tuple[int, ...], full: str, indent: str
    ) -> list[str]:
        oneof = message.oneof_decl[index]
        body = self._statements(oneof, full, indent + _TAB)
        for number, field in enumerate(message.field):
            if field.HasField("oneof_index") and field.oneof_index == index:
                body += self._field(field, (*path, 2, number), full, indent + _TAB, message.nested_type, path)
        return self._block((*path, 8, index), f"oneof {oneof.name} {{", body, indent)

    def lone_oneof(self, element: Element) -> list[str]:
        message, path = container(element)
        return self._oneof(message, element.path[-1], path, element.parent, "")

    def lone_field(self, element: Element) -> list[str]:
        message, path = container(element)
        return self._field(element.proto, element.path, element.parent, "", message.nested_type, path)

    def _field(
        self,
        field: FieldDescriptorProto,
        path: tuple[int, ...],
        place: str,
        indent: str,
        nested: Any,
        around: tuple[int, ...],
    ) -> list[str]:
        """`nested` and `around`: the messages beside the field, among them that of a map or a group, and their path."""
        index, inner = entry(field, nested, place)
        settings, unknown = self._settings(field, place)
        note = unknown_note(unknown, indent)
        label = self._label(field)
        if inner is not None and inner.options.map_entry:
            key, value = (self._type(each, place) for each in inner.field)
            line = f"map<{key}, {value}> {field.name} = {field.number}{brackets(settings)};"
            return [*note, *self._with_comments(path, line, indent)]
        if inner is not None and field.type == _GROUP:
            head = f"{label}group {inner.name} = {field.number}{brackets(settings)} {{"
            number = _MESSAGE if not around else 3
            body = self._body(inner, (*around, number, index), joined(place, inner.name), indent + _TAB)
            return [*note, *self._block(path, head, body, indent)]
        line = f"{label}{self._type(field, place)} {field.name} = {field.number}{brackets(settings)};"
        return [*note, *self._with_comments(path, line, indent)]

    def _label(self, field: FieldDescriptorProto) -> str:
        if field.label == FieldDescriptorProto.LABEL_REPEATED:
            return "repeated "
        if field.label == FieldDescriptorProto.LABEL_REQUIRED:
            return "" if self._editions else "required "
        if field.proto3_optional:
            return "optional "
        proto2 = self._file.syntax in {"", "proto2"}
        return "optional " if proto2 and not field.HasField("oneof_index") else ""

    def _type(self, field: FieldDescriptorProto, place: str) -> str:
        if field.type_name:
            return referred(field.type_name, place, self._file, self._scope)
        return _TYPES.get(field.type, "bytes")

    def _settings(self, field: FieldDescriptorProto, place: str) -> tuple[list[str], list[int]]:
        """What stands in brackets behind a field."""
        found = []
        if field.HasField("default_value"):
            found.append(f"default = {default(field)}")
        if field.json_name and not field.extendee and field.json_name != json_name(field.name):
            found.append(f"json_name = {quoted(field.json_name)}")
        settings, unknown = options(field, place, self._scope)
        return [*found, *settings], unknown

    # Extensions.

    def extend(self, element: Element) -> list[str]:
        message, path = container(element)
        nested = self._file.message_type if message is self._file else message.nested_type
        number = element.path[-1]
        return self._extend([element.proto], number, (*path, element.path[-2]), element.parent, "", nested)

    def _extend(
        self,
        fields: list[FieldDescriptorProto],
        first: int,
        path: tuple[int, ...],
        place: str,
        indent: str,
        nested: Any,
    ) -> list[str]:
        name = referred(fields[0].extendee, place, self._file, self._scope)
        lines = [f"{indent}extend {name} {{"]
        for index, field in enumerate(fields, first):
            lines += self._field(field, (*path, index), place, indent + _TAB, nested, path[:-1])
        return [*lines, f"{indent}}}"]

    # Enums and services.

    def enum(self, element: Element) -> list[str]:
        return self._enum(element.proto, element.path, element.name, "")

    def _enum(self, enum: EnumDescriptorProto, path: tuple[int, ...], full: str, indent: str) -> list[str]:
        inside = indent + _TAB
        body = self._statements(enum, full, inside)
        for where, text in self._reserved(enum, path, 4, 0):
            body += self._with_comments(where, text, inside)
        for index, value in enumerate(enum.value):
            body += self._value(value, (*path, 2, index), full, inside)
        return self._block(path, f"{visibility(enum)}enum {enum.name} {{", body, indent)

    def value(self, element: Element) -> list[str]:
        return self._value(element.proto, element.path, element.parent, "")

    def _value(self, value: Any, path: tuple[int, ...], place: str, indent: str) -> list[str]:
        settings, unknown = options(value, place, self._scope)
        line = f"{value.name} = {value.number}{brackets(settings)};"
        return [*unknown_note(unknown, indent), *self._with_comments(path, line, indent)]

    def service(self, element: Element) -> list[str]:
        return self._service(element.proto, element.path, element.name, "")

    def _service(self, service: Any, path: tuple[int, ...], full: str, indent: str) -> list[str]:
        body = self._statements(service, full, indent + _TAB)
        for index, method in enumerate(service.method):
            body += self._method(method, (*path, 2, index), full, indent + _TAB)
        return self._block(path, f"service {service.name} {{", body, indent)

    def method(self, element: Element) -> list[str]:
        return self._method(element.proto, element.path, element.parent, "")

    def _method(self, method: Any, path: tuple[int, ...], place: str, indent: str) -> list[str]:
        request, response = (
            ("stream " if streaming else "") + referred(name, place, self._file, self._scope)
            for name, streaming in (
                (method.input_type, method.client_streaming),
                (method.output_type, method.server_streaming),
            )
        )
        head = f"rpc {method.name}({request}) returns ({response})"
        body = self._statements(method, place, indent + _TAB)
        if not body and not method.HasField("options"):
            return self._with_comments(path, f"{head};", indent)
        return self._block(path, f"{head} {{", body, indent)

    # Pieces of all of them.

    def _statements(self, proto: Any, place: str, indent: str) -> list[str]:
        settings, unknown = options(proto, place, self._scope)
        return [*unknown_note(unknown, indent), *(f"{indent}option {each};" for each in settings)]

    def _with_comments(self, path: tuple[int, ...], line: str, indent: str) -> list[str]:
        found = self._places.at(path)
        return [*above(found, indent), *behind(indent + line, found)]

    def _block(self, path: tuple[int, ...], head: str, body: list[str], indent: str) -> list[str]:
        found = self._places.at(path)
        if not body and not found.trailing:
            return [*above(found, indent), f"{indent}{head}}}"]
        return [*above(found, indent), *behind(indent + head, found), *body, f"{indent}}}"]
