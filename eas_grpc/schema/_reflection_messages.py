"""The messages of server reflection, whose two versions are the same on the wire, in a pool of their own.

In protobuf's default pool they would collide with an installed grpcio-reflection.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

__all__ = ["VERSIONS", "messages"]

VERSIONS = ("v1", "v1alpha")

_PACKAGE = "eas_grpc.reflection"
_TEXT, _BYTES, _INT = (
    FieldDescriptorProto.TYPE_STRING,
    FieldDescriptorProto.TYPE_BYTES,
    FieldDescriptorProto.TYPE_INT32,
)

# name, number, type (a message by its name), and "*" for a list or the name of the oneof that it is in.
_MESSAGES: dict[str, list[tuple[str, int, int | str, str]]] = {
    "ExtensionRequest": [("containing_type", 1, _TEXT, ""), ("extension_number", 2, _INT, "")],
    "ServerReflectionRequest": [
        ("host", 1, _TEXT, ""),
        ("file_by_filename", 3, _TEXT, "message_request"),
        ("file_containing_symbol", 4, _TEXT, "message_request"),
        ("file_containing_extension", 5, "ExtensionRequest", "message_request"),
        ("all_extension_numbers_of_type", 6, _TEXT, "message_request"),
        ("list_services", 7, _TEXT, "message_request"),
    ],
    "FileDescriptorResponse": [("file_descriptor_proto", 1, _BYTES, "*")],
    "ExtensionNumberResponse": [("base_type_name", 1, _TEXT, ""), ("extension_number", 2, _INT, "*")],
    "ServiceResponse": [("name", 1, _TEXT, "")],
    "ListServiceResponse": [("service", 1, "ServiceResponse", "*")],
    "ErrorResponse": [("error_code", 1, _INT, ""), ("error_message", 2, _TEXT, "")],
    "ServerReflectionResponse": [
        ("valid_host", 1, _TEXT, ""),
        ("original_request", 2, "ServerReflectionRequest", ""),
        ("file_descriptor_response", 4, "FileDescriptorResponse", "message_response"),
        ("all_extension_numbers_response", 5, "ExtensionNumberResponse", "message_response"),
        ("list_services_response", 6, "ListServiceResponse", "message_response"),
        ("error_response", 7, "ErrorResponse", "message_response"),
    ],
}


@lru_cache
def messages() -> tuple[Any, Any]:
    """The classes of a question and of an answer."""
    file = FileDescriptorProto(name="eas_grpc/reflection.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind, place in fields:
            label = (
                FieldDescriptorProto.LABEL_REPEATED if place == "*" else FieldDescriptorProto.LABEL_OPTIONAL
            )
            field = message.field.add(name=field_name, number=number, label=label)
            if isinstance(kind, str):
                field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                field.type = kind  # type: ignore[assignment]
            if place not in {"", "*"}:
                if not message.oneof_decl:
                    message.oneof_decl.add(name=place)
                field.oneof_index = 0
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    request, response = (
        GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.ServerReflection{end}"))
        for end in ("Request", "Response")
    )
    return request, response
