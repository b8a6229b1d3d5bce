"""Which methods their .proto declares safe to run twice."""

from __future__ import annotations

__all__ = ["idempotent_methods"]


def idempotent_methods(service: str) -> tuple[str, ...]:
    """Methods of `service` with an `idempotency_level`, as far as its generated code has been imported."""
    from google.protobuf import descriptor_pool
    from google.protobuf.descriptor_pb2 import MethodOptions

    try:
        found = descriptor_pool.Default().FindServiceByName(service)
    except KeyError:
        return ()
    return tuple(
        method.name
        for method in found.methods
        if method.GetOptions().idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN
    )
