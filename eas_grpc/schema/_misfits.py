"""What in JSON does not fit a message, with its place: names and kinds before protobuf's parser, values after it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from eas_grpc.schema._elements import nearest
from eas_grpc.schema._to_json import SPECIAL, is_map, is_repeated, type_name

__all__ = ["culprits", "misfits"]

_ANY = "google.protobuf.Any"
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}\Z", re.ASCII)
_SHORT = 60


def misfits(pool: DescriptorPool, descriptor: Any, data: Any, path: str) -> Iterator[str]:
    """What is wrong with the names and the kinds of the objects in `data`; its values are protobuf's to judge."""
    name = descriptor.full_name
    if name == _ANY:
        yield from _misfits_in_any(pool, data, path)
        return
    if name in SPECIAL:
        if name == "google.protobuf.BytesValue":
            yield from _bytes_misfits(path, data)
        return
    if not isinstance(data, dict):
        if not path:
            yield f"a {name} is an object {{...}}, not {_kind(data)}"
        else:
            yield f"`{path}` is a {name}, written as an object {{...}}, not {_kind(data)}"
        return
    fields = {field.json_name: field for field in descriptor.fields}
    names = {**fields, **descriptor.fields_by_name}
    seen: dict[str, str] = {}
    for key, value in data.items():
        here = f"{path}.{key}" if path else str(key)
        if not isinstance(key, str) or (key.startswith("[") and key.endswith("]")):
            continue
        field = names.get(key)
        if field is None:
            inside = f"`{path}`, a {name}," if path else name
            known = nearest(key, names)
            if not known:
                known = f": it has {', '.join(fields)}" if len(fields) <= 12 else ""
                known = known if fields else ": it has no fields"
            yield f"{inside} has no field `{key}`{known}"
            return
        if (other := seen.setdefault(field.name, key)) != key:
            yield f"`{here}` is given twice, as `{other}` too"
        if field.type == FieldDescriptor.TYPE_BYTES:
            yield from _bytes_misfits(here, value)
        if field.message_type is None or value is None:
            continue
        if is_map(field):
            if isinstance(value, dict):
                inner = field.message_type.fields_by_name["value"].message_type
                for each, item in value.items() if inner is not None else ():
                    yield from misfits(pool, inner, item, f"{here}[{json.dumps(each)}]")
        elif is_repeated(field):
            if isinstance(value, list):
                for index, item in enumerate(value):
                    yield from misfits(pool, field.message_type, item, f"{here}[{index}]")
        else:
            yield from misfits(pool, field.message_type, value, here)


def _misfits_in_any(pool: DescriptorPool, data: Any, path: str) -> Iterator[str]:
    at = f"`{path}`" if path else "this"
    if not isinstance(data, dict):
        yield f'{at} is a {_ANY}, written as an object with "@type", not {_kind(data)}'
        return
    if not data:
        return
    url = data.get("@type")
    if not isinstance(url, str) or not type_name(url):
        yield f'{at} is a {_ANY}: say which message it holds with "@type": "type.googleapis.com/package.Message"'
        return
    try:
        inner = pool.FindMessageTypeByName(type_name(url))
    except KeyError:
        yield f"{at} holds a {type_name(url)!r}, which the schema does not know"
        return
    if inner.full_name not in SPECIAL and inner.full_name != _ANY:
        rest = {key: value for key, value in data.items() if key != "@type"}
        yield from misfits(pool, inner, rest, path)


def _kind(data: Any) -> str:
    if data is None:
        return "null"
    if isinstance(data, bool):
        return "true or false"
    if isinstance(data, int | float):
        return "a number"
    return "a list" if isinstance(data, list) else "an object" if isinstance(data, dict) else "a text"


def _bytes_misfits(path: str, value: Any) -> Iterator[str]:
    """The texts that are no base64; the parser would leave out what it does not know, and shorten the bytes."""
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, str) and (not _BASE64.match(each) or len(each.rstrip("=")) % 4 == 1):
            yield f"`{path}` is bytes, written as base64: {_short(each)} is none"


def culprits(pool: DescriptorPool, descriptor: Any, data: Any, path: str) -> Iterator[str]:
    """The values that protobuf's parser refuses when it is given each alone; names and kinds are known to fit."""
    if not isinstance(data, dict) or descriptor.full_name in SPECIAL:
        return
    if descriptor.full_name == _ANY:
        try:
            inner = pool.FindMessageTypeByName(type_name(data.get("@type", "")))
        except KeyError:
            return
        if inner.full_name not in SPECIAL:
            rest = {key: value for key, value in data.items() if key != "@type"}
            yield from culprits(pool, inner, rest, path)
        return
    names = {**{field.json_name: field for field in descriptor.fields}, **descriptor.fields_by_name}
    for key, value in data.items():
        field = names.get(key)
        if field is None:
            continue
        for place, item, given in _parts(field, key, value):
            here = f"{path}.{key}{place}" if path else f"{key}{place}"
            inner = _message_of(field)
            if isinstance(item, dict) and inner is not None and inner.full_name not in SPECIAL:
                yield from culprits(pool, inner, item, here)
            elif (said := _refusal(pool, descriptor, given)) is not None:
                yield f"`{here}` is {_described(field, item, said, whole=not place)}"


def _parts(field: Any, key: str, value: Any) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Each value of a field: its place within the field, itself, and an object that sets it alone."""
    if is_map(field) and isinstance(value, dict):
        for name, item in value.items():
            yield f"[{json.dumps(name)}]", item, {key: {name: item}}
    elif is_repeated(field) and isinstance(value, list):
        for index, item in enumerate(value):
            yield f"[{index}]", item, {key: [item]}
    else:
        yield "", value, {key: value}


def _message_of(field: Any) -> Any:
    return field.message_type.fields_by_name["value"].message_type if is_map(field) else field.message_type


def _refusal(pool: DescriptorPool, descriptor: Any, given: dict[str, Any]) -> str | None:
    try:
        json_format.ParseDict(given, GetMessageClass(descriptor)(), descriptor_pool=pool)
    except (json_format.ParseError, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        return str(error)
    return None


def _described(field: Any, value: Any, said: str, *, whole: bool) -> str:
    """`an int32, which 2147483648 is not`, and what else helps. `whole`: it is all of the field, no element."""
    if is_map(field):
        entry = field.message_type.fields_by_name
        kinds = f"map<{_kind_of(entry['key'])}, {_kind_of(entry['value'])}>"
        return f"of a {kinds}: its key, or {_short(value)}, does not fit"
    if is_repeated(field) and whole:
        return f"a list [...], not {_short(value)}"
    if field.enum_type is not None and isinstance(value, str):
        names = [each.name for each in field.enum_type.values]
        near = nearest(value, names) or (f": it has {', '.join(names)}" if len(names) <= 12 else "")
        return f"{_kind_of(field)}, which has no {_short(value)}{near}"
    kind = _kind_of(field)
    article = "an" if kind[0] in "aeiou" and not kind.startswith("u") else "a"
    reason = "out of its range" if "out of range" in said.lower() else "not"
    shown = _short(value)
    return (
        f"{article} {kind}: {shown} is {reason}"
        if reason != "not"
        else f"{article} {kind}, which {shown} is not"
    )


def _kind_of(field: Any) -> str:
    kind = field.message_type or field.enum_type
    names = {number: name for name, number in vars(FieldDescriptor).items() if name.startswith("TYPE_")}
    return str(kind.full_name) if kind is not None else names[field.type][5:].lower()


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}..."
