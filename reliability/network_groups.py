"""The judge's side of the network rows: starts their clients, asks them, and makes figures of what they tell."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from reliability.child import Child
from reliability.clients import KINDS, OURS
from reliability.network_calls import waiting_calls
from reliability.score import Run
from reliability.server import Serving

__all__ = [
    "Group",
    "again",
    "all_wait",
    "ask",
    "collect",
    "ended",
    "figure",
    "of_each_kind",
    "report",
    "style",
    "waiting",
]


def of_each_kind(
    stack: ExitStack, function: Callable[..., Any], *args: Any, wrap: tuple[str, ...] = ()
) -> dict[str, Child]:
    """A client of each kind, in a process of its own."""
    return {kind: stack.enter_context(Child(function, kind, *args, wrap=wrap)) for kind in KINDS}


def figure(run: Run, kind: str, name: str, value: float, unit: str = "", **promise: Any) -> None:
    """A figure of a client: ours with what is promised, raw ones beside it."""
    if kind in OURS:
        run.ours(f"{kind} {name}".strip(), value, unit, **promise)
    else:
        run.raw(f"{kind} {name}".strip(), value, unit)


def ask(clients: dict[str, Child], timeout: float) -> dict[str, list[dict[str, Any]]]:
    """One call on every channel of every client, all at once."""
    for child in clients.values():
        child.tell(json.dumps({"timeout": timeout}))
    return {kind: child.until("called", timeout + 120)["found"] for kind, child in clients.items()}


def ended(calls: list[dict[str, Any]]) -> tuple[float, int]:
    """How long the slowest call took, and how many failed."""
    return max(one["ended"] - one["began"] for one in calls), sum(one["code"] != "OK" for one in calls)


# Calls that wait while their connection dies (C2, C3).


@dataclass
class Group:
    """Clients of one kind and one setting, in one process."""

    label: str
    kind: str
    pings: tuple[float, float] | None
    # How long a call may take, in seconds.
    timeout: float
    # None where nothing has to be noticed: the client waits for its deadline.
    limit: float | None
    lanes: list[dict[str, Any]] = field(default_factory=list)
    # When the network of each lane broke.
    broken: list[float] = field(default_factory=list)
    found: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ours(self) -> bool:
        """Whether it is our client."""
        return self.kind in OURS

    @property
    def channel(self) -> dict[str, Any]:
        """For `open_channel`; without retries, so that what is measured is when the connection is given up."""
        return {"keepalive": self.pings, "settings": {"retry": None}}

    def late(self) -> float:
        """By how much the slowest detection came later than ping time + timeout; infinite if there was none."""
        if not all(_noticed(one) for one in self.found):
            return math.inf
        return max(self.slowest()) - (self.limit or 0)

    def slowest(self) -> list[float]:
        """From the break to the error, of each lane."""
        return [one["ended"] - at for one, at in zip(self.found, self.broken, strict=True)]


@contextmanager
def waiting(groups: list[Group], wrap: tuple[str, ...] = ()) -> Iterator[list[Child]]:
    """The clients of the groups, each lane connected and told to wait."""
    with ExitStack() as stack:
        children = [
            stack.enter_context(
                Child(waiting_calls, group.kind, group.lanes, group.timeout, group.channel, wrap=wrap)
            )
            for group in groups
        ]
        for child in children:
            codes = child.until("up")["codes"]
            assert codes == ["OK"], codes
        for child in children:
            child.tell("wait")
        yield children


def all_wait(servers: Iterable[Serving], count: int) -> None:
    """Until so many calls are inside the handlers of the servers."""
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        running = 0
        for server in servers:
            server.tell("gauge")
            running += server.until("gauge")["running"]
        if running >= count:
            return
        time.sleep(0.02)
    raise TimeoutError(f"{running} of {count} calls wait")


def collect(groups: list[Group], children: list[Child], run: Run) -> int:
    """Fills in how the calls ended; heals nothing. Returns how many ended before anything broke."""
    early = 0
    for group, child in zip(groups, children, strict=True):
        group.found = child.until("waited", group.timeout + 60)["found"]
        early += sum(seconds <= 0 for seconds in group.slowest())
        (run.folder / f"{group.label}.json").write_text(json.dumps(vars(group), indent=1))
    return early


def again(children: list[Child], run: Run) -> int:
    """One more call on every channel, now that the network is whole again; how many failed. A note says how."""
    for child in children:
        child.tell("whole")
    failed = [one for child in children for one in child.until("again")["found"] if one["code"] != "OK"]
    for one in failed:
        run.note(
            f"after it was whole again: {one['code']}, {one['details'][:200]}, in {one['ended'] - one['began']:.1f} s"
        )
    return len(failed)


def report(run: Run, groups: list[Group]) -> None:
    """How late each group noticed, and how many calls of raw ones only ended with their deadline."""
    for group in groups:
        if group.ours:
            run.ours(f"{group.label} late by", group.late(), "s", at_most=1.0)
            continue
        noticed = [
            seconds for one, seconds in zip(group.found, group.slowest(), strict=True) if _noticed(one)
        ]
        if noticed and group.limit:
            run.raw(f"{group.label} late by", max(noticed) - group.limit, "s")
        if len(noticed) < len(group.found):
            unnoticed = f"{len(group.found) - len(noticed)} of {len(group.found)}"
            run.raw(f"{group.label}, waits for its deadline", unnoticed)


def _noticed(call: dict[str, Any]) -> bool:
    """Whether the connection was given up, rather than the call alone."""
    return str(call["code"]) == "UNAVAILABLE"


def style(number: int) -> str:
    """Streams that have begun, and unary calls, in turn."""
    return ("stream", "unary")[number % 2]
