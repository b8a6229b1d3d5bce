"""Call PAI-EAS model-inference services over gRPC, right by default.

The names below are loaded when they are first used: the command line answers `--help` without grpc.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from eas_grpc._version import __version__

if TYPE_CHECKING:
    from eas_grpc import aio, errors, inference, serving, tensors
    from eas_grpc.endpoint import Endpoint
    from eas_grpc.errors import CallError, ConfigError
    from eas_grpc.options import PROFILES, Keepalive, Profile, StreamLimits
    from eas_grpc.retry import RetryPolicy
    from eas_grpc.rpc import connect, interceptors

__all__ = [
    "PROFILES",
    "CallError",
    "ConfigError",
    "Endpoint",
    "Keepalive",
    "Profile",
    "RetryPolicy",
    "StreamLimits",
    "__version__",
    "aio",
    "connect",
    "errors",
    "inference",
    "interceptors",
    "serving",
    "tensors",
]

_MODULES = ("aio", "errors", "inference", "serving", "tensors")
_HOMES = {
    "PROFILES": "eas_grpc.options",
    "CallError": "eas_grpc.errors",
    "ConfigError": "eas_grpc.errors",
    "Endpoint": "eas_grpc.endpoint",
    "Keepalive": "eas_grpc.options",
    "Profile": "eas_grpc.options",
    "RetryPolicy": "eas_grpc.retry",
    "StreamLimits": "eas_grpc.options",
    "connect": "eas_grpc.rpc",
    "interceptors": "eas_grpc.rpc",
}


if not TYPE_CHECKING:  # a type checker would take any name for right

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return importlib.import_module(f"eas_grpc.{name}")
        if name in _HOMES:
            return getattr(importlib.import_module(_HOMES[name]), name)
        raise AttributeError(f"module 'eas_grpc' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
