"""Use everything in a generated tree, knowing none of it, and print what was used as JSON.

A program for a fresh process. Arguments: the folder to import from, the tree's package (may be empty), and
`imports`, `messages`, `calls`, or `descriptors` and a descriptor set by protoc itself. Every failure is a traceback.
"""

from __future__ import annotations

import asyncio
import copy
import importlib
import json
import os
import pickle
import sys
import traceback
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
from google.protobuf import json_format, text_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import Message

MANY = getattr(FieldDescriptor, "LABEL_REPEATED", 3)


class Tree:
    def __init__(self, root: str, package: str) -> None:
        self.package = package
        self.top = Path(root, *package.split(".")) if package else Path(root)

    def modules(self, ending: str = ".py") -> list[str]:
        found = []
        for path in sorted(self.top.rglob(f"*{ending}")):
            parts = list(path.relative_to(self.top).with_suffix("").parts)
            if parts[-1] == "__init__":
                parts.pop()
            found.append(".".join([*([self.package] if self.package else []), *parts]))
        return [name for name in found if name]

    def messages(self) -> list[ModuleType]:
        return [importlib.import_module(name) for name in self.modules("_pb2.py")]

    def services(self) -> Iterator[tuple[ModuleType, Any]]:
        """Each service with its module; the stubs of a file lie beside its messages."""
        for messages in self.messages():
            for service in messages.DESCRIPTOR.services_by_name.values():
                yield importlib.import_module(f"{messages.__name__}_grpc"), service


def imports(tree: Tree) -> dict[str, Any]:
    """Each module is the first one of the tree that a process imports: none may need another to come before it."""
    failed = {}
    modules = tree.modules()
    for name in modules:
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            try:
                importlib.import_module(name)
            except BaseException:
                os.write(writer, traceback.format_exc()[-2000:].encode())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as answer:
            said = answer.read()
        os.waitpid(child, 0)
        if said:
            failed[name] = said
    return {"modules": len(modules), "failed": failed}


# What has a JSON form of its own cannot be filled blindly.
LEFT_ALONE = {f"google.protobuf.{name}" for name in ("Any", "Struct", "Value", "ListValue", "NullValue")}
SCALARS = {
    FieldDescriptor.CPPTYPE_BOOL: True,
    FieldDescriptor.CPPTYPE_DOUBLE: 0.5,
    FieldDescriptor.CPPTYPE_FLOAT: 0.25,
    FieldDescriptor.CPPTYPE_INT32: 7,
    FieldDescriptor.CPPTYPE_INT64: 8,
    FieldDescriptor.CPPTYPE_UINT32: 9,
    FieldDescriptor.CPPTYPE_UINT64: 10,
}


def scalar(field: FieldDescriptor) -> Any:
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return b"\x00\xff" if field.type == FieldDescriptor.TYPE_BYTES else "täxt"
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return field.enum_type.values[-1].number
    return SCALARS[field.cpp_type]


def is_message(field: FieldDescriptor) -> bool:
    return field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE


def is_many(field: FieldDescriptor) -> bool:
    return bool(field.is_repeated) if hasattr(field, "is_repeated") else field.label == MANY


def is_required(field: FieldDescriptor) -> bool:
    return bool(field.is_required) if hasattr(field, "is_required") else field.label == 2


def fill(message: Message, depth: int = 3) -> Message:
    """Set every field, down to a depth; of a oneof the last one stays."""
    if message.DESCRIPTOR.full_name in LEFT_ALONE:
        return message
    for field in message.DESCRIPTOR.fields:
        kind = field.message_type if is_message(field) else None
        if kind is not None and kind.full_name in LEFT_ALONE:
            continue
        if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM and field.enum_type.full_name in LEFT_ALONE:
            continue
        if not depth and not is_required(field):
            continue
        below = max(depth - 1, 0)
        if kind is not None and kind.GetOptions().map_entry:
            key, value = kind.fields_by_name["key"], kind.fields_by_name["value"]
            if not is_message(value):
                getattr(message, field.name)[scalar(key)] = scalar(value)
            elif value.message_type.full_name not in LEFT_ALONE:
                fill(getattr(message, field.name)[scalar(key)], below)
        elif kind is not None and is_many(field):
            fill(getattr(message, field.name).add(), below)
        elif kind is not None:
            getattr(message, field.name).SetInParent()
            fill(getattr(message, field.name), below)
        elif is_many(field):
            getattr(message, field.name).extend([scalar(field)] * 2)
        else:
            setattr(message, field.name, scalar(field))
    return message


def classes(holder: Any, descriptors: Any) -> Iterator[tuple[Any, Descriptor]]:
    """The class of each message, found by the names that a user would write."""
    for name, descriptor in descriptors.items():
        if descriptor.GetOptions().map_entry:
            continue
        cls = getattr(holder, name)
        yield cls, descriptor
        yield from classes(cls, descriptor.nested_types_by_name)


def use_message(module: ModuleType, cls: Any, descriptor: Descriptor) -> None:
    assert cls.DESCRIPTOR is descriptor, cls
    assert cls.__module__ == module.__name__, (cls, cls.__module__)
    assert pickle.loads(pickle.dumps(cls)) is cls
    message = fill(cls())
    data = message.SerializeToString(deterministic=True)

    for each in (pickle.loads(pickle.dumps(message)), copy.deepcopy(message), cls.FromString(data)):
        assert type(each) is cls, (type(each), cls)
        assert each == message and each.SerializeToString(deterministic=True) == data, cls
    assert text_format.Parse(text_format.MessageToString(message), cls()) == message, cls
    assert json_format.Parse(json_format.MessageToJson(message), cls()) == message, cls
    for field in descriptor.fields:
        assert getattr(cls, f"{field.name.upper()}_FIELD_NUMBER") == field.number, field.full_name
        if not field.has_presence:
            continue
        assert message.HasField(field.name) == (field.name in {f.name for f, _ in message.ListFields()})
    for oneof in descriptor.oneofs:
        assert message.WhichOneof(oneof.name) in {field.name for field in oneof.fields}, oneof.full_name
    for enum in descriptor.enum_types:
        use_enum(cls, enum)


def use_enum(holder: Any, descriptor: EnumDescriptor) -> None:
    wrapper = getattr(holder, descriptor.name)
    numbers = {value.name: value.number for value in descriptor.values}
    assert dict(wrapper.items()) == numbers and wrapper.keys() == list(numbers)
    for name, number in numbers.items():
        assert wrapper.Value(name) == number == getattr(holder, name), (descriptor.full_name, name)
        assert numbers[wrapper.Name(number)] == number


def use_extension(holder: Any, extension: FieldDescriptor) -> None:
    handle = getattr(holder, extension.name)
    assert handle.number == extension.number and handle is extension
    if extension.containing_type.full_name.startswith("google.protobuf."):
        return  # options, which are read from descriptors
    cls = type(fill(message_class(extension.containing_type)()))
    message = fill(cls())
    held = message.Extensions
    if is_message(extension):
        held[handle].SetInParent()
        fill(held[handle])
    elif is_many(extension):
        held[handle].extend([scalar(extension)] * 2)
    else:
        held[handle] = scalar(extension)
    for each in (pickle.loads(pickle.dumps(message)), cls.FromString(message.SerializeToString())):
        assert each == message, extension.full_name
        assert each.Extensions[handle] == held[handle], extension.full_name


def message_class(descriptor: Descriptor) -> Any:
    return descriptor._concrete_class


def messages(tree: Tree) -> dict[str, Any]:
    """Make, fill, send through bytes, pickle, text and JSON, and compare: every message, enum and extension."""
    counts = {"files": 0, "messages": 0, "enums": 0, "extensions": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for module in tree.messages():
            file = module.DESCRIPTOR
            counts["files"] += 1
            holders = [(module, file.extensions_by_name.values())]
            for cls, descriptor in classes(module, file.message_types_by_name):
                use_message(module, cls, descriptor)
                counts["messages"] += 1
                counts["enums"] += len(descriptor.enum_types)
                holders.append((cls, descriptor.extensions))
            for enum in file.enum_types_by_name.values():
                use_enum(module, enum)
                counts["enums"] += 1
            for holder, extensions in holders:
                for extension in extensions:
                    use_extension(holder, extension)
                    counts["extensions"] += 1
    return counts


def descriptors(tree: Tree, reference: str) -> dict[str, Any]:
    """What each module embeds is what protoc makes of the proto, whose path alone may differ."""
    # After the modules, so that options of one's own are known fields on both sides.
    modules = tree.messages()
    prefix = tree.package.replace(".", "/") + "/" if tree.package else ""
    found = {}
    for module in modules:
        file = FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)
        file.name = file.name.removeprefix(prefix)
        file.dependency[:] = [name.removeprefix(prefix) for name in file.dependency]
        found[file.name] = file
    wanted = {file.name: file for file in FileDescriptorSet.FromString(Path(reference).read_bytes()).file}
    for name, file in found.items():
        assert plain(file) == plain(wanted[name]), (name, file, wanted[name])
    return {"files": len(found)}


def plain(file: FileDescriptorProto) -> FileDescriptorProto:
    """Without the JSON names that follow from the names, which only descriptor sets spell out."""
    file.ClearField("source_code_info")
    above: list[Any] = [file]
    for holder in above:
        above += holder.message_type if holder is file else holder.nested_type
        for field in (*holder.extension, *(() if holder is file else holder.field)):
            first, *rest = field.name.split("_")
            if field.json_name == first + "".join(part[:1].upper() + part[1:] for part in rest):
                field.ClearField("json_name")
    return file


def shape(method: MethodDescriptor) -> str:
    kinds = {False: "unary", True: "stream"}
    return f"{kinds[method.client_streaming]}_{kinds[method.server_streaming]}"


def answer(method: MethodDescriptor) -> Message:
    return fill(message_class(method.output_type)())


def handler(method: MethodDescriptor, seen: list[str]) -> Any:
    """A method of a servicer: checks the request, and answers with three replies or one."""

    def check(requests: Any) -> None:
        wanted = fill(message_class(method.input_type)())
        got = list(requests) if method.client_streaming else [requests]
        assert got == [wanted] * (3 if method.client_streaming else 1), (method.full_name, got)
        seen.append(method.full_name)

    def one(self: Any, requests: Any, context: grpc.ServicerContext) -> Message:
        check(requests)
        return answer(method)

    def many(self: Any, requests: Any, context: grpc.ServicerContext) -> Iterator[Message]:
        check(requests)
        yield from [answer(method)] * 3

    return many if method.server_streaming else one


def serve(server: grpc.Server, tree: Tree, seen: list[str]) -> None:
    for module, service in tree.services():
        members = {method.name: handler(method, seen) for method in service.methods}
        base = getattr(module, f"{service.name}Servicer")
        assert set(members) <= set(dir(base)), service.full_name
        implementation = type(f"My{service.name}", (base,), members)()
        getattr(module, f"add_{service.name}Servicer_to_server")(implementation, server)


def request(method: MethodDescriptor) -> Any:
    message = fill(message_class(method.input_type)())
    return iter([message] * 3) if method.client_streaming else message


def check_replies(method: MethodDescriptor, replies: list[Message]) -> None:
    wanted = answer(method)
    assert replies == [wanted] * (3 if method.server_streaming else 1), (method.full_name, replies)
    assert all(type(reply) is type(wanted) for reply in replies), method.full_name


def call_sync(tree: Tree, address: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    with grpc.insecure_channel(address) as channel:
        for module, service in tree.services():
            stub = getattr(module, f"{service.name}Stub")(channel)
            for method in service.methods:
                replies = getattr(stub, method.name)(request(method), timeout=20)
                check_replies(method, list(replies) if method.server_streaming else [replies])
                counts[shape(method)] = counts.get(shape(method), 0) + 1
    return counts


async def call_async(tree: Tree, address: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    async with grpc.aio.insecure_channel(address) as channel:
        for module, service in tree.services():
            stub = getattr(module, f"{service.name}Stub")(channel)
            for method in service.methods:
                call = getattr(stub, method.name)(request(method), timeout=20)
                check_replies(method, [r async for r in call] if method.server_streaming else [await call])
                counts[shape(method)] = counts.get(shape(method), 0) + 1
    return counts


def calls(tree: Tree) -> dict[str, Any]:
    """Serve all services on one port, and call every method by the stubs of both colours."""
    seen: list[str] = []
    server = grpc.server(ThreadPoolExecutor(4))
    serve(server, tree, seen)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        found = {"sync": call_sync(tree, f"127.0.0.1:{port}")}
        found["aio"] = asyncio.run(call_async(tree, f"127.0.0.1:{port}"))
    finally:
        server.stop(None).wait()
    return {**found, "served": len(seen)}


if __name__ == "__main__":
    root, package, verb, *more = sys.argv[1:]
    verbs: Any = {"imports": imports, "messages": messages, "calls": calls, "descriptors": descriptors}
    print(json.dumps(verbs[verb](Tree(root, package), *more)))
