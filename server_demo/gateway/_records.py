"""What the gateway remembers of each call: for the page, the admin port and tests. Pure; never holds a header."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from eas_grpc.serving._access import printable

__all__ = ["CallLog", "Record"]

_MOST_KEPT = 1000
_MOST_TOLD = 500


@dataclass(slots=True)
class Record:
    """One call. `status` is a name of gRPC's or an HTTP status, None while it runs, like `seconds` and `ok`."""

    number: int
    time: float
    protocol: str
    method: str
    service: str | None = None
    status: str | None = None
    ok: bool | None = None
    request_bytes: int = 0
    response_bytes: int = 0
    seconds: float | None = None
    auth: str | None = None
    faults: list[str] = field(default_factory=list)
    version: int = 0

    def to_json(self) -> dict[str, object]:
        """As the page and the admin port show it."""
        return {
            "number": self.number,
            "time": round(self.time, 3),
            "protocol": self.protocol,
            "service": self.service,
            "method": printable(self.method),
            "status": self.status,
            "ok": self.ok,
            "request_bytes": self.request_bytes,
            "response_bytes": self.response_bytes,
            "seconds": None if self.seconds is None else round(self.seconds, 6),
            "auth": self.auth,
            "faults": list(self.faults),
        }


class CallLog:
    """The last thousand calls; `version` counts every change, so that a reader can ask for what is new."""

    def __init__(self) -> None:
        self.version = 0
        self._records: deque[Record] = deque(maxlen=_MOST_KEPT)
        self._numbers = 0

    def begin(self, *, now: float, protocol: str, method: str) -> Record:
        """A call has come."""
        self._numbers += 1
        record = Record(number=self._numbers, time=now, protocol=protocol, method=method)
        self._records.append(record)
        self.touch(record)
        return record

    def touch(self, record: Record) -> None:
        """Something about a call has changed."""
        self.version += 1
        record.version = self.version

    def since(self, version: int) -> list[Record]:
        """What changed after that version, oldest call first, the last 500 at most."""
        return [record for record in self._records if record.version > version][-_MOST_TOLD:]

    def all(self) -> list[Record]:
        """The calls that are remembered, oldest first."""
        return list(self._records)
