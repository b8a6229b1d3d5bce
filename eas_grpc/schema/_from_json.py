"""JSON into a message, by protobuf's own parser; what is wrong is said in one sentence that names the place."""

from __future__ import annotations

import json
import re
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import EncodeError, Message

from eas_grpc.errors import ConfigError
from eas_grpc.schema._misfits import culprits, misfits
from eas_grpc.schema._prepared import prepared

__all__ = ["parse", "read_json"]

_SHORT = 200
_TOO_DEEP = "objects lie within each other too deeply"


class _Twice(ValueError):
    """A key that stands twice in one object."""


def parse(pool: DescriptorPool, message_class: type[Message], data: Any, *, where: str) -> Message:
    """A message from JSON text, or from what `json.loads` makes of one; ConfigError says what is wrong."""
    if isinstance(data, str | bytes | bytearray):
        data = read_json(data, where=where)
    try:
        wrong = next(misfits(pool, message_class.DESCRIPTOR, data, ""), "")
        if wrong:
            raise ConfigError(f"{where}: {wrong}")
        message = message_class()
        json_format.ParseDict(prepared(pool, message_class.DESCRIPTOR, data), message, descriptor_pool=pool)
        message.SerializePartialToString()
    except json_format.ParseError as error:
        if "too deep" in str(error).lower():
            raise ConfigError(f"{where}: {_TOO_DEEP}") from None
        said = next(culprits(pool, message_class.DESCRIPTOR, data, ""), "") or _plain(str(error))
        raise ConfigError(f"{where}: {said}") from None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, EncodeError) as error:
        if isinstance(error, ConfigError):
            raise
        full = message_class.DESCRIPTOR.full_name
        raise ConfigError(f"{where}: this is no {full}: {_one_line(str(error))}") from None
    except RecursionError:
        raise ConfigError(f"{where}: {_TOO_DEEP}") from None
    return message


def read_json(text: str | bytes | bytearray, *, where: str) -> Any:
    """What JSON text says; ConfigError with line and column where it is none, or a key stands twice."""
    try:
        if not isinstance(text, str):
            text = bytes(text).decode("utf-8-sig")
        if not text.strip():
            raise ConfigError(f"{where}: this is empty, not JSON: an empty message is {{}}")
        return json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_once, parse_int=_integer)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where}: byte {error.start + 1} is not UTF-8, so this is not JSON") from None
    except json.JSONDecodeError as error:
        at = f"line {error.lineno}, column {error.colno}"
        raise ConfigError(
            f"{where}: this is not JSON: {error.msg[:1].lower()}{error.msg[1:]} at {at}"
        ) from None
    except _Twice as error:
        raise ConfigError(f"{where}: the key {error.args[0]!r} stands twice in one object") from None
    except RecursionError:
        raise ConfigError(f"{where}: {_TOO_DEEP}") from None
    except ValueError as error:
        if isinstance(error, ConfigError):
            raise
        # A number of more digits than Python reads.
        raise ConfigError(f"{where}: this is not JSON: {_one_line(str(error))}") from None


def _integer(text: str) -> int | float:
    """As json reads it, but for minus nought, which only a float can hold."""
    return -0.0 if text == "-0" else int(text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Twice(key)
        found[key] = value
    return found


def _plain(text: str) -> str:
    """The parser's text without what only its authors need: it repeats `Failed to parse` once a level."""
    text = _one_line(text)
    found = re.match(r"(?:Failed to parse (?P<field>\S+) field: )+(?P<rest>.*)", text)
    if found is None:
        return text.rstrip(".")
    rest = re.sub(r' at "[^"]+"', "", found["rest"]).rstrip(".")
    return f"`{found['field']}`: {rest[:1].lower()}{rest[1:]}"


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHORT else f"{line[:_SHORT]}..."
