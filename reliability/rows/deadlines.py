"""Time: deadlines, cancellation, retries within them, overload, graceful stop (D1 to D6)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from reliability.child import Child
from reliability.clients import KINDS, OURS, RAW
from reliability.deadline_calls import Batch, Job, Timed, TimedClient, timed_calls
from reliability.deadline_cancel import cancel_calls
from reliability.deadline_figures import cut_off, percentile
from reliability.deadline_overload import Offer, OfferClient, Outcome, good_per_second, offer_calls
from reliability.ledger import read_ledger
from reliability.score import Run, row
from reliability.server import serving
from reliability.storm_callers import Caller, Callers
from reliability.storm_gateway import fronting, serve_command
from reliability.storm_tap import tapped

# So that the limit for one connection does not turn calls into waiting ones.
_ROOMY = {"max_workers": 160, "max_concurrent_streams": 128, "max_concurrent_rpcs": 512}


def _note(run: Run, kind: str, name: str, value: float, unit: str, **promised: Any) -> None:
    """A figure of ours with what is promised for it, or one of raw grpcio."""
    if kind in OURS or kind == "http":
        run.ours(name, value, unit, **promised)
    else:
        run.raw(name, value, unit)


@contextmanager
def _both_cores_busy() -> Iterator[None]:
    cores = str(os.cpu_count() or 1)
    spin = f"import os\nfor _ in range({cores}): os.fork() or [None for _ in iter(int, 1)]\nos.wait()"
    command = ["stress-ng", "--cpu", cores] if shutil.which("stress-ng") else [sys.executable, "-c", spin]
    process = subprocess.Popen(
        [*command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


# Callers at a time, and how many calls they make of each deadline.
_SHORT_PLAN = [(4, {0.01: 200}), (40, {0.1: 200, 1.0: 10})]
_LONG_PLAN = [(4, {0.01: 1000}), (40, {0.1: 1000}), (100, {1.0: 1000})]


@row(
    "D1",
    "deadline accuracy, idle and with all cores busy",
    target="p99 at most 10 ms over idle, 50 ms busy; never early",
    short=True,
)
def deadline_accuracy(run: Run) -> None:
    """Calls that the server never answers, with deadlines of 10, 100 and 1,000 ms."""
    plan = run.pick(_SHORT_PLAN, _LONG_PLAN)
    with serving("asyncio", options=_ROOMY) as server, ExitStack() as clients:
        ready = {kind: clients.enter_context(TimedClient(timed_calls, kind)) for kind in KINDS}
        for client in ready.values():
            client.make(Batch([Job(server.address, "echo")]))
        for kind, client in ready.items():
            _deadlines(run, kind, "idle", client, server.address, plan)
        with _both_cores_busy():
            for kind in run.pick(OURS, KINDS):
                _deadlines(run, kind, "busy", ready[kind], server.address, plan)


def _deadlines(
    run: Run,
    kind: str,
    load: str,
    client: TimedClient,
    address: str,
    plan: list[tuple[int, dict[float, int]]],
) -> None:
    found: list[Timed] = []
    for parallel, lengths in plan:
        jobs = [Job(address, "hold", timeout=seconds, count=calls) for seconds, calls in lengths.items()]
        found += client.make(
            Batch(jobs, parallel=parallel, stagger=min(lengths), seed=f"{run.seed}/{kind}/{load}")
        )
    wrong = Counter(each.status for each in found if each.status != "DEADLINE_EXCEEDED")
    assert not wrong, f"{kind}: calls that nobody answers ended as {dict(wrong)}"
    over: dict[float, list[float]] = {}
    for each in found:
        over.setdefault(each.job.timeout, []).append((each.took - each.job.timeout) * 1000)
    worst = max(percentile(values, 0.99) for values in over.values())
    _note(run, kind, f"{kind} {load} p99", worst, "ms", at_most=10 if load == "idle" else 50)
    early = sum(1 for values in over.values() for value in values if value < 0)
    _note(run, kind, f"{kind} {load} early", early, "", exactly=0)


@row(
    "D2",
    "cancel reaches the server",
    target="p99 at most 10 ms direct, 25 ms through the gateway",
    short=True,
)
def cancel_propagation(run: Run) -> None:
    """From the client's cancel to the handler's notice, unary calls and streams, threads and asyncio servers."""
    calls = run.pick(60, 300)
    for way, limit in (("direct", 10), ("through the gateway", 25)):
        delays: dict[str, list[float]] = {kind: [] for kind in run.pick((*OURS, "raw"), KINDS)}
        for server_kind in ("threads", "asyncio"):
            ledger = run.folder / f"{way.split()[0]}-{server_kind}.ledger"
            with serving(server_kind, ledger=ledger) as server, ExitStack() as stack:
                address = server.address
                if way != "direct":
                    address = stack.enter_context(fronting(server.address)).address
                for kind in delays:
                    delays[kind] += _cancel_delays(kind, address, ledger, calls)
        for kind, values in delays.items():
            _note(run, kind, f"{kind} {way} p99", percentile(values, 0.99), "ms", at_most=limit)


def _cancel_delays(kind: str, address: str, ledger: Path, calls: int) -> list[float]:
    with Child(cancel_calls, kind, address, str(ledger), calls) as client:
        cancelled = client.result(120)
    limit, noticed = time.monotonic() + 10, dict[str, float]()
    while cancelled.keys() - noticed.keys() and time.monotonic() < limit:
        # A stream's handler may end by the cancel before the callback of the same cancel runs; nothing else ends it.
        noticed = {each.id: each.at for each in reversed([*read_ledger(ledger)]) if each.event != "run"}
    missing = cancelled.keys() - noticed.keys()
    assert not missing, f"{kind}: the server never noticed {len(missing)} cancelled calls"
    return [(noticed[id] - at) * 1000 for id, at in cancelled.items()]


_RETRIED_LIMITS = (0.05, 0.12, 0.25, 0.5, 0.9)


@row(
    "D3",
    "retries stay within the deadline",
    target="worst overrun at most 20 ms",
    short=True,
)
def retries_within_deadline(run: Run) -> None:
    """Calls that are retried in vain: refused at once, refused slowly, and nobody listens; with and without waiting."""
    times = run.pick(3, 24)
    ledger = run.folder / "retried.ledger"
    with (
        serving("asyncio", ledger=ledger, options=_ROOMY) as server,
        fronting(server.address) as slow,
        serving("stock") as gone,
    ):
        gone.kill()
        slow.begin("latency:seconds=0.08")
        slow.begin("status:code=UNAVAILABLE")
        jobs = []
        for limit in _RETRIED_LIMITS:
            jobs += [
                Job(server.address, "fail", "UNAVAILABLE", limit, times),
                Job(slow.address, "echo", "", limit, times),
                Job(gone.address, "echo", "", limit, times),
                Job(gone.address, "echo", "", limit, times, wait=True),
            ]
        for kind in run.pick((*OURS, "raw-retry"), (*OURS, "raw-retry", "raw-retry-aio")):
            with TimedClient(timed_calls, kind) as client:
                found = client.make(Batch(jobs, parallel=20, stagger=0.1, seed=f"{run.seed}/D3"))
            late = max(each.took - each.job.timeout for each in found) * 1000
            _note(run, kind, f"{kind} worst overrun", max(0.0, late), "ms", at_most=20)
            well = sum(1 for each in found if each.status == "OK")
            assert not well, f"{kind}: {well} calls that had to fail went well"
    attempts = max(each.attempt for each in read_ledger(ledger))
    assert attempts > 1, "nothing was retried"


@row(
    "D4",
    "retry amplification, 10,000 calls to a failing server",
    target="at most 1.2 attempts for a call; at most 4 of one call",
    short=True,
)
def retry_amplification(run: Run) -> None:
    """Against a server that is always UNAVAILABLE, and against an address where connections are closed at once."""
    calls = run.pick(4_000, 10_000)
    amounts = {"sync": calls, "aio": calls, "raw-retry": run.pick(64, 256)}
    with ExitStack() as stack:
        failing = {
            kind: stack.enter_context(
                serving("asyncio", ledger=run.folder / f"{kind}.ledger", options=_ROOMY)
            ).address
            for kind in amounts
        }
        dead = {kind: stack.enter_context(tapped()) for kind in OURS}
        jobs = {
            kind: Job(failing[kind], "fail", "UNAVAILABLE", 20, amount) for kind, amount in amounts.items()
        }
        _all_fail(stack, jobs)
        _all_fail(stack, {kind: Job(tap.address, "echo", "", 20, calls) for kind, tap in dead.items()})
        connects = {kind: len(tap.report()["accepted"]) for kind, tap in dead.items()}
    for kind, amount in amounts.items():
        entries = read_ledger(run.folder / f"{kind}.ledger")
        attempts = [each.attempt for each in entries if each.event == "run"]
        _note(run, kind, f"{kind} attempts a call", len(attempts) / amount, "", at_most=1.2)
        _note(run, kind, f"{kind} most of one call", max(attempts), "", at_most=4)
    for kind in OURS:
        run.ours(f"{kind} connects a call, nobody serves", connects[kind] / calls, "", at_most=1.2)
    run.note(
        f"{calls:,} calls; the throttle ends retries after 500 failures, so their part shrinks with the number of calls;"
        " raw-retry has no throttle, its figure does not depend on the number"
    )


def _all_fail(stack: ExitStack, jobs: dict[str, Job]) -> None:
    """Makes the calls of all kinds at the same time, and sees to it that none went well."""
    begun = {
        kind: stack.enter_context(TimedClient(timed_calls, kind)).begin(Batch([job], parallel=64))
        for kind, job in jobs.items()
    }
    for kind, finish in begun.items():
        ends = Counter(each.status for each in finish())
        assert set(ends) == {"UNAVAILABLE"}, f"{kind}: calls that had to fail ended as {dict(ends)}"


_WORKERS, _QUEUE, _SERVICE_SECONDS, _RATE = 5, 16, 0.04, 150


@row(
    "D5",
    "overload at twice the capacity, through the gateway",
    target="good answers at least 80 % of capacity; refusals within 50 ms (p99)",
    short=False,
)
def overload(run: Run) -> None:
    """Queue limit and rate limit of the gateway, gRPC and HTTP; capacity is measured just before."""
    seconds = run.pick(1.2, 4.0)
    with (
        serving("asyncio", options=_ROOMY) as server,
        fronting(server.address, http_seconds=_SERVICE_SECONDS) as gateway,
    ):
        gateway.configure(worker_threads=_WORKERS, max_queue_size=_QUEUE)
        for kind in run.pick((*OURS, "http"), (*OURS, "http", "raw")):
            _overload_queue(run, kind, gateway.address, seconds)
        gateway.configure(worker_threads=0, rate_limit=_RATE)
        for kind in run.pick(("http",), (*OURS, "http")):
            _overload_rate(run, kind, gateway.address, seconds)
    _overload_unlimited(run, seconds)


@contextmanager
def _offering(kind: str, address: str, seconds: float = _SERVICE_SECONDS) -> Iterator[OfferClient]:
    with OfferClient(offer_calls, kind, address, "sleep", str(seconds)) as client:
        yield client


def _overload_queue(run: Run, kind: str, address: str, seconds: float) -> None:
    with _offering(kind, address) as client:
        warm = client.make(Offer(2 * _WORKERS, max(1.0, seconds / 2)))
        capacity = good_per_second(warm, 0.3, max(1.0, seconds / 2))
        found = client.make(Offer(2 * (_WORKERS + _QUEUE), seconds, rate=2 * capacity))
    # The first answers need a service time, so the first moments say nothing.
    good = good_per_second(found, 0.3, seconds)
    _note(run, kind, f"{kind} queue, good of capacity", 100 * good / capacity, "%", at_least=80)
    _refusals(run, kind, "queue", found)


def _overload_rate(run: Run, kind: str, address: str, seconds: float) -> None:
    with _offering(kind, address, 0.0) as client:
        # A second's worth is admitted at once; only what comes after it shows the limit.
        found = client.make(Offer(32, 1.5 + seconds, rate=2 * _RATE))
    good = good_per_second(found, 1.5, 1.5 + seconds)
    _note(run, kind, f"{kind} rate limit, good of capacity", 100 * good / _RATE, "%", at_least=80)
    _refusals(run, kind, "rate limit", found)


def _refusals(run: Run, kind: str, limit: str, found: list[Outcome]) -> None:
    wanted = {"queue": "450", "rate limit": "429"}[limit] if kind == "http" else "RESOURCE_EXHAUSTED"
    others = Counter(each.status for each in found) - Counter(
        {status: len(found) for status in ("OK", "200", wanted)}
    )
    assert not others, f"{kind}, {limit}: calls ended as {dict(others)}"
    refused = [(each.answered - each.sent) * 1000 for each in found if each.status == wanted]
    assert refused, f"{kind}, {limit}: nothing was refused, so there was no overload"
    _note(run, kind, f"{kind} {limit}, refused in p99", percentile(refused, 0.99), "ms", at_most=50)


def _overload_unlimited(run: Run, seconds: float) -> None:
    """A bare server with as many workers and no limit, whose callers wait half a second."""
    with serving("stock", workers=_WORKERS) as server, _offering("raw", server.address) as client:
        capacity = _WORKERS / _SERVICE_SECONDS
        found = client.make(Offer(256, seconds, rate=2 * capacity))
    timely = [each for each in found if each.answered - each.sent < 0.5]
    good = good_per_second(timely, 0.3, seconds)
    run.raw("no limit, no gateway: good within 0.5 s, of capacity", 100 * good / capacity, "%")


_GRACE = 1.0


@row(
    "D6",
    "graceful stop under load",
    target="0 failed calls that had begun; grace + 0.5 s",
    short=True,
)
def graceful_stop(run: Run) -> None:
    """SIGTERM while sync and asyncio clients call: both of our servers, `eas-grpc serve`, and the stock server."""
    for kind in ("threads", "asyncio", "stock"):
        # Where some calls never end, it takes the whole grace; otherwise it has to be over with the last call.
        for hold, rounds in run.pick([(kind != "stock", 1)], [(True, 1), (False, 3)]):
            if hold and kind == "stock":
                continue
            stops = [_stop_server(run, kind, number, hold=hold) for number in range(rounds)]
            _stopped(run, f"{kind}, calls that never end" if hold else kind, stops, within=_GRACE + 0.5)
    ledger = run.folder / "gateway.ledger"
    with (
        serving("asyncio", ledger=ledger, options=_ROOMY) as behind,
        serve_command(behind.address) as gateway,
    ):
        stop = _stop_under_load(run, "gateway", gateway, gateway.address, ledger, hold=False)
    # It has no grace of its own; that of the servers by default is 10 s.
    _stopped(run, "gateway", [stop], within=10.5)


def _stop_server(run: Run, kind: str, number: int, *, hold: bool) -> tuple[int, float]:
    ledger = run.folder / f"{kind}-{'hold' if hold else 'end'}-{number}.ledger"
    options = {"grace": _GRACE} if kind != "stock" else {}
    with serving(kind, ledger=ledger, options=options) as server:
        return _stop_under_load(run, kind, server, server.address, ledger, hold=hold)


def _stop_under_load(
    run: Run, name: str, server: Any, address: str, ledger: Path, *, hold: bool
) -> tuple[int, float]:
    """Calls that had begun and failed, and how long the stop took."""
    # Of different lengths, so that some are under way at every moment.
    load = [Caller(verb="sleep", argument=f"{0.2 + 0.05 * number:.2f}", timeout=10) for number in range(6)]
    kinds, patient = RAW if name == "stock" else OURS, len(load)
    if hold:
        load += [Caller(verb="hold", timeout=60)] * 2
    with ExitStack() as stack:
        clients = [
            stack.enter_context(Callers.start(kind, address, load, seed=f"{run.seed}/{name}"))
            for kind in kinds
        ]
        for client in clients:
            client.until("calling")
        told = time.monotonic()
        took = server.stop()
        outcomes = [each for client in clients for each in client.finish()]
    entries = [*read_ledger(ledger)]
    begun = {each.id for each in entries if each.event == "run"}
    early = {each.id for each in entries if each.event == "run" and each.at < told}
    over = {each.id for each in entries if each.event == "end" and each.at < told}
    assert early - over, f"{name}: no call was under way at SIGTERM"
    # Calls that never end have to be cut.
    mine = [(each.id, each.status) for each in outcomes if each.caller < patient]
    return len(cut_off(begun, mine)), took


def _stopped(run: Run, kind: str, stops: list[tuple[int, float]], *, within: float) -> None:
    failed, slowest = sum(cut for cut, _ in stops), max(took for _, took in stops)
    if kind == "stock":
        run.raw(f"{kind}: failed", failed)
        run.raw(f"{kind}: stopped in", slowest, "s")
        return
    run.ours(f"{kind}: failed", failed, "", exactly=0)
    run.ours(f"{kind}: stopped in", slowest, "s", at_most=within)
