"""The two status tables of gRPC's documents: HTTP statuses and HTTP/2 error codes as gRPC codes. Pure."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["ANY_FAILURE", "http_code", "reset_codes"]

# What a client's library may make of an answer for which no document has a code.
ANY_FAILURE = ("UNKNOWN", "INTERNAL", "UNAVAILABLE", "CANCELLED")


def http_code(status: int) -> str:
    """http-grpc-status-mapping.md, and 431 as the study has it."""
    known = {
        400: "INTERNAL",
        401: "UNAUTHENTICATED",
        403: "PERMISSION_DENIED",
        404: "UNIMPLEMENTED",
        429: "UNAVAILABLE",
        431: "INTERNAL",
        502: "UNAVAILABLE",
        503: "UNAVAILABLE",
        504: "UNAVAILABLE",
    }
    return known.get(status, "UNKNOWN")


_RESET_CODES = {
    7: ("UNAVAILABLE",),
    8: ("CANCELLED",),
    11: ("RESOURCE_EXHAUSTED",),
    12: ("PERMISSION_DENIED",),
}


def reset_codes(code: int) -> Sequence[str]:
    """PROTOCOL-HTTP2.md, Errors; STREAM_CLOSED and unknown codes have no row there: any failure."""
    if code in _RESET_CODES:
        return _RESET_CODES[code]
    return ANY_FAILURE if code == 5 or code > 13 else ("INTERNAL",)
