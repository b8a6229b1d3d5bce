"""The asyncio server: a thin shell around grpc.aio.server; what it allows is decided in options."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

import grpc
from google.protobuf.descriptor_pool import DescriptorPool

from eas_grpc.errors import ConfigError
from eas_grpc.serving._address import address, refusal, why_not_bound
from eas_grpc.serving._health import AsyncHealthServicer, Health, add_health
from eas_grpc.serving._intercept_aio import AsyncInterceptor, check_coroutine
from eas_grpc.serving._reflection import add_reflection
from eas_grpc.serving._registry import collect
from eas_grpc.serving._server import NOT_STARTED
from eas_grpc.serving.options import ServerOptions, channel_args, checked_options
from eas_grpc.tensors._allocator import keep_large_buffers


class AsyncServer:
    """What Server is, on grpc.aio: the same arguments, limits and services; every method is a coroutine.

    `max_workers` of the options has no meaning here beyond bounding `max_concurrent_streams`. Usable in
    `async with`; belongs to the event loop in which it is started.
    """

    def __init__(
        self,
        register: Callable[[Any], object],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        options: ServerOptions | None = None,
        pool: DescriptorPool | None = None,
    ) -> None:
        self._options = checked_options(options)
        self._host, self._wanted_port = host, port
        self._pool = pool
        self._port: int | None = None
        address(host, port)
        self._registry = collect(register)
        for method, handler in self._registry.methods():
            check_coroutine(method, handler)
        self._health = Health(self._registry.services)
        self._server: Any = None

    @property
    def health(self) -> Health:
        """The status of each service: `server.health.set("package.Service", serving=False)`."""
        return self._health

    @property
    def port(self) -> int:
        """The port that it listens on; ConfigError before start()."""
        if self._port is None:
            raise ConfigError(NOT_STARTED)
        return self._port

    @property
    def address(self) -> str:
        """`host:port` to connect to; ConfigError before start()."""
        return address(self._host, self.port)

    async def start(self) -> AsyncServer:
        """Listens and serves on the running event loop; returns itself.

        Raises ConfigError when the port cannot be had, and when it was started before.
        """
        if self._server is not None:
            raise ConfigError("this server was started before: make a new one")
        options = self._options
        if options.keep_large_buffers:
            keep_large_buffers()
        target = address(self._host, self._wanted_port)
        reason = why_not_bound(self._host, self._wanted_port)
        if reason is not None:
            raise refusal(self._host, self._wanted_port, reason)
        add_health(self._registry, AsyncHealthServicer(self._health, watch_limit=options.watch_limit))
        if options.reflection:
            add_reflection(self._registry, self._pool, asynchronous=True)
        server = grpc.aio.server(
            handlers=self._registry.handlers(),
            interceptors=[AsyncInterceptor(options)],
            options=channel_args(options),
            maximum_concurrent_rpcs=options.max_concurrent_rpcs,
        )
        try:
            self._port = server.add_insecure_port(target)
        except RuntimeError:
            raise refusal(
                self._host,
                self._wanted_port,
                "gRPC could not open it; its own log (GRPC_VERBOSITY=info) says why",
            ) from None
        self._server = server
        await server.start()
        return self

    async def stop(self, grace: float | None = None) -> None:
        """Says NOT_SERVING, takes no new calls, lets running ones finish for `grace` seconds, then cuts them.

        Without `grace` it is the options' own; 0 cuts at once. Returns when the last call is over.
        """
        if self._server is None:
            return
        self._health.stop()
        await self._server.stop(self._options.grace if grace is None else grace)

    async def wait(self, timeout: float | None = None) -> bool:
        """Waits until the server has stopped, at most `timeout` seconds; whether it has."""
        if self._server is None:
            raise ConfigError(NOT_STARTED)
        return not await self._server.wait_for_termination(timeout)

    async def __aenter__(self) -> AsyncServer:
        """Starts."""
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stops, with the options' grace."""
        await self.stop()
