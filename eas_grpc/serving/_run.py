"""Serve until told to stop: what a container's main program does. The only file that touches signals."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    # In place before anybody is told that the server is ready: a stop right after that must be graceful too.
    try:
        with _signals() as wait:
            server.start()
            ready(server.address)
            wait()
    finally:
        server.stop()
    return 0


@contextmanager
def _signals() -> Iterator[Callable[[], None]]:
    """Gives a function that waits for one of the signals, also one that came before it was called.

    Not threading.Event: a signal that arrives just before its wait() blocks is noticed only at the next one.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    before = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
    woken = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)

    def wait() -> None:
        while reader.recv(1)[0] not in _SIGNALS:
            pass

    try:
        yield wait
    finally:
        signal.set_wakeup_fd(woken)
        for number, handler in before.items():
            signal.signal(number, handler)
        reader.close()
        writer.close()


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
