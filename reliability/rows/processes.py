"""Processes: token rotation, clocks, fork, TLS (F1, F2, F5, F6)."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from reliability import clocks, forking, rotation, tls
from reliability.child import Child, ChildFailed
from reliability.clients import KINDS, OURS
from reliability.score import Run, Skip, row
from reliability.server import OURS as _SERVERS
from reliability.server import serving

_CALLERS = 32


@row(
    "F1",
    "token rotation under load: a new token each second, the old one refused after two",
    target="failed calls 0; extra fetches per rotation with 32 threads 1",
    short=True,
)
def token_rotation(run: Run) -> None:
    """Four clients of ours and two raw ones call through a gateway while the token changes; then 32 are refused at once."""
    with serving("threads", token=None) as server:
        _rotate_under_load(run, server.address)
        for kind in OURS:
            _refuse_together(run, server.address, kind)
    run.note(
        "each rotation of the second half refuses calls under way, which then ask their source again;"
        " raw grpcio sends the token it was given, as its examples do"
    )


def _rotate_under_load(run: Run, upstream: str) -> None:
    tokens = [f"rotating-{run.seed}-{number:03}" for number in range(run.pick(8, 60) + 1)]
    with ExitStack() as stack:
        front = stack.enter_context(Child(rotation.gateway, upstream, tokens[:1]))
        address = front.until("ready")["address"]
        file = run.folder / "token"
        file.write_text(tokens[0])
        plans = [(kind, how) for kind in OURS for how in ("callable", "file")]
        clients = {
            (kind, how): stack.enter_context(
                Child(
                    rotation.load,
                    kind,
                    how,
                    address,
                    str(file) if how == "file" else tokens[0],
                    _CALLERS,
                    run.seed,
                )
            )
            for kind, how in [*plans, ("raw", "text"), ("raw-aio", "text")]
        }
        for client in clients.values():
            client.until("up")
        _rotate(run, front, [clients[each] for each in plans], file, tokens)
        for client in clients.values():
            client.tell("stop")
        ended = {each: client.result() for each, client in clients.items()}
    for kind, how in plans:
        result = ended[kind, how]
        run.ours(f"{kind} {how} failed", sum(result["failed"].values()), exactly=0)
        if result["failed"]:
            run.note(f"{kind} {how}: {result['failed']}")
    run.ours("calls", sum(ended[each]["calls"] for each in plans), at_least=run.pick(1000, 10_000))
    for kind in ("raw", "raw-aio"):
        result = ended[kind, "text"]
        run.raw(
            f"{kind} failed", round(100 * sum(result["failed"].values()) / result["calls"]), "% of its calls"
        )


def _rotate(run: Run, front: Child, clients: list[Child], file: Path, tokens: list[str]) -> None:
    """Once a second: the gateway accepts a new token beside the last one, and the one before no more.

    In the first half every client has the new token within half a second. In the second half it is given one at the very
    moment when its old one is refused.
    """
    rng, began = run.rng("lags"), time.monotonic()
    for number in range(1, len(tokens)):
        _sleep_until(began + number)
        late = number > len(tokens) // 2
        if late and number == len(tokens) // 2 + 1:
            _tell(clients, "late")
        if late:
            _give(clients, file, tokens[number - 1])
        front.tell(" ".join(tokens[max(0, number - 1) : number + 1]))
        front.until("set")
        if not late:
            _sleep_until(time.monotonic() + rng.uniform(0.05, 0.5))
            _give(clients, file, tokens[number])


def _give(clients: list[Child], file: Path, token: str) -> None:
    """The new token to all: a file as deployment tools replace one, and a word to the callables."""
    new = file.with_name("token.new")
    new.write_text(token)
    os.replace(new, file)
    _tell(clients, token)


def _tell(clients: list[Child], word: str) -> None:
    for client in clients:
        client.tell(word)
    for client in clients:
        client.until("took")


def _refuse_together(run: Run, upstream: str, kind: str) -> None:
    rounds = run.pick(4, 30)
    tokens = [f"herd-{run.seed}-{number:03}" for number in range(rounds + 1)]
    worst, failed, refused = 0, 0, 0
    with Child(rotation.gateway, upstream, tokens[:1]) as front:
        address = front.until("ready")["address"]
        with Child(rotation.herd, kind, address, tokens[0], _CALLERS, rounds) as client:
            for token in tokens[1:]:
                client.until("held")
                front.tell(token)
                front.until("set")
                client.tell(token)
                done = client.until("done")
                worst, failed = max(worst, done["extra"]), failed + len(done["failed"])
                front.tell("?")
                refused += front.until("refused")["count"]
    run.ours(f"{kind} extra fetches per rotation", worst, exactly=1)
    run.ours(f"{kind} failed of those refused together", failed, exactly=0)
    # Otherwise the test has tested nothing.
    run.ours(f"{kind} refused together", refused // rounds, "calls", exactly=_CALLERS)


def _sleep_until(moment: float) -> None:
    threading.Event().wait(max(0.0, moment - time.monotonic()))


# Seconds. A timer that is harmed by such a jump is off by minutes; a busy machine under libfaketime by a second.
_LATE = 3.0
_EARLY = 0.01
_GATEWAY_LIMIT = 0.6
_RATE = 10


@row(
    "F2",
    "wall clock wrong by up to 16 minutes, and jumping by an hour",
    target="no early or late deadline; the token file read again; signatures accepted at all 5 skews",
    short=False,
)
def clock(run: Run) -> None:
    """First the clients' clock is wrong and jumps while they call, then that of the servers and of a gateway."""
    _clock_of_clients(run)
    with ThreadPoolExecutor(2) as pool:
        both = pool.map(lambda kind: _clock_of_servers(run, kind), _SERVERS)
    for kind, (off, accepted) in zip(_SERVERS, both, strict=True):
        run.ours(f"{kind} server and gateway timers off", len(off), exactly=0)
        run.ours(f"{kind} signatures accepted", accepted, exactly=5)
        for each in off:
            run.note(f"{kind}: {each}")
    run.note(
        "EAS's signature carries a Date that the gateway does not compare with a clock, because the vendor's clients send"
        " local time as GMT; ModelArts's signatures, which do expire, are not in this toolkit yet"
    )
    run.note(
        "libfaketime shifts what processes read as the time of day, in time zone Asia/Shanghai, and the kernel's clock stays;"
        " it costs blocking calls up to half a second, raw ones as well, where a harmed timer would be late by minutes"
    )


def _clock_of_clients(run: Run) -> None:
    options = {"min_ping_interval": 0.1, "max_ping_strikes": 1000}
    with serving("threads", options=options) as server, ExitStack() as stack:
        clients = {}
        for kind in run.pick((*OURS, "raw"), KINDS):
            file = run.folder / f"clock-{kind}"
            environment = clocks.WallClock(file).environment
            arguments = (kind, server.address, str(file), str(run.folder / f"token-{kind}"))
            clients[kind] = stack.enter_context(Child(clocks.calls, *arguments, env=environment))
        for kind, client in clients.items():
            found = client.result(120)
            if found["jumps"] != len(clocks.MINUTES) - 1:
                raise Skip(f"libfaketime did not move the clock: {found['jumps']} jumps")
            if kind in OURS:
                run.ours(f"{kind} early", max(0.0, found["early"]), "s", at_most=_EARLY)
                run.ours(f"{kind} late", found["late"], "s", at_most=_LATE)
                run.ours(f"{kind} broken calls", len(found["broken"]), exactly=0)
                run.ours(f"{kind} token files not read again", found["stale"], exactly=0)
            else:
                run.raw(f"{kind} early", max(0.0, found["early"]), "s")
                run.raw(f"{kind} late", found["late"], "s")
                run.raw(f"{kind} broken calls", len(found["broken"]))
            for each in found["broken"]:
                run.note(f"{kind}: {each}")


def _clock_of_servers(run: Run, kind: str) -> tuple[list[str], int]:
    """Which timers of a server and a gateway are off when their clock jumps meanwhile, and how many signatures pass.

    The judge's own clock is right.
    """
    wall = clocks.WallClock(run.folder / f"clock-of-{kind}")
    token, off = "clock-token", []
    with (
        serving(kind, token=None, wrap=wall.wrap) as server,
        Child(clocks.gateway, server.address, token, _GATEWAY_LIMIT, _RATE, env=wall.environment) as front,
    ):
        address = front.until("ready")["address"]
        for minutes in run.pick((60, -60), (-16, -14, 14, 16, 60, -60)):
            jumps = clocks.Jumps(wall, minutes)
            seconds = {
                "handler's 0.3 s": (0.3, clocks.timed(server.address, "sleep", 0.3, jumps.soon)),
                "gateway's time limit": (_GATEWAY_LIMIT, clocks.timed(address, "hold", "", jumps.soon)),
                "gateway's idle limit": (_GATEWAY_LIMIT, clocks.idle_seconds(address, jumps.soon)),
            }
            for what, (limit, taken) in seconds.items():
                if not limit - 0.05 <= taken <= limit + _LATE:
                    off.append(f"{what} took {taken:.2f} s at {minutes:+} min")
            let_in, asked, taken = clocks.admitted(address, 0.8, jumps.soon)
            # A bucket of one second's calls, which fills as time goes on.
            if not min(asked, _RATE * taken) <= let_in <= _RATE * (taken + 1) + 1:
                off.append(f"rate limit let in {let_in} of {asked} in {taken:.2f} s at {minutes:+} min")
            jumps.over()
            front.tell(str(time.time()))
            ahead = front.until("clock")["ahead"]
            if abs(ahead - minutes) > 1:
                raise Skip(f"libfaketime did not move the gateway's clock: {ahead} minutes, not {minutes}")
        skews = [clocks.signed(address, token, minutes) for minutes in clocks.MINUTES[:5]]
    return off, skews.count(200)


@row(
    "F5",
    "fork and spawn under load: forked children, pre-forked workers, process pools",
    target="hung children 0; failed first calls 0; failed calls of the parent 0",
    short=False,
)
def fork(run: Run) -> None:
    """The parent never stops calling; each child calls on the channel that it inherits, or makes its own when spawned."""
    count = run.pick(6, 50)
    with serving("threads", options={"max_concurrent_rpcs": 1000}) as server:
        ways = {
            "forks": (forking.forks, count, False),
            "forks beside a stream": (forking.forks, count, True),
            "pre-forked workers": (forking.workers, run.pick(4, 16)),
            "pool by fork": (forking.pool, "fork", run.pick(6, 40)),
            "pool by spawn": (forking.pool, "spawn", run.pick(6, 40)),
        }
        _note_forks(run, "sync", {name: _forked("sync", server.address, *way) for name, way in ways.items()})
        told = _forked("aio", server.address, forking.forks_of_asyncio, run.pick(4, 20))
        # Most of the time of the bare ones is waiting for children that hang.
        chosen = ways if run.long else {name: ways[name] for name in ("forks", "pool by fork")}
        with ThreadPoolExecutor() as pool:
            bare = pool.submit(_forked, "raw-aio", server.address, forking.forks_of_asyncio, run.pick(2, 6))
            raw = {name: pool.submit(_forked, "raw", server.address, *way) for name, way in chosen.items()}
        _note_forks(run, "raw", {name: each.result() for name, each in raw.items()})
        children = sum(told["children"].values())
        run.ours("aio children told at once", told["children"].get("told", 0), exactly=max(1, children))
        run.ours("aio parent goes on", int(told["parent goes on"]), exactly=1)
        run.raw("raw-aio children hung", _share(bare.result()["children"].get("hung", 0), bare.result()))
    run.note(
        "grpc.aio does not survive a fork: a child of a process that uses it is told so by an error instead of waiting for ever"
    )


def _forked(kind: str, address: str, way: Any, *arguments: Any) -> dict[str, Any]:
    """What came of it; a parent that hangs or dies itself is a finding as well."""
    with Child(way, kind, address, *arguments) as parent:
        try:
            return parent.result(60)
        except ChildFailed as error:
            why = str(error)[-300:]
            return {"children": {}, "parent failed": {"hung or died": 1}, "parent goes on": False, "why": why}


def _note_forks(run: Run, kind: str, ended: dict[str, dict[str, Any]]) -> None:
    hung = {name: each["children"].get("hung", 0) for name, each in ended.items()}
    failed = {
        name: each["children"].get("failed", 0) + each["children"].get("crashed", 0)
        for name, each in ended.items()
    }
    parent = {
        name: sum(each["parent failed"].values()) + (not each["parent goes on"])
        for name, each in ended.items()
    }
    children = sum(sum(each["children"].values()) for each in ended.values())
    for what, found in (("hung", hung), ("failed first calls", failed), ("parent failures", parent)):
        if kind == "raw":
            amount = f"{sum(found.values())} of {children}" if found is not parent else sum(found.values())
            run.raw(f"{kind} {what}", amount)
        else:
            run.ours(f"{kind} {what}", sum(found.values()), exactly=0)
            for name in [name for name, amount in found.items() if amount]:
                run.note(f"{kind} {name}: {ended[name]}")
    if kind != "raw":
        run.ours(f"{kind} children", children, at_least=1)


def _share(part: int, found: dict[str, Any]) -> str:
    return f"{part} of {sum(found['children'].values())}"


@row(
    "F6",
    "TLS that is wrong: expired, another host's, self-signed, TLS 1.0 only",
    target="4 of 4 refused before the token is sent, with a reason and a hint; 1 of 1 good accepted",
    short=True,
)
def tls_faults(run: Run) -> None:
    """Gateways with certificates of an authority that is made for this row, which is all that the clients trust."""
    token = "tls-token"
    with (
        serving("threads", token=None) as server,
        Child(tls.servers, server.address, token, str(run.folder)) as wrong,
    ):
        ready = wrong.until("ready")
        if ready["speaks"] != "TLSv1":
            raise Skip(f"this OpenSSL does not serve TLS 1.0: {ready['speaks']}")
        found = {}
        for kind in KINDS:
            arguments = (kind, ready["addresses"], token, str(run.folder / "root.pem"))
            with Child(tls.call, *arguments) as client:
                found[kind] = client.result(90)
        wrong.tell("?")
        seen = wrong.until("seen")["calls"]
    for kind, ended in found.items():
        refused = [name for name in tls.FAULTS if ended[name]["status"] == "UNAVAILABLE"]
        good = int(ended["good"]["status"] == "OK")
        if kind in OURS:
            told = [name for name in tls.FAULTS if tls.FAULTS[name] in ended[name]["hint"]]
            run.ours(f"{kind} refused", len(refused), exactly=len(tls.FAULTS))
            run.ours(f"{kind} told why by the hint", len(told), exactly=len(tls.FAULTS))
            run.ours(f"{kind} good accepted", good, exactly=1)
            for name in sorted(set(tls.FAULTS) - set(told)):
                run.note(f"{kind} {name}: {ended[name]}")
        else:
            run.raw(f"{kind} refused", f"{len(refused)} of {len(tls.FAULTS)}")
            run.raw(f"{kind} good accepted", good)
    leaked = sum(count for name, count in seen.items() if name != "good")
    run.ours("calls that reached a wrong server", leaked, exactly=0)
