"""Servers on loopback and the channels to them, which end together. Knows nothing of pytest."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import grpc

import eas_grpc
from eas_grpc import aio
from eas_grpc.serving import AsyncServer, Health, Server, ServerOptions

__all__ = ["Serve", "Served", "serving_until_the_end"]

_Running = AbstractContextManager[Server | AsyncServer]


@dataclass(frozen=True)
class Served:
    """A server that runs until the end of the test: where it is, its token, and channels to it."""

    endpoint: str
    token: str = field(repr=False)
    health: Health
    _closing: ExitStack = field(repr=False)

    @cached_property
    def channel(self) -> grpc.Channel:
        """The channel of `eas_grpc.connect`, with the token; the same one each time."""
        return self.connect()

    def connect(self, **options: Any) -> grpc.Channel:
        """Another channel: takes what `eas_grpc.connect` takes, `token="wrong"` for example."""
        return self._closing.enter_context(
            eas_grpc.connect(self.endpoint, **{"token": self.token, **options})
        )

    def connect_aio(self, **options: Any) -> grpc.aio.Channel:
        """A channel of `eas_grpc.aio.connect`; it takes the same options.

        In an `async with` it is closed on leaving. Otherwise at the end of the test, on the event loop that
        ran when it was made; where there is none, or it is closed by then, as soon as Python collects it.
        """
        channel = aio.connect(self.endpoint, **{"token": self.token, **options})
        self._closing.callback(_close, channel, _running_loop())
        return channel


class Serve(Protocol):
    """What the fixture `eas_serve` is, for annotations."""

    def __call__(
        self,
        register: Callable[[Any], object],
        *,
        token: str | None = None,
        options: ServerOptions | None = None,
        use_asyncio: bool = False,
    ) -> Served:
        """Starts a server with the services that `register(server)` adds; callers need the token.

        `token` is a random one by default. `options` are those of `eas_grpc.serving`; the token is added
        to theirs. `use_asyncio` serves on `AsyncServer`, for `async def` methods. Raises ConfigError for
        what cannot be served.
        """
        raise NotImplementedError


@contextmanager
def serving_until_the_end() -> Iterator[Serve]:
    """A function that starts servers; leaving the block closes the channels, then stops the servers."""
    with ExitStack() as closing:

        def serve(
            register: Callable[[Any], object],
            *,
            token: str | None = None,
            options: ServerOptions | None = None,
            use_asyncio: bool = False,
        ) -> Served:
            chosen = secrets.token_hex(16) if token is None else token
            base = ServerOptions() if options is None else options
            complete = replace(base, tokens=(*base.tokens, chosen))
            running: _Running = (_on_asyncio if use_asyncio else _on_threads)(register, complete)
            server = closing.enter_context(running)
            return Served(server.address, chosen, server.health, closing)

        yield serve


@contextmanager
def _on_threads(register: Callable[[Any], object], options: ServerOptions) -> Iterator[Server]:
    server = Server(register, options=options).start()
    try:
        yield server
    finally:
        # At once: a call that hangs must not hold up the tests that follow.
        server.stop(0)


@contextmanager
def _on_asyncio(register: Callable[[Any], object], options: ServerOptions) -> Iterator[AsyncServer]:
    """On an event loop in a thread of its own: it has to answer while a blocking test waits."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="eas-serve", daemon=True)
    thread.start()
    try:
        server = AsyncServer(register, options=options)
        asyncio.run_coroutine_threadsafe(server.start(), loop).result()
        try:
            yield server
        finally:
            asyncio.run_coroutine_threadsafe(server.stop(0), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _close(channel: grpc.aio.Channel, loop: asyncio.AbstractEventLoop | None) -> None:
    # pytest-asyncio closes the loop of a single test before fixtures end; close() needs a loop, grpc's own
    # finalizer does not.
    if loop is not None and not loop.is_closed() and not loop.is_running():
        loop.run_until_complete(channel.close())
