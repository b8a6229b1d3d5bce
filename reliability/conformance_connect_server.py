# ruff: noqa: N802 - the names of the methods are the proto's
"""The service of the connectrpc conformance suite, for its runner: `python -m reliability.conformance_connect_server threads`.

Kinds: `threads` and `aio` are eas_grpc.serving's two servers; `stock` and `stock-aio` grpcio's own.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc.aio
from connectrpc.conformance.v1 import server_compat_pb2, service_pb2, service_pb2_grpc
from google.protobuf.any_pb2 import Any as Anything

from eas_grpc import serving
from reliability.conformance_connect_wire import headers_of, metadata_of, read, status_bytes, write

# Two steps of an answer; the rest are messages.
_HEADERS, _WAIT = "headers", "wait"


def unary_answer(
    requests: list[Any], context: Any, kind: Any, definition: Any, remaining: float | None
) -> Iterator[Any]:
    """The steps of an answer with one message: `(_HEADERS, ...)`, `(_WAIT, s)`, then a message; or an Error."""
    info = _info(requests, context, remaining)
    if definition is not None:
        yield _HEADERS, metadata_of(definition.response_headers)
        yield _WAIT, definition.response_delay_ms / 1000
        if definition.WhichOneof("response") == "error":
            yield _with_details(definition.error, info)
            return
    data = b"" if definition is None else definition.response_data
    yield kind(payload=service_pb2.ConformancePayload(data=data, request_info=info))


def stream_message(kind: Any, data: bytes, info: Any | None) -> Any:
    """One message of a stream."""
    return kind(payload=service_pb2.ConformancePayload(data=data, request_info=info))


def _info(requests: Iterable[Any], context: Any, remaining: float | None) -> Any:
    info = service_pb2.ConformancePayload.RequestInfo(
        request_headers=headers_of(context.invocation_metadata())
    )
    if remaining is not None:
        info.timeout_ms = max(0, int(remaining * 1000))
    info.requests.extend(_anything(each) for each in requests)
    return info


def _anything(message: Any) -> Anything:
    packed = Anything()
    packed.Pack(message)
    return packed


def _with_details(error: Any, info: Any) -> Any:
    filled = service_pb2.Error()
    filled.CopyFrom(error)
    filled.details.append(_anything(info))
    return filled


def _definition(requests: list[Any]) -> Any:
    first = requests[0] if requests else None
    return first.response_definition if first is not None and first.HasField("response_definition") else None


def _remaining(context: Any) -> float | None:
    left = context.time_remaining()
    # Without a deadline grpcio says a very large number rather than None.
    return None if left is None or left > 1e6 else left


_CODES = {code.value[0]: code for code in grpc.StatusCode}


class Blocking(service_pb2_grpc.ConformanceServiceServicer):
    """For threads."""

    def Unary(self, request: Any, context: Any) -> Any:
        """One message each way."""
        return self._one([request], context, service_pb2.UnaryResponse)

    def ClientStream(self, request_iterator: Iterator[Any], context: Any) -> Any:
        """Many messages up, one down."""
        return self._one(list(request_iterator), context, service_pb2.ClientStreamResponse)

    def _one(self, requests: list[Any], context: Any, kind: Any) -> Any:
        definition = _definition(requests)
        if definition is not None:
            context.set_trailing_metadata(metadata_of(definition.response_trailers))
        for step in unary_answer(requests, context, kind, definition, _remaining(context)):
            if isinstance(step, service_pb2.Error):
                self._fail(context, step, definition.response_trailers)
            if not isinstance(step, tuple):
                return step
            if step[0] == _HEADERS:
                context.send_initial_metadata(step[1])
            else:
                time.sleep(step[1])
        raise AssertionError("an answer has an end")

    def ServerStream(self, request: Any, context: Any) -> Iterator[Any]:
        """One message up, many down."""
        definition = _definition([request])
        if definition is None:
            return
        self._begin(context, definition)
        yield from self._rest([request], context, service_pb2.ServerStreamResponse, definition, 0)

    def BidiStream(self, request_iterator: Iterator[Any], context: Any) -> Iterator[Any]:
        """Many both ways, by turns or one after the other."""
        definition, waiting, sent, full = None, [], 0, False
        for number, request in enumerate(request_iterator):
            waiting.append(request)
            if number == 0:
                definition, full = _definition([request]), request.full_duplex
                if definition is not None:
                    self._begin(context, definition)
            if full and definition is not None and sent < len(definition.response_data):
                time.sleep(definition.response_delay_ms / 1000)
                yield _turn(definition, sent, waiting, context)
                waiting, sent = [], sent + 1
            elif full:
                break
        if definition is not None:
            yield from self._rest(waiting, context, service_pb2.BidiStreamResponse, definition, sent)

    def _rest(
        self, requests: list[Any], context: Any, kind: Any, definition: Any, sent: int
    ) -> Iterator[Any]:
        for number, data in enumerate(definition.response_data[sent:], sent):
            time.sleep(definition.response_delay_ms / 1000)
            info = _info(requests, context, _remaining(context)) if number == 0 else None
            yield stream_message(kind, data, info)
        if definition.HasField("error"):
            self._fail(context, _stream_error(definition, requests, context), definition.response_trailers)

    @staticmethod
    def _begin(context: Any, definition: Any) -> None:
        context.send_initial_metadata(metadata_of(definition.response_headers))
        context.set_trailing_metadata(metadata_of(definition.response_trailers))

    @staticmethod
    def _fail(context: Any, error: Any, trailers: Any) -> None:
        context.set_trailing_metadata([*metadata_of(trailers), status_bytes(error)])
        context.abort(_CODES[error.code], error.message)


def _turn(definition: Any, sent: int, waiting: list[Any], context: Any) -> Any:
    """A message of a full-duplex answer: all about the call in the first, only the requests in the others."""
    info = (
        _info(waiting, context, _remaining(context))
        if sent == 0
        else service_pb2.ConformancePayload.RequestInfo(requests=[_anything(each) for each in waiting])
    )
    return stream_message(service_pb2.BidiStreamResponse, definition.response_data[sent], info)


def _stream_error(definition: Any, requests: list[Any], context: Any) -> Any:
    """With the details of the call only where no message carried them."""
    if definition.response_data:
        return definition.error
    return _with_details(definition.error, _info(requests, context, _remaining(context)))


class Async(service_pb2_grpc.ConformanceServiceServicer):
    """The same on asyncio."""

    async def Unary(self, request: Any, context: Any) -> Any:
        """One message each way."""
        return await self._one([request], context, service_pb2.UnaryResponse)

    async def ClientStream(self, request_iterator: AsyncIterator[Any], context: Any) -> Any:
        """Many messages up, one down."""
        requests = [each async for each in request_iterator]
        return await self._one(requests, context, service_pb2.ClientStreamResponse)

    async def _one(self, requests: list[Any], context: Any, kind: Any) -> Any:
        definition = _definition(requests)
        if definition is not None:
            context.set_trailing_metadata(metadata_of(definition.response_trailers))
        for step in unary_answer(requests, context, kind, definition, _remaining(context)):
            if isinstance(step, service_pb2.Error):
                await self._fail(context, step, definition.response_trailers)
            if not isinstance(step, tuple):
                return step
            if step[0] == _HEADERS:
                await context.send_initial_metadata(step[1])
            else:
                await asyncio.sleep(step[1])
        raise AssertionError("an answer has an end")

    async def ServerStream(self, request: Any, context: Any) -> AsyncIterator[Any]:
        """One message up, many down."""
        definition = _definition([request])
        if definition is None:
            return
        await self._begin(context, definition)
        async for each in self._rest([request], context, service_pb2.ServerStreamResponse, definition, 0):
            yield each

    async def BidiStream(self, request_iterator: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        """Many both ways, by turns or one after the other."""
        definition, waiting, sent, full, number = None, [], 0, False, 0
        async for request in request_iterator:
            waiting.append(request)
            number += 1
            if number == 1:
                definition, full = _definition([request]), request.full_duplex
                if definition is not None:
                    await self._begin(context, definition)
            if full and definition is not None and sent < len(definition.response_data):
                await asyncio.sleep(definition.response_delay_ms / 1000)
                yield _turn(definition, sent, waiting, context)
                waiting, sent = [], sent + 1
            elif full:
                break
        if definition is not None:
            async for each in self._rest(waiting, context, service_pb2.BidiStreamResponse, definition, sent):
                yield each

    async def _rest(
        self, requests: list[Any], context: Any, kind: Any, definition: Any, sent: int
    ) -> AsyncIterator[Any]:
        for number, data in enumerate(definition.response_data[sent:], sent):
            await asyncio.sleep(definition.response_delay_ms / 1000)
            info = _info(requests, context, _remaining(context)) if number == 0 else None
            yield stream_message(kind, data, info)
        if definition.HasField("error"):
            error = _stream_error(definition, requests, context)
            await self._fail(context, error, definition.response_trailers)

    @staticmethod
    async def _begin(context: Any, definition: Any) -> None:
        await context.send_initial_metadata(metadata_of(definition.response_headers))
        context.set_trailing_metadata(metadata_of(definition.response_trailers))

    @staticmethod
    async def _fail(context: Any, error: Any, trailers: Any) -> None:
        context.set_trailing_metadata([*metadata_of(trailers), status_bytes(error)])
        await context.abort(_CODES[error.code], error.message)


def register(server: Any) -> None:
    """Adds the blocking service."""
    service_pb2_grpc.add_ConformanceServiceServicer_to_server(Blocking(), server)


def register_async(server: Any) -> None:
    """Adds the one for asyncio."""
    service_pb2_grpc.add_ConformanceServiceServicer_to_server(Async(), server)


def _said(port: int) -> None:
    answer = server_compat_pb2.ServerCompatResponse(host="127.0.0.1", port=port)
    write(sys.stdout.buffer, answer)


def _blocking(kind: str, limit: int) -> None:
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    if kind == "threads":
        server: Any = serving.Server(register, options=_options(limit)).start()
        port = server.port
    else:
        server = grpc.server(ThreadPoolExecutor(32), options=_limit(limit))
        register(server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
    _said(port)
    over.wait()
    server.stop(0)


async def _asyncio(kind: str, limit: int) -> None:
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    if kind == "aio":
        server: Any = serving.AsyncServer(register_async, options=_options(limit))
        await server.start()
        port = server.port
    else:
        server = grpc.aio.server(options=_limit(limit))
        register_async(server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
    _said(port)
    await over.wait()
    await server.stop(0)


def _options(limit: int) -> serving.ServerOptions:
    return serving.ServerOptions(max_message_bytes=limit) if limit else serving.ServerOptions()


def _limit(limit: int) -> list[tuple[str, int]]:
    return [("grpc.max_receive_message_length", limit)] if limit else []


def main() -> None:
    """Serves what the runner asks for until it sends SIGTERM."""
    kind = sys.argv[1]
    wanted = read(sys.stdin.buffer, server_compat_pb2.ServerCompatRequest)
    if kind.endswith("aio"):
        asyncio.run(_asyncio(kind, wanted.message_receive_limit))
    else:
        _blocking(kind, wanted.message_receive_limit)


if __name__ == "__main__":
    main()
