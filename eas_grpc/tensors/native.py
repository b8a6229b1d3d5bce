"""Messages of our own TensorService (eas_grpc_pb/tensor/v1/tensor.proto) <-> arrays. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from eas_grpc.errors import WireError
from eas_grpc.tensors._arrays import Array, array_at, as_array, byte_items, bytes_array
from eas_grpc.tensors._dtypes import BYTES as BYTES_ELEMENT
from eas_grpc.tensors._dtypes import ELEMENTS, Element, dtype_of, element_of, unknown
from eas_grpc.tensors._messages import Request, Response
from eas_grpc.tensors._parts import Part, join, raw_part, size_of
from eas_grpc.tensors._wire import (
    BYTES,
    VARINT,
    Buffer,
    bytes_field,
    dimensions,
    fields,
    key,
    number_field,
    packed_field,
    signed,
    text,
    text_field,
    utf8,
    varint,
)

__all__ = ["decode_request", "decode_response", "encode_request", "encode_response", "request_parts"]

# PredictRequest and PredictResponse; what the arrays are called differs, their field does not.
_MODEL = key(1, BYTES)
_TENSORS = key(2, BYTES)
_WANTED = key(3, BYTES)
_PADDING = key(15, BYTES)

# Tensor
_NAME = key(1, BYTES)
_DTYPE = key(2, VARINT)
_SHAPE, _SHAPE_UNPACKED = key(3, BYTES), key(3, VARINT)
_DATA = key(4, BYTES)
_ITEM = key(5, BYTES)

_ELEMENTS = {element.native: element for element in ELEMENTS}

_ALIGNMENT = 16
# The padding field that moves what follows by so many bytes, modulo the alignment; its shortest form is two.
_PADDINGS = tuple(
    bytes_field(_PADDING, bytes((size - 2) % _ALIGNMENT)) if size else b"" for size in range(_ALIGNMENT)
)

# What is remembered of messages, in bytes and in number; none of it depends on what a stranger likes to send.
_SHORT = 200
_PROBE = _ALIGNMENT  # what we write has at least so much in front of the elements
_LONGEST_HEAD = 512
_MOST_LAYOUTS = 256


def encode_request(request: Request) -> bytes:
    """A PredictRequest. Raises ConfigError for what is no tensor."""
    return join(request_parts(request))


def request_parts(request: Request) -> list[Part]:
    """A PredictRequest in parts, whose arrays are still the caller's."""
    return _message(request.model, request.outputs, request.inputs)


def encode_response(response: Response) -> bytes:
    """A PredictResponse. Raises ConfigError for what is no tensor."""
    return join(_message(response.model, (), response.outputs))


def decode_request(data: Buffer) -> Request:
    """The request that a PredictRequest holds; the arrays are read-only views of `data`. Raises WireError."""
    model, arrays, wanted = _read(data, "inputs")
    return Request(model, arrays, wanted)


def decode_response(data: Buffer) -> Response:
    """The response that a PredictResponse holds; the arrays are read-only views of `data`. Raises WireError."""
    model, arrays, _ = _read(data, "outputs")
    return Response(model, arrays)


def _message(model: str, wanted: Iterable[str], arrays: Mapping[str, object]) -> list[Part]:
    before = text_field(_MODEL, model)
    for name in wanted:
        before += bytes_field(_WANTED, utf8(name))
    parts: list[Part] = []
    at = len(before)
    for name, value in arrays.items():
        array = as_array(value, name)
        element = element_of(array.dtype)
        content = _items(array, name) if element is BYTES_ELEMENT else raw_part(array)
        size = size_of(content)
        lead = _lead if len(name) <= _SHORT else _lead.__wrapped__
        head = lead(at % _ALIGNMENT, name, element, array.shape, size)
        parts += (head, content)
        at += len(head) + size
    if parts:
        parts[0] = before + parts[0]  # type: ignore[operator]
        return parts
    return [before]


# A caller sends the same shapes again and again. What is remembered is small, whoever chose the names.
@lru_cache(maxsize=256)
def _lead(at: int, name: str, element: Element, shape: tuple[int, ...], size: int) -> bytes:
    """All of a Tensor that stands in front of its elements, and what aligns them; `at` is where it begins."""
    head = text_field(_NAME, name) + number_field(_DTYPE, element.native) + packed_field(_SHAPE, shape)
    if element is not BYTES_ELEMENT:
        head += varint(_DATA) + varint(size)
    head = varint(_TENSORS) + varint(len(head) + size) + head
    return _PADDINGS[-(at + len(head)) % _ALIGNMENT] + head


def _items(array: Array, name: str) -> bytes:
    return b"".join(bytes_field(_ITEM, item) for item in byte_items(array, name))


class _Layout(NamedTuple):
    """A message of one numeric array that ends it, without the elements: the same bytes mean the same again."""

    head: bytes
    model: str
    wanted: tuple[str, ...]
    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


_layouts: dict[tuple[str, int, bytes], _Layout] = {}


def _read(data: Buffer, what: str) -> tuple[str, dict[str, Array], tuple[str, ...]]:
    probe = (what, len(data), bytes(data[:_PROBE]))
    known = _layouts.get(probe)
    if known is None or data[: len(known.head)] != known.head:
        return _parsed(data, what, probe)
    array = array_at(data, len(known.head), len(data), known.dtype, known.shape, known.name)
    return known.model, {known.name: array}, known.wanted


def _parsed(
    data: Buffer, what: str, probe: tuple[str, int, bytes]
) -> tuple[str, dict[str, Array], tuple[str, ...]]:
    model = ""
    arrays: dict[str, Array] = {}
    wanted: list[str] = []
    name, array, last = "", None, 0
    for found, first, second in fields(data, (0, len(data))):
        if found == _TENSORS:
            name, array, last = _read_tensor(data, first, second)
            if name in arrays:
                raise WireError(f"two {what} are called {name[:100]!r}")
            arrays[name] = array
        elif found == _MODEL:
            model = text(data, first, second)
        elif found == _WANTED and what == "inputs":
            wanted.append(text(data, first, second))
    if array is not None and len(arrays) == 1 and last == len(data):
        start = last - array.nbytes
        if _PROBE <= start <= _LONGEST_HEAD:
            if len(_layouts) >= _MOST_LAYOUTS:
                _layouts.clear()
            head = bytes(data[:start])
            _layouts[probe] = _Layout(head, model, tuple(wanted), name, array.dtype, array.shape)
    return model, arrays, tuple(wanted)


def _read_tensor(data: Buffer, start: int, end: int) -> tuple[str, Array, int]:
    """Name, array, and where its elements end."""
    name = ""
    number = 0
    shape: list[int] = []
    content = (start, start)
    items: list[bytes] = []
    for found, first, second in fields(data, (start, end)):
        if found == _DATA:
            content = (first, second)
        elif found == _SHAPE:
            shape.extend(dimensions(data, first, second))
        elif found == _DTYPE:
            number = first & 0xFFFFFFFF
        elif found == _NAME:
            name = text(data, first, second)
        elif found == _ITEM:
            items.append(bytes(data[first:second]))
        elif found == _SHAPE_UNPACKED:
            shape.append(signed(first))
    element = _ELEMENTS.get(number)
    if element is None:
        raise unknown(number, name)
    if element is BYTES_ELEMENT:
        if content[0] != content[1]:
            raise WireError(
                f"tensor {name[:100]!r} is of bytes and has `data`: its elements belong in `items`"
            )
        return name, bytes_array(items, shape, name), 0
    if items:
        raise WireError(f"tensor {name[:100]!r} is of {element.name} and has `items`, which are for bytes")
    return name, array_at(data, *content, dtype_of(element), shape, name), content[1]
