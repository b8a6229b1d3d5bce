"""Fields of a message by their dotted path, and what may be put into them. Pure."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from eas_grpc.errors import ConfigError
from eas_grpc.schema._to_json import is_map, is_repeated

if TYPE_CHECKING:
    from google.protobuf.descriptor import FieldDescriptor

    from eas_grpc.tensors._arrays import Array

__all__ = ["Place", "check_readable", "get", "locate", "put_array", "put_bytes", "put_text", "text_field"]

# Kinds of numpy's dtypes that a field takes, by protobuf's C++ type of it (descriptor.h): all that have their
# values in the field's own type, whose range is checked for each element.
_INTEGERS = (1, 2, 3, 4)
_FLOATS = (5, 6)
_BOOL, _ENUM, _STRING, _MESSAGE = 7, 8, 9, 10
_KINDS = {**dict.fromkeys(_INTEGERS, "iub"), **dict.fromkeys(_FLOATS, "fiub"), _BOOL: "b", _ENUM: "iu"}
_BYTES_TYPE = 12  # FieldDescriptor.TYPE_BYTES
_WRAPPERS = frozenset({"google.protobuf.BytesValue", "google.protobuf.StringValue"})


class Place(NamedTuple):
    """A field in a message that has it; `key` where it is an entry of a map."""

    owner: Any
    field: FieldDescriptor
    key: Any = None


def locate(message: Any, path: str) -> Place:
    """The field of this path, `image` or `inputs.0.data` or `files.key`; messages on the way are made.

    A number chooses from a list of messages, and the number after the last one adds one. Raises ConfigError.
    """
    names = path.split(".")
    while True:
        name = names.pop(0)
        field = _field(message.DESCRIPTOR, name, path)
        if names and is_map(field):
            value = _entry(field, "value")
            key = _key(_entry(field, "key"), names.pop(0), path)
            if not names:
                return Place(message, field, key)
            if value.message_type is None:
                raise ConfigError(f"{path!r} leads nowhere: the values of {name!r} have no fields")
            message = getattr(message, field.name)[key]
            continue
        if not names:
            return Place(message, field)
        if field.message_type is None:
            raise ConfigError(f"{path!r} leads nowhere: {name!r} is {_kind(field)}, which has no fields")
        if is_repeated(field):
            message = _element(getattr(message, field.name), names, path, name)
        else:
            message = getattr(message, field.name)
            message.SetInParent()
        if not names:
            raise ConfigError(f"{path!r} names a whole message: go on with one of its fields")


def get(message: Any, path: str) -> bytes:
    """The bytes, or the text in UTF-8, at this path of an answer, which stays as it is.

    Raises ConfigError for a path that leads nowhere, and for a field of another type.
    """
    value = message
    names = path.split(".")
    while names:
        name = names.pop(0)
        if hasattr(value, "DESCRIPTOR"):
            field = _field(value.DESCRIPTOR, name, path)
            if not is_repeated(field) and field.has_presence and not value.HasField(field.name):
                raise ConfigError(f"the answer has nothing at {path!r}: {name!r} is not set")
            value = getattr(value, field.name)
        elif hasattr(value, "keys"):
            found = {str(key).lower() if isinstance(key, bool) else str(key): key for key in value}
            if name not in found:
                raise ConfigError(f"the answer has nothing at {path!r}: its map has no key {name!r}")
            value = value[found[name]]
        elif hasattr(value, "append") or hasattr(value, "add"):
            if not name.isdecimal() or int(name) >= len(value):
                raise ConfigError(f"the answer has nothing at {path!r}: its list has {len(value)} elements")
            value = value[int(name)]
        else:
            raise ConfigError(f"{path!r} leads nowhere: there is nothing below the value before {name!r}")
    if hasattr(value, "DESCRIPTOR") and value.DESCRIPTOR.full_name in _WRAPPERS:
        value = value.value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    raise ConfigError(f"a file takes a field of bytes or text, and {path!r} is neither")


def check_readable(descriptor: Any, path: str) -> None:
    """Whether `get` may find something at this path in a message of this type. Raises ConfigError."""
    names = path.split(".")
    while names:
        field = _field(descriptor, names.pop(0), path)
        whole = field
        if is_repeated(field):
            if not names:
                raise ConfigError(f"{path!r} is {_kind(field)}: go on with the one that is meant, {path}.0")
            names.pop(0)
            whole = _entry(field, "value") if is_map(field) else field
        if names and whole.message_type is None:
            raise ConfigError(
                f"{path!r} leads nowhere: {field.name!r} is {_kind(field)}, which has no fields"
            )
        if not names:
            inner = _entry(whole, "value") if _wrapper(whole) else whole
            if inner.cpp_type != _STRING:
                raise ConfigError(f"a file takes a field of bytes or text, and {path!r} is {_kind(field)}")
        descriptor = whole.message_type


def text_field(descriptor: Any, path: str) -> bool:
    """Whether there is a single field of text at this path."""
    *first, last = path.split(".")
    for name in first:
        found = descriptor.fields_by_name.get(name)
        if found is None or found.message_type is None or is_repeated(found):
            return False
        descriptor = found.message_type
    found = descriptor.fields_by_name.get(last)
    return (
        found is not None
        and found.cpp_type == _STRING
        and found.type != _BYTES_TYPE
        and not is_repeated(found)
    )


def put_text(message: Any, path: str, text: str) -> None:
    """Sets a field of text."""
    place = locate(message, path)
    setattr(place.owner, place.field.name, text)


def put_bytes(message: Any, path: str, content: bytes, source: Path) -> None:
    """Sets a field of bytes, or one of text if that is what they are; adds to a list. Raises ConfigError."""
    place = locate(message, path)
    field = place.field if place.key is None else _entry(place.field, "value")
    inner = _entry(field, "value") if _wrapper(field) else field
    if inner.cpp_type != _STRING or (is_map(field) and place.key is None):
        raise ConfigError(f"a file goes into a field of bytes or text, and {path!r} is {_kind(field)}")
    value = content if inner.type == _BYTES_TYPE else _text(content, path, source)
    target = getattr(place.owner, place.field.name)
    if place.key is not None:
        if _wrapper(field):
            target[place.key].value = value
        else:
            target[place.key] = value
    elif is_repeated(field):
        if _wrapper(field):
            target.add(value=value)
        else:
            target.append(value)
    elif _wrapper(field):
        target.value = value
    else:
        setattr(place.owner, field.name, value)


def put_array(message: Any, path: str, array: Array) -> None:
    """Fills a list of numbers, or of bytes or text, row by row; a field of bytes takes the array's memory.

    Raises ConfigError for a field or a value that does not fit.
    """
    owner, field, key = locate(message, path)
    if key is not None or is_map(field):
        raise ConfigError(f"an array goes into a list or into a field of bytes, and {path!r} is in a map")
    if not is_repeated(field):
        if field.type != _BYTES_TYPE:
            raise ConfigError(
                f"an array goes into a list of numbers or into a field of bytes, and {path!r} is {_kind(field)}"
            )
        setattr(owner, field.name, _memory(array, path))
        return
    target = getattr(owner, field.name)
    try:
        target.extend(_elements(array, field, path))
    except (ValueError, TypeError) as error:
        raise ConfigError(f"an element does not fit {path!r}, {_kind(field)}: {error}") from None


def _elements(array: Array, field: FieldDescriptor, path: str) -> list[Any]:
    if field.cpp_type == _STRING:
        from eas_grpc.tensors._arrays import byte_items

        if array.dtype.kind not in "SU":
            raise ConfigError(f"{path!r} is {_kind(field)}, and the array is of {array.dtype.name}")
        items = byte_items(array, path)
        return items if field.type == _BYTES_TYPE else [_text(item, path, None) for item in items]
    if array.dtype.kind not in _KINDS.get(field.cpp_type, ""):
        raise ConfigError(
            f"{path!r} is {_kind(field)}, and the array is of {array.dtype.name}: convert it with .astype()"
        )
    return list(array.ravel().tolist())


def _memory(array: Array, path: str) -> bytes:
    """The elements as the tensor formats have them: row-major and little-endian."""
    if array.dtype.hasobject or array.dtype.kind in "SUV":
        raise ConfigError(f"{path!r} takes the memory of numbers, and the array is of {array.dtype.name}")
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _entry(field: FieldDescriptor, name: str) -> FieldDescriptor:
    """A field of the message that a field holds: of the entries of a map, or of a wrapper."""
    assert field.message_type is not None
    return field.message_type.fields_by_name[name]


def _field(descriptor: Any, name: str, path: str) -> FieldDescriptor:
    by_name, by_json = descriptor.fields_by_name, descriptor.fields_by_camelcase_name
    found: FieldDescriptor | None = by_name.get(name) or by_json.get(name)
    if found is not None:
        return found
    known = [each.name for each in descriptor.fields]
    close = get_close_matches(name, known, 1, 0.5)
    rest = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known) or 'no fields'}"
    where = "" if path == name else f" of {path!r}"
    raise ConfigError(f"{descriptor.full_name} has no field {name!r}{where}: {rest}")


def _element(items: Any, names: list[str], path: str, name: str) -> Any:
    if not names[0].isdecimal():
        raise ConfigError(
            f"{path!r} needs a number after {name!r}, which is a list: {name}.0 is its first message"
        )
    at = int(names.pop(0))
    if at < len(items):
        return items[at]
    if at > len(items):
        raise ConfigError(
            f"{path!r} leads nowhere: {name!r} has {len(items)} messages, so the next one is {len(items)}"
        )
    return items.add()


def _key(field: FieldDescriptor, text: str, path: str) -> Any:
    if field.cpp_type == _STRING:
        return text
    if field.cpp_type == _BOOL:
        if text in ("true", "false"):
            return text == "true"
    elif text.lstrip("-").isdecimal():
        return int(text)
    raise ConfigError(f"{text!r} in {path!r} is no key of that map, whose keys are of {_kind(field)}")


def _text(content: bytes, path: str, source: Path | None) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        what = "an element of the array" if source is None else str(source)
        raise ConfigError(f"{path!r} is a field of text, and {what} is not UTF-8") from None


def _wrapper(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.full_name in _WRAPPERS


def _kind(field: FieldDescriptor) -> str:
    """What a field is, in the words of a .proto."""
    if is_map(field):
        return "a map"
    name = _TYPES.get(field.type, "number")
    if field.message_type is not None:
        name = field.message_type.full_name
    elif field.enum_type is not None:
        name = field.enum_type.full_name
    return f"repeated {name}" if is_repeated(field) else name


_TYPES = {
    1: "double",
    2: "float",
    3: "int64",
    4: "uint64",
    5: "int32",
    6: "fixed64",
    7: "fixed32",
    8: "bool",
    9: "string",
    12: "bytes",
    13: "uint32",
    15: "sfixed32",
    16: "sfixed64",
    17: "sint32",
    18: "sint64",
}
