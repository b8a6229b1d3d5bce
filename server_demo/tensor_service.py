# ruff: noqa: N802 - the names are gRPC's
"""TensorService: turns messages into arrays, runs a model, and turns what went wrong into a status."""

from __future__ import annotations

import asyncio

import grpc
from eas_grpc_pb.tensor.v1 import tensor_pb2_grpc
from eas_grpc_pb.tensor.v1.tensor_pb2 import PredictRequest, PredictResponse

from server_demo import models
from server_demo.arrays import Array, BadTensor, to_array, to_tensor

Context = grpc.aio.ServicerContext[PredictRequest, PredictResponse]

_STATUS: dict[type[Exception], grpc.StatusCode] = {
    models.UnknownModel: grpc.StatusCode.NOT_FOUND,
    models.BadInput: grpc.StatusCode.INVALID_ARGUMENT,
    BadTensor: grpc.StatusCode.INVALID_ARGUMENT,
}
_REFUSALS = tuple(_STATUS)


def answer(request: PredictRequest) -> PredictResponse:
    """The response to a request; UnknownModel, BadInput or BadTensor when there is none."""
    inputs: dict[str, Array] = {}
    for tensor in request.inputs:
        if tensor.name in inputs:
            raise models.BadInput(f"two inputs are called {tensor.name[:100]!r}")
        inputs[tensor.name] = to_array(tensor)
    outputs = models.run(request.model, inputs, request.outputs)
    return PredictResponse(
        model=request.model, outputs=[to_tensor(name, array) for name, array in outputs.items()]
    )


class TensorService(tensor_pb2_grpc.TensorServiceServicer):
    """For eas_grpc.serving.Server."""

    def Predict(self, request: PredictRequest, context: grpc.ServicerContext) -> PredictResponse:
        """Runs a model once."""
        try:
            return answer(request)
        except _REFUSALS as error:
            context.abort(_STATUS[type(error)], str(error))


class AsyncTensorService(tensor_pb2_grpc.TensorServiceServicer):
    """For eas_grpc.serving.AsyncServer."""

    async def Predict(self, request: PredictRequest, context: Context) -> PredictResponse:
        """Runs a model once, in a thread: a large batch would hold up every other call."""
        try:
            return await asyncio.to_thread(answer, request)
        except _REFUSALS as error:
            await context.abort(_STATUS[type(error)], str(error))
