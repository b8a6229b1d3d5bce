"""gRPC's negative HTTP/2 cases as data: what the peer does, what the client calls, and what must come of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reliability.conformance_cases import GOOD, HI, head, tail
from reliability.h2_server import message

__all__ = ["NEGATIVE", "Negative", "fault", "scripts"]

_HALF = len(message(HI)) // 2
_PARALLEL = 15


@dataclass(frozen=True)
class Negative:
    """`calls` as `run_calls` takes them; with `max_streams` the peer's SETTINGS allow so many."""

    name: str
    steps: Sequence[Any]
    calls: Mapping[str, Any] = field(default_factory=dict)
    fails: bool = False
    max_streams: int | None = None


NEGATIVE = (
    # The second call follows the first on the same channel; it must take another connection.
    Negative("goaway", [*GOOD, ["goaway", 0]], {"times": 2}),
    Negative("rst_after_header", [head(), ["rst", 0]], fails=True),
    Negative("rst_during_data", [head(), ["data", message(HI)[:_HALF]], ["rst", 0]], fails=True),
    Negative("rst_after_data", [head(), ["data", message(HI)], ["rst", 0]], fails=True),
    # A last good call on the connection brings the last acknowledgements before it.
    Negative(
        "ping",
        [
            ["ping"],
            head(),
            ["ping"],
            ["data", message(HI)[:_HALF]],
            ["ping"],
            ["data", message(HI)[_HALF:]],
            ["ping"],
            tail(),
            ["ping"],
        ],
        {"times": 3, "then": "ok"},
    ),
    # h2 ends a connection on which a client opens more; the wait makes the calls meet.
    Negative("max_streams", [["wait", 0.01], *GOOD], {"times": 1, "parallel": _PARALLEL}, max_streams=1),
)


def scripts() -> dict[str, Any]:
    """What the peer is given."""
    return {each.name: each.steps for each in NEGATIVE} | {"ok": GOOD}


def fault(case: Negative, got: Mapping[str, Any], seen: Mapping[str, Any]) -> str:
    """What is wrong with what the client made of it, and with what the peer saw; empty where nothing is."""
    codes = {each["code"] for each in got["all"]}
    if case.fails:
        answers = [each for each in got["all"] if each["messages"]]
        return f"{codes}, messages {answers}" if "OK" in codes or answers else ""
    if codes != {"OK"} or any(each["messages"] != ["hi"] for each in got["all"]):
        return f"{codes}: {[each['details'] for each in got['all'] if each['code'] != 'OK'][:1]}"
    if case.name == "goaway" and len(set(seen["connections"])) != 2:
        return f"two calls on connections {seen['connections']}"
    if case.name == "ping" and seen["acknowledged"] != seen["pings"]:
        return f"{seen['acknowledged']} of {seen['pings']} pings acknowledged"
    if case.max_streams and len(set(seen["connections"])) != 1:
        return f"{len(set(seen['connections']))} connections, not one that waits"
    return ""
