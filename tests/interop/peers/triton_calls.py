"""The calls of tritonclient, unmodified, against a server: `python triton_calls.py ADDRESS TOKEN SAMPLES`.

Prints a JSON object of what each call gave. Runs in the environment of the peers, without anything of ours.
"""

from __future__ import annotations

import asyncio
import json
import queue
import sys
from collections.abc import Callable
from typing import Any

import grpc
import ml_dtypes
import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

TYPED = {
    "BOOL": ("bool_contents", [True, False]),
    "INT8": ("int_contents", [-1, 2]),
    "INT64": ("int64_contents", [-(2**62), 5]),
    "UINT32": ("uint_contents", [2**32 - 1, 0]),
    "UINT64": ("uint64_contents", [2**64 - 1, 0]),
    "FP32": ("fp32_contents", [1.5, -2.0]),
    "FP64": ("fp64_contents", [0.1, 1e300]),
    "BYTES": ("bytes_contents", [b"", b"\xff\x00"]),
}


def calls(address: str, token: str, samples: str) -> dict[str, Any]:
    """What each call gave, as JSON can hold it."""
    client = triton.InferenceServerClient(address)
    headers = {"authorization": f"Bearer {token}"}
    with np.load(samples) as stored:
        images = np.divide(stored["images"], 255, dtype=np.float32)
    found: dict[str, Any] = {
        "live": client.is_server_live(headers=headers),
        "ready": client.is_server_ready(headers=headers),
        "model ready": client.is_model_ready("digits", headers=headers),
        "unknown model ready": outcome(lambda: client.is_model_ready("nobody", headers=headers)),
        "server metadata": client.get_server_metadata(headers=headers, as_json=True),
        "model metadata": client.get_model_metadata("digits", headers=headers, as_json=True),
        "model config": client.get_model_config("digits", headers=headers, as_json=True),
        "digits": infer(client, headers, "digits", "images", images, "scores").tolist(),
    }
    for dtype in (bool, "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"):
        array = (np.arange(6) % 2 if dtype is bool else np.arange(6)).reshape(2, 3).astype(dtype)
        found[f"echo {np.dtype(dtype).name}"] = infer(client, headers, "echo", "x", array).tolist()
    text = np.array([b"", b"\xff\x00", "Grüße".encode()], dtype=object)
    found["echo BYTES"] = [item.hex() for item in infer(client, headers, "echo", "x", text)]
    found["echo BF16"] = bfloat16(client, headers)
    found["echo nothing"] = list(infer(client, headers, "echo", "x", np.empty((0, 3), np.float32)).shape)
    found["wrong shape"] = outcome(lambda: infer(client, headers, "digits", "images", images[:, :5]))
    found["wrong dtype"] = outcome(
        lambda: infer(client, headers, "digits", "images", images.astype(np.float64))
    )
    found["wrong name"] = outcome(lambda: infer(client, headers, "digits", "pictures", images))
    found["unknown model"] = outcome(lambda: infer(client, headers, "nobody", "x", images))
    found["no token"] = outcome(lambda: infer(client, {}, "echo", "x", images))
    found["request id"] = (
        client.infer("echo", [as_input("x", images[:1])], headers=headers, request_id="seven")
        .get_response()
        .id
    )
    found["asked output"] = two_inputs(client, headers)
    found |= {f"typed {name}": typed(address, token, name, *given) for name, given in TYPED.items()}
    found["stream"] = stream(client, headers, images)
    found["async"] = asynchronous(client, headers, images)
    found["aio"] = asyncio.run(over_aio(address, headers, images))
    client.close()
    return found


def as_input(name: str, array: np.ndarray) -> triton.InferInput:
    """As its documentation writes it."""
    tensor = triton.InferInput(name, array.shape, np_to_triton_dtype(array.dtype))
    tensor.set_data_from_numpy(array)
    return tensor


def infer(
    client: Any, headers: dict, model: str, name: str, array: np.ndarray, output: str | None = None
) -> np.ndarray:
    """One call, and the output of the same name unless another is named."""
    answer = client.infer(model, [as_input(name, array)], headers=headers).as_numpy(output or name)
    assert answer is not None, "there is no such output"
    return answer


def bfloat16(client: Any, headers: dict) -> list[float]:
    """BF16, which this client takes as float32 or, in later versions, as ml_dtypes' bfloat16."""
    tensor = triton.InferInput("x", [3], "BF16")
    try:
        tensor.set_data_from_numpy(np.array([1.5, -2.0, 3.0], np.float32))
    except InferenceServerException:
        tensor.set_data_from_numpy(np.array([1.5, -2.0, 3.0], ml_dtypes.bfloat16))
    answer = client.infer("echo", [tensor], headers=headers)
    assert answer.get_output("x").datatype == "BF16"
    return answer.as_numpy("x").astype(float).tolist()


def two_inputs(client: Any, headers: dict) -> list[str]:
    """Only the outputs that are asked for come back."""
    inputs = [as_input(name, np.arange(3)) for name in ("a", "b")]
    answer = client.infer("echo", inputs, outputs=[triton.InferRequestedOutput("b")], headers=headers)
    return [output.name for output in answer.get_response().outputs]


def typed(address: str, token: str, datatype: str, field: str, values: list) -> dict[str, Any]:
    """Its own stub, with the elements one by one: what its high-level client does not write."""
    contents = service_pb2.InferTensorContents(**{field: values})
    tensor = service_pb2.ModelInferRequest.InferInputTensor(
        name="x", datatype=datatype, shape=[2], contents=contents
    )
    with grpc.insecure_channel(address) as channel:
        answer = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(
            service_pb2.ModelInferRequest(model_name="echo", inputs=[tensor]),
            metadata=(("authorization", f"Bearer {token}"),),
            timeout=10,
        )
    output = answer.outputs[0]
    came = getattr(output.contents, field)
    return {
        "datatype": output.datatype,
        "raw": len(answer.raw_output_contents),
        "same": list(came) == list(values),
    }


def stream(client: Any, headers: dict, images: np.ndarray) -> list[Any]:
    """A stream of a good request, one that is refused, and a good one again."""
    came: queue.Queue = queue.Queue()
    client.start_stream(lambda result, error: came.put((result, error)), headers=headers)
    for number, rows in enumerate((images[:1], images[:1, :7], images[:2])):
        client.async_stream_infer("digits", [as_input("images", rows)], request_id=f"r{number}")
    answers = []
    for _ in range(3):
        result, error = came.get(timeout=20)
        if error is None:
            answers.append([result.get_response().id, list(result.as_numpy("scores").shape)])
        else:
            answers.append(error.message())
    client.stop_stream()
    return answers


def asynchronous(client: Any, headers: dict, images: np.ndarray) -> list[int]:
    """Its callback interface."""
    came: queue.Queue = queue.Queue()
    client.async_infer(
        "digits",
        [as_input("images", images)],
        lambda result, error: came.put((result, error)),
        headers=headers,
    )
    result, error = came.get(timeout=20)
    assert error is None, error
    return list(result.as_numpy("scores").shape)


async def over_aio(address: str, headers: dict, images: np.ndarray) -> dict[str, Any]:
    """Its asyncio client: a call and a stream."""
    async with triton_aio.InferenceServerClient(address) as client:
        answer = await client.infer("digits", [as_input("images", images)], headers=headers)

        async def requests() -> Any:
            for rows in (images[:1], images[:3]):
                yield {"model_name": "digits", "inputs": [as_input("images", rows)]}

        shapes = []
        async for result, error in client.stream_infer(requests(), headers=headers):
            shapes.append(list(result.as_numpy("scores").shape) if error is None else error.message())
        return {"infer": list(answer.as_numpy("scores").shape), "stream": shapes}


def outcome(call: Callable[[], Any]) -> Any:
    """What a call gave, or the status and the text of its error."""
    try:
        return call()
    except InferenceServerException as error:
        return [str(error.status()), error.message()]


if __name__ == "__main__":
    print(json.dumps(calls(*sys.argv[1:])))
