"""Wrong in every line that says so; the rest is right."""

from __future__ import annotations

from collections.abc import Iterator

from grpc import aio
from my_service.pb.acme.common.v1 import types_pb2
from my_service.pb.acme.infer.v1 import infer_pb2, infer_pb2_grpc


def of_things() -> Iterator[types_pb2.Thing]:
    yield types_pb2.Thing()


async def calls(channel: aio.Channel) -> None:
    stub = infer_pb2_grpc.InferStub(channel)
    request = infer_pb2.InferRequest()
    stub.Run(request).message  # wrong: the await is missing
    reply: infer_pb2.InferReply = stub.Run(request)  # wrong: the await is missing here too
    del reply
    (await stub.Run(request)).outcome  # wrong: the reply has no such attribute
    await stub.Watch(request)  # wrong: a stream is awaited
    for _ in stub.Watch(request):  # wrong: an asynchronous stream in a plain loop
        pass
    async for _ in stub.Run(request):  # wrong: a single reply is iterated
        pass
    await stub.Run(types_pb2.Thing())  # wrong: a request of another type
    await stub.Collect(of_things())  # wrong: an iterator over another type
    stub.Run.future(request)  # wrong: only blocking stubs have futures
