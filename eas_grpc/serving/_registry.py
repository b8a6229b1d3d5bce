"""What a user's `register(server)` adds, collected before there is a server.

Knowing it early gives every service its health status and its reflection entry, and finds mistakes before
a port is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import grpc
from google.protobuf.descriptor_pool import DescriptorPool

from eas_grpc.errors import ConfigError

HEALTH_SERVICE = "grpc.health.v1.Health"


class Registry:
    """Takes the place of a grpc server in `add_XServicer_to_server(servicer, server)`."""

    def __init__(self) -> None:
        self._generic: list[Any] = []
        self._registered: dict[str, dict[str, Any]] = {}
        self._pools: list[DescriptorPool] = []
        self._status: Callable[[str], str] = lambda _: "SERVING"

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[Any]) -> None:
        """As on a grpc server."""
        for handler in generic_rpc_handlers:
            if hasattr(handler, "service_name"):
                _refuse_second(handler.service_name(), self._generic_names())
            self._generic.append(handler)

    def add_registered_method_handlers(self, service_name: str, method_handlers: Mapping[str, Any]) -> None:
        """As on a grpc server."""
        _refuse_second(service_name, self._registered)
        self._registered[service_name] = dict(method_handlers)

    def put(self, service_name: str, method_handlers: Mapping[str, Any]) -> None:
        """Adds a service of ours, in the place of one with that name."""
        self._registered[service_name] = dict(method_handlers)

    def describe(self, pool: DescriptorPool) -> None:
        """Lets reflection look into this pool too, for services that are not in protobuf's default one."""
        self._pools.append(pool)

    def follow(self, status: Callable[[str], str]) -> None:
        """Lets services ask how the server is: `status` gives the health of a service by name."""
        self._status = status

    def is_serving(self, service: str = "") -> bool:
        """Whether the server's health says that this service, or the whole server, can be called."""
        return self._status(service) == "SERVING"

    def __getattr__(self, name: str) -> Any:
        """Whatever else a grpc server can do is not for `register` to do."""
        raise ConfigError(
            f"register(server) used server.{name}: it may only add services; the port, the start and the stop"
            " belong to eas_grpc.serving"
        )

    @property
    def pools(self) -> tuple[DescriptorPool, ...]:
        """The pools that were given to `describe`."""
        return tuple(self._pools)

    @property
    def services(self) -> tuple[str, ...]:
        """The names of all services, in the order in which they were added."""
        return tuple(dict.fromkeys([*self._generic_names(), *self._registered]))

    def methods(self) -> Iterable[tuple[str, Any]]:
        """Every method that is known by name: its path and its handler."""
        for service, handlers in self._registered.items():
            for name, handler in handlers.items():
                yield f"/{service}/{name}", handler

    def handlers(self) -> list[Any]:
        """Everything, for `grpc.server(handlers=...)` of either colour.

        All of it as generic handlers: grpc.aio 1.71 takes registered ones and never looks at them.
        """
        by_name = [grpc.method_handlers_generic_handler(*item) for item in self._registered.items()]
        return [*by_name, *self._generic]

    def _generic_names(self) -> list[str]:
        return [h.service_name() for h in self._generic if hasattr(h, "service_name")]


def collect(register: Callable[[Any], object]) -> Registry:
    """Runs the user's callback; a ConfigError when it adds nothing, or the health service, which is ours."""
    if not callable(register):
        raise ConfigError(
            f"register must be a function that adds the services, not {type(register).__name__}:"
            " def register(server): add_<Name>Servicer_to_server(servicer, server)"
        )
    registry = Registry()
    result = register(registry)
    if hasattr(result, "__await__"):
        close = getattr(result, "close", None)
        if close is not None:
            close()
        raise ConfigError("register is a coroutine function: make it a plain function that adds the services")
    if not registry.services:
        raise ConfigError(
            "register(server) added no service: call add_<Name>Servicer_to_server(servicer, server) in it"
        )
    if HEALTH_SERVICE in registry.services:
        raise ConfigError(
            f"register(server) added {HEALTH_SERVICE}, which the server brings: set a status by server.health.set"
        )
    return registry


def _refuse_second(name: str, known: Iterable[str]) -> None:
    """Each service is added in both forms, so a name may come once in each."""
    if name in known:
        raise ConfigError(
            f"register(server) added {name} twice: add each service once, with all of its methods"
        )
