"""One record per call for the log. Pure: knows neither grpc nor a clock, and is never given metadata."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from urllib.parse import unquote

LOGGER = "eas_grpc.serving.access"

_LONGEST_METHOD = 200


@dataclass(frozen=True)
class CallRecord:
    """What is logged of a call: its path, its status by name, who called, and how long it took in seconds."""

    method: str
    status: str
    peer: str
    duration_seconds: float

    def fields(self) -> dict[str, object]:
        """The `extra` of the log record."""
        return {
            "method": printable(self.method),
            "status": self.status,
            "peer": unquote(self.peer),
            "duration_seconds": round(self.duration_seconds, 6),
        }

    def __str__(self) -> str:
        """The same for people to read."""
        return f"{self.status} {printable(self.method)} from {unquote(self.peer)} in {self.duration_seconds:.4f} s"

    def level(self) -> int:
        """Probes come every few seconds and say nothing as long as they succeed."""
        quiet = self.method.startswith("/grpc.health.v1.Health/") and self.status in {"OK", "CANCELLED"}
        return logging.DEBUG if quiet else logging.INFO


def printable(method: str) -> str:
    """A path that is safe in a log: the caller chose it and may have put a line break in."""
    clean = "".join(c if c.isprintable() else "?" for c in method[:_LONGEST_METHOD])
    return clean if len(method) <= _LONGEST_METHOD else f"{clean}..."


def failure_text(error_id: str) -> str:
    """What a caller is told when a servicer raised: enough to find the traceback, nothing of its content."""
    return f"the service failed on this call; its log has the reason under error id {error_id}"
