"""Peak memory of the peer's own encoding and decoding: `python -m benchmarks.triton_memory 'tritonclient encode'`."""

from __future__ import annotations

import json
import sys

import numpy as np
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2
from tritonclient.grpc._utils import _get_inference_request

from benchmarks.worker import Trip, images, peak_of

LARGE = 38_535_168


def encode(array: np.ndarray) -> Trip:
    """What its infer() does before the call."""

    def step() -> bytes:
        tensor = triton.InferInput("x", array.shape, "FP32")
        tensor.set_data_from_numpy(array)
        request = _get_inference_request("echo", [tensor], "", "", None, 0, False, False, 0, None, None)
        return request.SerializeToString()

    return step


def decode(array: np.ndarray) -> Trip:
    """What its infer() does after the call, and as_numpy()."""
    output = service_pb2.ModelInferResponse.InferOutputTensor(name="x", datatype="FP32", shape=array.shape)
    answer = service_pb2.ModelInferResponse(
        model_name="echo", outputs=[output], raw_output_contents=[array.tobytes()]
    )
    data = answer.SerializeToString()

    def step() -> np.ndarray:
        return triton.InferResult(service_pb2.ModelInferResponse.FromString(data)).as_numpy("x")

    return step


if __name__ == "__main__":
    kind = encode if sys.argv[1].endswith("encode") else decode
    kind(images(3072))()
    print(json.dumps(peak_of(kind(images(LARGE)), LARGE)))
