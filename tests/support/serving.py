"""Helpers of the serving tests (no tests here): one service in both colours, run on a real server.

Requests are bytes that say what to do: `raise:<text>`, `abort:<STATUS>:<text>`, `code:<STATUS>:<text>` (set,
then raise), `hold` (wait until the gate opens), `big:<n>` (n bytes back); anything else comes back as it is.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest

from eas_grpc.serving import AsyncServer, Server

COLOURS = ["sync", "aio"]
SHAPES = ["unary_unary", "unary_stream", "stream_unary", "stream_stream"]
SERVICE = "test.serving.Echo"
TOKEN = "canary-" + "0123456789abcdef" * 2
SECRET = "secret-words-of-an-exception"
WAIT = 10.0


def path(shape: str) -> str:
    return f"/{SERVICE}/{shape}"


def bearer(token: str = TOKEN) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")]


class Gate:
    """Holds calls until it is opened, in threads and on event loops, and says how many have entered."""

    def __init__(self) -> None:
        self.entered: queue.Queue[None] = queue.Queue()
        self._lock = threading.Lock()
        self._opened = False
        self._wakers: list[Callable[[], object]] = []

    def open(self) -> None:
        with self._lock:
            self._opened, wakers = True, self._wakers
        for wake in wakers:
            wake()

    def wait_entered(self, count: int = 1) -> None:
        for _ in range(count):
            self.entered.get(timeout=WAIT)

    def _add(self, wake: Callable[[], object]) -> bool:
        with self._lock:
            self._wakers.append(wake)
            opened = self._opened
        self.entered.put(None)
        return opened

    def hold(self, context: grpc.ServicerContext) -> None:
        woken = threading.Event()
        context.add_callback(woken.set)
        if not self._add(woken.set):
            # Longer than any test waits for an answer, or a blocked call would look like a slow one.
            woken.wait(6 * WAIT)

    async def hold_async(self) -> None:
        woken, loop = asyncio.Event(), asyncio.get_running_loop()
        if not self._add(lambda: loop.call_soon_threadsafe(woken.set)):
            await woken.wait()


def plan(request: bytes) -> tuple[str, Any, str]:
    verb, _, rest = request.decode().partition(":")
    status, _, text = rest.partition(":")
    if verb in {"abort", "code"}:
        return verb, grpc.StatusCode[status], text
    return verb, None, rest


class Sync:
    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    def act(self, request: bytes, context: Any) -> bytes:
        verb, code, text = plan(request)
        if verb == "raise":
            raise RuntimeError(text)
        if verb == "abort":
            context.abort(code, text)
        if verb == "code":
            context.set_code(code)
            context.set_details(text)
            raise RuntimeError(SECRET)
        if verb == "hold":
            self.gate.hold(context)
        return b"x" * int(text) if verb == "big" else request

    def unary_unary(self, request: bytes, context: Any) -> bytes:
        return self.act(request, context)

    def unary_stream(self, request: bytes, context: Any) -> Iterator[bytes]:
        yield self.act(request, context)

    def stream_unary(self, requests: Iterator[bytes], context: Any) -> bytes:
        return b",".join([self.act(request, context) for request in requests])

    def stream_stream(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        for request in requests:
            yield self.act(request, context)


class Async:
    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    async def act(self, request: bytes, context: Any) -> bytes:
        verb, code, text = plan(request)
        if verb == "raise":
            raise RuntimeError(text)
        if verb == "abort":
            await context.abort(code, text)
        if verb == "code":
            context.set_code(code)
            context.set_details(text)
            raise RuntimeError(SECRET)
        if verb == "hold":
            await self.gate.hold_async()
        return b"x" * int(text) if verb == "big" else request

    async def unary_unary(self, request: bytes, context: Any) -> bytes:
        return await self.act(request, context)

    async def unary_stream(self, request: bytes, context: Any) -> Any:
        yield await self.act(request, context)

    async def stream_unary(self, requests: Any, context: Any) -> bytes:
        return b",".join([await self.act(request, context) async for request in requests])

    async def stream_stream(self, requests: Any, context: Any) -> None:
        # The other way to write a stream on grpc.aio: no generator, the context writes.
        async for request in requests:
            await context.write(await self.act(request, context))


def handlers(servicer: Any) -> dict[str, Any]:
    return {shape: getattr(grpc, f"{shape}_rpc_method_handler")(getattr(servicer, shape)) for shape in SHAPES}


def register(colour: str, gate: Gate) -> Callable[[Any], None]:
    servicer = Sync(gate) if colour == "sync" else Async(gate)
    return lambda server: server.add_registered_method_handlers(SERVICE, handlers(servicer))


class AsyncRunner:
    """An AsyncServer on a loop in a thread of its own, with the verbs of Server."""

    def __init__(self, server_of: Callable[[], AsyncServer]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        try:
            self._server = server_of()
            self._do(self._server.start())
        except BaseException:
            self.close()
            raise
        self.health, self.port, self.address = self._server.health, self._server.port, self._server.address

    def _do(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def stop(self, grace: float | None = None) -> None:
        self._do(self._server.stop(grace))

    def wait(self, timeout: float | None = None) -> bool:
        return self._do(self._server.wait(timeout))

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


@contextmanager
def running(
    colour: str,
    adding: Callable[[Any], object] | None = None,
    gate: Gate | None = None,
    **arguments: Any,
) -> Iterator[Any]:
    """A started server of that colour with the echo service, or with what `adding` adds."""
    gate = gate or Gate()
    adding = adding or register(colour, gate)
    if colour == "sync":
        server: Any = Server(adding, **arguments).start()
    else:
        server = AsyncRunner(lambda: AsyncServer(adding, **arguments))
    try:
        yield server
    finally:
        gate.open()
        server.stop(0)
        if colour == "aio":
            server.close()


@contextmanager
def dial(server: Any, *options: tuple[str, Any]) -> Iterator[grpc.Channel]:
    # Channels with equal options would share one connection.
    with grpc.insecure_channel(
        server.address, options=[("grpc.use_local_subchannel_pool", 1), *options]
    ) as channel:
        yield channel


def call(channel: grpc.Channel, shape: str, *requests: bytes, method: str = "", **arguments: Any) -> bytes:
    """Makes one call of that shape and gives its responses, joined by commas."""
    arguments.setdefault("timeout", WAIT)
    made = getattr(channel, shape)(method or path(shape))
    sent = iter(requests) if shape.startswith("stream") else requests[0]
    answer = made(sent, **arguments)
    return b",".join(answer) if shape.endswith("stream") else answer


def failure(action: Callable[[], object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        action()
    return caught.value.code(), caught.value.details()  # type: ignore[attr-defined]


def refused(channel: grpc.Channel, shape: str, *requests: bytes, **arguments: Any) -> tuple[Any, str]:
    return failure(lambda: call(channel, shape, *requests, **arguments))


@dataclass
class Records(logging.Handler):
    """Log records as they come, for a test to wait for."""

    arrived: queue.Queue[logging.LogRecord] = field(default_factory=queue.Queue)

    def __post_init__(self) -> None:
        logging.Handler.__init__(self)

    __hash__ = logging.Handler.__hash__

    def emit(self, record: logging.LogRecord) -> None:
        self.arrived.put(record)

    def next(self) -> logging.LogRecord:
        return self.arrived.get(timeout=WAIT)


@contextmanager
def records(name: str, level: int = logging.DEBUG) -> Iterator[Records]:
    logger, handler = logging.getLogger(name), Records()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(level)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


class RawConnection:
    """An HTTP/2 client that keeps to no rule: it writes frames and ignores what the server allows."""

    def __init__(self, port: int, *settings: tuple[int, int]) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._stream = -1
        self._answered = threading.Event()
        self._socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self._frame(4, 0, 0, b"".join(struct.pack(">HI", *setting) for setting in settings))
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> RawConnection:
        return self

    def __exit__(self, *_: object) -> None:
        # close() alone does not wake the reader.
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._socket.close()

    def open(
        self, method: str, message: bytes | None = None, *, end: bool = False, metadata: Any = ()
    ) -> None:
        """Begins a call; sends a message if there is one, and ends the request only if told to."""
        self._stream += 2
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", method),
            (":authority", "localhost"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            *metadata,
        ]
        # HPACK: a literal that is not indexed, name and value spelt out.
        block = b"".join(
            b"\0" + bytes([len(k)]) + k.encode() + bytes([len(v)]) + v.encode() for k, v in headers
        )
        self._frame(1, 4, self._stream, block)
        if message is not None:
            self._frame(0, int(end), self._stream, b"\0" + struct.pack(">I", len(message)) + message)

    def wait_until_read(self) -> None:
        """Waits until the server has read everything that was sent: it answers a ping in its turn."""
        self._answered.clear()
        self._frame(6, 0, 0, bytes(8))
        assert self._answered.wait(WAIT)

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        head = struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream)
        self._socket.sendall(head + payload)

    def _read(self) -> None:
        with suppress(OSError), self._socket.makefile("rb") as incoming:
            while len(head := incoming.read(9)) == 9:
                incoming.read(int.from_bytes(head[:3], "big"))
                if head[3:5] == b"\x06\x01":
                    self._answered.set()
