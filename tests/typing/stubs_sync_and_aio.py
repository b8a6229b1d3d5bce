"""Type-checked, never run: what mypy must know about generated stubs, for both colours.

Each `type: ignore` stands on a mistake that must be found; mypy reports an ignore that nothing needs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import grpc
from eas_grpc_pb.greeter.v1 import greeter_pb2, greeter_pb2_grpc
from eas_grpc_pb.tensor.v1 import tensor_pb2, tensor_pb2_grpc
from grpc import aio
from typing_extensions import assert_type


def sync_calls(channel: grpc.Channel) -> None:
    stub = greeter_pb2_grpc.GreeterServiceStub(channel)
    reply = stub.SayHello(greeter_pb2.HelloRequest(name="World"), timeout=1.0)
    assert_type(reply.message, str)
    for one in stub.SayHelloManyTimes(greeter_pb2.HelloManyTimesRequest(name="World", count=2)):
        assert_type(one, greeter_pb2.HelloResponse)
    names = (greeter_pb2.HelloRequest(name=name) for name in ("a", "b"))
    assert_type(stub.SayHelloToAll(names), greeter_pb2.HelloResponse)

    tensor = tensor_pb2.Tensor(name="x", dtype=tensor_pb2.DTYPE_FLOAT32, shape=[1], data=b"\0\0\0\0")
    predicted = tensor_pb2_grpc.TensorServiceStub(channel).Predict(tensor_pb2.PredictRequest(inputs=[tensor]))
    assert_type(predicted.outputs[0].data, bytes)


async def aio_calls(channel: aio.Channel) -> None:
    stub = greeter_pb2_grpc.GreeterServiceStub(channel)
    reply = await stub.SayHello(greeter_pb2.HelloRequest(name="World"), timeout=1.0)
    assert_type(reply, greeter_pb2.HelloResponse)
    async for one in stub.SayHelloManyTimes(greeter_pb2.HelloManyTimesRequest(name="World")):
        assert_type(one, greeter_pb2.HelloResponse)
    assert_type(await stub.SayHello(greeter_pb2.HelloRequest()).code(), grpc.StatusCode)


class SyncGreeter(greeter_pb2_grpc.GreeterServiceServicer):
    def SayHello(
        self, request: greeter_pb2.HelloRequest, context: grpc.ServicerContext
    ) -> greeter_pb2.HelloResponse:
        context.set_trailing_metadata((("seen", "yes"),))
        return greeter_pb2.HelloResponse(message=request.name)

    def SayHelloManyTimes(
        self, request: greeter_pb2.HelloManyTimesRequest, context: grpc.ServicerContext
    ) -> Iterator[greeter_pb2.HelloResponse]:
        for _ in range(request.count):
            yield greeter_pb2.HelloResponse(message=request.name)

    def SayHelloToAll(
        self, request_iterator: Iterator[greeter_pb2.HelloRequest], context: grpc.ServicerContext
    ) -> greeter_pb2.HelloResponse:
        return greeter_pb2.HelloResponse(message=" ".join(request.name for request in request_iterator))

    def Chat(
        self, request_iterator: Iterator[greeter_pb2.HelloRequest], context: grpc.ServicerContext
    ) -> Iterator[greeter_pb2.HelloResponse]:
        return (greeter_pb2.HelloResponse(message=request.name) for request in request_iterator)


class AioGreeter(greeter_pb2_grpc.GreeterServiceServicer):
    async def SayHello(
        self, request: greeter_pb2.HelloRequest, context: aio.ServicerContext[object, object]
    ) -> greeter_pb2.HelloResponse:
        await context.send_initial_metadata((("seen", "yes"),))
        return greeter_pb2.HelloResponse(message=request.name)

    async def SayHelloManyTimes(
        self, request: greeter_pb2.HelloManyTimesRequest, context: aio.ServicerContext[object, object]
    ) -> AsyncIterator[greeter_pb2.HelloResponse]:
        for _ in range(request.count):
            yield greeter_pb2.HelloResponse(message=request.name)

    async def SayHelloToAll(
        self,
        request_iterator: AsyncIterator[greeter_pb2.HelloRequest],
        context: aio.ServicerContext[object, object],
    ) -> greeter_pb2.HelloResponse:
        return greeter_pb2.HelloResponse(
            message=" ".join([request.name async for request in request_iterator])
        )

    async def Chat(
        self,
        request_iterator: AsyncIterator[greeter_pb2.HelloRequest],
        context: aio.ServicerContext[object, object],
    ) -> AsyncIterator[greeter_pb2.HelloResponse]:
        async for request in request_iterator:
            yield greeter_pb2.HelloResponse(message=request.name)


def served(server: grpc.Server, aio_server: aio.Server) -> None:
    greeter_pb2_grpc.add_GreeterServiceServicer_to_server(SyncGreeter(), server)
    greeter_pb2_grpc.add_GreeterServiceServicer_to_server(AioGreeter(), aio_server)


def sync_mistakes(channel: grpc.Channel) -> None:
    stub = greeter_pb2_grpc.GreeterServiceStub(channel)
    request = greeter_pb2.HelloRequest(name="World")
    stub.SayHello(greeter_pb2.HelloResponse())  # type: ignore[arg-type]
    stub.SayHello(request).name  # type: ignore[attr-defined]
    stub.SayHello(request).HasField("message")  # type: ignore[arg-type]
    stub.sayHello(request)  # type: ignore[attr-defined]
    stub.SayHello(request, deadline=1.0)  # type: ignore[call-arg]
    stub.SayHelloManyTimes(request)  # type: ignore[arg-type]
    stub.SayHelloToAll(request)  # type: ignore[arg-type]
    list(stub.SayHello(request))  # type: ignore[call-overload]
    greeter_pb2.HelloRequest(name=1)  # type: ignore[arg-type]
    greeter_pb2.HelloRequest(nam="World")  # type: ignore[call-arg]
    tensor_pb2.Tensor(dtype=11)  # type: ignore[arg-type]
    tensor_pb2.Tensor(data="text")  # type: ignore[arg-type]


async def aio_mistakes(channel: aio.Channel, sync_channel: grpc.Channel) -> None:
    stub = greeter_pb2_grpc.GreeterServiceStub(channel)
    request = greeter_pb2.HelloRequest(name="World")
    stub.SayHello(request).message  # type: ignore[attr-defined]
    await stub.SayHello(greeter_pb2.HelloResponse())  # type: ignore[arg-type]
    await greeter_pb2_grpc.GreeterServiceStub(sync_channel).SayHello(request)  # type: ignore[misc]
    for _ in stub.SayHelloManyTimes(greeter_pb2.HelloManyTimesRequest()):  # type: ignore[attr-defined]
        pass
    await stub.SayHelloManyTimes(greeter_pb2.HelloManyTimesRequest())  # type: ignore[misc]


class WrongReply(greeter_pb2_grpc.GreeterServiceServicer):
    def SayHello(  # type: ignore[override]
        self, request: greeter_pb2.HelloRequest, context: grpc.ServicerContext
    ) -> str:
        return request.name


def incomplete(server: grpc.Server) -> None:
    greeter_pb2_grpc.add_GreeterServiceServicer_to_server(WrongReply(), server)  # type: ignore[abstract]
