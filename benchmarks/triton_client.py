"""The peer's own released client, in its own environment: `python -m benchmarks.triton_client ADDRESS`."""

from __future__ import annotations

import sys

import numpy as np
import tritonclient.grpc as triton

from benchmarks.worker import work

HEADERS = {"authorization": "Bearer bench-token"}


def main(address: str) -> None:
    """As its documentation writes it: one client, an input per call, the answer as numpy."""
    client = triton.InferenceServerClient(address)

    def trip(array: np.ndarray) -> np.ndarray:
        tensor = triton.InferInput("x", array.shape, "FP32")
        tensor.set_data_from_numpy(array)
        return client.infer("echo", [tensor], headers=HEADERS).as_numpy("x")

    work(lambda array: lambda: trip(array))


if __name__ == "__main__":
    main(sys.argv[1])
