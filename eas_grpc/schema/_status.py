"""What a service adds to a status: google.rpc.Status in the trailing metadata, with its details decoded."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from eas_grpc.schema._files import make_pool, well_known
from eas_grpc.schema._schema import Schema
from eas_grpc.schema._to_json import to_plain, type_name

__all__ = ["status_details"]

_KEY = "grpc-status-details-bin"
_TEXT, _INT, _MESSAGE = (
    FieldDescriptorProto.TYPE_STRING,
    FieldDescriptorProto.TYPE_INT32,
    FieldDescriptorProto.TYPE_MESSAGE,
)
_MAP = "map"

# google/rpc/error_details.proto: the fields in order of their numbers, a list where they repeat.
_DETAILS: dict[str, list[tuple[str, Any]]] = {
    "RetryInfo": [("retry_delay", ".google.protobuf.Duration")],
    "DebugInfo": [("stack_entries", [_TEXT]), ("detail", _TEXT)],
    "QuotaFailure": [("violations", ["Violation"])],
    "QuotaFailure.Violation": [("subject", _TEXT), ("description", _TEXT)],
    "ErrorInfo": [("reason", _TEXT), ("domain", _TEXT), ("metadata", _MAP)],
    "PreconditionFailure": [("violations", ["Violation"])],
    "PreconditionFailure.Violation": [("type", _TEXT), ("subject", _TEXT), ("description", _TEXT)],
    "BadRequest": [("field_violations", ["FieldViolation"])],
    "BadRequest.FieldViolation": [
        ("field", _TEXT),
        ("description", _TEXT),
        ("reason", _TEXT),
        ("localized_message", ".google.rpc.LocalizedMessage"),
    ],
    "RequestInfo": [("request_id", _TEXT), ("serving_data", _TEXT)],
    "ResourceInfo": [
        ("resource_type", _TEXT),
        ("resource_name", _TEXT),
        ("owner", _TEXT),
        ("description", _TEXT),
    ],
    "Help": [("links", ["Link"])],
    "Help.Link": [("description", _TEXT), ("url", _TEXT)],
    "LocalizedMessage": [("locale", _TEXT), ("message", _TEXT)],
    "Status": [("code", _INT), ("message", _TEXT), ("details", [".google.protobuf.Any"])],
}


def status_details(
    trailing_metadata: Iterable[tuple[str, Any]], schema: Schema | None
) -> list[dict[str, Any]]:
    """The details of a failed call as data that JSON can hold, each with its type as `@type`; [] without any.

    The messages of google/rpc/error_details.proto are known; others as far as the schema has them.
    """
    found = []
    for key, value in trailing_metadata or ():
        if key.lower() != _KEY or not isinstance(value, bytes):
            continue
        try:
            status: Any = GetMessageClass(_known().FindMessageTypeByName("google.rpc.Status")).FromString(
                value
            )
        except DecodeError:
            continue
        found += [_detail(each, schema) for each in status.details]
    return found


def _detail(any_: Any, schema: Schema | None) -> dict[str, Any]:
    name = type_name(any_.type_url)
    pool = _known()
    if schema is not None:
        try:
            schema.pool.FindMessageTypeByName(name)
        except KeyError:
            pass
        else:
            pool = schema.pool
    plain: dict[str, Any] = to_plain(pool, any_)
    return plain


@lru_cache
def _known() -> DescriptorPool:
    """A pool of google.rpc's messages, which need not be installed for that."""
    file = FileDescriptorProto(name="google/rpc/details.proto", package="google.rpc", syntax="proto3")
    imports = [f"google/protobuf/{name}.proto" for name in ("any", "duration")]
    file.dependency.extend(imports)
    for name, fields in _DETAILS.items():
        _add_message(file, name, fields)
    own = [each for name in imports if (each := well_known(name)) is not None]
    return make_pool([*own, file], origin="google.rpc")


def _add_message(file: FileDescriptorProto, name: str, fields: list[tuple[str, Any]]) -> None:
    outer, _, inner = name.rpartition(".")
    # `add()` is typed for each container on its own.
    parent: Any = next((each for each in file.message_type if each.name == outer), None)
    message = (parent.nested_type if parent else file.message_type).add(name=inner)
    full = f".google.rpc.{name}"
    for number, (field_name, said) in enumerate(fields, 1):
        kind, repeated = (said[0], True) if isinstance(said, list) else (said, said == _MAP)
        label = FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
        made = message.field.add(name=field_name, number=number, label=label)
        if kind == _MAP:
            made.type, made.type_name = _MESSAGE, f"{full}.MetadataEntry"
            _add_entry(message)
        elif isinstance(kind, str):
            made.type, made.type_name = _MESSAGE, kind if kind.startswith(".") else f"{full}.{kind}"
        else:
            made.type = kind


def _add_entry(message: Any) -> None:
    entry = message.nested_type.add(name="MetadataEntry")
    entry.options.map_entry = True
    for number, name in enumerate(("key", "value"), 1):
        entry.field.add(name=name, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL, type=_TEXT)
