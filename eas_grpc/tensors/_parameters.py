"""Parameters of the Open Inference Protocol: a map from names to a bool, an int, a float or a text. Pure."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from eas_grpc.errors import ConfigError
from eas_grpc.tensors._messages import Parameter
from eas_grpc.tensors._values import map_entry
from eas_grpc.tensors._wire import (
    BYTES,
    FIXED64,
    VARINT,
    Buffer,
    bytes_field,
    float64,
    key,
    signed,
    text,
    text_field,
    utf8,
    varint,
)

__all__ = ["parameter_fields", "read_parameter"]

# An entry of a map of parameters, and InferParameter
_KEY, _VALUE = key(1, BYTES), key(2, BYTES)
_BOOL = key(1, VARINT)
_INT64 = key(2, VARINT)
_STRING = key(3, BYTES)
_DOUBLE = key(4, FIXED64)
_UINT64 = key(5, VARINT)


def parameter_fields(field: int, parameters: Mapping[str, Parameter]) -> bytes:
    """A field that is a map of parameters, given its key. Raises ConfigError for a value that cannot travel."""
    return b"".join(
        bytes_field(field, text_field(_KEY, name) + bytes_field(_VALUE, _parameter(name, value)))
        for name, value in parameters.items()
    )


def read_parameter(data: Buffer, start: int, end: int, parameters: dict[str, Parameter]) -> None:
    """Reads one entry of a map of parameters. One without a value, or with a kind of value not known, is none."""
    name, content = map_entry(data, start, end)
    value: Parameter | None = None
    for found, first, second in content:
        if found == _STRING:
            value = text(data, first, second)
        elif found == _INT64:
            value = signed(first)
        elif found == _BOOL:
            value = first != 0
        elif found == _DOUBLE:
            value = float64(data, first)
        elif found == _UINT64:
            value = first
    parameters.pop(name, None)
    if value is not None:
        parameters[name] = value


def _parameter(name: str, value: Parameter) -> bytes:
    """An InferParameter; as one of a oneof, its value is written even when it is zero."""
    if isinstance(value, bool):
        return varint(_BOOL) + varint(value)
    if isinstance(value, int) and -(2**63) <= value < 2**64:
        return varint(_INT64 if value < 2**63 else _UINT64) + varint(value)
    if isinstance(value, float):
        return varint(_DOUBLE) + struct.pack("<d", value)
    if isinstance(value, str):
        return bytes_field(_STRING, utf8(value))
    raise ConfigError(
        f"parameter {name!r} is {value!r}, of {type(value).__name__}: it may be a bool, an int from -2**63 to"
        " 2**64 - 1, a float or a str"
    )
