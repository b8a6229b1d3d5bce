"""TestService of the interop cases on our two servers, in a process of its own.

What to answer is decided once, in the functions at the top; the two servicers only differ in how they wait.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import grpc.aio

from eas_grpc.serving import AsyncServer, Server, ServerOptions
from reliability.child import hear, say
from reliability.interop_flags import CALL_ID
from reliability.interop_tap import ask
from reliability.pb import interop_pb2 as pb
from reliability.pb import interop_pb2_grpc as stubs

__all__ = ["HOLD", "KINDS", "RELEASE", "serve"]

KINDS = ("Server", "AsyncServer")

# Ours: a call with HOLD is not read until another call with RELEASE has the same value.
HOLD, RELEASE = "x-interop-hold", "x-interop-release"

_INITIAL, _TRAILING = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_LONGEST_HOLD = 15.0
_BAD = grpc.StatusCode.INVALID_ARGUMENT


def echoed(metadata: Any, key: str) -> tuple[tuple[str, Any], ...]:
    """What of the caller's metadata goes back under the same key."""
    return tuple((name, value) for name, value in metadata or () if name == key)


def zeros(size: int) -> Any:
    """A payload of that size."""
    return pb.Payload(body=bytes(size))


def status(request: Any) -> tuple[grpc.StatusCode, str] | None:
    """The status that a request asks to end the call with."""
    asked = request.response_status
    return (_CODES.get(asked.code, grpc.StatusCode.UNKNOWN), asked.message) if asked.code else None


def objection(request: Any, index: int, flags: list[bool] | None) -> str:
    """Why the request is not compressed as it says it is; empty where it says nothing or it is right."""
    if not request.HasField("expect_compressed"):
        return ""
    if flags is None or len(flags) <= index:
        return "nobody saw whether it is compressed"
    if flags[index] == request.expect_compressed.value:
        return ""
    return f"message {index} is {'' if flags[index] else 'not '}compressed"


class _Service:
    """What both servicers know: their name, and whom to ask about compression."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.control = 0
        self._holds: dict[str, threading.Event] = {}
        self._lock = threading.Lock()

    def gate(self, context: Any, key: str) -> threading.Event | None:
        """What a call waits for, or opens, by its metadata under that key."""
        name = dict(context.invocation_metadata()).get(key)
        with self._lock:
            return self._holds.setdefault(name, threading.Event()) if name else None

    def seen(self, request: Any, context: Any) -> list[bool] | None:
        """The flags of the caller's messages so far, where the request makes a claim about its own."""
        if not request.HasField("expect_compressed"):
            return None
        call = dict(context.invocation_metadata()).get(CALL_ID)
        found = ask(self.control, call) if call else None
        return found["up"] if found else None

    def response(self, request: Any) -> Any:
        """The answer to UnaryCall."""
        return pb.SimpleResponse(
            payload=zeros(request.response_size),
            server_id=self.name if request.fill_server_id else "",
            hostname=socket.gethostname(),
        )


class Blocking(_Service, stubs.TestServiceServicer):
    """For Server."""

    def EmptyCall(self, _request: Any, context: Any) -> Any:  # noqa: N802
        if gate := self.gate(context, RELEASE):
            gate.set()
        return pb.Empty()

    def UnaryCall(self, request: Any, context: Any) -> Any:  # noqa: N802
        _greet(context)
        if asked := status(request):
            context.abort(*asked)
        if why := objection(request, 0, self.seen(request, context)):
            context.abort(_BAD, why)
        if request.response_compressed.value:
            context.set_compression(grpc.Compression.Gzip)
        if initial := echoed(context.invocation_metadata(), _INITIAL):
            context.send_initial_metadata(initial)
        return self.response(request)

    def StreamingInputCall(self, requests: Iterator[Any], context: Any) -> Any:  # noqa: N802
        total = 0
        for index, request in enumerate(requests):
            if why := objection(request, index, self.seen(request, context)):
                context.abort(_BAD, why)
            total += len(request.payload.body)
        return pb.StreamingInputCallResponse(aggregated_payload_size=total)

    def StreamingOutputCall(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        _compress(request, context)
        for parameters in request.response_parameters:
            time.sleep(parameters.interval_us / 1e6)
            _leave_plain(parameters, context)
            yield pb.StreamingOutputCallResponse(payload=zeros(parameters.size))

    def FullDuplexCall(self, requests: Iterator[Any], context: Any) -> Iterator[Any]:  # noqa: N802
        _greet(context)
        if initial := echoed(context.invocation_metadata(), _INITIAL):
            context.send_initial_metadata(initial)
        if gate := self.gate(context, HOLD):
            gate.wait(_LONGEST_HOLD)
        for request in requests:
            if asked := status(request):
                context.abort(*asked)
            for parameters in request.response_parameters:
                time.sleep(parameters.interval_us / 1e6)
                yield pb.StreamingOutputCallResponse(payload=zeros(parameters.size))


class Async(_Service, stubs.TestServiceServicer):
    """For AsyncServer."""

    async def EmptyCall(self, _request: Any, context: Any) -> Any:  # noqa: N802
        if gate := self.gate(context, RELEASE):
            gate.set()
        return pb.Empty()

    async def UnaryCall(self, request: Any, context: Any) -> Any:  # noqa: N802
        _greet(context)
        if asked := status(request):
            await context.abort(*asked)
        if why := objection(request, 0, await asyncio.to_thread(self.seen, request, context)):
            await context.abort(_BAD, why)
        if request.response_compressed.value:
            context.set_compression(grpc.Compression.Gzip)
        # Always sent by hand: grpc.aio 1.85 forgets the compression of an answer when it sends metadata itself.
        await context.send_initial_metadata(echoed(context.invocation_metadata(), _INITIAL))
        return self.response(request)

    async def StreamingInputCall(self, requests: AsyncIterator[Any], context: Any) -> Any:  # noqa: N802
        total = index = 0
        async for request in requests:
            if why := objection(request, index, await asyncio.to_thread(self.seen, request, context)):
                await context.abort(_BAD, why)
            total += len(request.payload.body)
            index += 1
        return pb.StreamingInputCallResponse(aggregated_payload_size=total)

    async def StreamingOutputCall(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        _compress(request, context)
        for parameters in request.response_parameters:
            await asyncio.sleep(parameters.interval_us / 1e6)
            _leave_plain(parameters, context)
            yield pb.StreamingOutputCallResponse(payload=zeros(parameters.size))

    async def FullDuplexCall(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:  # noqa: N802
        _greet(context)
        if initial := echoed(context.invocation_metadata(), _INITIAL):
            await context.send_initial_metadata(initial)
        if gate := self.gate(context, HOLD):
            await asyncio.to_thread(gate.wait, _LONGEST_HOLD)
        async for request in requests:
            if asked := status(request):
                await context.abort(*asked)
            for parameters in request.response_parameters:
                await asyncio.sleep(parameters.interval_us / 1e6)
                yield pb.StreamingOutputCallResponse(payload=zeros(parameters.size))

    async def UnimplementedCall(self, _request: Any, context: Any) -> Any:  # noqa: N802
        # The base class raises outside of a coroutine, which AsyncServer takes for a plain function and refuses.
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not implemented!")


def _greet(context: Any) -> None:
    context.set_trailing_metadata(echoed(context.invocation_metadata(), _TRAILING))


def _compress(request: Any, context: Any) -> None:
    if any(parameters.compressed.value for parameters in request.response_parameters):
        context.set_compression(grpc.Compression.Gzip)


def _leave_plain(parameters: Any, context: Any) -> None:
    if not parameters.compressed.value:
        context.disable_next_message_compression()


def serve(kind: str, hosts: list[str]) -> None:
    """One server for each host, each with a name of its own, until the process is killed."""
    # As the docs say for servers behind a gateway: its calls come over few connections.
    options = ServerOptions.behind_gateway()
    services = [(Async if kind == "AsyncServer" else Blocking)(f"{kind} on {host}") for host in hosts]
    registers = [
        lambda server, each=each: stubs.add_TestServiceServicer_to_server(each, server) for each in services
    ]
    made = AsyncServer if kind == "AsyncServer" else Server
    servers = [
        made(register, host=host, options=options) for register, host in zip(registers, hosts, strict=True)
    ]
    if kind == "AsyncServer":
        asyncio.run(_serve_async(servers, services))
    else:
        _up([server.start() for server in servers], services)
        hear()


async def _serve_async(servers: list[Any], services: list[Any]) -> None:
    started = [await server.start() for server in servers]
    await asyncio.to_thread(_up, started, services)
    await asyncio.to_thread(hear)


def _up(servers: list[Any], services: list[Any]) -> None:
    say("up", addresses=[server.address for server in servers])
    control = int(hear() or 0)
    for service in services:
        service.control = control
