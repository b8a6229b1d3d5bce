"""A right program: a service implemented in both colours and served."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import grpc
from google.protobuf import empty_pb2
from grpc import aio
from my_service.pb.acme.common.v1 import types_pb2
from my_service.pb.acme.infer.v1 import infer_pb2, infer_pb2_grpc


class SyncInfer(infer_pb2_grpc.InferServicer):
    def Run(self, request: infer_pb2.InferRequest, context: grpc.ServicerContext) -> infer_pb2.InferReply:
        context.set_trailing_metadata((("k", "v"),))
        return infer_pb2.InferReply(message=request.name)

    def Watch(
        self, request: infer_pb2.InferRequest, context: grpc.ServicerContext
    ) -> Iterator[infer_pb2.InferReply]:
        yield infer_pb2.InferReply(message=request.name)

    def Collect(
        self, request_iterator: Iterator[infer_pb2.InferRequest], context: grpc.ServicerContext
    ) -> infer_pb2.InferReply:
        return infer_pb2.InferReply(message=" ".join(request.name for request in request_iterator))

    def Chat(
        self, request_iterator: Iterator[infer_pb2.InferRequest], context: grpc.ServicerContext
    ) -> Iterator[infer_pb2.InferReply]:
        for request in request_iterator:
            yield infer_pb2.InferReply(message=request.name)

    def Forget(self, request: types_pb2.Thing, context: grpc.ServicerContext) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    def OldRun(self, request: infer_pb2.InferRequest, context: grpc.ServicerContext) -> infer_pb2.InferReply:
        return self.Run(request, context)


class AioInfer(infer_pb2_grpc.InferServicer):
    async def Run(
        self,
        request: infer_pb2.InferRequest,
        context: aio.ServicerContext[infer_pb2.InferRequest, infer_pb2.InferReply],
    ) -> infer_pb2.InferReply:
        return infer_pb2.InferReply(message=request.name)

    async def Watch(
        self,
        request: infer_pb2.InferRequest,
        context: aio.ServicerContext[infer_pb2.InferRequest, infer_pb2.InferReply],
    ) -> AsyncIterator[infer_pb2.InferReply]:
        yield infer_pb2.InferReply(message=request.name)

    async def Collect(
        self,
        request_iterator: AsyncIterator[infer_pb2.InferRequest],
        context: aio.ServicerContext[infer_pb2.InferRequest, infer_pb2.InferReply],
    ) -> infer_pb2.InferReply:
        names = [request.name async for request in request_iterator]
        return infer_pb2.InferReply(message=" ".join(names))

    async def Chat(
        self,
        request_iterator: AsyncIterator[infer_pb2.InferRequest],
        context: aio.ServicerContext[infer_pb2.InferRequest, infer_pb2.InferReply],
    ) -> AsyncIterator[infer_pb2.InferReply]:
        async for request in request_iterator:
            yield infer_pb2.InferReply(message=request.name)

    async def Forget(
        self, request: types_pb2.Thing, context: aio.ServicerContext[types_pb2.Thing, empty_pb2.Empty]
    ) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    async def OldRun(
        self,
        request: infer_pb2.InferRequest,
        context: aio.ServicerContext[infer_pb2.InferRequest, infer_pb2.InferReply],
    ) -> infer_pb2.InferReply:
        return await self.Run(request, context)


def serve(server: grpc.Server, aio_server: aio.Server) -> None:
    infer_pb2_grpc.add_InferServicer_to_server(SyncInfer(), server)
    infer_pb2_grpc.add_InferServicer_to_server(AioInfer(), aio_server)
