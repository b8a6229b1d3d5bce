"""What a portable module does when it is imported: the text below the imports goes into generated code.

Uses only what protobuf offers to everybody in 3.20.3 and in 7: `google.protobuf.internal`, which stock
output is built on, differs from version to version.

Without a package the text stands in the module that it builds, where a message may have any name: `list`, or that
of a helper. So what it finds becomes the module's only at the end, and nothing here that runs later reads a global;
builtins go by `_builtins`, for a publicly imported file may define messages of their names before.
"""

from __future__ import annotations

import builtins as _builtins
from typing import Any as _Any

from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf import descriptor_pool as _descriptor_pool
from google.protobuf import message as _message
from google.protobuf import message_factory as _message_factory
from google.protobuf import reflection as _reflection
from google.protobuf import symbol_database as _symbol_database


def _build(file: _Any, names: dict[str, _Any]) -> None:
    """Define in a module (its globals) what protoc's own output for the file defines."""
    found: dict[str, _Any] = {}
    for message in file.message_types_by_name.values():
        found[message.name] = _build_class(message, message.name, names["__name__"], found)
    # The class of enum wrappers has no public name, but it has public instances.
    wrapper: _Any = _builtins.type(_descriptor_pb2.FieldDescriptorProto.Type)
    for enum in file.enum_types_by_name.values():
        found["_" + enum.name.upper()] = enum
        found[enum.name] = wrapper(enum)
        for value in enum.values:
            found[value.name] = value.number
    for extension in file.extensions_by_name.values():
        found[extension.name.upper() + "_FIELD_NUMBER"] = extension.number
        found[extension.name] = extension
    for service in file.services_by_name.values():
        found["_" + service.name.upper()] = service
    _make_known(file)
    names.update(found)


def _build_class(message: _Any, qualname: str, module: str, found: dict[str, _Any]) -> _Any:
    upper = "_" + qualname.upper().replace(".", "_")
    found[upper] = message
    for enum in message.enum_types:
        found[upper + "_" + enum.name.upper()] = enum
    attributes = {
        nested.name: _build_class(nested, qualname + "." + nested.name, module, found)
        for nested in message.nested_types
    }
    attributes.update(DESCRIPTOR=message, __module__=module, __qualname__=qualname)
    if message.containing_type is not None:
        attributes["__reduce__"] = _reduce
    made: _Any = _reflection.GeneratedProtocolMessageType(message.name, (_message.Message,), attributes)
    if message.file.pool is _descriptor_pool.Default():
        _symbol_database.Default().RegisterMessage(made)
    return made


def _reduce(message: _Any) -> _Any:
    # protobuf's own looks a nested class up in the default pool, where another tree's may be.
    return message.__class__, (), message.__getstate__()


def _make_known(file: _Any) -> None:
    # From 4.25 on, extensions and the classes of imported types are found when they are first used.
    class_of: _Any = _builtins.getattr(_message_factory, "GetMessageClass", None)
    if class_of is None:
        factory: _Any = _message_factory.MessageFactory(file.pool)
        class_of = factory.GetPrototype
    messages = [*file.message_types_by_name.values()]
    fields = [*file.extensions_by_name.values()]
    for message in messages:  # which grows on the way
        messages.extend(message.nested_types)
        fields += [*message.fields, *message.extensions]
    for field in fields:
        try:
            if field.message_type is not None:
                class_of(field.message_type)
            if field.is_extension:
                _builtins.getattr(class_of(field.containing_type), "RegisterExtension", _builtins.id)(field)
        except _builtins.NotImplementedError:  # from protobuf 4 with C, which finds extensions by itself
            continue
