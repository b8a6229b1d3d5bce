"""Test a gRPC service over real connections, and what calls it against a gateway that fails as EAS's own does.

    def test_the_caller_survives_a_slow_gateway(eas_gateway, eas_channel):
        with eas_gateway.faults.latency(0.2, calls=1):
            assert GreeterServiceStub(eas_channel).SayHello(HelloRequest(name="World")).message == "Hello, World!"

The fixtures are in `plugin`, which pytest finds by itself; the names here are the types to annotate them with. They
are loaded when they are first used: pytest imports this package at every start.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eas_grpc.testing._gateway import LocalGateway, MakeGateway
    from eas_grpc.testing._served import Serve, Served

__all__ = ["LocalGateway", "MakeGateway", "Serve", "Served"]

_HOMES = {"LocalGateway": "_gateway", "MakeGateway": "_gateway", "Serve": "_served", "Served": "_served"}


if not TYPE_CHECKING:  # a type checker would take any name for right

    def __getattr__(name: str) -> Any:
        if name in _HOMES:
            return getattr(importlib.import_module(f"eas_grpc.testing.{_HOMES[name]}"), name)
        raise AttributeError(f"module 'eas_grpc.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
