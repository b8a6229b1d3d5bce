"""Messages of TensorFlow Serving's PredictionService <-> arrays. Pure.

Source: eas_grpc_pb/tf_serving/v1/prediction_service.proto and tensor.proto. What a tensor means that has fewer
values than elements is TensorFlow's rule (Tensor::FromProto in tensor.cc). Where TensorFlow drops what does not
fit in silence (values beyond the shape, values beside `tensor_content` or of another type), this refuses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import NamedTuple

import numpy as np

from eas_grpc.errors import ConfigError, WireError
from eas_grpc.tensors._arrays import Array, array_at, as_array, byte_items, bytes_array, element_count
from eas_grpc.tensors._dtypes import BYTES as BYTES_ELEMENT
from eas_grpc.tensors._dtypes import ELEMENTS, Element, dtype_of, element_of, unknown
from eas_grpc.tensors._messages import Request, Response
from eas_grpc.tensors._parts import Part, join, raw_part, size_of
from eas_grpc.tensors._values import (
    Field,
    Numbers,
    Pieces,
    collect,
    keys_of,
    map_entry,
    packed,
    shaped,
    values_of,
    within,
)
from eas_grpc.tensors._wire import (
    BYTES,
    VARINT,
    Buffer,
    Span,
    bytes_field,
    fields,
    key,
    number_field,
    read_varint,
    signed,
    text,
    text_field,
    utf8,
    varint,
)

__all__ = ["decode_request", "decode_response", "encode_request", "encode_response"]

# PredictRequest
_REQUEST_SPEC = key(1, BYTES)
_INPUTS = key(2, BYTES)
_WANTED = key(3, BYTES)

# PredictResponse
_OUTPUTS = key(1, BYTES)
_RESPONSE_SPEC = key(2, BYTES)

# ModelSpec, and the Int64Value in it
_MODEL = key(1, BYTES)
_VERSION = key(2, BYTES)
_SIGNATURE = key(3, BYTES)
_LABEL = key(4, BYTES)
_INT64 = key(1, VARINT)

# An entry of the map of tensors
_KEY, _VALUE = key(1, BYTES), key(2, BYTES)

# TensorProto, and TensorShapeProto with its Dim
_DTYPE = key(1, VARINT)
_SHAPE = key(2, BYTES)
_CONTENT = key(4, BYTES)
_ITEM = key(8, BYTES)
_FLOAT8 = key(18, BYTES)
_DIM = key(2, BYTES)
_UNKNOWN_RANK = key(3, VARINT)
_DIM_SIZE = key(1, VARINT)
_DIM_NAME = key(2, BYTES)

# The fields of typed values, and whose elements each holds.
_INT = Numbers(7, np.dtype("<i4"))
_HALF = Numbers(13, np.dtype("<i4"))  # the 16 bits of a number as an integer
_FIELDS = {
    "float32": Numbers(5, np.dtype("<f4")),
    "float64": Numbers(6, np.dtype("<f8")),
    "int8": _INT,
    "int16": _INT,
    "int32": _INT,
    "uint8": _INT,
    "uint16": _INT,
    "int4": _INT,
    "uint4": _INT,
    "complex64": Numbers(9, np.dtype("<f4")),
    "int64": Numbers(10, np.dtype("<i8")),
    "bool": Numbers(11, np.dtype(np.bool_)),
    "complex128": Numbers(12, np.dtype("<f8")),
    "float16": _HALF,
    "bfloat16": _HALF,
    "uint32": Numbers(16, np.dtype("<u4")),
    "uint64": Numbers(17, np.dtype("<u8")),
}
_NUMBERS = keys_of(_FIELDS.values())
_BITS = np.dtype("<u2")

_ELEMENTS = {element.tf: element for element in ELEMENTS if element.tf}

# What the tensors of one message may claim to hold by naming a shape and leaving out values: so many bytes, or so
# many times as much as the message has. Whoever computes on such a tensor takes the memory for it.
_MOST_LEFT_OUT = 2**20
_MOST_TIMES = 16


class _Tensor(NamedTuple):
    name: str
    number: int
    shape: list[int]
    content: Span
    float8: Span
    values: dict[int, Pieces]
    items: list[bytes]


def encode_request(request: Request) -> bytes:
    """A PredictRequest. Raises ConfigError for what TensorFlow does not have."""
    parts: list[Part] = [bytes_field(_REQUEST_SPEC, _spec(request))]
    parts += _tensors(_INPUTS, request.inputs, typed=request.typed)
    parts += (bytes_field(_WANTED, utf8(name)) for name in request.outputs)
    return join(parts)


def encode_response(response: Response) -> bytes:
    """A PredictResponse. Raises ConfigError for what TensorFlow does not have."""
    parts: list[Part] = [bytes_field(_RESPONSE_SPEC, _spec(response))]
    parts += _tensors(_OUTPUTS, response.outputs, typed=response.typed)
    return join(parts)


def decode_request(data: Buffer) -> Request:
    """The request that a PredictRequest holds; where it can be, an array is a read-only view of `data`.

    It is `typed` if no array came as bytes. Raises WireError.
    """
    whole = (0, len(data))
    model, version, signature = _read_spec(data, within(data, _REQUEST_SPEC, whole))
    arrays, typed = _read_tensors(data, _INPUTS)
    wanted = tuple(
        text(data, first, second) for found, first, second in fields(data, whole) if found == _WANTED
    )
    return Request(model, arrays, wanted, version, signature=signature, typed=typed)


def decode_response(data: Buffer) -> Response:
    """The response that a PredictResponse holds, as `decode_request` has it. Raises WireError."""
    model, version, signature = _read_spec(data, within(data, _RESPONSE_SPEC, (0, len(data))))
    arrays, typed = _read_tensors(data, _OUTPUTS)
    return Response(model, arrays, version, signature=signature, typed=typed)


def _spec(message: Request | Response) -> bytes:
    """A ModelSpec. A version is a number; anything else is a label, to which the server gave a version."""
    version = message.version
    if version.isascii() and version.isdigit():
        if int(version) >= 2**63:
            raise ConfigError(f"version {version} is larger than TensorFlow Serving allows: 2**63 - 1")
        choice = bytes_field(_VERSION, number_field(_INT64, int(version)))
    else:
        choice = text_field(_LABEL, version)
    return text_field(_MODEL, message.model) + choice + text_field(_SIGNATURE, message.signature)


def _read_spec(data: Buffer, content: Iterable[Field]) -> tuple[str, str, str]:
    model = label = signature = ""
    version: int | None = None
    for found, first, second in content:
        if found == _MODEL:
            model = text(data, first, second)
        elif found == _SIGNATURE:
            signature = text(data, first, second)
        elif found == _LABEL:
            label, version = text(data, first, second), None
        elif found == _VERSION:
            version = version or 0
            for inner, value, _ in fields(data, (first, second)):
                if inner == _INT64:
                    version = signed(value)
    return model, label if version is None else str(version), signature


def _tensors(entry: int, arrays: Mapping[str, object], *, typed: bool) -> list[Part]:
    parts: list[Part] = []
    for name, value in arrays.items():
        head, content = _tensor(name, as_array(value, name), typed=typed)
        size = size_of(content)
        head = text_field(_KEY, name) + varint(_VALUE) + varint(len(head) + size) + head
        parts.append(varint(entry) + varint(len(head) + size) + head)
        parts.append(content)
    return parts


def _tensor(name: str, array: Array, *, typed: bool) -> tuple[bytes, Part]:
    """A TensorProto as all that stands before its elements, and those."""
    element = element_of(array.dtype)
    if element.tf is None:
        raise ConfigError(
            f"{name!r} is of {element.name}, which TensorFlow does not have: convert it with .astype()"
        )
    dims = b"".join(bytes_field(_DIM, number_field(_DIM_SIZE, size)) for size in array.shape)
    head = number_field(_DTYPE, element.tf) + bytes_field(_SHAPE, dims)
    if element is BYTES_ELEMENT:
        return head, b"".join(bytes_field(_ITEM, item) for item in byte_items(array, name))
    field = _FIELDS.get(element.name)
    if not typed:
        found, content = _CONTENT, raw_part(array)
    elif field is None:
        found, content = _FLOAT8, raw_part(array)
    else:
        if field is _HALF:
            array = array.astype(dtype_of(element), copy=False).view(_BITS)
        found, content = key(field.number, BYTES), packed(array)
    return head + varint(found) + varint(size_of(content)), content


def _read_tensors(data: Buffer, entry: int) -> tuple[dict[str, Array], bool]:
    """The arrays of a map, of which the last one of a name counts; and whether all of them came as values."""
    arrays: dict[str, Array] = {}
    raw = typed = False
    room = max(_MOST_LEFT_OUT, _MOST_TIMES * len(data))
    for found, start, end in fields(data, (0, len(data))):
        if found != entry:
            continue
        name, content = map_entry(data, start, end)
        tensor = _read_tensor(data, content, name)
        element = _ELEMENTS.get(tensor.number)
        if element is None:
            raise unknown(tensor.number, name)
        _refuse_surplus(tensor, element)
        if tensor.content[0] < tensor.content[1]:
            arrays[name] = _raw_array(data, tensor, element)
            raw |= element is not BYTES_ELEMENT
        else:
            count = element_count(tensor.shape, name)
            values = _values(data, tensor, element)
            typed |= element is not BYTES_ELEMENT and count > 0
            if values.size < count:
                room -= _left_out(values, count, room, name)
                values = _filled(values, count)
            arrays[name] = shaped(values, tensor.shape, name)
    return arrays, typed and not raw


def _read_tensor(data: Buffer, content: Iterable[Field], name: str) -> _Tensor:
    number = unknown_rank = 0
    shape: list[int] = []
    raw = float8 = (0, 0)
    values: dict[int, Pieces] = {}
    items: list[bytes] = []
    for found, first, second in content:
        if found == _CONTENT:
            raw = (first, second)
        elif found == _SHAPE:
            unknown_rank = _read_shape(data, first, second, shape, unknown_rank)
        elif found == _DTYPE:
            number = first & 0xFFFFFFFF
        elif found in _NUMBERS:
            collect(values, _NUMBERS[found], data, found, first, second)
        elif found == _ITEM:
            items.append(bytes(data[first:second]))
        elif found == _FLOAT8:
            float8 = (first, second)
    if unknown_rank:
        raise WireError(f"tensor {name[:100]!r} has no shape: its rank is said to be unknown")
    return _Tensor(name, number, shape, raw, float8, values, items)


def _read_shape(data: Buffer, start: int, end: int, shape: list[int], unknown_rank: int) -> int:
    """Adds the dimensions to the shape; whether it is said to be unknown, as told here or else before."""
    for found, first, second in fields(data, (start, end)):
        if found == _DIM:
            shape.append(_read_dim(data, first, second))
        elif found == _UNKNOWN_RANK:
            unknown_rank = first
    return unknown_rank


def _read_dim(data: Buffer, start: int, end: int) -> int:
    size = 0
    for found, first, second in fields(data, (start, end)):
        if found == _DIM_SIZE:
            size = signed(first)
        elif found == _DIM_NAME:
            text(data, first, second)  # says nothing here, but has to be text
    return size


def _refuse_surplus(tensor: _Tensor, element: Element) -> None:
    """Refuses values of another type than the tensor's, and any beside `tensor_content`."""
    surplus = set(tensor.values)
    if tensor.items:
        surplus.add(_ITEM >> 3)
    if tensor.float8[0] < tensor.float8[1]:
        surplus.add(_FLOAT8 >> 3)
    if tensor.content[0] == tensor.content[1]:
        surplus.discard(_number_of(element))
    if surplus:
        raise WireError(
            f"tensor {tensor.name[:100]!r} of {element.name} has values in field {min(surplus)} of TensorProto,"
            " which do not belong to it"
        )


def _number_of(element: Element) -> int:
    if element is BYTES_ELEMENT:
        return _ITEM >> 3
    return _FIELDS[element.name].number if element.name in _FIELDS else _FLOAT8 >> 3


def _raw_array(data: Buffer, tensor: _Tensor, element: Element) -> Array:
    start, end = tensor.content
    name = tensor.name
    if element is not BYTES_ELEMENT:
        return array_at(data, start, end, dtype_of(element), tensor.shape, name)
    # TensorFlow's EncodeStringList: all lengths, then all strings. A server that was started with
    # --enable_serialization_as_tensor_content answers like that.
    sizes: list[int] = []
    for _ in range(element_count(tensor.shape, name)):
        size, start = read_varint(data, start, end)
        sizes.append(size)
    if sum(sizes) != end - start:
        raise WireError(
            f"the strings of tensor {name[:100]!r} have {end - start} bytes instead of {sum(sizes)}"
        )
    starts = accumulate(sizes, initial=start)
    items = [bytes(data[at : at + size]) for at, size in zip(starts, sizes, strict=False)]
    return bytes_array(items, tensor.shape, name)


def _values(data: Buffer, tensor: _Tensor, element: Element) -> Array:
    """The values that a tensor has, in one dimension."""
    name = tensor.name
    if element is BYTES_ELEMENT:
        return bytes_array(tensor.items, [len(tensor.items)], name)
    dtype = dtype_of(element)
    field = _FIELDS.get(element.name)
    if field is None:
        start, end = tensor.float8
        return array_at(data, start, end, dtype, [end - start], name)
    pieces = tensor.values.get(field.number, [])
    if field is not _HALF:
        return values_of(pieces, field, dtype, name)
    numbers = values_of(pieces, field, field.dtype, name)
    if numbers.size and not -(2**15) <= int(numbers.min()) <= int(numbers.max()) < 2**16:
        raise WireError(f"tensor {name[:100]!r} has a value of more than the 16 bits of {element.name}")
    return numbers.astype(_BITS).view(dtype)


def _left_out(values: Array, count: int, room: int, name: str) -> int:
    """What a tensor takes that names this many elements, in bytes. Raises WireError when it is more than `room`."""
    size = values.itemsize + (len(values[-1]) if values.dtype == object and values.size else 0)
    if count * size > room:
        raise WireError(
            f"tensor {name[:100]!r} has {values.size} values for {count} elements, and what tensors may leave out"
            f" of this message is limited to {room} bytes"
        )
    return count * size


def _filled(values: Array, count: int) -> Array:
    """All values, where the last one is repeated as often as the shape demands; zeros where there is none."""
    if values.size <= 1:  # without memory for them
        nothing = b"" if values.dtype == object else 0
        return np.broadcast_to(values if values.size else np.array([nothing], values.dtype), (count,))
    filled = np.empty(count, values.dtype)
    filled[: values.size] = values
    filled[values.size :] = values[-1]
    return filled
