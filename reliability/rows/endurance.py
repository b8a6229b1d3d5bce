"""Endurance: many calls, many channels, long streams, mixed load, connection kills (B1 to B4, C1)."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from reliability import endurance_calls, load
from reliability.child import Child
from reliability.clients import OURS
from reliability.history import Verdict, judge, read_history
from reliability.ledger import SHAPES, read_ledger
from reliability.nemesis import Fault, Nemesis, fingerprint, schedule
from reliability.sampler import Sample, Sampler, slope
from reliability.score import Run, row
from reliability.server import OURS as SERVERS
from reliability.server import serving

_KIB, _MIB = 1024, 2**20
_SINGLE = ("unary_unary", "stream_unary")
_STREAMS = ("unary_stream", "stream_stream")
# Beyond its deadline a call may last so long (part 11 of the study, and the issue).
_GRACE = 0.25
# Between two calls of a worker, at most. What fails is in the end a stream that was under way, so that the share is faults
# a second x how long a stream takes: a machine that is not saturated is part of the test.
_PAUSE = 0.02


@row(
    "B1",
    "soak: one channel, many calls of 271,828 bytes up and 314,159 down (short: of 100 bytes)",
    target="0 failures; memory below 1 KiB per 1,000 calls and 2 MiB in all; p99 20 ms",
    short=True,
)
def soak(run: Run) -> None:
    up, down = (271_828, 314_159) if run.long else (100, 100)
    count = run.pick(10_000, 100_000)
    for kind in (*OURS, "raw"):
        calls = count if kind in OURS else count // 10
        with (
            serving("threads") as server,
            Child(endurance_calls.soak, kind, server.address, calls, up, down) as child,
            Sampler(child.pid) as sampler,
        ):
            found = child.result(400)
            samples = _settled(sampler.samples, found["began"])
        if kind not in OURS:
            run.raw(f"{kind} p99", found["p99"] * 1000, "ms")
            continue
        growth = _growth(samples)
        run.ours(f"{kind} failures", found["failures"], exactly=0)
        run.ours(f"{kind} p99", found["p99"] * 1000, "ms", at_most=20)
        if run.long:
            run.ours(f"{kind} memory per 1,000 calls", growth / calls * 1000 / _KIB, "KiB", at_most=1)
        run.ours(f"{kind} memory in all", growth / _MIB, "MiB", at_most=2)
    run.note(f"{count:,} calls for each of ours")


def _growth(samples: list[Sample]) -> float:
    """By how many bytes memory grows from the first sample to the last, by the line that fits best."""
    return slope([(each.at, each.rss) for each in samples]) * (samples[-1].at - samples[0].at)


def _settled(samples: list[Sample], began: float, share: float = 0.1) -> list[Sample]:
    """Without the first tenth, or another share, while buffers and caches fill."""
    lasted = samples[-1].at - began
    return [each for each in samples if each.at >= began + lasted * share]


@row(
    "B2",
    "channels made, used once and closed",
    target="0 leaked descriptors and threads; memory below 5 MiB",
    short=True,
)
def channels(run: Run) -> None:
    count = run.pick(200, 2000)
    for kind in (*OURS, "raw"):
        with (
            serving("threads") as server,
            Child(endurance_calls.channels, kind, server.address, count) as child,
        ):
            found = child.result(400)
        note = run.ours if kind in OURS else run.raw
        promise: Any = {"at_most": 0} if kind in OURS else {}
        note(f"{kind} descriptors", found["descriptors"], **promise)
        note(f"{kind} threads", found["threads"], **promise)
        note(f"{kind} memory", found["memory"] / _MIB, "MiB", **({"at_most": 5} if kind in OURS else {}))
    run.note(f"{count:,} channels each, after 50 to warm up")


@row(
    "B3",
    "streams opened and cancelled at random points, then one long stream",
    target="0 handlers left on the server; client memory flat (2 MiB)",
    short=False,
)
def streams(run: Run) -> None:
    opened, messages = run.pick(500, 10_000), run.pick(20_000, 1_000_000)
    for kind in (*OURS, "raw"):
        for server_kind in SERVERS:
            with (
                serving(server_kind) as server,
                Child(endurance_calls.cancelled_streams, kind, server.address, opened, run.seed) as child,
            ):
                child.result(300)
                left = _handlers_left(server)
            if kind in OURS:
                run.ours(f"{kind} on {server_kind}, handlers left", left, exactly=0)
            else:
                run.raw(f"{kind} on {server_kind}, handlers left", left)
        with (
            serving("threads") as server,
            Child(endurance_calls.long_stream, kind, server.address, messages) as child,
            Sampler(child.pid) as sampler,
        ):
            found = child.result(400)
            # Until then what waits to be read grows with the windows, which core makes larger as it measures the link.
            samples = _settled(sampler.samples, found["began"], 0.5)
        growth = _growth(samples) / _MIB
        if kind in OURS:
            run.ours(f"{kind} messages", found["messages"], exactly=messages)
            run.ours(f"{kind} memory", growth, "MiB", at_most=2)
        else:
            run.raw(f"{kind} memory", growth, "MiB")


def _handlers_left(server: Any) -> int:
    """How many still run; handlers notice an end within moments, so it asks for up to five seconds."""
    until = time.monotonic() + 5
    while True:
        server.tell("gauge")
        running = server.until("gauge")["running"]
        if running == 0 or time.monotonic() > until:
            return running
        time.sleep(0.05)


@row(
    "C1",
    "connections killed at random under load; for methods that may be retried, and for excluded ones",
    target="0 acknowledged lost, 0 wrong; at most 0.2 % of calls with one response fail; excluded: 0 run twice",
    short=True,
)
def kills(run: Run) -> None:
    faults = schedule(run.rng(), run.pick(100, 1000), run.pick(12.5, 125.0), only="kill")
    clients = [(kind, excluded) for kind in OURS for excluded in (False, True)]
    found, nemesis = _under(run, "threads", faults, clients, workers=4)
    for (kind, excluded), verdict in found.items():
        name = f"{kind}{' excluded' if excluded else ''}"
        _no_lies(run, name, verdict)
        if excluded:
            limit = 4 * nemesis.done
            run.ours(f"{name} run twice", len(verdict.twice_excluded), exactly=0)
            run.ours(f"{name} failed", verdict.failed_excluded, f"of {verdict.excluded:,}", at_most=limit)
        else:
            run.ours(f"{name} failed", verdict.failed_percent(_SINGLE), "%", at_most=0.2)
            run.ours(f"{name} streams cut", verdict.failed_percent(_STREAMS), "%")
            run.ours(f"{name} run twice", len(verdict.twice))
    raw_faults = faults[: len(faults) // 5]
    raw, _ = _under(run, "stock", raw_faults, [("raw", False), ("raw-retry", False)], workers=4)
    for (kind, _), verdict in raw.items():
        run.raw(f"{kind} failed", verdict.failed_percent(_SINGLE), "%")
        run.raw(f"{kind} wrong answers", len(verdict.wrong))
        run.raw(f"{kind} run twice", len(verdict.twice))
    run.note("excluded calls are made with wait_for_ready")
    run.note(
        f"{len(faults)} kills (schedule {fingerprint(faults)}), 8 a second; a stream whose first message"
        " has come cannot be tried again by anybody (gRFC A6): those are the streams cut, all UNAVAILABLE"
    )


@row(
    "B4",
    "load of all shapes under kills, black holes, freezes and restarts at random",
    target="0 acknowledged lost, wrong or unexplained; at most 0.2 % failed; none beyond deadline + 0.25 s; all flat",
    short=True,
)
def mixed(run: Run) -> None:
    faults = schedule(run.rng(), run.pick(15, 300), run.pick(15.0, 180.0))
    for server_kind in run.pick(SERVERS[:1], SERVERS):
        clients = [("sync", False), ("aio", False), ("sync", True)]
        found, nemesis = _under(run, server_kind, faults, clients, workers=4, flat=True, pause=_PAUSE)
        for (kind, excluded), verdict in found.items():
            name = f"{kind}{' excluded' if excluded else ''} on {server_kind}"
            _no_lies(run, name, verdict)
            if excluded:
                run.ours(f"{name} run twice", len(verdict.twice_excluded), exactly=0)
            else:
                run.ours(f"{name} failed", verdict.failed_percent(), "%", at_most=0.2)
                run.ours(f"{name} run twice", len(verdict.twice), f"of {verdict.acknowledged:,}")
        run.ours(f"faults on {server_kind}", nemesis.done, exactly=len(faults))
    short = faults[: len(faults) // 10]
    raw, _ = _under(run, "stock", short, [("raw", False), ("raw-retry", False)], workers=4, pause=_PAUSE)
    for (kind, _), verdict in raw.items():
        run.raw(f"{kind} failed", verdict.failed_percent(), "%")
        run.raw(f"{kind} wrong answers", len(verdict.wrong))
    run.note(f"schedule {fingerprint(faults)}; raw for a tenth of it")


def _no_lies(run: Run, name: str, verdict: Verdict) -> None:
    """What holds under every fault."""
    run.ours(f"{name} lost", len(verdict.lost), f"of {verdict.acknowledged:,}", exactly=0)
    run.ours(f"{name} wrong", len(verdict.wrong), exactly=0)
    run.ours(f"{name} unexplained", sum(verdict.unexplained.values()), exactly=0)
    run.ours(f"{name} over its deadline", max(0.0, verdict.most_over), "s", at_most=_GRACE)
    for text, count in verdict.unexplained.most_common(3):
        run.note(f"{name}: {count} x {text}")


def _under(
    run: Run,
    server_kind: str,
    faults: list[Fault],
    clients: Iterable[tuple[str, bool]],
    *,
    workers: int,
    flat: bool = False,
    pause: float = 0.002,
) -> tuple[dict[tuple[str, bool], Verdict], Nemesis]:
    """Runs the clients, each a process, while the faults happen; what became of the calls of each."""
    ledger = run.folder / f"ledger-{server_kind}"
    histories: dict[tuple[str, bool], Path] = {
        each: run.folder / f"history-{server_kind}-{each[0]}-{each[1]}" for each in clients
    }
    longest = faults[-1].at * 3 + 60
    with ExitStack() as stack:
        nemesis = stack.enter_context(Nemesis(server_kind, ledger, run.seed))
        running = {
            (kind, excluded): stack.enter_context(
                Child(
                    load.run,
                    kind,
                    nemesis.address,
                    str(path),
                    longest,
                    workers,
                    list(SHAPES),
                    f"{run.seed}/{kind}/{excluded}",
                    5.0,
                    2000,
                    excluded,
                    None,
                    pause,
                )
            )
            for (kind, excluded), path in histories.items()
        }
        for child in running.values():
            child.until("up")
        samplers = {each: stack.enter_context(Sampler(child.pid)) for each, child in running.items()}
        nemesis.run(faults)
        for child in running.values():
            child.tell("stop")
        for each, child in running.items():
            child.result(60)
            if flat:
                _flat(
                    run, f"{each[0]}{' excluded' if each[1] else ''} on {server_kind}", samplers[each].samples
                )
    entries = list(read_ledger(ledger))
    return {each: judge(read_history(path), entries) for each, path in histories.items()}, nemesis


def _flat(run: Run, name: str, samples: list[Sample]) -> None:
    """What the client's process holds at the end, against what it held after a quarter of the time."""
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    for what, limit, scale, unit in (
        ("rss", 4, _MIB, "MiB"),
        ("descriptors", 4, 1, ""),
        ("threads", 4, 1, ""),
    ):
        growth = max(getattr(each, what) for each in late) - max(getattr(each, what) for each in early)
        run.ours(f"{name} {what} grew", growth / scale, unit, at_most=limit)
