"""Servers on loopback and the channels to them, which end together. Knows nothing of pytest."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import grpc

from eas_grpc.serving import Health, ServerOptions
from eas_grpc.serving._background import in_background
from eas_grpc.testing._channels import Channels

__all__ = ["Serve", "Served", "serving_until_the_end"]


@dataclass(frozen=True)
class Served:
    """A server that runs until the end of the test: where it is, its token, and channels to it."""

    endpoint: str
    token: str = field(repr=False)
    health: Health
    _channels: Channels = field(repr=False)

    @cached_property
    def channel(self) -> grpc.Channel:
        """The channel of `eas_grpc.connect`, with the token; the same one each time."""
        return self.connect()

    def connect(self, **options: Any) -> grpc.Channel:
        """Another channel: takes what `eas_grpc.connect` takes, `token="wrong"` for example."""
        return self._channels.connect(**options)

    def connect_aio(self, **options: Any) -> grpc.aio.Channel:
        """A channel of `eas_grpc.aio.connect`; it takes the same options.

        In an `async with` it is closed on leaving. Otherwise at the end of the test, on the event loop that
        ran when it was made; where there is none, or it is closed by then, as soon as Python collects it.
        """
        return self._channels.connect_aio(**options)


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
            server = closing.enter_context(in_background(register, options=complete, use_asyncio=use_asyncio))
            return Served(server.address, chosen, server.health, Channels(server.address, chosen, closing))

        yield serve
