"""The ports of a gateway: its own and those of instances; what restarts, and what is closed for being idle."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from functools import partial

from eas_grpc.errors import ConfigError
from server_demo.gateway._core import Core
from server_demo.gateway._discovery import Instance
from server_demo.gateway._link import Link

__all__ = ["Listeners"]

_logger = logging.getLogger(__name__)

_BACKLOG = 1024
_AGAIN_SECONDS = 0.05
# Of the event loop, until an accepted connection is made.
_TURNS = 5
# How often is looked for idle and slow connections, at most and at least, in seconds.
_SWEEP = (0.01, 1.0)


class Listeners:
    """Lives on the gateway's loop. `open` first."""

    def __init__(self, core: Core, context: ssl.SSLContext | None) -> None:
        self._core = core
        self._context = context
        self._place = ("", 0)
        self._server: asyncio.Server | None = None
        self._again: asyncio.Task[None] | None = None
        self._instances: dict[Instance, asyncio.Server] = {}
        self._sweeping: asyncio.TimerHandle | None = None
        self._seen: dict[Link, tuple[int, float]] = {}

    async def open(self, host: str, port: int) -> int:
        """Listens; the port. Raises OSError."""
        self._server = await self._listen(host, port, self._core.link)
        self._place = host, self._server.sockets[0].getsockname()[1]
        self._sweep()
        return self._place[1]

    def close(self) -> None:
        """Listens no more and breaks every connection."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        for server in (self._server, *self._instances.values()):
            if server is not None:
                server.close()
        for link in tuple(self._core.links):
            link.abort()

    async def refuse(self) -> None:
        """Listens no more."""
        servers = [each for each in (self._server, *self._instances.values()) if each is not None]
        for server in servers:
            for listener in server.sockets:
                self._core.loop.remove_reader(listener.fileno())
        # asyncio cannot bear it when a server closes under a connection that it has just accepted.
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        for server in servers:
            server.close()

    def leave(self) -> None:
        """Says goodbye to every connection, which ends when nothing is under way on it."""
        for link in tuple(self._core.links):
            link.leave()
        self._core.flush()

    def restart(self, down: float) -> None:
        """Breaks the connections to the gateway, refuses new ones for `down` seconds, and listens there again."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for link in tuple(self._core.links):
            if link.instance_of is None:
                link.abort()
        self._core.loop.call_later(down, self._listen_again)

    async def add_instance(self, name: str, weight: int) -> Instance:
        """Opens a port for a service; what is behind it is told by discovery."""
        server = await self._listen("127.0.0.1", 0, partial(self._core.link, name))
        ip, port = server.sockets[0].getsockname()[:2]
        try:
            instance = Instance(ip, port, weight)
        except ConfigError:
            server.close()
            raise
        self._instances[instance] = server
        behind = self._core.services[name]
        behind.instances = (*behind.instances, instance)
        return instance

    def stop_instance(self, instance: Instance) -> None:
        """Closes such a port and breaks its connections. Raises ConfigError if there is none."""
        server = self._instances.pop(instance, None)
        if server is None:
            raise ConfigError(f"{instance} is no running instance of this gateway")
        server.close()
        for link in tuple(self._core.links):
            if link.port == instance.port:
                link.abort()

    async def _listen(self, host: str, port: int, link: Callable[[], asyncio.Protocol]) -> asyncio.Server:
        loop = self._core.loop
        # One address alone: port 0 would be another port on each of a name's addresses.
        places = await loop.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, place = min(places, key=lambda each: each[0] != socket.AF_INET)
        return await loop.create_server(
            link,
            str(place[0]),
            int(place[1]),
            family=family,
            ssl=self._context,
            backlog=_BACKLOG,
            reuse_address=True,
        )

    def _listen_again(self) -> None:
        async def again() -> None:
            said = False
            while self._server is None:
                try:
                    self._server = await self._listen(*self._place, self._core.link)
                except OSError as error:
                    # Somebody has the port for now.
                    if not said:
                        _logger.warning("the gateway cannot listen again yet: %s", error.strerror)
                        said = True
                    await asyncio.sleep(_AGAIN_SECONDS)

        self._again = self._core.loop.create_task(again())

    def _sweep(self) -> None:
        """Closes connections that were idle or slow for too long; looks at least ten times in that time."""
        core = self._core
        timeout, now = core.options.idle_timeout, core.now()
        seen: dict[Link, tuple[int, float]] = {}
        for link in tuple(core.links):
            link.check(now)
            count, since = self._seen.get(link, (-1, now))
            if not link.idle or count != link.exchanges:
                since = now
            seen[link] = link.exchanges, since
        self._seen = seen
        for link, (_, since) in seen.items():
            if now - since >= 2 * timeout:
                # It was told long ago, and does not even read.
                link.abort()
            elif now - since >= timeout:
                link.leave()
        core.flush()
        self._sweeping = core.loop.call_later(min(max(timeout / 10, _SWEEP[0]), _SWEEP[1]), self._sweep)
