"""Run a gRPC service the way PAI-EAS needs it: limits, health, reflection, token check, log, graceful stop.

def register(server):
    add_GreeterServiceServicer_to_server(Greeter(), server)

sys.exit(serving.run(register, host="0.0.0.0", port=50051))

A function from arrays to arrays needs neither servicer nor proto:

@serving.model
def predict(images: NDArray[np.float32]) -> np.ndarray: ...

sys.exit(serving.run(serving.Models(predict).register, host="0.0.0.0", port=50051))

What has to do with models is loaded when it is first used: a service that has no tensors needs no numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from eas_grpc.serving._aio import AsyncServer
from eas_grpc.serving._health import Health
from eas_grpc.serving._run import run, run_async
from eas_grpc.serving._server import Server
from eas_grpc.serving.options import ServerOptions

if TYPE_CHECKING:
    from eas_grpc.serving._models import BadInput, Model, Models, model

__all__ = [
    "AsyncServer",
    "BadInput",
    "Health",
    "Model",
    "Models",
    "Server",
    "ServerOptions",
    "model",
    "run",
    "run_async",
]

_HOMES = dict.fromkeys(("BadInput", "Model", "Models", "model"), "_models")


if not TYPE_CHECKING:  # a type checker would take any name for right

    def __getattr__(name: str) -> Any:
        if name in _HOMES:
            return getattr(importlib.import_module(f"eas_grpc.serving.{_HOMES[name]}"), name)
        raise AttributeError(f"module 'eas_grpc.serving' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
