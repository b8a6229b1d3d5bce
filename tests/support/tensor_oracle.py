"""What a message of tensors means, by protobuf's runtime: the judge of `eas_grpc.tensors`.

Shares no code and no table with it. Needs no hypothesis, so that the fuzz target can ask it as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from eas_grpc_pb.tensor.v1 import tensor_pb2 as pb
from google.protobuf.message import DecodeError

from eas_grpc.errors import WireError

REFUSED = "refused"


class Contradiction(Exception):
    """A message that protobuf reads and that describes no array."""


def dtype_named(name: str) -> np.dtype[Any]:
    """numpy's or ml_dtypes' dtype of this name, in the byte order that travels."""
    import ml_dtypes

    return np.dtype(getattr(ml_dtypes, name, None) or name).newbyteorder("<")


def element_name(number: int) -> str:
    """What numpy or ml_dtypes calls an element of the enumeration; `bytes` for byte strings."""
    return pb.DType.Name(number).removeprefix("DTYPE_").lower()


def content(array: np.ndarray) -> tuple[str, tuple[int, ...], object]:
    """Element type, shape and elements of an array, comparable: a NaN is equal to itself."""
    if array.dtype.kind in "SUOT":
        items = np.asarray(array).reshape(-1).tolist()
        return "bytes", array.shape, tuple(i.encode() if isinstance(i, str) else bytes(i) for i in items)
    little = array.astype(array.dtype.newbyteorder("<"))
    return array.dtype.name, array.shape, little.tobytes()


def plain(message: Any) -> tuple[object, ...]:
    """A Request or Response, comparable."""
    arrays = message.inputs if hasattr(message, "inputs") else message.outputs
    wanted = message.outputs if hasattr(message, "inputs") else None
    return message.model, [(name, content(array)) for name, array in arrays.items()], wanted


def native_request(message: pb.PredictRequest) -> tuple[object, ...]:
    """What a PredictRequest says. Raises Contradiction."""
    return message.model, _tensors(message.inputs), tuple(message.outputs)


def native_response(message: pb.PredictResponse) -> tuple[object, ...]:
    """What a PredictResponse says. Raises Contradiction."""
    return message.model, _tensors(message.outputs), None


def by_protobuf(data: bytes, type_: Any, meaning: Callable[[Any], tuple[object, ...]]) -> object:
    """What protobuf makes of these bytes, or REFUSED."""
    try:
        return meaning(type_.FromString(data))
    except (DecodeError, Contradiction):
        return REFUSED


def by_us(data: bytes, decode: Callable[[bytes], Any]) -> object:
    """What we make of these bytes, or REFUSED."""
    try:
        return plain(decode(data))
    except WireError:
        return REFUSED


def _tensors(tensors: Any) -> list[tuple[str, object]]:
    found: dict[str, object] = {}
    for tensor in tensors:
        if tensor.name in found:
            raise Contradiction(f"two are called {tensor.name!r}")
        found[tensor.name] = _tensor(tensor)
    return list(found.items())


def _tensor(tensor: pb.Tensor) -> tuple[str, tuple[int, ...], object]:
    if tensor.dtype not in pb.DType.values() or tensor.dtype == pb.DTYPE_UNSPECIFIED:
        raise Contradiction(f"dtype {tensor.dtype}")
    name = element_name(tensor.dtype)
    strings = tensor.dtype == pb.DTYPE_BYTES
    shape = tuple(tensor.shape)
    if tensor.data if strings else tensor.items:
        raise Contradiction("the elements are in the wrong field")
    dtype = np.dtype(object) if strings else dtype_named(name)
    count = len(tensor.items) if strings else len(tensor.data) / dtype.itemsize
    if len(shape) > 64 or any(size < 0 for size in shape) or _product(shape) != count:
        raise Contradiction(f"{count} elements in the shape {shape}")
    try:
        np.empty(shape, dtype)
    except ValueError:
        raise Contradiction(f"numpy has no array of shape {shape}") from None
    if strings:
        return name, shape, tuple(tensor.items)
    if name == "bool" and set(tensor.data) - {0, 1}:
        raise Contradiction("a boolean that is neither 0 nor 1")
    return name, shape, tensor.data


def _product(shape: tuple[int, ...]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product
