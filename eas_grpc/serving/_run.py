"""Serve until told to stop: what a container's main program does. The only file that touches signals."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor_pool import DescriptorPool

from eas_grpc.serving._aio import AsyncServer
from eas_grpc.serving._server import Server
from eas_grpc.serving.options import ServerOptions

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def announce(address: str) -> None:
    """Prints `ready on host:port`, for whoever waits for it."""
    print(f"ready on {address}", flush=True)


def run(
    register: Callable[[Any], object],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    options: ServerOptions | None = None,
    pool: DescriptorPool | None = None,
    ready: Callable[[str], object] = announce,
) -> int:
    """Serves until SIGTERM or SIGINT, lets running calls finish within the grace time, and returns 0.

    `ready` is called with `host:port` once calls are answered; the default prints `ready on host:port`.
    A second signal ends the process at once. Call it from the main thread. Raises ConfigError as Server does.
    """
    server = Server(register, host=host, port=port, options=options, pool=pool)
    told = threading.Event()
    # In place before anybody is told that the server is ready: a stop right after that must be graceful too.
    before = {number: signal.signal(number, lambda *_: told.set()) for number in _SIGNALS}
    try:
        server.start()
        ready(server.address)
        told.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        server.stop()
    return 0


async def run_async(
    register: Callable[[Any], object],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    options: ServerOptions | None = None,
    pool: DescriptorPool | None = None,
    ready: Callable[[str], object] = announce,
) -> int:
    """What `run` does, with AsyncServer: `sys.exit(asyncio.run(serving.run_async(register)))`."""
    server = AsyncServer(register, host=host, port=port, options=options, pool=pool)
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, told.set)
    try:
        await server.start()
        ready(server.address)
        await told.wait()
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
        await server.stop()
    return 0
