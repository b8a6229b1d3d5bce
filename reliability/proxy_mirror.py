"""A service that answers with what the call brought: its filler, its metadata, and the status that it asks for.

Runs on our two servers in a process of its own: `with mirroring("threads") as server:`.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from eas_grpc.serving import AsyncServer, Server, ServerOptions
from reliability.child import Child, say
from reliability.ledger import SHAPES, STREAM_LENGTH, answer, parse
from reliability.server import TOKEN

__all__ = ["CODE", "DETAILS", "KINDS", "PREFIX", "SERVICE", "Mirroring", "mirroring"]

KINDS = ("threads", "asyncio")
SERVICE = "eas.reliability.Mirror"
# The metadata that are sent back, as initial and as trailing metadata, and the two that ask for a status.
PREFIX, CODE, DETAILS = "x-mirror-", "x-mirror-code", "x-mirror-details-bin"
# Tells clients that retry not to.
_NO_RETRY = ("grpc-retry-pushback-ms", "-1")


class Mirroring(Child):
    """A mirror that listens on `address`."""

    address: str


@contextmanager
def mirroring(kind: str) -> Iterator[Mirroring]:
    """Starts a mirror on our server of this kind, `threads` or `asyncio`."""
    with Mirroring(serve, kind) as child:
        child.address = child.until("ready")["address"]
        yield child


def serve(kind: str) -> None:
    """Serves until the end of the process, or SIGTERM."""
    mirror = _AsyncMirror() if kind == "asyncio" else _ThreadMirror()
    made = {shape: getattr(grpc, f"{shape}_rpc_method_handler")(mirror.handler(shape)) for shape in SHAPES}
    handlers = (grpc.method_handlers_generic_handler(SERVICE, made),)
    options = ServerOptions(tokens=(TOKEN,))

    def register(server: Any) -> None:
        server.add_generic_rpc_handlers(handlers)

    if kind == "asyncio":
        asyncio.run(_serve_asyncio(AsyncServer(register, host="127.0.0.1", port=0, options=options)))
        return
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    server = Server(register, host="127.0.0.1", port=0, options=options).start()
    say("ready", address=server.address)
    stopped.wait()
    server.stop()


async def _serve_asyncio(server: AsyncServer) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await server.start()
    say("ready", address=server.address)
    await stopped.wait()
    await server.stop()


def _told(shape: str, requests: list[bytes], context: Any) -> tuple[list[bytes], str, str]:
    """Sets trailing metadata; the answers, and the status that is asked for, with its details."""
    back = _back(context)
    asked = dict(back)
    context.set_trailing_metadata((*back, _NO_RETRY))
    id, fillers = parse(requests[0])[0], [parse(each)[3] for each in requests]
    if shape == "unary_stream":
        fillers *= STREAM_LENGTH
    elif shape == "stream_unary":
        fillers = [b"".join(fillers)]
    answers = [answer(id, filler) for filler in fillers]
    return answers, str(asked.get(CODE, "")), bytes(asked.get(DETAILS, b"")).decode()


def _back(context: Any) -> tuple[Any, ...]:
    return tuple(pair for pair in context.invocation_metadata() if pair[0].startswith(PREFIX))


class _ThreadMirror:
    def handler(self, shape: str) -> Any:
        def many(request: Any, context: Any) -> Iterator[bytes]:
            # All of them first: an early status is a test of its own.
            requests = [request] if isinstance(request, bytes) else list(request)
            answers, code, details = _told(shape, requests, context)
            context.send_initial_metadata(_back(context))
            if code:
                context.abort(grpc.StatusCode[code], details)
            yield from answers

        return many if shape.endswith("stream") else lambda request, context: next(many(request, context))


class _AsyncMirror:
    def handler(self, shape: str) -> Any:
        async def many(request: Any, context: Any) -> AsyncIterator[bytes]:
            requests = [request] if isinstance(request, bytes) else [one async for one in request]
            answers, code, details = _told(shape, requests, context)
            await context.send_initial_metadata(_back(context))
            if code:
                await context.abort(grpc.StatusCode[code], details)
            for each in answers:
                yield each

        async def single(request: Any, context: Any) -> bytes:
            return await anext(many(request, context))

        return many if shape.endswith("stream") else single
