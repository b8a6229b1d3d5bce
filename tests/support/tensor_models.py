"""Models of every kind on real servers, and stubs that speak to them with protobuf's messages (no tests here).

Each model is written once, as a plain function. The flavours are the three ways in which it can come to be
served: on Server, on AsyncServer in threads, and on AsyncServer as an `async def` function that is awaited.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import ml_dtypes
import numpy as np
from eas_grpc_pb.open_inference.v2.open_inference_pb2_grpc import GRPCInferenceServiceStub
from eas_grpc_pb.tensor.v1.tensor_pb2_grpc import TensorServiceStub
from eas_grpc_pb.tf_serving.v1.model_service_pb2_grpc import ModelServiceStub
from eas_grpc_pb.tf_serving.v1.prediction_service_pb2_grpc import PredictionServiceStub
from numpy.typing import NDArray

from eas_grpc import serving
from support.serving import SECRET, WAIT, dial, running

FLAVOURS = ["sync", "threads", "await"]


def echo(**inputs):
    return inputs


def double(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return x * np.float32(2)


def count(upto: NDArray[np.int64], refuse_at: NDArray[np.int64] | None = None) -> Iterator[NDArray[np.int64]]:
    """[0], [1], ... in parts; refuses from `refuse_at` on."""
    for number in range(int(upto)):
        if refuse_at is not None and number == refuse_at:
            raise serving.BadInput(f"no number beyond {number}")
        yield np.array([number])


def dark():
    raise serving.BadInput("the image is too dark")


def broken():
    raise RuntimeError(SECRET)


def stopping(**inputs):
    return next(iter(inputs[name] for name in ("nothing",) if name in inputs))


def liar() -> NDArray[np.float32]:
    return np.zeros(1)


def tiny():
    return np.zeros(2, ml_dtypes.float8_e3m4)


def half(x):
    return x.astype(np.float16)


MODELS = [echo, double, count, dark, broken, stopping, liar, tiny, half]


class Endless:
    """A model that yields until nobody listens any more."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def endless(self):
        try:
            while True:
                yield np.zeros(1000)
        finally:
            self.closed.set()


class Held:
    """A model that takes its time."""

    def __init__(self) -> None:
        self.entered, self.released = threading.Event(), threading.Event()

    def held(self):
        self.entered.set()
        assert self.released.wait(WAIT)
        return np.ones(1)


def awaited(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function as `async def`."""

    @functools.wraps(function)
    async def once(**inputs):
        await asyncio.sleep(0)
        return function(**inputs)

    @functools.wraps(function)
    async def parts(**inputs):
        for part in function(**inputs):
            await asyncio.sleep(0)
            yield part

    return parts if inspect.isgeneratorfunction(function) else once


@contextmanager
def served(flavour: str, *functions: Callable[..., Any], **options: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Serves the functions; gives the server, a channel to it and the Models."""
    made = serving.Models(*(map(awaited, functions) if flavour == "await" else functions), **options)
    colour, register = ("sync", made.register) if flavour == "sync" else ("aio", made.register_async)
    with (
        running(colour, register) as server,
        dial(server, ("grpc.max_receive_message_length", -1)) as channel,
    ):
        yield server, channel, made


class _Renamed:
    """A channel on which a generated stub calls its service under the name that travels."""

    def __init__(self, channel: grpc.Channel, package: str, name: str) -> None:
        self._channel, self._package, self._name = channel, f"/{package}.", f"/{name}."

    def __getattr__(self, shape: str) -> Any:
        make = getattr(self._channel, shape)
        return lambda method, *a, **kw: make(method.replace(self._package, self._name), *a, **kw)


def native(channel: Any) -> Any:
    return TensorServiceStub(channel)


def open_inference(channel: Any) -> Any:
    return GRPCInferenceServiceStub(_Renamed(channel, "eas_grpc_pb.open_inference.v2", "inference"))


def prediction(channel: Any) -> Any:
    return PredictionServiceStub(_Renamed(channel, "eas_grpc_pb.tf_serving.v1", "tensorflow.serving"))


def model_service(channel: Any) -> Any:
    return ModelServiceStub(_Renamed(channel, "eas_grpc_pb.tf_serving.v1", "tensorflow.serving"))
