"""Clients of tensor services over gRPC: arrays by name in, arrays by name out, on any channel.

    with eas_grpc.connect(endpoint, token=...) as channel:
        outputs = inference.TensorClient(channel).infer("digits", {"images": images})

One interface for three protocols: TensorClient (our own service), OpenInferenceClient (Triton, KServe, MLServer) and
TFServingClient (TensorFlow Serving); for asyncio the same with Async in front. Loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eas_grpc.inference._aio_clients import (
        AsyncInferenceClient,
        AsyncOpenInferenceClient,
        AsyncTensorClient,
        AsyncTFServingClient,
    )
    from eas_grpc.inference._clients import (
        InferenceClient,
        OpenInferenceClient,
        TensorClient,
        TFServingClient,
    )
    from eas_grpc.inference._errors import InferenceError
    from eas_grpc.inference._records import ServerMetadata, VersionStatus

__all__ = [
    "AsyncInferenceClient",
    "AsyncOpenInferenceClient",
    "AsyncTFServingClient",
    "AsyncTensorClient",
    "InferenceClient",
    "InferenceError",
    "OpenInferenceClient",
    "ServerMetadata",
    "TFServingClient",
    "TensorClient",
    "VersionStatus",
]

_HOMES = {
    "AsyncInferenceClient": "_aio_clients",
    "AsyncOpenInferenceClient": "_aio_clients",
    "AsyncTFServingClient": "_aio_clients",
    "AsyncTensorClient": "_aio_clients",
    "InferenceClient": "_clients",
    "InferenceError": "_errors",
    "OpenInferenceClient": "_clients",
    "ServerMetadata": "_records",
    "TFServingClient": "_clients",
    "TensorClient": "_clients",
    "VersionStatus": "_records",
}


if not TYPE_CHECKING:  # a type checker would take any name for right

    def __getattr__(name: str) -> Any:
        if name in _HOMES:
            return getattr(importlib.import_module(f"eas_grpc.inference.{_HOMES[name]}"), name)
        raise AttributeError(f"module 'eas_grpc.inference' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
