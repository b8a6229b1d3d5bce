"""Status tables as data: HTTP statuses and resets as gRPC codes, and what EAS answers when a call does not succeed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reliability.conformance_cases import Case
from reliability.conformance_codes import http_code, reset_codes

__all__ = ["EAS", "EasRow", "eas_fault", "grpc_call", "grpc_table"]

# The rows of http-grpc-status-mapping.md, and some of "all other codes".
_HTTP = (400, 401, 403, 404, 429, 431, 502, 503, 504, 200, 204, 302, 405, 408, 413, 450, 499, 500, 505, 512)

GREETER = "/eas_grpc_pb.greeter.v1.GreeterService/SayHello"
TOKEN = "a-token"


def grpc_table() -> list[Case]:
    """Both tables of gRPC, for the raw peer; STREAM_CLOSED has no row of its own: any failure."""
    statuses = [
        Case(f"HTTP {each}", [["headers", [[":status", str(each)]], True]], (http_code(each),))
        for each in _HTTP
    ]
    resets = [Case(f"RST_STREAM {code}", [["rst", code]], reset_codes(code)) for code in range(14)]
    return statuses + resets


@dataclass(frozen=True)
class EasRow:
    """What a caller does, and what the gateway says: the status over HTTP, and the code over gRPC, where it applies.

    `service` is the one that is called (its name gets the kind of client behind it where it is `apart`); `times` and
    `parallel` calls, of which at least one has to end so and the others well.
    """

    name: str
    http: int | None
    grpc: str | None
    service: str = "plain"
    apart: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)


# eas-wire.md 3.6, by what leads there.
_CAUSES = (
    EasRow("wrong token", 401, "UNAUTHENTICATED", more={"token": "wrong"}),
    EasRow("no token", 401, "UNAUTHENTICATED", more={"token": None}),
    EasRow("no such service", 404, None, "missing"),
    EasRow(
        "no such method",
        None,
        "UNIMPLEMENTED",
        more={"path": "/eas_grpc_pb.greeter.v1.GreeterService/Missing"},
    ),
    EasRow("not served over gRPC", None, "UNIMPLEMENTED", "web"),
    EasRow("not served over HTTP", 404, None, "rpc"),
    EasRow("wrong HTTP method", 405, None, more={"method": "PUT"}),
    EasRow("too slow", 408, "DEADLINE_EXCEEDED", "slow"),
    EasRow("too large", 413, "RESOURCE_EXHAUSTED", more={"size": 1_000_001}),
    EasRow("too often", 429, "RESOURCE_EXHAUSTED", "rated", apart=True, more={"times": 0, "parallel": 8}),
    EasRow("queue full", 450, "RESOURCE_EXHAUSTED", "busy", apart=True, more={"times": 0, "parallel": 3}),
    EasRow("exception in the service", 500, "UNKNOWN", "broken"),
    EasRow("service is gone", 503, "UNAVAILABLE", "gone"),
    EasRow("no healthy upstream", 503, "UNAVAILABLE", "unhealthy"),
)
# The rest of that table, and what a gateway in front may say: as an HTTP status, which a gRPC client has to translate.
STATUSES = (400, 401, 403, 404, 405, 408, 413, 429, 431, 450, 499, 500, 501, 502, 503, 504, 505, 512)
EAS: Sequence[EasRow] = (
    *_CAUSES,
    *(EasRow(f"status {each}", each, http_code(each), f"says-{each}") for each in STATUSES),
)


def name_for(row: EasRow, kind: str) -> str:
    """The service that a kind of client calls: what counts calls must not count another's."""
    return f"{row.service}-{kind}" if row.apart else row.service


def grpc_call(row: EasRow, kind: str) -> dict[str, Any]:
    """As `run_calls` takes it."""
    call = {"name": row.name, "path": GREETER, "authority": f"{name_for(row, kind)}.localhost"}
    return {**call, "token": TOKEN, **row.more}


def eas_fault(wanted: object, got: Iterable[object], good: object) -> str:
    """What is wrong with the outcomes of a row; empty where one is as it should be and the others are good."""
    got = list(got)
    if wanted not in got:
        return f"{', '.join(map(str, got))}, not {wanted}"
    others = {each for each in got if each not in {wanted, good}}
    return f"also {', '.join(map(str, others))}" if others else ""
