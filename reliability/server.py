"""The echo-and-ledger server, in a process of its own, on our servers and on those of grpcio with stock settings.

`with serving("threads", ledger=path) as server:` gives `server.address` and the process, to freeze, kill and start again.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from eas_grpc.serving import AsyncServer, Server, ServerOptions
from reliability.child import Child, hear, say
from reliability.ledger import SERVICE, SHAPES, STREAM_LENGTH, Entry, answer, parse

__all__ = ["OURS", "STOCK", "TOKEN", "Serving", "serving"]

OURS, STOCK = ("threads", "asyncio"), ("stock", "stock-asyncio")
TOKEN = "reliability-token"

_LONGEST_HOLD = 120.0


class Serving(Child):
    """A ledger server that listens on `address`; `stop()` ends it as an orchestrator does."""

    address: str

    def begin(self, port: int) -> float:
        """Serves from now on, after `standby`; the moment of its `ready`."""
        self.until("waiting")
        self.tell(str(port))
        self.address = self.until("ready")["address"]
        return time.monotonic()

    def stop(self, timeout: float = 30.0) -> float:
        """SIGTERM; how many seconds it took to end."""
        began = time.monotonic()
        self.signal(signal.SIGTERM)
        self.result(timeout)
        return time.monotonic() - began


@contextmanager
def serving(
    kind: str = "threads",
    *,
    ledger: Path | None = None,
    port: int = 0,
    host: str = "127.0.0.1",
    token: str | None = TOKEN,
    options: dict[str, Any] | None = None,
    workers: int = 32,
    wrap: tuple[str, ...] = (),
    standby: bool = False,
) -> Iterator[Serving]:
    """Starts a server; `options` are those of ServerOptions for ours, and channel arguments for the stock ones.

    With `standby` it is loaded, and serves within milliseconds of `server.begin(port)`.
    """
    with Serving(
        serve,
        kind,
        str(ledger or os.devnull),
        host,
        None if standby else port,
        token,
        options or {},
        workers,
        wrap=wrap,
    ) as child:
        if not standby:
            child.address = child.until("ready")["address"]
        yield child


# In the server's process.


class Ledger:
    """Appends lines to a file that is opened once; a killed process loses none that were written."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._counting = threading.Lock()
        self.running = 0

    def begin(self, id: str, shape: str, context: Any) -> int:
        """A handler begins; which attempt this is."""
        metadata = dict(context.invocation_metadata() or ())
        attempt = 1 + int(metadata.get("grpc-previous-rpc-attempts", 0))
        self._write("run", id, shape, attempt)
        with self._counting:
            self.running += 1
        return attempt

    def end(self, id: str, shape: str, attempt: int) -> None:
        """And is over."""
        self._write("end", id, shape, attempt)
        with self._counting:
            self.running -= 1

    def cancel(self, id: str, shape: str, attempt: int) -> None:
        """The call ended while the handler was still at it."""
        self._write("cancel", id, shape, attempt)

    def _write(self, event: str, id: str, shape: str, attempt: int) -> None:
        os.write(self._file, f"{Entry(event, id, shape, attempt, time.monotonic())}\n".encode())


def serve(
    kind: str,
    ledger: str,
    host: str,
    port: int | None,
    token: str | None,
    options: dict[str, Any],
    workers: int,
) -> None:
    """Serves until SIGTERM, then stops gracefully; says `ready`, and `gauge` when asked for it."""
    if port is None:
        say("waiting")
        port = int(hear())
    book = Ledger(ledger)
    threading.Thread(target=_answer_questions, args=(book,), daemon=True).start()
    if kind in {"asyncio", "stock-asyncio"}:
        asyncio.run(_serve_asyncio(kind, book, host, port, token, options))
    else:
        _serve_threads(kind, book, host, port, token, options, workers)


def _answer_questions(book: Ledger) -> None:
    while hear():
        say("gauge", running=book.running)


def _ours(token: str | None, options: dict[str, Any]) -> ServerOptions:
    return ServerOptions(tokens=(token,) if token else (), **options)


def _serve_threads(
    kind: str, book: Ledger, host: str, port: int, token: str | None, options: dict[str, Any], workers: int
) -> None:
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    handlers = _handlers(_ThreadCalls(book))
    server: Any
    if kind == "threads":
        server = Server(
            lambda one: one.add_generic_rpc_handlers((handlers,)),
            host=host,
            port=port,
            options=_ours(token, options),
        ).start()
        say("ready", address=server.address)
        stopped.wait()
        server.stop()
        return
    server = grpc.server(
        futures.ThreadPoolExecutor(workers), options=[("grpc.so_reuseport", 0), *options.items()]
    )
    server.add_generic_rpc_handlers((handlers,))
    bound = server.add_insecure_port(f"{host}:{port}")
    server.start()
    say("ready", address=f"{host}:{bound}")
    stopped.wait()
    server.stop(10).wait()


async def _serve_asyncio(
    kind: str, book: Ledger, host: str, port: int, token: str | None, options: dict[str, Any]
) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    handlers = _handlers(_AsyncCalls(book))
    server: Any
    if kind == "asyncio":
        server = AsyncServer(
            lambda one: one.add_generic_rpc_handlers((handlers,)),
            host=host,
            port=port,
            options=_ours(token, options),
        )
        await server.start()
        say("ready", address=server.address)
        await stopped.wait()
        await server.stop()
        return
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0), *options.items()])
    server.add_generic_rpc_handlers((handlers,))
    bound = server.add_insecure_port(f"{host}:{port}")
    await server.start()
    say("ready", address=f"{host}:{bound}")
    await stopped.wait()
    await server.stop(10)


def _handlers(calls: Any) -> grpc.GenericRpcHandler:
    made = {shape: getattr(grpc, f"{shape}_rpc_method_handler")(getattr(calls, shape)) for shape in SHAPES}
    return grpc.method_handlers_generic_handler(SERVICE, made)


def _count(verb: str, argument: str) -> int:
    """How many messages a stream of answers has."""
    return int(argument) if verb == "count" else STREAM_LENGTH


def _body(verb: str, argument: str, filler: bytes, context: Any) -> int | bytes:
    if verb == "size":
        return int(argument)
    if verb == "left":
        return repr(context.time_remaining()).encode()
    return filler


class _ThreadCalls:
    def __init__(self, book: Ledger) -> None:
        self._book = book

    def unary_unary(self, data: bytes, context: Any) -> bytes:
        with self._running(data, "unary_unary", context) as (id, verb, argument, filler):
            return answer(id, _body(verb, argument, filler, context))

    def unary_stream(self, data: bytes, context: Any) -> Iterator[bytes]:
        with self._running(data, "unary_stream", context) as (id, verb, argument, filler):
            for _ in range(_count(verb, argument)):
                yield answer(id, _body(verb, argument, filler, context))

    def stream_unary(self, requests: Iterator[bytes], context: Any) -> bytes:
        first = next(requests)
        with self._running(first, "stream_unary", context) as (id, verb, argument, filler):
            fillers = [filler, *(parse(data)[3] for data in requests)]
            return answer(id, _body(verb, argument, b"".join(fillers), context))

    def stream_stream(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        first = next(requests)
        with self._running(first, "stream_stream", context) as (id, verb, argument, filler):
            yield answer(id, _body(verb, argument, filler, context))
            for data in requests:
                yield answer(id, parse(data)[3])

    @contextmanager
    def _running(self, data: bytes, shape: str, context: Any) -> Iterator[tuple[str, str, str, bytes]]:
        id, verb, argument, filler = parse(data)
        attempt = self._book.begin(id, shape, context)
        over, done = threading.Event(), threading.Event()

        def ended() -> None:
            if not done.is_set():
                self._book.cancel(id, shape, attempt)
            over.set()

        if not context.add_callback(ended):
            ended()
        try:
            if verb == "sleep":
                over.wait(float(argument))
            elif verb == "hold":
                over.wait(_LONGEST_HOLD)
            elif verb == "fail":
                context.abort(grpc.StatusCode[argument], "as asked")
            yield id, verb, argument, filler
        finally:
            done.set()
            self._book.end(id, shape, attempt)


class _AsyncCalls:
    def __init__(self, book: Ledger) -> None:
        self._book = book

    async def unary_unary(self, data: bytes, context: Any) -> bytes:
        with self._running(data, "unary_unary", context) as (id, verb, argument, filler):
            await _act(verb, argument, context)
            return answer(id, _body(verb, argument, filler, context))

    async def unary_stream(self, data: bytes, context: Any) -> AsyncIterator[bytes]:
        with self._running(data, "unary_stream", context) as (id, verb, argument, filler):
            await _act(verb, argument, context)
            for _ in range(_count(verb, argument)):
                yield answer(id, _body(verb, argument, filler, context))

    async def stream_unary(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        requests = aiter(requests)
        first = await anext(requests)
        with self._running(first, "stream_unary", context) as (id, verb, argument, filler):
            await _act(verb, argument, context)
            fillers = [filler, *[parse(data)[3] async for data in requests]]
            return answer(id, _body(verb, argument, b"".join(fillers), context))

    async def stream_stream(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        requests = aiter(requests)
        first = await anext(requests)
        with self._running(first, "stream_stream", context) as (id, verb, argument, filler):
            await _act(verb, argument, context)
            yield answer(id, _body(verb, argument, filler, context))
            async for data in requests:
                yield answer(id, parse(data)[3])

    @contextmanager
    def _running(self, data: bytes, shape: str, context: Any) -> Iterator[tuple[str, str, str, bytes]]:
        id, verb, argument, filler = parse(data)
        attempt = self._book.begin(id, shape, context)
        try:
            yield id, verb, argument, filler
        except asyncio.CancelledError:
            self._book.cancel(id, shape, attempt)
            raise
        finally:
            self._book.end(id, shape, attempt)


async def _act(verb: str, argument: str, context: Any) -> None:
    if verb == "sleep":
        await asyncio.sleep(float(argument))
    elif verb == "hold":
        await asyncio.sleep(_LONGEST_HOLD)
    elif verb == "fail":
        await context.abort(grpc.StatusCode[argument], "as asked")
