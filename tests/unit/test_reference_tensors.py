"""The reference implementation of tensors, which judges ours, is right itself."""

from __future__ import annotations

import re

import numpy as np
import pytest
from eas_grpc_pb.tensor.v1 import tensor_pb2
from eas_grpc_pb.tensor.v1.tensor_pb2 import Tensor
from support.reference_tensors import BadTensor, to_array, to_tensor

DTYPES = [
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
]
SHAPES = [(), (0,), (3,), (2, 0, 5), (2, 3, 4)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_dtype_and_shape_comes_back_as_it_was(dtype, shape):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    for given in (array, array.astype(array.dtype.newbyteorder(">")), array.copy(order="F")):
        tensor = to_tensor("x", given)
        assert tensor_pb2.DType.Name(tensor.dtype) == f"DTYPE_{dtype.upper()}"
        back = to_array(tensor)
        assert back.shape == shape
        assert back.dtype == dtype
        np.testing.assert_array_equal(back, array)
        assert not back.flags.writeable


F32 = tensor_pb2.DTYPE_FLOAT32
BAD_TENSORS = [
    ({"data": b""}, "'x' has dtype 0: use one of DTYPE_BOOL"),
    ({"dtype": 99}, "has dtype 99"),
    ({"dtype": F32, "shape": [-1]}, "no dimension may be negative"),
    ({"dtype": F32, "shape": [2], "data": bytes(7)}, "has 7 bytes of data, but float32 of shape [2] needs 8"),
    ({"dtype": F32, "shape": [2], "data": bytes(12)}, "has 12 bytes"),
    ({"dtype": F32, "data": b""}, "float32 of shape [] needs 4"),
    ({"dtype": F32, "shape": [2**40, 2**40]}, "needs 4835703278458516698824704"),
    ({"dtype": F32, "shape": [1] * 33, "data": bytes(4)}, "33 dimensions: at most 32"),
    ({"dtype": F32, "shape": [0, 2**62, 2**62]}, "too large"),
    ({"dtype": tensor_pb2.DTYPE_BOOL, "shape": [2], "data": b"\1\2"}, "a byte other than 0 and 1"),
]


@pytest.mark.parametrize(("fields", "text"), BAD_TENSORS, ids=[text for _, text in BAD_TENSORS])
def test_a_tensor_that_contradicts_itself_is_refused(fields, text):
    with pytest.raises(BadTensor, match=re.escape(text)):
        to_array(Tensor(name="x", **fields))
