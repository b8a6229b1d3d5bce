"""The client processes: `python -m benchmarks.tensor_client WAY ADDRESS [--keep]`."""

from __future__ import annotations

import sys
from collections.abc import Callable

import grpc
import numpy as np
from eas_grpc_pb.open_inference.v2 import open_inference_pb2 as oip
from eas_grpc_pb.tensor.v1 import tensor_pb2 as native

import eas_grpc
from benchmarks.tensor_server import SERVICE, UNLIMITED
from benchmarks.worker import Trip, work
from eas_grpc import inference
from eas_grpc.tensors import keep_large_buffers

TOKEN = "bench-token"


def raw(address: str) -> Callable[[np.ndarray], Trip]:
    """The floor: bytes there, bytes back, nothing else."""
    call = _bare(address, "Raw")

    def trip_for(array: np.ndarray) -> Trip:
        payload = array.tobytes()
        return lambda: call(payload)

    return trip_for


def bytes_field(address: str) -> Callable[[np.ndarray], Trip]:
    """Protobuf with a field of bytes, as a careful team writes it."""
    call = _bare(
        address, "BytesField", native.PredictRequest.SerializeToString, native.PredictResponse.FromString
    )

    def trip(array: np.ndarray) -> np.ndarray:
        tensor = native.Tensor(name="x", dtype=12, shape=array.shape, data=array.tobytes())
        answer = call(native.PredictRequest(model="echo", inputs=[tensor])).outputs[0]
        return np.frombuffer(answer.data, np.float32).reshape(tuple(answer.shape))

    return lambda array: lambda: trip(array)


def repeated_field(address: str) -> Callable[[np.ndarray], Trip]:
    """Protobuf with a repeated field of numbers, as most protos have it."""
    call = _bare(
        address, "RepeatedField", oip.ModelInferRequest.SerializeToString, oip.ModelInferResponse.FromString
    )

    def trip(array: np.ndarray) -> np.ndarray:
        contents = oip.InferTensorContents(fp32_contents=array.ravel())
        tensor = oip.ModelInferRequest.InferInputTensor(
            name="x", datatype="FP32", shape=array.shape, contents=contents
        )
        answer = call(oip.ModelInferRequest(model_name="echo", inputs=[tensor])).outputs[0]
        return np.array(answer.contents.fp32_contents, np.float32).reshape(tuple(answer.shape))

    return lambda array: lambda: trip(array)


def client_of(kind: Callable[[grpc.Channel], inference.TensorClient]) -> Callable[[str], object]:
    """One of our clients, over connect()."""

    def way(address: str) -> Callable[[np.ndarray], Trip]:
        client = kind(eas_grpc.connect(address, token=TOKEN, profile="direct", deadline=60.0))
        return lambda array: lambda: client.infer("echo", {"x": array})

    return way


WAYS = {
    "raw": raw,
    "bytes-field": bytes_field,
    "repeated-field": repeated_field,
    "native": client_of(inference.TensorClient),
    "open-inference": client_of(inference.OpenInferenceClient),
    "tf-serving": client_of(inference.TFServingClient),
}


def _bare(address: str, method: str, *serializers: object) -> Callable[..., object]:
    channel = grpc.insecure_channel(address, options=UNLIMITED)
    return channel.unary_unary(f"/{SERVICE}/{method}", *serializers)


if __name__ == "__main__":
    if "--keep" in sys.argv:
        assert keep_large_buffers()
    work(WAYS[sys.argv[1]](sys.argv[2]))
