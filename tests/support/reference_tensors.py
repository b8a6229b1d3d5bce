"""TensorService once more, written with protobuf's own runtime and apart from eas_grpc.tensors.

With one encoder on both sides a mistake would cancel out: this is the other side, for tests of clients and of
servers. It knows the element types that numpy has itself, except bytes and complex numbers.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from eas_grpc_pb.tensor.v1 import tensor_pb2
from eas_grpc_pb.tensor.v1.tensor_pb2 import PredictRequest, PredictResponse, Tensor, UploadChunk
from numpy.typing import NDArray

Array = NDArray[Any]

# The wire is little-endian whatever this machine is.
_DTYPES: dict[int, np.dtype[Any]] = {
    tensor_pb2.DTYPE_BOOL: np.dtype("?"),
    tensor_pb2.DTYPE_INT8: np.dtype("<i1"),
    tensor_pb2.DTYPE_INT16: np.dtype("<i2"),
    tensor_pb2.DTYPE_INT32: np.dtype("<i4"),
    tensor_pb2.DTYPE_INT64: np.dtype("<i8"),
    tensor_pb2.DTYPE_UINT8: np.dtype("<u1"),
    tensor_pb2.DTYPE_UINT16: np.dtype("<u2"),
    tensor_pb2.DTYPE_UINT32: np.dtype("<u4"),
    tensor_pb2.DTYPE_UINT64: np.dtype("<u8"),
    tensor_pb2.DTYPE_FLOAT16: np.dtype("<f2"),
    tensor_pb2.DTYPE_FLOAT32: np.dtype("<f4"),
    tensor_pb2.DTYPE_FLOAT64: np.dtype("<f8"),
}
_NUMBERS = {dtype: number for number, dtype in _DTYPES.items()}

# numpy's own limit is 64 in version 2 and 32 before.
_MOST_DIMENSIONS = 32


class BadTensor(ValueError):
    """A tensor contradicts itself; the text names it and says what does not fit."""


def to_array(tensor: Tensor) -> Array:
    """The array, read-only, on the message's own bytes; BadTensor when dtype, shape and length disagree."""
    dtype = _DTYPES.get(tensor.dtype)
    if dtype is None:
        raise BadTensor(
            f"tensor {tensor.name[:100]!r} has dtype {tensor.dtype}: use one of {_known_dtypes()}"
        )
    if len(tensor.shape) > _MOST_DIMENSIONS:
        raise BadTensor(
            f"tensor {tensor.name[:100]!r} has {len(tensor.shape)} dimensions: at most {_MOST_DIMENSIONS}"
        )
    shape = tuple(tensor.shape)
    if any(size < 0 for size in shape):
        raise BadTensor(f"tensor {tensor.name[:100]!r} has shape {list(shape)}: no dimension may be negative")
    needed = math.prod(shape) * dtype.itemsize
    if len(tensor.data) != needed:
        raise BadTensor(
            f"tensor {tensor.name[:100]!r} has {len(tensor.data)} bytes of data, but {dtype.name} of shape"
            f" {list(shape)} needs {needed}"
        )
    array = np.frombuffer(tensor.data, dtype)
    if dtype.kind == "b" and bool((array.view(np.uint8) > 1).any()):
        raise BadTensor(f"tensor {tensor.name[:100]!r} is of bool and holds a byte other than 0 and 1")
    try:
        return array.reshape(shape)
    except ValueError:
        # An empty tensor may claim dimensions that no array can have.
        raise BadTensor(f"tensor {tensor.name[:100]!r} has shape {list(shape)}, which is too large") from None


def to_tensor(name: str, array: Array) -> Tensor:
    """The message for an array of one of the proto's element types."""
    little = array.dtype.newbyteorder("<")
    return Tensor(
        name=name,
        dtype=_NUMBERS[little],  # type: ignore[arg-type]
        shape=array.shape,
        data=array.astype(little, copy=False).tobytes(),
    )


def chunks(request: PredictRequest, size: int) -> Iterator[UploadChunk]:
    """The request in pieces of `size` bytes of it each."""
    data = request.SerializeToString()
    for start in range(0, len(data), size):
        yield UploadChunk(
            total=0 if start else len(data),
            data=data[start : start + size],
            crc32=zlib.crc32(data[: start + size]),
        )


def echoed(request: PredictRequest) -> PredictResponse:
    """What the model `echo` answers; BadTensor for a request that it refuses."""
    inputs: dict[str, Array] = {}
    for tensor in request.inputs:
        if tensor.name in inputs:
            raise BadTensor(f"two inputs are called {tensor.name[:100]!r}")
        inputs[tensor.name] = to_array(tensor)
    wanted = list(dict.fromkeys(request.outputs or inputs))
    for name in wanted:
        if name not in inputs:
            raise BadTensor(f"model 'echo' has no output {name[:100]!r}")
    return PredictResponse(model="echo", outputs=[to_tensor(name, inputs[name]) for name in wanted])


def _known_dtypes() -> str:
    return ", ".join(tensor_pb2.DType.Name(number) for number in _DTYPES)  # type: ignore[arg-type]
