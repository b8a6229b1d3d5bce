"""Wrong in every line that says so; the rest is right."""

from __future__ import annotations

import grpc
from grpc import aio
from my_service.async_pb.acme.infer.v1 import infer_pb2_grpc as async_pb2_grpc
from my_service.pb.acme.common.v1 import types_pb2
from my_service.pb.acme.infer.v1 import infer_pb2, infer_pb2_grpc
from my_service.portable_pb.acme.infer.v1 import infer_pb2 as portable_pb2
from my_service.portable_pb.acme.infer.v1 import infer_pb2_grpc as portable_pb2_grpc
from my_service.sync_pb.acme.infer.v1 import infer_pb2_grpc as sync_pb2_grpc


def calls(channel: grpc.Channel, aio_channel: aio.Channel) -> None:
    stub = infer_pb2_grpc.InferStub(channel)
    request = infer_pb2.InferRequest()
    stub.Run(types_pb2.Thing())  # wrong: a request of another type
    stub.Run(request).outcome  # wrong: the reply has no such attribute
    for _ in stub.Run(request):  # wrong: a single reply is iterated
        pass
    stub.Watch(request).message  # wrong: a stream of replies is taken for one
    stub.Collect(request)  # wrong: one message where an iterator is wanted
    stub.Collect(iter([types_pb2.Thing()]))  # wrong: an iterator over another type
    stub.Rum(request)  # wrong: there is no such rpc
    stub.Run(request, timeout="5")  # wrong: a timeout that is a string
    text: int = stub.Run(request).message  # wrong: a string taken for a number
    del text
    infer_pb2_grpc.InferStub("localhost:1")  # wrong: an address where a channel is wanted
    sync_pb2_grpc.InferStub(aio_channel)  # wrong: a stub for blocking calls over an aio channel
    async_pb2_grpc.InferStub(channel)  # wrong: an aio stub over a blocking channel
    portable_pb2_grpc.InferStub(channel).Run(request)  # wrong: the message of another tree
    portable_pb2.InferRequest(nam="x")  # wrong: a field misspelt, in the portable tree


async def awaited(channel: grpc.Channel) -> None:
    stub = infer_pb2_grpc.InferStub(channel)
    await stub.Run(infer_pb2.InferRequest())  # wrong: a blocking call awaited
