"""The first inputs of the target `tensors`, the same ones each time.

Messages of every format, sound and not, in their plain form and written in unusual ways.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from eas_grpc_pb.open_inference.v2 import open_inference_pb2 as oip
from eas_grpc_pb.tensor.v1 import tensor_pb2 as native
from eas_grpc_pb.tf_serving.v1 import prediction_service_pb2 as tf
from eas_grpc_pb.tf_serving.v1 import tensor_pb2, types_pb2
from support.disguise import Disguise, record, varint

NATIVE, OPEN_INFERENCE, TF_SERVING = b"\x00", b"\x01", b"\x02"


def natives() -> Iterator[Any]:
    """Messages of our own format."""
    sizes = {1: 1, 5: 8, 11: 4, 13: 2, 14: 1, 22: 1, 25: 16}
    for dtype, size in sizes.items():
        tensor = native.Tensor(name="x", dtype=dtype, shape=[2, 1], data=bytes(2 * size))
        yield native.PredictRequest(model="m", inputs=[tensor], outputs=["y", ""], padding=b"12")
    strings = native.Tensor(name="s", dtype=native.DTYPE_BYTES, shape=[3], items=[b"", b"a", b"\xff"])
    scalar = native.Tensor(name="t", dtype=native.DTYPE_UINT8, data=b"a")
    empty = native.Tensor(name="", dtype=native.DTYPE_FLOAT64, shape=[0, 5])
    yield native.PredictResponse(model="\N{SNOWMAN}", outputs=[strings, scalar, empty])
    yield native.PredictResponse(outputs=[native.Tensor(dtype=6, shape=[0, 2**62, 4])])
    yield native.PredictResponse(outputs=[native.Tensor(dtype=6, shape=[-1, 2**62, 2**62], data=b"a")])


def open_inferences() -> Iterator[Any]:
    """Messages of the Open Inference Protocol."""
    parameters = {
        "a": oip.InferParameter(bool_param=True),
        "b": oip.InferParameter(int64_param=-1),
        "c": oip.InferParameter(string_param="s"),
        "d": oip.InferParameter(double_param=1.5),
    }
    request = oip.ModelInferRequest(model_name="m", model_version="1", id="i", parameters=parameters)
    request.inputs.add(name="x", datatype="FP32", shape=[2, 1])
    request.inputs.add(name="s", datatype="BYTES", shape=[2])
    request.outputs.add(name="y")
    request.raw_input_contents.extend([bytes(8), b"\x01\x00\x00\x00a\x00\x00\x00\x00"])
    yield request
    contents = {
        "BOOL": {"bool_contents": [True, False]},
        "INT8": {"int_contents": [-1, 127]},
        "INT64": {"int64_contents": [-1, 300]},
        "UINT16": {"uint_contents": [0, 65535]},
        "UINT64": {"uint64_contents": [0, 2**64 - 1]},
        "FP32": {"fp32_contents": [0.5, 1.5]},
        "FP64": {"fp64_contents": [0.5, 1.5]},
        "BYTES": {"bytes_contents": [b"", b"ab"]},
    }
    for datatype, values in contents.items():
        answer = oip.ModelInferResponse(model_name="m")
        answer.outputs.add(name="x", datatype=datatype, shape=[2], contents=oip.InferTensorContents(**values))
        yield answer


def tf_servings() -> Iterator[Any]:
    """Messages of TensorFlow Serving."""
    shape = tensor_pb2.TensorShapeProto(dim=[tensor_pb2.TensorShapeProto.Dim(size=2, name="n")])
    values = {
        types_pb2.DT_FLOAT: {"float_val": [0.5, 1.5]},
        types_pb2.DT_DOUBLE: {"double_val": [0.5]},
        types_pb2.DT_INT8: {"int_val": [-1, 1]},
        types_pb2.DT_STRING: {"string_val": [b"", b"ab"]},
        types_pb2.DT_COMPLEX64: {"scomplex_val": [0.5, 1.5]},
        types_pb2.DT_INT64: {"int64_val": [-1]},
        types_pb2.DT_BOOL: {"bool_val": [True, False]},
        types_pb2.DT_HALF: {"half_val": [15360]},
        types_pb2.DT_UINT64: {"uint64_val": [2**64 - 1, 0]},
        types_pb2.DT_FLOAT8_E5M2: {"float8_val": b"12"},
        types_pb2.DT_INT32: {"tensor_content": bytes(8)},
    }
    for dtype, given in values.items():
        tensor = tensor_pb2.TensorProto(dtype=dtype, tensor_shape=shape, version_number=1, **given)
        request = tf.PredictRequest(inputs={"x": tensor}, output_filter=["y"])
        request.model_spec.name = "m"
        request.model_spec.version.value = 3
        request.model_spec.signature_name = "serving_default"
        yield request
        yield tf.PredictResponse(outputs={"x": tensor})


def wires() -> Iterator[bytes]:
    """What is particular to the wire."""
    yield b""
    yield record(9, 3, b"") * 99 + record(9, 4, b"") * 99
    yield record(2, 2, record(9, 3, b"") * 100 + record(9, 4, b"") * 100)
    yield record(9, 3, b"\x00\x00") + record(9, 4, b"")
    yield varint(9 << 3, 5) + b"\xff" * 9 + b"\x7f"
    yield varint(1 << 3 | 2) + varint(2**31 - 1)
    yield record(2, 2, record(2, 0, b"\x06") + record(3, 2, varint(2**63 - 1) * 64))
    yield record(1, 2, b"\xed\xa0\x80")


def seeds() -> Iterator[bytes]:
    """All of them."""
    for prefix, messages in (
        (NATIVE, natives()),
        (OPEN_INFERENCE, open_inferences()),
        (TF_SERVING, tf_servings()),
    ):
        for at, message in enumerate(messages):
            yield prefix + Disguise(random.Random(at), ()).bytes_of(message)
            yield prefix + Disguise(random.Random(at)).bytes_of(message)
        for data in wires():
            yield prefix + data
