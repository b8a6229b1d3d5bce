"""Serve until told to stop: what a container's main program does. The only file that touches signals."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from google.protobuf.descriptor_pool import DescriptorPool

from eas_grpc.errors import ConfigError
from eas_grpc.serving._aio import AsyncServer
from eas_grpc.serving._server import Server
from eas_grpc.serving.options import ServerOptions

_logger = logging.getLogger("eas_grpc.serving")
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
    _check_thread("run", "`with serving.Server(register):`")
    server = Server(register, host=host, port=port, options=options, pool=pool)
    # In place before anybody is told that the server is ready: a stop right after that must be graceful too.
    try:
        with stop_signals() as wait:
            server.start()
            ready(server.address)
            wait()
    finally:
        server.stop()
    return 0


def _check_thread(name: str, instead: str) -> None:
    if threading.current_thread() is not threading.main_thread():
        raise ConfigError(
            f"serving.{name} stops on signals, which Python allows in the main thread alone: use {instead} here"
        )


@contextmanager
def stop_signals() -> Iterator[Callable[[], None]]:
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
    """What `run` does, with AsyncServer: `sys.exit(asyncio.run(serving.run_async(register)))`.

    Returns 1 if the server ends by itself, so that whoever runs the container starts it again: grpc.aio 1.85
    gives up its whole server over one request whose path is not UTF-8.
    """
    _check_thread("run_async", "`async with serving.AsyncServer(register):`")
    server = AsyncServer(register, host=host, port=port, options=options, pool=pool)
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, told.set)
    try:
        await server.start()
        ready(server.address)
        return await _told_or_ended(told, server)
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
        await server.stop()


async def _told_or_ended(told: asyncio.Event, server: AsyncServer) -> int:
    asked = asyncio.ensure_future(told.wait())
    # Never cancelled: grpc.aio would take that for the end of the server. It ends with the stop that follows.
    ended = asyncio.ensure_future(server.wait())
    ended.add_done_callback(lambda task: task.cancelled() or task.exception())
    await asyncio.wait((asked, ended), return_when=asyncio.FIRST_COMPLETED)
    if told.is_set():
        return 0
    asked.cancel()
    _logger.error("the server ended by itself, without being told to", exc_info=ended.exception())
    return 1
