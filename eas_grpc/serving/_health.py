"""The standard health service (grpc.health.v1): one board of statuses, a servicer of each colour reading it.

Not grpcio-health-checking's own servicers, only its messages: its Watch sends while it holds the lock that
Check needs, so one watcher that does not read stops every probe, and its Watch streams outlive a stop by the
whole grace period.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from eas_grpc.errors import ConfigError
from eas_grpc.serving._registry import HEALTH_SERVICE, Registry

_Response: Any = health_pb2.HealthCheckResponse
_Request: Any = health_pb2.HealthCheckRequest
# Younger than the oldest grpcio-health-checking that we support.
_ListRequest: Any = getattr(health_pb2, "HealthListRequest", None)
_ListResponse: Any = getattr(health_pb2, "HealthListResponse", None)

_LARGEST_REQUEST = 1024
_STOPPING = "the server is stopping"
_TOO_MANY = "too many health Watch streams; use Check, or watch from fewer clients"


class Health:
    """The status of every service and of the whole server, whose name is "".

    Safe to use from any thread and from the event loop. Everything is SERVING until set otherwise.
    """

    def __init__(self, services: tuple[str, ...]) -> None:
        self._lock = threading.Lock()
        self._serving = dict.fromkeys(("", *services), True)
        self._listeners: set[Callable[[], object]] = set()
        self._stopping = False

    def set(self, service: str, *, serving: bool) -> None:
        """Says whether `service` can be called; "" is the whole server. Watchers are told at once.

        Raises ConfigError for a service that this server does not have. Without effect once the server stops.
        """
        with self._lock:
            if service not in self._serving:
                known = ", ".join(sorted(self._serving)[1:])
                raise ConfigError(f"no service {service!r} on this server; it has {known}, and '' for all")
            if self._stopping:
                return
            self._serving[service] = serving
            listeners = tuple(self._listeners)
        for told in listeners:
            told()

    def status(self, service: str) -> str:
        """`SERVING`, `NOT_SERVING`, or `SERVICE_UNKNOWN` for a service that this server does not have."""
        with self._lock:
            serving = self._serving.get(service)
        if serving is None:
            return "SERVICE_UNKNOWN"
        return "SERVING" if serving else "NOT_SERVING"

    def statuses(self) -> dict[str, str]:
        """The status of every service, and of the whole server under ""."""
        with self._lock:
            return {name: "SERVING" if up else "NOT_SERVING" for name, up in self._serving.items()}

    @property
    def stopping(self) -> bool:
        """Whether the server is on its way out; then everything is NOT_SERVING for good."""
        return self._stopping

    def stop(self) -> None:
        """Sets everything to NOT_SERVING for good and tells the watchers."""
        with self._lock:
            self._serving = dict.fromkeys(self._serving, False)
            self._stopping = True
            listeners = tuple(self._listeners)
        for told in listeners:
            told()

    @contextmanager
    def listening(self, told: Callable[[], object], *, limit: int) -> Iterator[bool]:
        """Calls `told` at each change, from whichever thread makes it; gives False beyond `limit` listeners."""
        with self._lock:
            admitted = len(self._listeners) < limit
            if admitted:
                self._listeners.add(told)
        try:
            yield admitted
        finally:
            with self._lock:
                self._listeners.discard(told)


class HealthServicer:
    """Answers probes from the board, each Watch in a thread of its own."""

    def __init__(self, board: Health, *, watch_limit: int) -> None:
        self.board = board
        self._watch_limit = watch_limit

    def check(self, request: Any, context: grpc.ServicerContext) -> Any:
        """The status now; NOT_FOUND for a service that this server does not have."""
        status = self.board.status(request.service)
        if status == "SERVICE_UNKNOWN":
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return _message(status)

    def list(self, _request: Any, _context: grpc.ServicerContext) -> Any:
        """The status of every service."""
        return _listing(self.board)

    def watch(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        """The status now and at each change, until the caller leaves or the server stops."""
        woken = threading.Event()
        with self.board.listening(woken.set, limit=self._watch_limit) as admitted:
            if not admitted:
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, _TOO_MANY)
            last = None
            # add_callback refuses once the call is over, and then nothing would wake this thread.
            if not context.add_callback(woken.set):
                return
            while context.is_active():
                woken.clear()
                stopping, status = self.board.stopping, self.board.status(request.service)
                if status != last:
                    yield _message(status)
                    last = status
                if stopping:
                    context.abort(grpc.StatusCode.UNAVAILABLE, _STOPPING)
                woken.wait()


class AsyncHealthServicer:
    """Answers probes from the board, on the event loop."""

    def __init__(self, board: Health, *, watch_limit: int) -> None:
        self.board = board
        self._watch_limit = watch_limit

    async def check(self, request: Any, context: Any) -> Any:
        """The status now; NOT_FOUND for a service that this server does not have."""
        status = self.board.status(request.service)
        if status == "SERVICE_UNKNOWN":
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return _message(status)

    async def list(self, _request: Any, _context: Any) -> Any:
        """The status of every service."""
        return _listing(self.board)

    async def watch(self, request: Any, context: Any) -> AsyncIterator[Any]:
        """The status now and at each change, until the caller leaves or the server stops."""
        woken = asyncio.Event()
        loop = asyncio.get_running_loop()
        with self.board.listening(
            lambda: loop.call_soon_threadsafe(woken.set), limit=self._watch_limit
        ) as admitted:
            if not admitted:
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, _TOO_MANY)
            last = None
            while True:
                woken.clear()
                stopping, status = self.board.stopping, self.board.status(request.service)
                if status != last:
                    yield _message(status)
                    last = status
                if stopping:
                    await context.abort(grpc.StatusCode.UNAVAILABLE, _STOPPING)
                await woken.wait()


def add_health(
    registry: Registry, servicer: HealthServicer | AsyncHealthServicer, pool: object = None
) -> None:
    """Adds the servicer; the synchronous one is run by `pool` and not by the server's workers."""
    registry.follow(servicer.board.status)

    def handler(make: Any, behavior: Any, request: Any = _Request, response: Any = _Response) -> Any:
        if pool is not None:
            behavior = _in_pool(behavior, pool)
        return make(behavior, _small(request.FromString), response.SerializeToString)

    handlers = {
        "Check": handler(grpc.unary_unary_rpc_method_handler, servicer.check),
        "Watch": handler(grpc.unary_stream_rpc_method_handler, servicer.watch),
    }
    if _ListResponse is not None:
        handlers["List"] = handler(
            grpc.unary_unary_rpc_method_handler, servicer.list, _ListRequest, _ListResponse
        )
    registry.put(HEALTH_SERVICE, handlers)


def _small(parse: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Refuses what is too large for a service's name: anybody may watch, and a watched name is kept."""

    def parsed(raw: bytes) -> Any:
        if len(raw) > _LARGEST_REQUEST:
            raise ValueError("a health request is that large only by intent")
        return parse(raw)

    return parsed


def _in_pool(behavior: Any, pool: object) -> Any:
    def run(request: Any, context: grpc.ServicerContext) -> Any:
        return behavior(request, context)

    # The mark by which grpc lets a method have its own threads.
    run.experimental_thread_pool = pool  # type: ignore[attr-defined]
    return run


def _listing(board: Health) -> Any:
    statuses = {name: _message(status) for name, status in board.statuses().items()}
    return _ListResponse(statuses=statuses)


def _message(status: str) -> Any:
    return _Response(status=_Response.ServingStatus.Value(status))
