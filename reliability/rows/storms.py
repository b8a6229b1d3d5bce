"""Restarts, GOAWAY, pings, herds (C5 to C7, C10)."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack
from typing import Any

from reliability.child import Child
from reliability.clients import KINDS, OURS
from reliability.deadline_figures import share_in_densest, spread
from reliability.ledger import SHAPES
from reliability.score import Run, row
from reliability.server import serving
from reliability.storm_callers import CUT, Caller, Callers, Outcome
from reliability.storm_frames import ENHANCE_YOUR_CALM
from reliability.storm_gateway import fronting
from reliability.storm_pings import ping_for_a_while, scaled
from reliability.storm_restart import down, standing_by
from reliability.storm_tap import Tap, tapped


def _note(run: Run, kind: str, name: str, value: float, unit: str = "", **promised: Any) -> None:
    """A figure of ours with what is promised for it, or one of raw grpcio."""
    if kind in OURS:
        run.ours(f"{kind} {name}", value, unit, **promised)
    else:
        run.raw(f"{kind} {name}", value, unit)


@row(
    "C5",
    "server restart under load",
    target="first good call at most 1.5 s after the return; 0 failed with wait-for-ready",
    short=True,
)
def restart(run: Run) -> None:
    """The server is killed and comes back on its port, while callers call, half of them waiting for ready."""
    for away, rounds in run.pick([(0.3, 1)], [(0.3, 3), (3.0, 2), (10.0, 1)]):
        slowest: dict[str, float] = dict.fromkeys(KINDS, 0.0)
        failed: dict[str, int] = dict.fromkeys(KINDS, 0)
        for number in range(rounds):
            for kind, (first, lost) in _restarted(away, f"{run.seed}/{away}/{number}").items():
                slowest[kind] = max(slowest[kind], first)
                failed[kind] += lost
        for kind in KINDS:
            _note(run, kind, f"down {away:g} s, first good call", slowest[kind], "s", at_most=1.5)
            _note(run, kind, f"down {away:g} s, failed waiting", failed[kind], "", exactly=0)


def _restarted(away: float, seed: str) -> dict[str, tuple[float, int]]:
    """For each kind: time from the return to the first good call that did not wait for ready; failed ones that did."""
    load = [Caller(pause=0.02), Caller(pause=0.02, timeout=away + 20, wait=True)] * 3
    with ExitStack() as stack:
        server = stack.enter_context(serving("threads"))
        port = int(server.address.rpartition(":")[2])
        following = stack.enter_context(standing_by("threads", port))
        clients = {
            kind: stack.enter_context(Callers.start(kind, server.address, load, seed=seed)) for kind in KINDS
        }
        for client in clients.values():
            client.until("calling")
        server.kill()
        down(away)
        back = following.listen()
        # Until the slowest backoff of grpc's own is over too: 1 s that grows by 1.6.
        down(2.0 + 0.6 * away)
        found = {kind: client.finish() for kind, client in clients.items()}
    return {kind: (_first(outcomes, back), _failed(outcomes)) for kind, outcomes in found.items()}


def _first(outcomes: list[Outcome], back: float) -> float:
    good = [
        each.ended - back
        for each in outcomes
        if each.status == "OK" and each.caller % 2 == 0 and each.ended > back
    ]
    assert good, "no call went well after the return"
    return min(good)


def _failed(outcomes: list[Outcome]) -> int:
    return sum(1 for each in outcomes if each.status != "OK" and each.caller % 2)


@row(
    "C6",
    "GOAWAY storm: a connection lives 200 ms",
    target="0 failed unary calls; 0 streams cut without a status",
    short=True,
)
def goaway_storm(run: Run) -> None:
    """All four shapes against a stock server that ends connections by age, and through our gateway's `goaway` fault."""
    seconds = run.pick(2.0, 30.0)
    found: dict[str, list[Outcome]] = {kind: [] for kind in KINDS}
    with serving("stock", options={"grpc.max_connection_age_ms": 200}) as server:
        _storm(run, "age", server.address, seconds, found)
    with serving("threads") as behind, fronting(behind.address) as gateway:
        gateway.begin(f"goaway:share=0.02,seed={run.seed}")
        _storm(run, "gateway", gateway.address, seconds, found)
    for kind, outcomes in found.items():
        bad = [each for each in outcomes if each.status != "OK"]
        unary = sum(1 for each in bad if SHAPES[each.caller] == "unary_unary")
        cut = sum(1 for each in bad if each.status == CUT)
        _note(run, kind, "failed unary", unary, "", exactly=0)
        _note(run, kind, "streams cut without status", cut, "", exactly=0)
        _note(run, kind, "streams failed with a status", len(bad) - unary - cut, "")
        if bad:
            run.note(f"{kind}: {dict(Counter(each.status for each in bad))} of {len(outcomes):,}")


def _storm(run: Run, name: str, address: str, seconds: float, found: dict[str, list[Outcome]]) -> None:
    load = [Caller(shape=shape, pause=0.002) for shape in SHAPES]
    with tapped(address) as tap, ExitStack() as stack:
        clients = {
            kind: stack.enter_context(Callers.start(kind, tap.address, load, seed=f"{run.seed}/{name}"))
            for kind in KINDS
        }
        for client in clients.values():
            client.until("calling")
        down(seconds)
        made = 0
        for kind, client in clients.items():
            outcomes = client.finish()
            made += len(outcomes)
            found[kind] += outcomes
        sent = sum(1 for frame in tap.report()["frames"] if frame[2] == "server" and frame[3] == "goaway")
    assert sent, "no GOAWAY was sent"
    run.note(f"{name}: {sent:,} GOAWAYs, {made:,} calls")


# Not more: the gaps between pings have to stay far above what a busy machine delays a process by.
_FACTOR = 30.0
# Of a stock server (gRFC A8); ours say theirs in ServerOptions.
_STOCK_INTERVAL = 300.0


@row(
    "C7",
    "ping discipline, 30 min quiet and 10 min in a silent call, scaled by 30",
    target="0 too_many_pings in both profiles, at a stock server too",
    short=False,
)
def ping_discipline(run: Run) -> None:
    """Both sides' times divided by the same factor, the frames counted by a tap; all cases at the same time."""
    stock = {"grpc.http2.min_ping_interval_without_data_ms": round(1000 * _STOCK_INTERVAL / _FACTOR)}
    ours = {"min_ping_interval": 10.0 / _FACTOR}
    with ExitStack() as stack:
        bare = stack.enter_context(serving("stock", options=stock)).address
        own = stack.enter_context(serving("threads", options=ours)).address
        own_aio = stack.enter_context(serving("asyncio", options=ours)).address
        front = stack.enter_context(fronting(own)).address
        cases = [
            ("sync", "direct", "stock", bare),
            ("aio", "direct", "stock", bare),
            ("sync", "gateway", "our server", own),
            ("aio", "gateway", "our asyncio server", own_aio),
            ("sync", "gateway", "our gateway", front),
            ("sync", "gateway", "stock", bare),
            ("raw", "gateway", "stock", bare),
        ]
        began = {
            (*case[:3], shape): _pinging(stack, case, shape) for case in cases for shape in ("quiet", "call")
        }
        for _, client in began.values():
            client.until("up")
        since = time.monotonic()
        ends: dict[Any, tuple[int, int, str]] = {}
        for shape, minutes in (("call", 10), ("quiet", 30)):
            down(max(0.0, since + minutes * 60 / _FACTOR - time.monotonic()))
            ends |= {case: _pinged(tap, client) for case, (tap, client) in began.items() if case[-1] == shape}
    _judge_pings(run, ends)


def _pinging(stack: ExitStack, case: tuple[str, str, str, str], shape: str) -> tuple[Tap, Child]:
    kind, profile, _, address = case
    tap = stack.enter_context(tapped(address))
    client = Child(ping_for_a_while, kind, tap.address, profile, scaled(profile, _FACTOR), shape)
    return tap, stack.enter_context(client)


def _pinged(tap: Tap, client: Child) -> tuple[int, int, str]:
    """Pings sent, too_many_pings received, and what went wrong then."""
    frames = tap.report()["frames"]
    pings = sum(1 for frame in frames if frame[2] == "client" and frame[3] == "ping")
    calm = sum(1 for frame in frames if frame[3] == "goaway" and frame[4] == ENHANCE_YOUR_CALM)
    client.tell("stop")
    return pings, calm, client.result(30)


def _judge_pings(run: Run, ends: dict[Any, tuple[int, int, str]]) -> None:
    for profile in ("direct", "gateway"):
        for where in ("stock server", "our servers and gateway"):
            mine = {
                case: end
                for case, end in ends.items()
                if case[0] in OURS
                and case[1] == profile
                and (case[2] == "stock") == (where == "stock server")
            }
            if not mine:
                continue
            run.ours(f"`{profile}`, {where}", sum(end[1] for end in mine.values()), exactly=0)
            run.ours(
                f"`{profile}` failed calls, {where}", sum(1 for end in mine.values() if end[2]), exactly=0
            )
    run.raw(
        "the pings of `gateway`, stock server", sum(end[1] for case, end in ends.items() if case[0] == "raw")
    )
    for (kind, profile, peer, shape), (pings, calm, wrong) in ends.items():
        if calm or wrong:
            run.note(
                f"{kind} `{profile}`, {peer}, {shape}: {pings} pings{', GOAWAY' if calm else ''}{f', {wrong}' if wrong else ''}"
            )
    run.note(
        "`gateway` pings every 30 s also without calls, as EAS's gateway asks for; a stock server allows a ping every 300 s"
        " (2 h without calls): for a server without a gateway take `direct`"
    )


_PROCESSES, _CHANNELS, _LONG_AWAY = 5, 10, 5.0


@row(
    "C10",
    "herd: 50 clients, the server returns",
    target="connects spread over at least 500 ms; at most 40 % within 100 ms",
    short=False,
)
def herd(run: Run) -> None:
    """Five processes with ten connections each; a tap in front of the server goes and comes back."""
    for away in (1.0, 5.0):
        for kind in (*OURS, "raw"):
            times = _herd(run, kind, away)
            # The jitter of grpc's backoff, 20 % of it, has to have had some rounds to take effect.
            judged = away >= _LONG_AWAY
            limits: list[dict[str, Any]] = [{"at_least": 500}, {"at_most": 40}] if judged else [{}, {}]
            _note(run, kind, f"down {away:g} s, spread", 1000 * spread(times), "ms", **limits[0])
            share = 100 * share_in_densest(times, 0.1)
            _note(run, kind, f"down {away:g} s, peak in 100 ms", share, "%", **limits[1])
    run.note(
        "judged where the server was away for 5 s: core's jitter is 20 % and cannot be set, so after a very short outage"
        " all clients are still in step, with any backoff"
    )


def _herd(run: Run, kind: str, away: float) -> list[float]:
    """When the clients connected after the return."""
    clients_in_all = _PROCESSES * _CHANNELS
    with ExitStack() as stack:
        server = stack.enter_context(serving("asyncio"))
        first = stack.enter_context(tapped(server.address))
        port = int(first.address.rpartition(":")[2])
        following = stack.enter_context(tapped(server.address, port=port, standby=True))
        load = [Caller(pause=0.2)] * _CHANNELS
        clients = [
            stack.enter_context(
                Callers.start(
                    kind, first.address, load, seed=f"{run.seed}/{away}/{number}", channels=_CHANNELS
                )
            )
            for number in range(_PROCESSES)
        ]
        for client in clients:
            client.until("calling")
        _until_connected(first, clients_in_all)
        first.kill()
        down(away)
        following.listen()
        times = _until_connected(following, clients_in_all)
        for client in clients:
            client.finish()
    return times


def _until_connected(tap: Tap, wanted: int) -> list[float]:
    """The times of so many connects; grpc's own backoff may be as long as the time that was spent away, and a half."""
    limit = time.monotonic() + 30
    while time.monotonic() < limit:
        times: list[float] = tap.report()["accepted"]
        if len(times) >= wanted:
            return times[:wanted]
        # Another process connects; there is nothing to wait on but its report.
        time.sleep(0.2)
    raise AssertionError(f"only {len(times)} of {wanted} clients connected")
