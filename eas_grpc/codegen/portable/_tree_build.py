"""What a portable module does when it is imported: the text below the imports goes into generated code.

Uses only what protobuf offers to everybody in 3.20.3 and in 7: `google.protobuf.internal`, which stock
output is built on, differs from version to version.
"""

from __future__ import annotations

from typing import Any as _Any

from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf import descriptor_pool as _descriptor_pool
from google.protobuf import message as _message
from google.protobuf import message_factory as _message_factory
from google.protobuf import reflection as _reflection
from google.protobuf import symbol_database as _symbol_database


def _build(file: _Any, names: dict[str, _Any]) -> None:
    """Define in a module (its globals) what protoc's own output for the file defines."""
    for message in file.message_types_by_name.values():
        names[message.name] = _build_class(message, message.name, names)
    # The class of enum wrappers has no public name, but it has public instances.
    wrapper: _Any = type(_descriptor_pb2.FieldDescriptorProto.Type)
    for enum in file.enum_types_by_name.values():
        names["_" + enum.name.upper()] = enum
        names[enum.name] = wrapper(enum)
        for value in enum.values:
            names[value.name] = value.number
    for extension in file.extensions_by_name.values():
        names[extension.name.upper() + "_FIELD_NUMBER"] = extension.number
        names[extension.name] = extension
    for service in file.services_by_name.values():
        names["_" + service.name.upper()] = service
    _make_known(file)


def _build_class(message: _Any, qualname: str, names: dict[str, _Any]) -> _Any:
    upper = "_" + qualname.upper().replace(".", "_")
    names[upper] = message
    for enum in message.enum_types:
        names[upper + "_" + enum.name.upper()] = enum
    attributes = {
        nested.name: _build_class(nested, qualname + "." + nested.name, names)
        for nested in message.nested_types
    }
    attributes.update(DESCRIPTOR=message, __module__=names["__name__"], __qualname__=qualname)
    if message.containing_type is not None:
        attributes["__reduce__"] = _reduce
    made: _Any = _reflection.GeneratedProtocolMessageType(message.name, (_message.Message,), attributes)
    if message.file.pool is _descriptor_pool.Default():
        _symbol_database.Default().RegisterMessage(made)
    return made


def _reduce(message: _Any) -> _Any:
    # protobuf's own looks a nested class up in the default pool, where another tree's may be.
    return type(message), (), message.__getstate__()


def _make_known(file: _Any) -> None:
    # From 4.25 on, extensions and the classes of imported types are found when they are first used.
    class_of: _Any = getattr(_message_factory, "GetMessageClass", None)
    if class_of is None:
        factory: _Any = _message_factory.MessageFactory(file.pool)
        class_of = factory.GetPrototype
    messages = list(file.message_types_by_name.values())
    fields = list(file.extensions_by_name.values())
    for message in messages:  # which grows on the way
        messages.extend(message.nested_types)
        fields += [*message.fields, *message.extensions]
    for field in fields:
        try:
            if field.message_type is not None:
                class_of(field.message_type)
            if field.is_extension:
                getattr(class_of(field.containing_type), "RegisterExtension", id)(field)
        except NotImplementedError:  # from protobuf 4 with C, which finds extensions by itself
            continue
