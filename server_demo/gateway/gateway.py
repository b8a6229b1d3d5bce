"""The gateway as an object: starts in a thread of its own, and is told from any thread what to do."""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from google.protobuf.descriptor_pool import DescriptorPool

from eas_grpc.errors import ConfigError
from eas_grpc.serving import ServerOptions
from eas_grpc.serving._address import address, is_loopback, refusal, why_not_bound
from server_demo.gateway._core import Core
from server_demo.gateway._discovery import Instance
from server_demo.gateway._hosting import Hosting
from server_demo.gateway._http_service import Handler, HttpServer, in_threads, serve_handler
from server_demo.gateway._listeners import Listeners
from server_demo.gateway._local import MOST_ASKED, Admin, asks_for_page, local_pages
from server_demo.gateway._records import Record
from server_demo.gateway._tls import Certificate
from server_demo.gateway.faults import Faults
from server_demo.gateway.options import GatewayOptions, Service, checked_settings

__all__ = ["Gateway"]

_T = TypeVar("_T")
_HANDLER_THREADS = 32
_STOP_SECONDS = 1.0
# Of the loop, until what was begun on it is done.
_TURNS = 5
# How often is looked whether the last call is over.
_DRAIN_SECONDS = 0.01


class Gateway:
    """A loopback gateway in front of services: gRPC and HTTP on one port, as EAS has it. Usable in `with`.

    `port=0` takes a free one. gRPC calls whose `:authority` names no service go to the first service that speaks
    gRPC. `certificate` turns TLS on. `ui` shows the live page at `/_eas`; `admin_port` (0: a free one) opens the
    admin interface on loopback.

    Raises ConfigError for arguments that cannot work; `start` does so when a port cannot be had.
    """

    def __init__(
        self,
        *services: Service,
        host: str = "127.0.0.1",
        port: int = 0,
        options: GatewayOptions | None = None,
        certificate: Certificate | None = None,
        ui: bool = False,
        admin_port: int | None = None,
    ) -> None:
        address(host, port)
        if ui and not is_loopback(host):
            raise ConfigError(
                f"the live page (ui) is for this machine alone, and {host!r} is not: do without it, or listen on 127.0.0.1"
            )
        names = [service.name for service in services]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ConfigError(f"two services have the name {twice!r}: give each its own")
        self.faults = Faults(self)
        self._services = services
        self._host, self._wanted_port = host, port
        self._options = GatewayOptions() if options is None else options
        self._certificate = certificate
        self._context: ssl.SSLContext | None = None if certificate is None else certificate.context()
        self._ui, self._wanted_admin_port = ui, admin_port
        self._port: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pid: int | None = None
        self._core: Core | None = None
        self._listeners: Listeners | None = None
        self._admin: HttpServer | None = None
        self._hosting = Hosting()
        self._hosted: list[HttpServer] = []

    # Where it is.

    @property
    def port(self) -> int:
        """The port that it listens on; ConfigError before start()."""
        if self._port is None:
            raise ConfigError("the gateway is not started: its port is known after start()")
        return self._port

    @property
    def running(self) -> bool:
        """Whether it was started and has not stopped."""
        return self._loop is not None

    @property
    def address(self) -> str:
        """`host:port` to connect to; ConfigError before start()."""
        return address(self._host, self.port)

    @property
    def admin_address(self) -> str | None:
        """`host:port` of the admin interface; None if there is none."""
        return None if self._admin is None else self._admin.address

    @property
    def options(self) -> GatewayOptions:
        """Its limits."""
        return self._options

    @property
    def certificate(self) -> Certificate | None:
        """What it shows to clients; None without TLS."""
        return self._certificate

    @property
    def certificate_file(self) -> str | None:
        """A file with what clients have to trust (`curl --cacert`, `requests.get(verify=...)`), as long as it runs; None without TLS."""
        if self._certificate is None:
            return None
        path = Path(self._hosting.folder, "certificate.pem")
        if not path.exists():
            path.write_bytes(self._certificate.chain)
        return str(path)

    @property
    def page(self) -> str | None:
        """The address of the live page; None if it is off."""
        scheme = "http" if self._certificate is None else "https"
        return f"{scheme}://{self.address}/_eas" if self._ui else None

    def url(self, service: str, path: str = "") -> str:
        """Where a service is over HTTP, as the console shows it."""
        scheme = "http" if self._certificate is None else "https"
        slash = "/" if path and not path.startswith("/") else ""
        return f"{scheme}://{self.address}/api/predict/{service}{slash}{path}"

    # Starting and stopping.

    def start(self) -> Gateway:
        """Listens, in a thread of its own; returns itself. Raises ConfigError when a port cannot be had."""
        if self._thread is not None:
            raise ConfigError("this gateway was started before: make a new one")
        reason = why_not_bound(self._host, self._wanted_port)
        if reason is not None:
            raise refusal(self._host, self._wanted_port, reason)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="eas-gateway", daemon=True)
        self._thread.start()
        self._pid = os.getpid()
        try:
            self._wait(self._start())
        except BaseException:
            self.stop()
            raise
        return self

    def drain(self, grace: float = 10.0) -> None:
        """Listens no more, tells every client to leave, and waits at most `grace` seconds for the calls under way.

        `stop()` follows. What is neither a call nor idle, such as a WebSocket, is waited for as well.
        """
        self._wait(self._drain(grace))

    def stop(self) -> None:
        """Ends every connection and listens no more; a second time does nothing."""
        self._refuse_on_loop()
        loop, self._loop = self._loop, None
        # A forked child has the object, and no thread that would stop.
        if loop is None or self._thread is None or self._pid != os.getpid():
            return
        try:
            asyncio.run_coroutine_threadsafe(self._stop(), loop).result()
        finally:
            loop.call_soon_threadsafe(loop.stop)
            self._thread.join()
            loop.close()
            self._hosting.close()

    def restart(self, down: float = 0.0) -> None:
        """Breaks every connection, refuses new ones for `down` seconds, and listens on the same port again."""
        self.run(lambda core: core.restart(down))

    def __enter__(self) -> Gateway:
        """Starts."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stops."""
        self.stop()

    # Services.

    def add(self, service: Service) -> None:
        """Puts a service behind the gateway, or gives one of the same name new settings."""
        self.run(lambda core: core.put(service))

    def configure(self, name: str, **changes: Any) -> None:
        """Changes settings of a service while it runs: `configure("echo", tokens=("new", "old"))`.

        Raises ConfigError for a service that is not there, and for what `Service` refuses.
        """
        known = self.service(name)
        self.add(replace(known, **checked_settings(changes)))

    def has(self, name: str) -> bool:
        """Whether a service of that name is behind it."""
        return self.run(lambda core: name in core.services)

    def service(self, name: str) -> Service:
        """The present settings of a service; ConfigError if it is not there."""
        return self.run(lambda core: core.known(name).service)

    def serve_grpc(
        self,
        register: Callable[[Any], object],
        *,
        options: ServerOptions | None = None,
        pool: DescriptorPool | None = None,
        use_asyncio: bool = False,
    ) -> str:
        """Serves what `register(server)` adds where only the gateway reaches it, until it stops; the address.

        For `Service(grpc=...)`. The arguments are those of `eas_grpc.serving.Server`, or of AsyncServer with
        `use_asyncio`. Raises ConfigError as they do.
        """
        self._started()
        return self._hosting.grpc(register, options=options, pool=pool, use_asyncio=use_asyncio)

    def serve_http(self, handler: Handler) -> str:
        """Serves a function over HTTP where only the gateway reaches it, until it stops; the address.

        For `Service(http=...)`. The handler is given a `Request` and returns a `Response`. A plain function runs in a thread
        and may block; a coroutine function runs on the gateway's event loop.
        """
        self._started()
        if not callable(handler):
            raise ConfigError(f"http must be a function that takes a Request, not {type(handler).__name__}")
        server = self._wait(serve_handler(in_threads(handler), unix_path=self._hosting.new_socket()))
        self._hosted.append(server)
        return server.address

    def add_instance(self, name: str, *, weight: int = 100) -> Instance:
        """Opens a port of its own for the service, for clients that connect directly, and has discovery tell of it."""
        self._started().known(name)
        assert self._listeners is not None
        return self._wait(self._listeners.add_instance(name, weight))

    def stop_instance(self, instance: Instance) -> None:
        """Closes the port of an instance and breaks its connections; discovery tells of it until `set_instances`."""
        listeners = self._listeners
        if listeners is not None:
            self.run(lambda _: listeners.stop_instance(instance))

    def set_instances(self, name: str, instances: Iterable[Instance]) -> None:
        """What discovery tells of a service from now on."""
        found = tuple(instances)
        self.run(lambda core: setattr(core.known(name), "instances", found))

    def instances(self, name: str) -> tuple[Instance, ...]:
        """What discovery tells of a service."""
        return self.run(lambda core: core.known(name).instances)

    # Calls.

    def calls(self, *, after: int = 0) -> list[Record]:
        """The last thousand calls, oldest first, as they are now; those with a `number` above `after`."""
        return self.run(lambda core: [replace(each) for each in core.log.all() if each.number > after])

    def connections(self) -> int:
        """How many clients' connections are open."""
        return self.run(lambda core: len(core.links))

    def run(self, action: Callable[[Core], _T]) -> _T:
        """Does something where the gateway lives and returns what it returns."""
        core = self._started()
        if threading.current_thread() is self._thread:
            return action(core)

        async def there() -> _T:
            return action(core)

        return self._wait(there())

    def _started(self) -> Core:
        if self._core is None or self._loop is None:
            raise ConfigError("the gateway does not run: use it in `with`, or between start() and stop()")
        return self._core

    def _wait(self, work: Coroutine[Any, Any, _T]) -> _T:
        assert self._loop is not None
        try:
            self._refuse_on_loop()
        except ConfigError:
            work.close()
            raise
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _refuse_on_loop(self) -> None:
        if threading.current_thread() is self._thread:
            raise ConfigError(
                "a handler on the gateway's event loop cannot wait for the gateway: do this in a thread"
            )

    # On the loop.

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        # Handlers that are plain functions run there.
        loop.set_default_executor(ThreadPoolExecutor(_HANDLER_THREADS, "eas-gateway-http"))
        core = self._core = Core(loop, self._options)
        listeners = self._listeners = Listeners(core, self._context)
        core.restart = listeners.restart
        for service in self._services:
            core.put(service)
        self._port = await listeners.open(self._host, self._wanted_port)
        admin = Admin(core, self.address, tls=self._context is not None)
        if self._ui:
            core.local, core.is_exempt = local_pages(admin), asks_for_page
        if self._wanted_admin_port is not None:
            try:
                self._admin = await serve_handler(
                    admin.handle, port=self._wanted_admin_port, max_body_bytes=MOST_ASKED
                )
            except OSError:
                reason = why_not_bound("127.0.0.1", self._wanted_admin_port) or "it cannot be had"
                raise refusal("127.0.0.1", self._wanted_admin_port, reason) from None

    async def _drain(self, grace: float) -> None:
        core = self._started()
        assert self._listeners is not None
        until = core.now() + grace
        await self._listeners.refuse()
        self._listeners.leave()
        while core.links and core.now() < until:  # noqa: ASYNC110 - once in its life
            await asyncio.sleep(_DRAIN_SECONDS)

    async def _stop(self) -> None:
        if self._core is not None:
            self._core.end_faults()
        # Twice, since a connection that was just accepted becomes one of ours in one of the next turns of the loop.
        await self._close_all()
        await self._close_all()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks:
            # One of a handler's may not want to end.
            await asyncio.wait(tasks, timeout=_STOP_SECONDS)
        # And what those that were being accepted have left.
        await self._close_all()

    async def _close_all(self) -> None:
        for hosted in (self._admin, *self._hosted):
            if hosted is not None:
                hosted.close()
        if self._core is not None:
            self._core.close()
        if self._listeners is not None:
            self._listeners.close()
        for _ in range(_TURNS):
            await asyncio.sleep(0)
