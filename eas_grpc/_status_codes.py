"""gRPC's statuses by number (doc/statuscodes.md). Data only: no grpc is loaded for them."""

from __future__ import annotations

__all__ = ["status_name", "status_number"]

_NAMES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)


def status_name(number: int) -> str:
    """A gRPC status by name; a number that no table has stays one."""
    return _NAMES[number] if 0 <= number < len(_NAMES) else str(number)


def status_number(name: str) -> int:
    """A gRPC status as a number; 2 (UNKNOWN) for a name that no table has."""
    return _NAMES.index(name) if name in _NAMES else 2
