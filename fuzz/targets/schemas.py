"""Descriptor sets: what `eas-grpc breaking --against` is given, compared with schemas of a compiler.

Changed as messages where that is possible. Only SchemaError is allowed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from eas_grpc_pb.greeter.v1 import greeter_pb2
from eas_grpc_pb.tensor.v1 import tensor_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from mutations import mutated

from eas_grpc.codegen._against import descriptor_set
from eas_grpc.codegen._elements import Schema, read_schema
from eas_grpc.codegen._rules import Level
from eas_grpc.codegen.breaking import breaking
from eas_grpc.codegen.breaking._shape import malformed
from eas_grpc.errors import SchemaError

RATE = 1500


def check(data: bytes) -> None:
    """Only SchemaError is allowed."""
    try:
        files = descriptor_set(data, Path("set"))
        schema = read_schema(files, [file.name for file in files.file], {})
    except SchemaError:
        return
    if malformed(schema) is None:
        for compiled in _compiled():
            breaking(schema, compiled, level=Level.SOURCE)


@cache
def _compiled() -> list[Schema]:
    sets = [FileDescriptorSet.FromString(data) for data in seeds()]
    return [read_schema(files, [file.name for file in files.file], {}) for files in sets]


def mutate(data: bytes, size: int, seed: int, plain: Callable[[bytes, int], bytes]) -> bytes:
    """Half of the time a message that protobuf can read."""
    rng = random.Random(seed)
    if rng.random() < 0.5:
        changed = mutated(data, FileDescriptorSet, rng)
        if changed is not None and len(changed) < size:
            return changed
    return plain(data, size)


def seeds() -> Iterator[bytes]:
    """Two of ours, and one with all that theirs lack."""
    for module in (greeter_pb2, tensor_pb2):
        file = FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        yield FileDescriptorSet(file=[file]).SerializeToString()
    file = FileDescriptorProto(name="a.proto", package="a.v1", syntax="editions")
    message = file.message_type.add(name="M")
    message.field.add(name="f", number=1, type=11, label=3, type_name=".a.v1.M.FEntry")
    message.field.add(
        name="g", number=2, type=14, label=1, type_name=".a.v1.E", default_value="B", oneof_index=0
    )
    message.field.add(name="h", number=3, type=1, label=2, default_value="nan")
    message.oneof_decl.add(name="o")
    entry = message.nested_type.add(name="FEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=9, label=1)
    entry.field.add(name="value", number=2, type=11, label=1, type_name=".a.v1.M")
    enum = file.enum_type.add(name="E")
    enum.value.add(name="A", number=1)
    enum.value.add(name="B", number=2)
    file.service.add(name="S").method.add(name="R", input_type=".a.v1.M", output_type=".a.v1.M")
    file.extension.add(name="x", number=100, type=5, label=1, extendee=".a.v1.M")
    file.source_code_info.location.add(path=[4, 0], span=[1, 2, 3], leading_comments=" eas-grpc: ignore X\n")
    yield FileDescriptorSet(file=[file]).SerializeToString()
