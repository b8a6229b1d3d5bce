"""A loopback gateway for tests: the user's own servicers behind it, and channels to them. Knows nothing of pytest."""

from __future__ import annotations

import inspect
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from types import TracebackType
from typing import Any, Protocol

import grpc

from eas_grpc.auth import check_token
from eas_grpc.errors import ConfigError
from eas_grpc.serving import ServerOptions
from eas_grpc.serving._calls import behavior_of
from eas_grpc.serving._registry import collect
from eas_grpc.testing._channels import Channels
from server_demo.gateway import Certificate, Gateway, GatewayOptions, Handler, Service
from server_demo.gateway.options import checked_settings

__all__ = ["LocalGateway", "MakeGateway"]


class LocalGateway(Gateway):
    """A `server_demo.gateway.Gateway` that knows its token and makes channels; ends with the `with` block.

    What it has of its own: `put` for services, `channel`, `connect` and `connect_aio` for callers. All else is
    the gateway's: `faults`, `calls()`, `url(service)`, `configure(service, tokens=...)`, `add_instance`, `restart`.
    """

    def __init__(
        self, *, token: str | None = None, options: GatewayOptions | None = None, tls: bool = False
    ) -> None:
        """Not started yet. `token` is a random one by default; `tls` uses a certificate made for this gateway."""
        super().__init__(options=options, certificate=Certificate.selfsigned() if tls else None)
        self.token = check_token(secrets.token_hex(16) if token is None else token)
        self._closing = ExitStack()

    def put(
        self,
        register: Callable[[Any], object] | None = None,
        *,
        http: Handler | None = None,
        name: str = "service",
        use_asyncio: bool | None = None,
        server_options: ServerOptions | None = None,
        **settings: Any,
    ) -> None:
        """Serves a servicer behind the gateway, as service `name` with the gateway's token.

        `register(server)` adds it, as for `eas_grpc.serving.Server`. `use_asyncio` serves on asyncio; by default that is done
        if its methods are coroutines. `http` takes a `Request` and returns a `Response`; a plain function may block.
        `settings` are those of `Service`: `keepalive`, `rate_limit`, `worker_threads`, `tokens` and so on. The first
        service is the one that a plain `channel` reaches. Raises ConfigError, also for a name that is taken.
        """
        if register is None and http is None:
            raise ConfigError("nothing to put behind the gateway: give register, or http, or both")
        if self.has(name):
            raise ConfigError(
                f"a service {name!r} is there already: give another name=, or change it with configure()"
            )
        settings = checked_settings(settings)
        grpc_address = http_address = None
        if register is not None:
            wanted = _is_async(register) if use_asyncio is None else use_asyncio
            grpc_address = self.serve_grpc(register, options=server_options, use_asyncio=wanted)
        if http is not None:
            http_address = self.serve_http(http)
        self.add(
            Service(
                **{
                    "name": name,
                    "grpc": grpc_address,
                    "http": http_address,
                    "tokens": (self.token,),
                    **settings,
                }
            )
        )

    @cached_property
    def channel(self) -> grpc.Channel:
        """The channel of `eas_grpc.connect` to the first service, with the token; the same one each time."""
        return self.connect()

    def connect(self, service: str | None = None, **options: Any) -> grpc.Channel:
        """Another channel, to a service by its name: takes what `eas_grpc.connect` takes, `token="wrong"` for example."""
        return self._channels.connect(**self._to(service, options))

    def connect_aio(self, service: str | None = None, **options: Any) -> grpc.aio.Channel:
        """A channel of `eas_grpc.aio.connect`; it takes the same options.

        In an `async with` it is closed on leaving. Otherwise at the end of the test, on the event loop that
        ran when it was made; where there is none, or it is closed by then, as soon as Python collects it.
        """
        return self._channels.connect_aio(**self._to(service, options))

    def _to(self, service: str | None, options: dict[str, Any]) -> dict[str, Any]:
        """The options of a channel to a service by its name, which travels as `:authority`."""
        if service is None:
            return options
        self.service(service)
        # A domain has no '_': the gateway takes '-' for it.
        authority = ("grpc.default_authority", f"{service.replace('_', '-')}.localhost")
        return {**options, "options": [*options.get("options", ()), authority]}

    @cached_property
    def _channels(self) -> Channels:
        if self.certificate is None:
            return Channels(self.address, self.token, self._closing)
        trusted = grpc.ssl_channel_credentials(self.certificate.chain)
        return Channels(f"https://{self.address}", self.token, self._closing, credentials=trusted)

    def __enter__(self) -> LocalGateway:
        """Starts."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes the channels, then stops."""
        try:
            self._closing.close()
        finally:
            self.stop()


class MakeGateway(Protocol):
    """What the fixture `eas_make_gateway` is, for annotations."""

    def __call__(
        self, *, token: str | None = None, options: GatewayOptions | None = None, tls: bool = False
    ) -> LocalGateway:
        """Starts one more gateway, with nothing behind it yet; it ends with the test."""
        raise NotImplementedError


def _is_async(register: Callable[[Any], object]) -> bool:
    """Whether the methods that a function adds are coroutines; asked by letting it add them to nothing."""
    behaviors = [behavior_of(handler) for _, handler in collect(register).methods()]
    return any(inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each) for each in behaviors)
