"""Prints as JSON what the named generated modules declare. Run by test_foreign_schemas.py in either environment.

The modules are read and not imported: some of them would import the whole of TensorFlow. Names lose their
package, in which both sides differ on purpose.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    MethodDescriptorProto,
)

UNPACKABLE = {
    FieldDescriptorProto.TYPE_STRING,
    FieldDescriptorProto.TYPE_BYTES,
    FieldDescriptorProto.TYPE_MESSAGE,
    FieldDescriptorProto.TYPE_GROUP,
}


def schema(modules: list[str]) -> dict[str, dict]:
    dump = {"messages": {}, "reserved": {}, "enums": {}, "methods": {}}
    for module in modules:
        file = declared(module)
        assert file.syntax == "proto3", f"{module}: other rules for presence and packing than proto3's"
        for message in file.message_type:
            add_message(dump, message.name, message)
        for enum in file.enum_type:
            dump["enums"][enum.name] = values(enum)
        for service in file.service:
            for method in service.method:
                dump["methods"][f"{service.name}.{method.name}"] = described(method)
    return dump


def declared(module: str) -> FileDescriptorProto:
    """What the generated code hands to protobuf's registry."""
    places = [Path(folder, *module.split(".")).with_suffix(".py") for folder in sys.path]
    path = next((place for place in places if place.is_file()), None)
    assert path, f"no module {module} on {sys.path}"
    (data,) = [
        ast.literal_eval(node.args[0])
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "AddSerializedFile"
    ]
    return FileDescriptorProto.FromString(data)


def add_message(dump: dict[str, dict], path: str, message: DescriptorProto) -> None:
    dump["messages"][path] = {field.name: placed(message, field) for field in message.field}
    dump["reserved"][path] = [n for kept in message.reserved_range for n in range(kept.start, kept.end)]
    for enum in message.enum_type:
        dump["enums"][f"{path}.{enum.name}"] = values(enum)
    for nested in message.nested_type:
        add_message(dump, f"{path}.{nested.name}", nested)


def placed(message: DescriptorProto, field: FieldDescriptorProto) -> dict[str, object]:
    """Everything that decides how the field looks, as bytes and as JSON."""
    repeated = field.label == FieldDescriptorProto.LABEL_REPEATED
    packable = repeated and field.type not in UNPACKABLE
    return {
        "number": field.number,
        "type": simple(field.type_name) or FieldDescriptorProto.Type.Name(field.type),
        "repeated": repeated,
        "packed": packable and (field.options.packed or not field.options.HasField("packed")),
        "optional": field.proto3_optional,
        "oneof": message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else None,
        "json": field.json_name,
    }


def values(enum: EnumDescriptorProto) -> dict[str, int]:
    return {value.name: value.number for value in enum.value}


def described(method: MethodDescriptorProto) -> dict[str, object]:
    return {
        "request": simple(method.input_type),
        "response": simple(method.output_type),
        "client_streaming": method.client_streaming,
        "server_streaming": method.server_streaming,
    }


def simple(name: str) -> str:
    """`.tensorflow.serving.A.B` as `A.B`; protobuf's own types, which both sides share, in full."""
    if name.startswith(".google.protobuf."):
        return name
    return ".".join(part for part in name.split(".") if not part.islower()).lstrip(".")


if __name__ == "__main__":
    print(json.dumps(schema(sys.argv[1:])))
