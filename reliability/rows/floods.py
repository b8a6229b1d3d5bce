"""Hostile connections: floods of frames, and sockets that hold on by doing nothing."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from reliability.attack_floods import DEADLINE, Tally, callers, flood, tally
from reliability.attack_frames import FLOODS
from reliability.attack_slow import KINDS, hold
from reliability.attack_victims import OURS, Victim, victim
from reliability.child import Child
from reliability.score import Run, Skip, row

_MIB = 1024 * 1024
# The memory that these take of a server is grpc core's own doing; the gateway has to bear them like the others.
_CORES_OWN = ("SETTINGS", "CONTINUATION")


@dataclass(frozen=True)
class Span:
    """One flood: what it was, when, what the attacker did, and the victim's memory meanwhile."""

    kind: str
    begin: float
    end: float
    sent: dict[str, float]
    peak: int


@row(
    "E4",
    "floods of frames by one attacker",
    target="0 failed calls of others, p99 500 ms, 128 MiB",
    short=True,
)
def floods(run: Run) -> None:
    """Six floods by one attacker with a valid token, while three callers call on."""
    seconds = run.pick(0.5, 5.0)
    for name in OURS:
        with victim(name) as attacked:
            spans, calls = flooded(attacked, list(FLOODS), seconds)
        seen = tally(calls, spans[0].begin, float("inf"))
        run.ours(f"{name}: failed", seen.failed, f"of {seen.calls:,}", exactly=0)
        run.ours(f"{name}: p99", seen.p99 * 1000, "ms", at_most=500)
        judged = [span.peak for span in spans if name == "gateway" or span.kind not in _CORES_OWN]
        run.ours(f"{name}: memory", max(judged) / _MIB, "MiB", at_most=128)
        if name != "gateway":
            most = max(span.peak for span in spans)
            run.ours(f"{name}: memory, {' and '.join(_CORES_OWN)}", most / _MIB, "MiB", at_most=128)
        run.note(f"{name}: {'; '.join(_told(span, calls) for span in spans)}")
    for kind in run.pick(["unfinished streams"], list(FLOODS)):
        with victim("stock") as attacked:
            # As long as the callers wait, and some more.
            spans, calls = flooded(attacked, [kind], max(seconds, DEADLINE + 0.5))
        seen = tally(calls, spans[0].begin, spans[0].end)
        run.raw(f"stock, {kind}: failed", seen.failed, f"of {seen.calls:,}")
        run.raw(f"stock, {kind}: memory", spans[0].peak / _MIB, "MiB")
    run.note(
        f"{' and '.join(_CORES_OWN)} without end: grpc core reads on and keeps up to about 240 MiB meanwhile, stock as"
        " ours (about 160 MiB); no channel argument that was tried changes it: 128 MiB is not kept there"
    )


def flooded(
    attacked: Victim, kinds: Sequence[str], seconds: float
) -> tuple[list[Span], list[tuple[float, float, str]]]:
    """Floods a victim with one kind after the other, and what became of the calls of others meanwhile."""
    spans: list[Span] = []
    with (
        Child(callers, attacked.address, 300) as calling,
        Child(flood, attacked.address, seconds) as attacker,
    ):
        calling.until("called")
        for kind in kinds:
            attacked.forget_peak()
            attacker.tell(kind)
            begun = attacker.until("begun", seconds + 20)["at"]
            attacker.until("sent", seconds + 20)
            # What it holds is held as long as the others flood.
            time.sleep(max(0.2, begun + seconds - time.monotonic()))
            attacker.tell("enough")
            sent = attacker.until("done", 20)
            spans.append(Span(kind, begun, time.monotonic(), sent, attacked.peak))
        # And the calls after it.
        time.sleep(0.3)
        calling.tell("stop")
        return spans, calling.result(30)


def _told(span: Span, calls: list[tuple[float, float, str]]) -> str:
    seen = tally(calls, span.begin, span.end)
    codes = f", {seen.codes}" if seen.codes else ""
    return (
        f"{span.kind} {span.sent['frames'] / span.sent['seconds']:,.0f} frames/s on"
        f" {span.sent['connections']} connections, p99 {seen.p99 * 1000:.0f} ms,"
        f" slowest {seen.slowest * 1000:.0f} ms, {span.peak / _MIB:.0f} MiB{codes}"
    )


# So long is watched whether what does nothing is closed, and what is promised.
_WATCHED_SECONDS = 75.0
_CLOSED_SECONDS = 65.0


@row(
    "E5",
    "slow-loris: sockets that do next to nothing",
    target="p99 of others 100 ms; closed within 65 s (long form)",
    short=True,
)
def slow_loris(run: Run) -> None:
    """Sockets of five kinds at each victim, while three callers call on; the long form awaits their end."""
    count = run.pick(300, 2000)
    with many_files(count + 500), ExitStack() as stack:
        if run.long:
            # All at the same time: each of them waits for most of it.
            starting = [stack.enter_context(victim(name)) for name in (*OURS, "stock")]
            waiting = [stack.enter_context(Holding(each, count, _WATCHED_SECONDS)) for each in starting]
            for each in waiting:
                each.until_open()
            for each in waiting:
                _note_loris(run, each.attacked.name, *each.result())
            return
        for name in ("threads", "gateway"):
            with victim(name) as attacked, Holding(attacked, count, 1.0) as holding:
                holding.until_open()
                _note_loris(run, name, *holding.result())


class Holding:
    """An attacker that holds sockets of a victim, and the callers beside it."""

    def __init__(self, attacked: Victim, count: int, seconds: float) -> None:
        self.attacked = attacked
        self._seconds = seconds
        self._calling = Child(callers, attacked.address, seconds + 120, "raw", 0.02)
        self._calling.until("called", 60)
        self._attacker = Child(hold, attacked.address, list(KINDS), count, seconds)
        self._begin = 0.0

    def __enter__(self) -> Holding:
        return self

    def __exit__(self, *_: object) -> None:
        self._attacker.__exit__()
        self._calling.__exit__()

    def until_open(self) -> None:
        """Waits until all sockets are open."""
        self._begin = self._attacker.until("open", 60)["at"]

    def result(self) -> tuple[Tally, dict[str, Any]]:
        """What became of the calls, and of the sockets."""
        held = self._attacker.result(self._seconds + 60)
        self._calling.tell("stop")
        return tally(self._calling.result(60), self._begin, time.monotonic()), held


def _note_loris(run: Run, name: str, seen: Tally, held: dict[str, Any]) -> None:
    kinds = held["kinds"]
    left = {kind: told["open"] for kind, told in kinds.items() if told["open"]}
    slowest = max(told["slowest"] for told in kinds.values())
    note = run.ours if name in OURS else run.raw
    limits: dict[str, dict[str, float]] = {"p99": {"at_most": 100}, "failed": {"exactly": 0}}
    if name not in OURS:
        limits = {"p99": {}, "failed": {}}
    note(f"{name}: p99", seen.p99 * 1000, "ms", **limits["p99"])
    note(f"{name}: failed", seen.failed, f"of {seen.calls:,}", **limits["failed"])
    if seen.failed:
        run.note(f"{name}: failed with {seen.codes}")
    if not run.long:
        return
    closed = held["seconds"] if left else slowest
    note(f"{name}: closed within", closed, "s", **({"at_most": _CLOSED_SECONDS} if name in OURS else {}))
    lasted = ", ".join(f"{kind} {told['slowest']:.0f} s" for kind, told in kinds.items())
    run.note(f"{name}: {lasted}{f'; still open: {left}' if left else ''}")


@contextmanager
def many_files(count: int) -> Iterator[None]:
    """Lets this process and its children have so many files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise Skip(f"only {hard} files may be open here, {count} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
