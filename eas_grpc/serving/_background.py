"""A server beside what a program does otherwise: in a `with` block, in threads or on an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from google.protobuf.descriptor_pool import DescriptorPool

from eas_grpc.serving._aio import AsyncServer
from eas_grpc.serving._server import Server
from eas_grpc.serving.options import ServerOptions

__all__ = ["in_background"]


@contextmanager
def in_background(
    register: Callable[[Any], object],
    *,
    host: str = "127.0.0.1",
    options: ServerOptions | None = None,
    pool: DescriptorPool | None = None,
    use_asyncio: bool = False,
) -> Iterator[Server | AsyncServer]:
    """Serves what `register` adds until the block is left, and then cuts off what is under way.

    `use_asyncio` serves on AsyncServer, which answers while the block itself blocks. Raises ConfigError as they do.
    """
    start = _on_asyncio if use_asyncio else _on_threads
    with start(register, host, options, pool) as server:
        yield server


@contextmanager
def _on_threads(
    register: Callable[[Any], object], host: str, options: ServerOptions | None, pool: DescriptorPool | None
) -> Iterator[Server | AsyncServer]:
    server = Server(register, host=host, options=options, pool=pool).start()
    try:
        yield server
    finally:
        # At once: a call that hangs must not hold up what follows.
        server.stop(0)


@contextmanager
def _on_asyncio(
    register: Callable[[Any], object], host: str, options: ServerOptions | None, pool: DescriptorPool | None
) -> Iterator[Server | AsyncServer]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="eas-serve", daemon=True)
    thread.start()
    try:
        server = AsyncServer(register, host=host, options=options, pool=pool)
        asyncio.run_coroutine_threadsafe(server.start(), loop).result()
        try:
            yield server
        finally:
            asyncio.run_coroutine_threadsafe(server.stop(0), loop).result()
    finally:
        # There, not here: whoever leaves the block may be inside an event loop of its own.
        asyncio.run_coroutine_threadsafe(loop.shutdown_asyncgens(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
