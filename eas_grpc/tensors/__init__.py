"""Arrays <-> the messages of tensor services, at the speed of memory. No I/O.

One module per format, each with encode_request, decode_request, encode_response and decode_response: `native`
(our TensorService), `open_inference` (Open Inference Protocol v2) and `tf_serving` (TensorFlow Serving).

    data = tensors.native.encode_request(tensors.Request("digits", {"images": images}))
    images = tensors.native.decode_request(data).inputs["images"]      # a read-only view of `data`

The names below are loaded when they are first used: a server that has no tensors needs no numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eas_grpc.tensors import native, open_inference, tf_serving
    from eas_grpc.tensors._allocator import keep_large_buffers
    from eas_grpc.tensors._arrays import as_array
    from eas_grpc.tensors._messages import Parameter, Request, Response
    from eas_grpc.tensors._specs import ModelSpec, TensorSpec

__all__ = [
    "ModelSpec",
    "Parameter",
    "Request",
    "Response",
    "TensorSpec",
    "as_array",
    "keep_large_buffers",
    "native",
    "open_inference",
    "tf_serving",
]

_MODULES = ("native", "open_inference", "tf_serving")
_HOMES = {
    "ModelSpec": "_specs",
    "Parameter": "_messages",
    "Request": "_messages",
    "Response": "_messages",
    "TensorSpec": "_specs",
    "as_array": "_arrays",
    "keep_large_buffers": "_allocator",
}


if not TYPE_CHECKING:  # a type checker would take any name for right

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return importlib.import_module(f"eas_grpc.tensors.{name}")
        if name in _HOMES:
            return getattr(importlib.import_module(f"eas_grpc.tensors.{_HOMES[name]}"), name)
        raise AttributeError(f"module 'eas_grpc.tensors' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
