"""Messages of the Open Inference Protocol v2 (Triton, KServe, MLServer, ...) <-> arrays. Pure.

Source: eas_grpc_pb/open_inference/v2/open_inference.proto. Where the protocol is silent, Triton decides
(its infer_handler.cc): elements travel as raw bytes beside the tensors, for all of them, or else as typed
values inside each. A parameter of a tensor, which has no place in a request here, is left out, but for those
that change what the data is.
"""

from __future__ import annotations

from array import array as compact
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from eas_grpc.errors import ConfigError, WireError
from eas_grpc.tensors._arrays import Array, array_at, as_array, byte_items, bytes_array
from eas_grpc.tensors._dtypes import BYTES as BYTES_ELEMENT
from eas_grpc.tensors._dtypes import ELEMENTS, Element, dtype_of, element_of, unknown
from eas_grpc.tensors._messages import Parameter, Request, Response
from eas_grpc.tensors._parameters import parameter_fields, read_parameter
from eas_grpc.tensors._parts import Part, join, raw_part, size_of
from eas_grpc.tensors._values import (
    Field,
    Numbers,
    Pieces,
    collect,
    keys_of,
    packed,
    shaped,
    values_of,
    within,
)
from eas_grpc.tensors._wire import (
    BYTES,
    VARINT,
    Buffer,
    bytes_field,
    dimensions,
    fields,
    key,
    packed_field,
    signed,
    text,
    text_field,
    varint,
)

__all__ = [
    "decode_request",
    "decode_response",
    "decode_stream_response",
    "encode_request",
    "encode_response",
    "encode_stream_response",
]

# ModelInferRequest and ModelInferResponse, which differ in the last two.
_MODEL = key(1, BYTES)
_VERSION = key(2, BYTES)
_ID = key(3, BYTES)
_PARAMETERS = key(4, BYTES)
_TENSORS = key(5, BYTES)
_WANTED = key(6, BYTES)
_RAW_INPUT, _RAW_OUTPUT = key(7, BYTES), key(6, BYTES)

# InferInputTensor and InferOutputTensor
_NAME = key(1, BYTES)
_DATATYPE = key(2, BYTES)
_SHAPE, _SHAPE_UNPACKED = key(3, BYTES), key(3, VARINT)
_TENSOR_PARAMETERS = key(4, BYTES)
_CONTENTS = key(5, BYTES)

# InferRequestedOutputTensor
_WANTED_PARAMETERS = key(2, BYTES)

# ModelStreamInferResponse
_ERROR, _RESPONSE = key(1, BYTES), key(2, BYTES)

# InferTensorContents, and whose elements each field holds.
_INT = Numbers(2, np.dtype("<i4"))
_UINT = Numbers(4, np.dtype("<u4"))
_FIELDS = {
    "bool": Numbers(1, np.dtype(np.bool_)),
    "int8": _INT,
    "int16": _INT,
    "int32": _INT,
    "int64": Numbers(3, np.dtype("<i8")),
    "uint8": _UINT,
    "uint16": _UINT,
    "uint32": _UINT,
    "uint64": Numbers(5, np.dtype("<u8")),
    "float32": Numbers(6, np.dtype("<f4")),
    "float64": Numbers(7, np.dtype("<f8")),
}
_NUMBERS = keys_of(_FIELDS.values())
_ITEM = key(8, BYTES)

_ELEMENTS = {element.open_inference: element for element in ELEMENTS if element.open_inference}

# Parameters of a tensor that change what its data is or where it lies.
_REFUSED = {
    "classification": "only whole tensors are given",
    "shared_memory_region": "its data has to travel in the message",
}


class _Tensor(NamedTuple):
    name: str
    element: Element
    shape: list[int]
    typed: bool  # whether it has contents, which may be empty: `values` by their field, or `items`
    values: dict[int, Pieces]
    items: list[bytes]


def encode_request(request: Request) -> bytes:
    """A ModelInferRequest. Raises ConfigError for what the protocol does not have."""
    wanted = b"".join(bytes_field(_WANTED, text_field(_NAME, name)) for name in request.outputs)
    return join(_message(_head(request), request.inputs, wanted, _RAW_INPUT, typed=request.typed))


def encode_response(response: Response) -> bytes:
    """A ModelInferResponse. Raises ConfigError for what the protocol does not have."""
    return join(_response(response))


def encode_stream_response(response: Response | None, error: str = "") -> bytes:
    """A ModelStreamInferResponse.

    A failed request is answered with an error and, so that the client knows which one failed, with a response
    that has nothing but the request's `id`. Raises ConfigError for what the protocol does not have.
    """
    parts: list[Part] = [text_field(_ERROR, error)]
    if response is not None:
        content = _response(response)
        parts.append(varint(_RESPONSE) + varint(sum(map(size_of, content))))
        parts.extend(content)
    return join(parts)


def decode_request(data: Buffer) -> Request:
    """The request that a ModelInferRequest holds; raw arrays, and typed floats, are read-only views of `data`.

    Raises WireError.
    """
    return _read(data, fields(data, (0, len(data))), _RAW_INPUT, _WANTED)


def decode_response(data: Buffer) -> Response:
    """The response that a ModelInferResponse holds, as `decode_request` has it. Raises WireError."""
    return _read_response(data, fields(data, (0, len(data))))


def decode_stream_response(data: Buffer) -> tuple[Response | None, str]:
    """The response and the error that a ModelStreamInferResponse holds.

    The error is "" when the request succeeded; otherwise the response, if there is one, tells at least by its
    `id` which request failed. Raises WireError.
    """
    error = ""
    answered = False
    for found, first, second in fields(data, (0, len(data))):
        if found == _ERROR:
            error = text(data, first, second)
        answered |= found == _RESPONSE
    return _read_response(data, within(data, _RESPONSE, (0, len(data)))) if answered else None, error


def _response(response: Response) -> list[Part]:
    return _message(_head(response), response.outputs, b"", _RAW_OUTPUT, typed=response.typed)


def _head(message: Request | Response) -> bytes:
    head = text_field(_MODEL, message.model) + text_field(_VERSION, message.version)
    return head + text_field(_ID, message.id) + parameter_fields(_PARAMETERS, message.parameters)


def _message(head: bytes, arrays: Mapping[str, object], after: bytes, raw: int, *, typed: bool) -> list[Part]:
    parts: list[Part] = [head]
    data: list[Part] = [after]
    for name, value in arrays.items():
        array = as_array(value, name)
        element = element_of(array.dtype)
        if element.open_inference is None:
            raise ConfigError(
                f"{name!r} is of {element.name}, which the Open Inference Protocol does not have: convert it"
                " with .astype()"
            )
        tensor = text_field(_NAME, name) + text_field(_DATATYPE, element.open_inference)
        tensor += packed_field(_SHAPE, array.shape)
        if typed:
            start, content = _contents(array, element, name)
            size = len(start) + size_of(content)
            tensor += varint(_CONTENTS) + varint(size) + start
            parts.append(varint(_TENSORS) + varint(len(tensor) + size_of(content)) + tensor)
            parts.append(content)
        else:
            parts.append(bytes_field(_TENSORS, tensor))
            content = (
                raw_part(array)
                if element is not BYTES_ELEMENT
                else b"".join(len(item).to_bytes(4, "little") + item for item in byte_items(array, name))
            )
            data.append(varint(raw) + varint(size_of(content)))
            data.append(content)
    return parts + data


def _contents(array: Array, element: Element, name: str) -> tuple[bytes, Part]:
    """InferTensorContents as what stands before the elements, and those."""
    if element is BYTES_ELEMENT:
        return b"", b"".join(bytes_field(_ITEM, item) for item in byte_items(array, name))
    field = _FIELDS.get(element.name)
    if field is None:
        raise ConfigError(
            f"{name!r} is of {element.name}, for which the Open Inference Protocol has no typed values: send it"
            " raw (typed=False), or convert it with .astype('float32')"
        )
    content = packed(array)
    return varint(key(field.number, BYTES)) + varint(size_of(content)), content


def _read_response(data: Buffer, content: Iterable[Field]) -> Response:
    read = _read(data, content, _RAW_OUTPUT, None)
    return Response(read.model, read.inputs, read.version, read.id, read.parameters, typed=read.typed)


def _read(data: Buffer, content: Iterable[Field], raw_key: int, wanted_key: int | None) -> Request:
    """Either message, as a request, because that has a place for all that a response has."""
    model = version = request_id = ""
    parameters: dict[str, Parameter] = {}
    tensors: dict[str, _Tensor] = {}
    raw = compact("Q")  # start and end in turn, of what may be empty and many
    wanted: list[str] = []
    for found, first, second in content:
        if found == _TENSORS:
            tensor = _read_tensor(data, first, second)
            if tensor.name in tensors:
                raise WireError(f"two tensors are called {tensor.name[:100]!r}")
            tensors[tensor.name] = tensor
        elif found == raw_key:
            raw.extend((first, second))
        elif found == _MODEL:
            model = text(data, first, second)
        elif found == _VERSION:
            version = text(data, first, second)
        elif found == _ID:
            request_id = text(data, first, second)
        elif found == wanted_key:
            wanted.append(_read_wanted(data, first, second))
        elif found == _PARAMETERS:
            read_parameter(data, first, second, parameters)
    arrays = _arrays(data, tensors, raw)
    typed = not raw and any(tensor.typed for tensor in tensors.values())
    return Request(model, arrays, tuple(wanted), version, request_id, parameters, typed=typed)


def _read_tensor(data: Buffer, start: int, end: int) -> _Tensor:
    name = datatype = ""
    shape: list[int] = []
    parameters: dict[str, Parameter] = {}
    typed = False
    values: dict[int, Pieces] = {}
    items: list[bytes] = []
    for found, first, second in fields(data, (start, end)):
        if found == _SHAPE:
            shape.extend(dimensions(data, first, second))
        elif found == _DATATYPE:
            datatype = text(data, first, second)
        elif found == _NAME:
            name = text(data, first, second)
        elif found == _CONTENTS:
            typed = True
            _read_contents(data, first, second, values, items)
        elif found == _TENSOR_PARAMETERS:
            read_parameter(data, first, second, parameters)
        elif found == _SHAPE_UNPACKED:
            shape.append(signed(first))
    _refuse(parameters, name)
    element = _ELEMENTS.get(datatype)
    if element is None:
        raise unknown(datatype, name)
    return _Tensor(name, element, shape, typed, values, items)


def _read_contents(data: Buffer, start: int, end: int, values: dict[int, Pieces], items: list[bytes]) -> None:
    for found, first, second in fields(data, (start, end)):
        if found in _NUMBERS:
            collect(values, _NUMBERS[found], data, found, first, second)
        elif found == _ITEM:
            items.append(bytes(data[first:second]))


def _read_wanted(data: Buffer, start: int, end: int) -> str:
    name = ""
    parameters: dict[str, Parameter] = {}
    for found, first, second in fields(data, (start, end)):
        if found == _NAME:
            name = text(data, first, second)
        elif found == _WANTED_PARAMETERS:
            read_parameter(data, first, second, parameters)
    _refuse(parameters, name)
    return name


def _refuse(parameters: Mapping[str, Parameter], name: str) -> None:
    for found in parameters.keys() & _REFUSED.keys():
        raise WireError(f"tensor {name[:100]!r} has the parameter {found!r}: {_REFUSED[found]}")


def _arrays(data: Buffer, tensors: dict[str, _Tensor], raw: Sequence[int]) -> dict[str, Array]:
    if not raw:
        return {name: _typed_array(tensor) for name, tensor in tensors.items()}
    if len(raw) != 2 * len(tensors):
        raise WireError(f"there are {len(tensors)} tensors and raw data for {len(raw) // 2}")
    spans = zip(raw[::2], raw[1::2], strict=True)
    return {
        name: _raw_array(data, *span, tensor)
        for (name, tensor), span in zip(tensors.items(), spans, strict=True)
    }


def _raw_array(data: Buffer, start: int, end: int, tensor: _Tensor) -> Array:
    name = tensor.name
    # MLServer sends contents along that are there and empty.
    if tensor.values or tensor.items:
        raise WireError(f"tensor {name[:100]!r} has typed contents, in a message that has raw data")
    if tensor.element is not BYTES_ELEMENT:
        return array_at(data, start, end, dtype_of(tensor.element), tensor.shape, name)
    items: list[bytes] = []
    while start < end:
        size = int.from_bytes(data[start : start + 4], "little")
        start += 4
        if size > end - start:
            raise WireError(f"byte string {len(items)} of tensor {name[:100]!r} is cut off")
        items.append(bytes(data[start : start + size]))
        start += size
    return bytes_array(items, tensor.shape, name)


def _typed_array(tensor: _Tensor) -> Array:
    name, element = tensor.name, tensor.element
    field = _FIELDS.get(element.name)
    strange = tensor.values.keys() - ({field.number} if field else set())
    if strange or (tensor.items and element is not BYTES_ELEMENT):
        raise WireError(f"tensor {name[:100]!r} has values of another type than its {element.open_inference}")
    if element is BYTES_ELEMENT:
        return bytes_array(tensor.items, tensor.shape, name)
    values = np.empty(0, dtype_of(element))
    if field:
        values = values_of(tensor.values.get(field.number, []), field, values.dtype, name)
    return shaped(values, tensor.shape, name)
