# ruff: noqa: N802, ARG002 - the names and the arguments are gRPC's
"""The greeter of the vendor's page, in all four call shapes, for the synchronous and the asyncio server.

The page does not show the proto's package, so the service answers on three paths. Only the package of our own
is in protobuf's default pool: users have a helloworld.proto themselves.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
from eas_grpc_pb.greeter.v1 import greeter_pb2, greeter_pb2_grpc
from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloManyTimesRequest, HelloRequest, HelloResponse
from google.protobuf.descriptor_pool import DescriptorPool

from eas_grpc.serving.descriptors import repackaged

Context = grpc.aio.ServicerContext[Any, HelloResponse]

# The service name that travels when the proto has no package, and when it has the one of gRPC's own tutorial.
OTHER_NAMES = ("GreeterService", "helloworld.GreeterService")

_MOST_MESSAGES = 1000
_LONGEST_PAUSE_MS = 60_000


class BadGreeting(ValueError):
    """The request asks for something that the greeter refuses; the text says what to ask instead."""


def greeting(*names: str) -> str:
    """`Hello, World!`; names are joined as people would say them, and nobody at all gets `Hello!`."""
    named = [name for name in names if name]
    if not named:
        return "Hello!"
    first = ", ".join(named[:-1])
    return f"Hello, {first} and {named[-1]}!" if first else f"Hello, {named[-1]}!"


def many_times(request: HelloManyTimesRequest) -> tuple[int, float]:
    """How many messages and the pause before each, in seconds; BadGreeting beyond the proto's limits."""
    if request.count > _MOST_MESSAGES:
        raise BadGreeting(f"count={request.count} is too many: ask for at most {_MOST_MESSAGES} messages")
    if request.interval_ms > _LONGEST_PAUSE_MS:
        raise BadGreeting(f"interval_ms={request.interval_ms} is too long: at most {_LONGEST_PAUSE_MS}")
    return request.count or 3, request.interval_ms / 1000


def one_more(names: list[str], name: str) -> None:
    """Collects a name; BadGreeting when there are more than one message can greet."""
    if len(names) == _MOST_MESSAGES:
        raise BadGreeting(f"more than {_MOST_MESSAGES} names: greet them in several calls")
    names.append(name)


class Greeter(greeter_pb2_grpc.GreeterServiceServicer):
    """For eas_grpc.serving.Server."""

    def SayHello(self, request: HelloRequest, context: grpc.ServicerContext) -> HelloResponse:
        """Greets one person."""
        return HelloResponse(message=greeting(request.name))

    def SayHelloManyTimes(
        self, request: HelloManyTimesRequest, context: grpc.ServicerContext
    ) -> Iterator[HelloResponse]:
        """Greets one person several times."""
        try:
            count, pause = many_times(request)
        except BadGreeting as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        gone = threading.Event()
        context.add_callback(gone.set)
        for _ in range(count):
            if gone.wait(pause):
                return
            yield HelloResponse(message=greeting(request.name))

    def SayHelloToAll(
        self, request_iterator: Iterator[HelloRequest], context: grpc.ServicerContext
    ) -> HelloResponse:
        """Greets everybody in one message."""
        names: list[str] = []
        try:
            for request in request_iterator:
                one_more(names, request.name)
        except BadGreeting as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        return HelloResponse(message=greeting(*names))

    def Chat(
        self, request_iterator: Iterator[HelloRequest], context: grpc.ServicerContext
    ) -> Iterator[HelloResponse]:
        """Greets each person as the name arrives."""
        for request in request_iterator:
            yield HelloResponse(message=greeting(request.name))


class AsyncGreeter(greeter_pb2_grpc.GreeterServiceServicer):
    """For eas_grpc.serving.AsyncServer."""

    async def SayHello(self, request: HelloRequest, context: Context) -> HelloResponse:
        """Greets one person."""
        return HelloResponse(message=greeting(request.name))

    async def SayHelloManyTimes(
        self, request: HelloManyTimesRequest, context: Context
    ) -> AsyncIterator[HelloResponse]:
        """Greets one person several times."""
        try:
            count, pause = many_times(request)
        except BadGreeting as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        for _ in range(count):
            await asyncio.sleep(pause)
            yield HelloResponse(message=greeting(request.name))

    async def SayHelloToAll(
        self, request_iterator: AsyncIterator[HelloRequest], context: Context
    ) -> HelloResponse:
        """Greets everybody in one message."""
        names: list[str] = []
        try:
            async for request in request_iterator:
                one_more(names, request.name)
        except BadGreeting as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        return HelloResponse(message=greeting(*names))

    async def Chat(
        self, request_iterator: AsyncIterator[HelloRequest], context: Context
    ) -> AsyncIterator[HelloResponse]:
        """Greets each person as the name arrives."""
        async for request in request_iterator:
            yield HelloResponse(message=greeting(request.name))


class _Renaming:
    """Takes the place of a server, so that the generated function registers under other names too."""

    def __init__(self, server: Any, names: tuple[str, ...]) -> None:
        self._server = server
        self._names = names

    def add_generic_rpc_handlers(self, generic_rpc_handlers: object) -> None:
        """Left out: the methods by name below are all that a server needs."""

    def add_registered_method_handlers(self, _service_name: str, method_handlers: Any) -> None:
        """Registers the same methods under each name."""
        for name in self._names:
            self._server.add_registered_method_handlers(name, method_handlers)


def add_greeter(servicer: greeter_pb2_grpc.GreeterServiceServicer, server: Any) -> None:
    """Adds the greeter to a server of the servicer's colour, on all three paths."""
    greeter_pb2_grpc.add_GreeterServiceServicer_to_server(servicer, server)
    renaming: Any = _Renaming(server, OTHER_NAMES)
    greeter_pb2_grpc.add_GreeterServiceServicer_to_server(servicer, renaming)


def add_descriptors(pool: DescriptorPool) -> None:
    """Adds what reflection says about the greeter under its other names to a pool of the caller's own."""
    for name in OTHER_NAMES:
        package = name.rpartition(".")[0]
        pool.Add(
            repackaged(
                greeter_pb2.DESCRIPTOR,
                package=package,
                name="helloworld.proto" if package else "helloworld_without_package.proto",
            )
        )
