"""Elements as plain data that JSON can hold. Pure."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, MethodOptions

from eas_grpc.schema._comments import comments
from eas_grpc.schema._elements import Element
from eas_grpc.schema._render_parts import real_oneofs
from eas_grpc.schema._schema import Schema

__all__ = ["as_data"]


def as_data(schema: Schema, element: Element) -> dict[str, Any]:
    """An element with its name, kind, file, comment, and what is in it."""
    found = {
        "kind": element.kind,
        "name": element.name,
        "file": element.file.name,
        **_about(element),
    }
    return found | _inside(schema, element)


def _about(element: Element) -> dict[str, Any]:
    found = comments(element)
    text = "\n".join(part for part in (found.leading, found.trailing) if part)
    lines = [line.removeprefix(" ").rstrip() for line in text.splitlines()]
    about: dict[str, Any] = {"comment": "\n".join(lines).strip()}
    options = getattr(element.proto, "options", None)
    about["deprecated"] = bool(getattr(options, "deprecated", False))
    return about


def _inside(schema: Schema, element: Element) -> dict[str, Any]:
    children = schema.inside(element)
    if element.kind == "service":
        return {"methods": [_short(each) | _method(each) for each in children]}
    if element.kind == "method":
        return _method(element)
    if element.kind == "enum":
        return {"values": [_short(each) | {"number": each.proto.number} for each in children]}
    if element.kind == "value":
        return {"number": element.proto.number}
    if element.kind in {"field", "extension"}:
        return _field(schema, element)
    if element.kind == "oneof":
        message, index = schema.find(element.parent), element.path[-1]
        members = [each.name for each in message.proto.field if _member(each, index)]
        return {"fields": members}
    return {
        "fields": [_short(each) | _field(schema, each) for each in children if each.kind == "field"],
        "oneofs": [each.proto.name for each in children if each.kind == "oneof"],
        "messages": [each.name for each in children if each.kind == "message"],
        "enums": [each.name for each in children if each.kind == "enum"],
    }


def _short(element: Element) -> dict[str, Any]:
    return {"name": element.proto.name, **_about(element)}


def _member(field: FieldDescriptorProto, index: int) -> bool:
    return field.HasField("oneof_index") and field.oneof_index == index


def _method(element: Element) -> dict[str, Any]:
    method = element.proto
    level = MethodOptions.IdempotencyLevel.Name(method.options.idempotency_level)
    return {
        "path": f"/{element.parent}/{method.name}",
        "request": method.input_type.removeprefix("."),
        "response": method.output_type.removeprefix("."),
        "client_streaming": method.client_streaming,
        "server_streaming": method.server_streaming,
        "idempotency": "" if level == "IDEMPOTENCY_UNKNOWN" else level.lower(),
    }


def _field(schema: Schema, element: Element) -> dict[str, Any]:
    field = element.proto
    found: dict[str, Any] = {
        "number": field.number,
        "json_name": field.json_name,
        "type": _field_type(field),
        "label": FieldDescriptorProto.Label.Name(field.label)[6:].lower(),
    }
    if field.HasField("default_value"):
        found["default"] = field.default_value
    if element.kind == "extension":
        return found | {"extends": field.extendee.removeprefix(".")}
    message = schema.find(element.parent).proto
    if field.HasField("oneof_index") and field.oneof_index in real_oneofs(message):
        found["oneof"] = message.oneof_decl[field.oneof_index].name
    for nested in message.nested_type:
        if nested.options.map_entry and field.type_name == f".{element.parent}.{nested.name}":
            kinds = [_field_type(each) for each in nested.field]
            found |= {"label": "map", "type": f"map<{', '.join(kinds)}>"}
    if field.proto3_optional:
        found["optional"] = True
    return found


def _field_type(field: FieldDescriptorProto) -> str:
    return field.type_name.removeprefix(".") or FieldDescriptorProto.Type.Name(field.type)[5:].lower()
