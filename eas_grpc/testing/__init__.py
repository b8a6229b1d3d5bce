"""Test a gRPC service over real connections: the pytest fixture `eas_serve`, and the types to annotate it with.

    def test_greets(eas_serve):
        served = eas_serve(lambda server: add_GreeterServiceServicer_to_server(Greeter(), server))
        assert GreeterServiceStub(served.channel).SayHello(HelloRequest(name="World")).message == "Hello, World!"

The names below are loaded when they are first used: pytest imports this package at every start.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eas_grpc.testing._served import Serve, Served

__all__ = ["Serve", "Served"]


if not TYPE_CHECKING:  # a type checker would take any name for right

    def __getattr__(name: str) -> Any:
        if name in __all__:
            return getattr(importlib.import_module("eas_grpc.testing._served"), name)
        raise AttributeError(f"module 'eas_grpc.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
