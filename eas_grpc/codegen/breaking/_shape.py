"""What a field is: its label, its type and its default, read from descriptors of every syntax and edition. Pure."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pb2 import FeatureSet, FieldDescriptorProto

from eas_grpc.codegen._elements import Element, Kind, Schema
from eas_grpc.codegen.breaking._types import Type

__all__ = ["default", "field_type", "label"]


def label(field: Element) -> str:
    """`map`, `repeated`, `required`, or singular: `explicit` if one can ask whether it is set, else `implicit`."""
    proto = field.proto
    if proto.label == FieldDescriptorProto.LABEL_REPEATED:
        return "map" if _entry(field) is not None else "repeated"
    if (
        proto.label == FieldDescriptorProto.LABEL_REQUIRED
        or field.features.field_presence == FeatureSet.LEGACY_REQUIRED
    ):
        return "required"
    has_presence = (
        field.kind is Kind.EXTENSION
        or proto.HasField("oneof_index")
        or proto.type in {FieldDescriptorProto.TYPE_MESSAGE, FieldDescriptorProto.TYPE_GROUP}
        or field.features.field_presence == FeatureSet.EXPLICIT
    )
    return "explicit" if has_presence else "implicit"


def field_type(field: Element, schema: Schema) -> Type:
    entry = _entry(field)
    if entry is not None:
        key, value = (_plain(part, field, schema) for part in entry.field)
        return Type("map", entry=(key, value))
    return _plain(field.proto, field, schema)


def default(field: Element, kind: Type) -> object:
    """What a reader sees who was sent nothing; written out or not, zero is zero."""
    text = field.proto.default_value
    if kind.word in {"string", "bytes", "message", "group", "map"}:
        return text
    if kind.word == "bool":
        return text == "true"
    if kind.word == "enum":
        # Without one it is the first value, which a change of the enum's order moves.
        return text or None
    if kind.word in {"float", "double"}:
        # As text, because nan is not equal to itself.
        return str(float(text or 0))
    return int(text or 0)


def _plain(proto: FieldDescriptorProto, field: Element, schema: Schema) -> Type:
    word = FieldDescriptorProto.Type.Name(proto.type).removeprefix("TYPE_").lower()
    if word == "message" and field.features.message_encoding == FeatureSet.DELIMITED:
        word = "group"
    if word != "enum":
        return Type(word, proto.type_name)
    enum = schema.named(Kind.ENUM).get(proto.type_name.lstrip("."))
    if enum is None:
        return Type(word, proto.type_name)
    values: dict[int, frozenset[str]] = {}
    for value in enum.proto.value:
        values[value.number] = values.get(value.number, frozenset()) | {value.name}
    closed = enum.features.enum_type == FeatureSet.CLOSED
    return Type(word, proto.type_name, values, closed)


def _entry(field: Element) -> Any:
    """The made-up message of a map's entries; None if the field is no map."""
    if field.parent is None or field.kind is not Kind.FIELD:
        return None
    wanted = field.proto.type_name
    return next(
        (
            nested
            for nested in field.parent.proto.nested_type
            if nested.options.map_entry and wanted == f".{field.parent.full_name}.{nested.name}"
        ),
        None,
    )
