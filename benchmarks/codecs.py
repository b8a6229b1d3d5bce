"""Encoding and decoding alone, against protobuf: time as ratios in one process, and peak memory over the payload."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from eas_grpc_pb.open_inference.v2 import open_inference_pb2 as oip
from eas_grpc_pb.tensor.v1 import tensor_pb2

from benchmarks.tensors import PEERS_PYTHON, TRITON, quartiles, shown
from benchmarks.worker import ROOT, images, peak_of
from eas_grpc import tensors

IMAGE = 602_112
LARGE = 38_535_168

Step = Callable[[], object]


def ours_encode(array: np.ndarray) -> Step:
    """Array in, bytes out."""
    return lambda: tensors.native.encode_request(tensors.Request("echo", {"x": array}))


def ours_decode(array: np.ndarray) -> Step:
    """Bytes in, array out."""
    data = tensors.native.encode_request(tensors.Request("echo", {"x": array}))
    return lambda: tensors.native.decode_request(data).inputs["x"]


def bytes_encode(array: np.ndarray) -> Step:
    """The same message, by protobuf."""

    def step() -> bytes:
        tensor = tensor_pb2.Tensor(name="x", dtype=12, shape=array.shape, data=array.tobytes())
        return tensor_pb2.PredictRequest(model="echo", inputs=[tensor]).SerializeToString()

    return step


def bytes_decode(array: np.ndarray) -> Step:
    """The same message, by protobuf."""
    data = bytes_encode(array)()

    def step() -> np.ndarray:
        tensor = tensor_pb2.PredictRequest.FromString(data).inputs[0]
        return np.frombuffer(tensor.data, np.float32).reshape(tuple(tensor.shape))

    return step


def repeated_encode(array: np.ndarray) -> Step:
    """A message with the numbers one by one, by protobuf."""

    def step() -> bytes:
        contents = oip.InferTensorContents(fp32_contents=array.ravel())
        tensor = oip.ModelInferRequest.InferInputTensor(
            name="x", datatype="FP32", shape=array.shape, contents=contents
        )
        return oip.ModelInferRequest(model_name="echo", inputs=[tensor]).SerializeToString()

    return step


def repeated_decode(array: np.ndarray) -> Step:
    """A message with the numbers one by one, by protobuf."""
    data = repeated_encode(array)()

    def step() -> np.ndarray:
        tensor = oip.ModelInferRequest.FromString(data).inputs[0]
        return np.array(tensor.contents.fp32_contents, np.float32).reshape(tuple(tensor.shape))

    return step


STEPS = {
    "ours encode": ours_encode,
    "ours decode": ours_decode,
    "protobuf bytes encode": bytes_encode,
    "protobuf bytes decode": bytes_decode,
    "protobuf repeated encode": repeated_encode,
    "protobuf repeated decode": repeated_decode,
}


def figures(rounds: int) -> dict[str, dict[str, Any]]:
    """All ratios; protobuf's over ours, so that more is better, but for the last two kinds."""
    array = images(IMAGE)
    rows = {}
    for kind in ("encode", "decode"):
        for peer in ("protobuf bytes", "protobuf repeated"):
            pairs = _paired(STEPS[f"{peer} {kind}"](array), STEPS[f"ours {kind}"](array), rounds)
            rows[f"{shown(IMAGE)} {kind}, {peer} field / ours"] = quartiles(pairs)
    rows[f"{shown(IMAGE)} encode, protobuf repeated field / ours"]["least"] = 50.0
    sizes = _paired(ours_decode(images(LARGE)), ours_decode(images(3072)), rounds)
    rows[f"decode, ours, {shown(LARGE)} / {shown(3072)}"] = quartiles(sizes)
    for name in STEPS:
        row = {"ratio": peak_over_payload(name, sys.executable), "note": " x payload, peak memory"}
        rows[f"{shown(LARGE)} memory, {name}"] = row | ({"limit": 1.2} if name.startswith("ours") else {})
    if PEERS_PYTHON.exists():
        for kind in ("encode", "decode"):
            peak = peak_over_payload(f"{TRITON} {kind}", str(PEERS_PYTHON))
            rows[f"{shown(LARGE)} memory, {TRITON} {kind}"] = {
                "ratio": peak,
                "note": " x payload, peak memory",
            }
    return rows


def peak_over_payload(name: str, python: str) -> float:
    """Peak memory of one step of 38 MB above what was there before, as a multiple of the payload."""
    module = "benchmarks.triton_memory" if name.startswith(TRITON) else "benchmarks.codecs"
    done = subprocess.run([python, "-m", module, name], cwd=ROOT, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout))


def _paired(base: Step, ours: Step, rounds: int) -> list[float]:
    return [_seconds(base) / _seconds(ours) for _ in range(rounds)]


def _seconds(step: Step) -> float:
    """Of one step, over as many as take some milliseconds."""
    step()
    count, spent = 0, 0.0
    began = time.perf_counter()
    while spent < 0.005:
        step()
        count += 1
        spent = time.perf_counter() - began
    return spent / count


if __name__ == "__main__":
    STEPS[sys.argv[1]](images(3072))()
    print(json.dumps(peak_of(STEPS[sys.argv[1]](images(LARGE)), LARGE)))
