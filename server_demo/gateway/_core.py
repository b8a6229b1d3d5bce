"""What the calls of a gateway share: the services behind it, the faults that are on, the log, the connections."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from eas_grpc.errors import ConfigError
from server_demo.gateway._call import Call
from server_demo.gateway._decompress import check_available
from server_demo.gateway._discovery import Instance, answer
from server_demo.gateway._exchange import Caller, Exchange, Head
from server_demo.gateway._faults import Chosen, Fault, FaultBook
from server_demo.gateway._http1_backend import Http1Pool
from server_demo.gateway._http1_caller import Http1Side
from server_demo.gateway._http2_backend import Http2Pool
from server_demo.gateway._http2_caller import Http2Side
from server_demo.gateway._limits import RateLimit, Slots
from server_demo.gateway._link import Link, Outbox
from server_demo.gateway._records import CallLog
from server_demo.gateway._routing import route_grpc
from server_demo.gateway._shape import shape_of
from server_demo.gateway.options import GatewayOptions, Service

__all__ = ["Behind", "Core"]

_MOST_AUTHORITIES = 1000
_LONGEST_REMEMBERED = 400


@dataclass(slots=True)
class Counts:
    """How many calls of a service are over, and how many of those ended badly; the same ones through all settings."""

    calls: int = 0
    errors: int = 0


class Behind:
    """A service behind the gateway: its settings, and what has to be remembered to hold it to them."""

    def __init__(
        self, service: Service, options: GatewayOptions, outbox: Outbox, before: Behind | None = None
    ) -> None:
        """`before` is what it was until now: what did not change goes on."""
        self.service = service
        self.counts: Counts = Counts() if before is None else before.counts
        self.instances: tuple[Instance, ...] = () if before is None else before.instances
        self.keepalive = options.keepalive if service.keepalive is None else service.keepalive
        self.rate_limit = options.rate_limit if service.rate_limit is None else service.rate_limit
        self.rate = RateLimit(self.rate_limit)
        self.slots = Slots(service.worker_threads, service.max_queue_size)
        self.grpc = self.http = None
        if before is not None:
            self.rate = before.rate if before.rate_limit == self.rate_limit else self.rate
            same = before.service.worker_threads == service.worker_threads
            self.slots = (
                before.slots if same and before.slots.max_queue_size == service.max_queue_size else self.slots
            )
            self.grpc = before.grpc if before.service.grpc == service.grpc else None
            self.http = before.http if before.service.http == service.http else None
        idle_timeout = options.backend_idle_timeout
        if service.grpc is not None and self.grpc is None:
            self.grpc = Http2Pool(
                service.grpc, outbox, idle_timeout=idle_timeout, max_header_bytes=options.max_header_bytes
            )
        if service.http is not None and self.http is None:
            self.http = Http1Pool(service.http, idle_timeout=idle_timeout)

    def discovery(self) -> bytes:
        """What a client that connects directly is told."""
        return answer(self.service.name, self.instances)

    def close(self) -> None:
        """Ends the connections to it."""
        for pool in (self.grpc, self.http):
            if pool is not None:
                pool.close()


class Core:
    """Lives on one event loop, and is touched on it alone.

    `local` may take a request over HTTP out of the gateway's hands, with an exchange of its own; `restart(down)` is what
    the listeners do.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, options: GatewayOptions) -> None:
        self.loop = loop
        self.options = options
        self.outbox = Outbox(loop)
        self.services: dict[str, Behind] = {}
        self.faults = FaultBook()
        self.log = CallLog()
        self.links: set[Link] = set()
        self.calls: set[Call] = set()
        self.local: Callable[[Head, Caller], Exchange | None] = lambda _head, _caller: None
        # Tells by a connection's first bytes whether faults pass it by.
        self.is_exempt: Callable[[bytes], bool] | None = None
        self._replaced: list[Behind] = []
        self.shapes = _Shapes(self)
        self.restart: Callable[[float], object] = lambda _down: None
        self._authorities: dict[str, str | None] = {}
        self._when_ended: dict[int, dict[object, Callable[[], object]]] = {}

    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)

    # Services.

    def put(self, service: Service) -> None:
        """Adds a service, or gives one new settings; calls under way end under the old ones."""
        if service.decompressor is not None:
            check_available(service.decompressor)
        before = self.services.get(service.name)
        behind = self.services[service.name] = Behind(service, self.options, self.outbox, before)
        if before is not None and (before.grpc, before.http) != (behind.grpc, behind.http):
            # Calls under way are still on its connections.
            self._replaced.append(before)
        self._authorities.clear()

    def known(self, name: str) -> Behind:
        """A service by its name; ConfigError if it is not there."""
        if name not in self.services:
            raise ConfigError(f"no service {name!r} is behind this gateway: {self._names()}")
        return self.services[name]

    def _names(self) -> str:
        return f"there are {', '.join(self.services)}" if self.services else "there is none yet"

    def close(self) -> None:
        """Ends the connections to services, also to those that were replaced."""
        for behind in (*self.services.values(), *self._replaced):
            behind.close()

    def grpc_service(self, authority: str) -> str | None:
        """The service that a gRPC call to this authority is for: without a name in it, the first that speaks gRPC."""
        if len(authority) > _LONGEST_REMEMBERED:
            return self._grpc_service(authority)
        if authority not in self._authorities:
            if len(self._authorities) >= _MOST_AUTHORITIES:
                self._authorities.clear()
            self._authorities[authority] = self._grpc_service(authority)
        return self._authorities[authority]

    def _grpc_service(self, authority: str) -> str | None:
        speak = (name for name, behind in self.services.items() if behind.grpc is not None)
        return route_grpc(authority, self.services, next(speak, None))

    # Connections and calls.

    def link(self, instance_of: str | None = None) -> Link:
        """For a connection that is about to come, to the gateway or to an instance of a service."""
        return Link(
            self.outbox,
            speaks_http2=self._http2_side,
            speaks_http1=self._http1_side,
            begun=self._begun,
            ended=self._ended,
            instance_of=instance_of,
            is_exempt=self.is_exempt,
        )

    def _http2_side(self, link: Link) -> Http2Side:
        options = self.options
        return Http2Side(
            link,
            self.outbox,
            self._start_http2,
            max_header_bytes=options.max_header_bytes,
            max_streams=options.max_concurrent_streams,
        )

    def _http1_side(self, link: Link) -> Http1Side:
        return Http1Side(link, self._start_http, max_header_bytes=self.options.max_header_bytes)

    def _start_http2(self, head: Head, caller: Caller) -> Exchange:
        if (head.get(b"content-type") or b"").startswith(b"application/grpc"):
            return self._start(Call(self, head, caller, grpc=True))
        return self._start_http(head, caller)

    def _start_http(self, head: Head, caller: Caller) -> Exchange:
        return self.local(head, caller) or self._start(Call(self, head, caller, grpc=False))

    def _start(self, call: Call) -> Call:
        self.calls.add(call)
        call.begin()
        return call

    def _begun(self, link: Link) -> None:
        self.links.add(link)
        self.shapes.refresh(link)

    def _ended(self, link: Link) -> None:
        self.links.discard(link)
        self.shapes.forget(link)

    def flush(self) -> None:
        """Sends what has collected, before something is done to a connection."""
        self.outbox.flush()

    # Faults.

    def choose(self, call: Call) -> tuple[Chosen, ...]:
        """The faults that happen to a call."""
        assert call.behind is not None
        return self.faults.choose("grpc" if call.grpc else "http", call.record.service, call.record.method)

    def begin_fault(self, fault: Fault) -> int:
        """Puts a fault on, for connections that are there as well."""
        if fault.service is not None and fault.service not in self.services:
            raise ConfigError(f"no service {fault.service!r} is behind this gateway: {self._names()}")
        number = self.faults.add(fault)
        if fault.standing:
            self.faults.note(None, "", number, fault.kind, f"put {fault.text()} on every connection")
            self.shapes.refresh_all()
        return number

    def end_fault(self, number: int) -> bool:
        """Takes a fault off, and lets go what it holds."""
        found = self.faults.end(number)
        self.shapes.end_everywhere(number)
        for action in tuple(self._when_ended.pop(number, {}).values()):
            action()
        self.flush()
        return found

    def end_faults(self) -> None:
        """Takes all faults off."""
        for active in self.faults.active():
            self.end_fault(active.id)

    def when_ended(self, number: int, action: Callable[[], object]) -> Callable[[], object]:
        """`action` is called when that fault is taken off; what is returned forgets about it."""
        waiting = self._when_ended.setdefault(number, {})
        key = object()
        waiting[key] = action
        return lambda: waiting.pop(key, None)


class _Shapes:
    """Which faults are on which connection, beyond those that are on all of them, and for how many calls."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._own: dict[Link, dict[int, tuple[Fault, int]]] = {}

    def begin(self, link: Link, number: int, fault: Fault) -> None:
        """Puts a fault on one connection, for one more call."""
        own = self._own.setdefault(link, {})
        own[number] = fault, own.get(number, (fault, 0))[1] + 1
        self.refresh(link)

    def end(self, link: Link, number: int) -> None:
        """One call less; after the last one it is off that connection."""
        own = self._own.get(link, {})
        if number in own:
            fault, calls = own[number]
            own[number] = fault, calls - 1
            if calls == 1:
                del own[number]
                self.refresh(link)

    def end_everywhere(self, number: int) -> None:
        """Takes a fault off every connection."""
        for own in self._own.values():
            own.pop(number, None)
        self.refresh_all()

    def forget(self, link: Link) -> None:
        """The connection is gone."""
        self._own.pop(link, None)

    def refresh_all(self) -> None:
        """Tells every connection what it suffers."""
        for link in tuple(self._core.links):
            self.refresh(link)

    def refresh(self, link: Link) -> None:
        """Tells a connection what it suffers."""
        standing = [fault for _, fault in self._core.faults.standing()]
        faults = [*standing, *(fault for fault, _ in self._own.get(link, {}).values())]
        link.shape(shape_of((fault.kind, fault.values) for fault in faults))
