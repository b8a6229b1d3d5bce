"""Type-checked, never run: what mypy and pyright must know about the inference clients, for both colours.

Each `type: ignore` stands on a mistake that must be found; mypy reports an ignore that nothing needs.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import Any

import grpc
import grpc.aio
import numpy as np
from eas_grpc_pb.open_inference.v2.model_config_pb2 import ModelConfig
from numpy.typing import NDArray
from typing_extensions import assert_type

import eas_grpc
from eas_grpc import aio, inference, tensors

Outputs = dict[str, NDArray[Any]]
Inputs = dict[str, NDArray[np.float32]]


def sync_calls(images: NDArray[np.float32], batches: Iterator[Inputs]) -> None:
    with eas_grpc.connect() as channel:
        client = inference.TensorClient(channel, on_large="upload", max_request=None)
        assert_type(client.infer("digits", {"images": images}), Outputs)
        assert_type(client.infer("digits", {"images": images}, ["scores"], 2.0)["scores"], NDArray[Any])
        client.infer("digits", {"images": bytearray(4), "more": memoryview(b"")}, metadata=[("x-trace", "1")])

        many = client.infer_many("digits", batches, in_flight=4, on_progress=print)
        assert_type(many, Generator[Outputs, None, None])
        with_errors = client.infer_many("digits", batches, return_errors=True)
        assert_type(with_errors, Generator[Outputs | Exception, None, None])
        assert_type(client.infer_stream("digits", batches), Generator[Outputs, None, None])
        stream = client.infer_stream("digits", batches, return_errors=True)
        assert_type(stream, Generator[Outputs | Exception, None, None])
        assert_type(client.infer_partial("digits", {"images": images}), Generator[Outputs, None, None])

        spec = client.describe("digits")
        assert_type(spec, tensors.ModelSpec)
        assert_type(client.ready("digits"), bool)
        client.forget("digits")


def sync_protocols(channel: grpc.Channel, spec: tensors.ModelSpec) -> None:
    triton = inference.OpenInferenceClient(channel, typed=True, specs={"digits": spec}, on_large="split")
    triton.infer("digits", {}, version="1", id="a", parameters={"priority": 1})
    assert_type(triton.live(), bool)
    assert_type(triton.server_metadata().extensions, tuple[str, ...])
    assert_type(triton.model_config("digits"), ModelConfig)
    tensorflow = inference.TFServingClient(channel)
    tensorflow.infer("digits", {}, signature="predict_images")
    assert_type(tensorflow.model_status("digits"), list[inference.VersionStatus])
    clients: list[inference.InferenceClient] = [triton, tensorflow, inference.TensorClient(channel)]
    assert_type(clients[0].ready("digits"), bool)


async def aio_calls(images: NDArray[np.float32], batches: AsyncIterator[Inputs]) -> None:
    async with aio.connect() as channel:
        client = inference.AsyncTensorClient(channel, on_large="upload")
        assert_type(await client.infer("digits", {"images": images}), Outputs)
        many = client.infer_many("digits", batches, in_flight=4)
        assert_type(many, AsyncGenerator[Outputs, None])
        async for outputs in client.infer_many("digits", [{"images": images}]):
            assert_type(outputs, Outputs)
        async for either in client.infer_stream("digits", batches, return_errors=True):
            assert_type(either, Outputs | Exception)
        async for outputs in client.infer_partial("digits", {"images": images}):
            assert_type(outputs, Outputs)
        assert_type(await client.describe("digits"), tensors.ModelSpec)
        assert_type(await client.ready("digits"), bool)


async def aio_protocols(channel: grpc.aio.Channel) -> None:
    triton = inference.AsyncOpenInferenceClient(channel, typed=True)
    assert_type(await triton.live(), bool)
    assert_type(await triton.server_metadata(), inference.ServerMetadata)
    tensorflow = inference.AsyncTFServingClient(channel)
    assert_type(await tensorflow.model_status("digits"), list[inference.VersionStatus])
    clients: list[inference.AsyncInferenceClient] = [triton, tensorflow]
    assert_type(await clients[0].infer("digits", {}), Outputs)


def errors(error: inference.InferenceError) -> None:
    assert_type(error.failure, eas_grpc.errors.CallFailure)
    assert_type(error.code(), grpc.StatusCode)
    assert_type(error.hint, str)


def sync_mistakes(channel: grpc.Channel, aio_channel: grpc.aio.Channel, images: NDArray[np.float32]) -> None:
    client = inference.TensorClient(channel)
    inference.TensorClient(aio_channel)  # type: ignore[arg-type]
    inference.TensorClient(channel, on_large="chunk")  # type: ignore[arg-type]
    inference.TensorClient(channel, typed=True)  # type: ignore[call-arg]
    inference.OpenInferenceClient(channel, "split")  # type: ignore[call-arg]
    client.infer("digits", images)  # type: ignore[arg-type]
    client.infer("digits", {"images": images}, deadline="5s")  # type: ignore[arg-type]
    client.infer("digits", {"images": images}, timeout=5)  # type: ignore[call-arg]
    client.infer_many("digits", {"images": images})  # type: ignore[dict-item]
    client.infer_many("digits", [{"images": images}], 4, in_fligth=4)  # type: ignore[call-overload]
    client.live()  # type: ignore[attr-defined]
    inference.TFServingClient(channel).infer_partial("digits", {})  # type: ignore[attr-defined]
    inference.TensorCleint(channel)  # type: ignore[attr-defined]


async def aio_mistakes(channel: grpc.Channel, images: NDArray[np.float32]) -> None:
    inference.AsyncTensorClient(channel)  # type: ignore[arg-type]
    client = inference.AsyncTensorClient(aio.connect())
    client.infer("digits", {"images": images})["scores"]  # type: ignore[index]
    await client.infer_many("digits", [])  # type: ignore[misc]
    for _ in client.infer_many("digits", []):  # type: ignore[attr-defined]
        pass
