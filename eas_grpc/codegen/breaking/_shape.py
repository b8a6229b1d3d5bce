"""What a field is: its label, its type and its default, read from descriptors of every syntax and edition. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from google.protobuf.descriptor_pb2 import FeatureSet, FieldDescriptorProto

from eas_grpc.codegen._elements import Element, Kind, Schema
from eas_grpc.codegen.breaking._types import Type

__all__ = ["default", "field_type", "label", "malformed"]


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
        return Type("map", entry=_pair(entry, field.features, schema))
    plain = _plain(field.proto, field.features, schema)
    message = schema.named(Kind.MESSAGE).get(plain.name.lstrip("."))
    repeated = field.proto.label == FieldDescriptorProto.LABEL_REPEATED
    if not repeated or plain.word != "message" or message is None or not _is_like_entry(schema, message):
        return plain
    return replace(plain, like_entry=_pair(message.proto, message.features, schema))


def default(field: Element, kind: Type) -> object:
    """What a reader sees who was sent nothing; written out or not, zero is zero."""
    text = field.proto.default_value
    if kind.word in {"string", "bytes", "message", "group", "map"}:
        return text
    if kind.word == "bool":
        return text == "true"
    if kind.word == "enum":
        if kind.values is None:
            return text or None
        # Without one it is the first value, which a change of the enum's order moves; an alias is the same value.
        named = (number for number, names in kind.values.items() if not text or text in names)
        return next(named, text)
    if kind.word in {"float", "double"}:
        # As text, because nan is not equal to itself.
        return str(float(text or 0))
    return int(text or 0)


def malformed(schema: Schema) -> Element | None:
    """The first field that no compiler would write and that nothing here could read; None if all can be."""
    return next(
        (f for kind in (Kind.FIELD, Kind.EXTENSION) for f in schema.of(kind) if _is_malformed(f, schema)),
        None,
    )


def _is_malformed(field: Element, schema: Schema) -> bool:
    entry = _entry(field)
    if entry is not None and {part.number for part in entry.field} != {1, 2}:
        return True
    if field.proto.HasField("oneof_index"):
        oneofs = 0 if field.parent is None else len(getattr(field.parent.proto, "oneof_decl", ()))
        if not 0 <= field.proto.oneof_index < oneofs:
            return True
    try:
        default(field, field_type(field, schema))
    except ValueError:
        return True
    return False


def _is_like_entry(schema: Schema, message: Element) -> bool:
    fields = schema.inside(message, Kind.FIELD)
    return {f.proto.number for f in fields} == {1, 2} and all(
        label(f) in {"explicit", "implicit"} and f.features.message_encoding != FeatureSet.DELIMITED
        for f in fields
    )


def _pair(message: Any, features: FeatureSet, schema: Schema) -> tuple[Type, Type]:
    """The types of the fields 1 and 2: a map's key and value."""
    inherited = FeatureSet()
    inherited.CopyFrom(features)
    # A map's entries and values have a length in front, whatever the file says.
    inherited.message_encoding = FeatureSet.LENGTH_PREFIXED
    by_number = {part.number: _plain(part, inherited, schema) for part in message.field}
    return by_number[1], by_number[2]


def _plain(proto: FieldDescriptorProto, features: FeatureSet, schema: Schema) -> Type:
    word = FieldDescriptorProto.Type.Name(proto.type).removeprefix("TYPE_").lower()
    if word == "message" and features.message_encoding == FeatureSet.DELIMITED:
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
