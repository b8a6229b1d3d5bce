"""A right program: every call by an asyncio stub, each type exact."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
from grpc import aio
from my_service.async_pb.acme.infer.v1 import infer_pb2 as async_pb2
from my_service.async_pb.acme.infer.v1 import infer_pb2_grpc as async_pb2_grpc
from my_service.pb.acme.infer.v1 import infer_pb2, infer_pb2_grpc
from my_service.portable_pb.acme.infer.v1 import infer_pb2 as portable_pb2
from my_service.portable_pb.acme.infer.v1 import infer_pb2_grpc as portable_pb2_grpc
from typing_extensions import assert_type


async def requests() -> AsyncIterator[infer_pb2.InferRequest]:
    yield infer_pb2.InferRequest(name="a")


async def calls(channel: aio.Channel) -> None:
    stub = infer_pb2_grpc.InferStub(channel)
    request = infer_pb2.InferRequest(name="x")

    reply = await stub.Run(request, timeout=1.0)
    assert_type(reply, infer_pb2.InferReply)
    assert_type(reply.message, str)
    async for one in stub.Watch(request):
        assert_type(one, infer_pb2.InferReply)
    assert_type(await stub.Collect(requests()), infer_pb2.InferReply)
    async for one in stub.Chat(requests()):
        assert_type(one.message, str)

    call = stub.Run(request)
    assert_type(await call.code(), grpc.StatusCode)
    assert_type(await call, infer_pb2.InferReply)


async def other_trees(channel: aio.Channel) -> None:
    portable = portable_pb2_grpc.InferStub(channel)
    assert_type(await portable.Run(portable_pb2.InferRequest()), portable_pb2.InferReply)
    only_async = async_pb2_grpc.InferStub(channel)
    assert_type(await only_async.Run(async_pb2.InferRequest()), async_pb2.InferReply)
