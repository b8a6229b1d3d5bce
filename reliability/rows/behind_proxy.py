"""Behind a real HTTP proxy, Debian's haproxy (P1 to P5)."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from reliability import load, proxy_answers, proxy_mirror, proxy_plans, proxy_rounds
from reliability.child import Child
from reliability.clients import KINDS, OURS, RAW
from reliability.haproxy import BACKEND_HEADER, Haproxy, Setup, program
from reliability.history import Verdict, judge, read_history
from reliability.ledger import SHAPES, read_ledger
from reliability.proxy_answers import ANSWERS, HEADER, verdict
from reliability.proxy_backends import broken_backends, gateway
from reliability.proxy_calls import Ask, Seen, ask_all, plan
from reliability.score import Run, Skip, row
from reliability.server import Serving, serving

_BACKENDS = ("threads", "asyncio")
# Seconds after which a load ends by itself.
_LONGEST = 150.0
_Thing = TypeVar("_Thing")


def _needs_haproxy() -> None:
    if not program():
        raise Skip("no haproxy here: scripts/debian-tools installs it where it can")


def _together(stack: ExitStack, *starting: AbstractContextManager[_Thing]) -> list[_Thing]:
    """Enters them at the same time: each waits for a process of its own."""
    with ThreadPoolExecutor(len(starting)) as pool:
        entered = [pool.submit(stack.enter_context, one) for one in starting]
    return [one.result() for one in entered]


@contextmanager
def _servers(folder: Path, name: str = "ledger") -> Iterator[tuple[list[Serving], Path]]:
    """Our two servers and the ledger that both write."""
    book = folder / name
    with ExitStack() as stack:
        yield _together(stack, *(serving(kind, ledger=book) for kind in _BACKENDS)), book


def _figure(run: Run, kind: str) -> Callable[..., None]:
    """Where a figure of this kind of client goes."""
    if kind in OURS:
        return run.ours
    return lambda name, value, unit="", **_promise: run.raw(name, value, unit)


def _all_seen(
    address: str, plans: dict[str, list[tuple[int, list[Ask]]]], timeout: float
) -> dict[str, dict[str, Seen]]:
    """Runs a plan for each kind of client, stage by stage at the same time; what each saw, by id."""
    with ExitStack() as stack:
        children = {
            kind: stack.enter_context(Child(ask_all, kind, address, plan(stages), {}))
            for kind, stages in plans.items()
        }
        for _ in range(max(map(len, plans.values()))):
            for child in children.values():
                child.until("stage", timeout)
            for child in children.values():
                child.tell("go")
        return {kind: _by_id(child.result(timeout)) for kind, child in children.items()}


def _by_id(plain: list[dict[str, Any]]) -> dict[str, Seen]:
    pairs = ("initial", "trailing")
    made = [Seen(**{**each, **{name: tuple(map(tuple, each[name])) for name in pairs}}) for each in plain]
    return {seen.id: seen for seen in made}


@row(
    "P1",
    "behind haproxy: all shapes, metadata, status, deadline, cancel",
    target="0 failed of all calls; cancel reaches the server and deadline ends a call within 0.25 s",
    short=True,
)
def everyday_calls(run: Run) -> None:
    """Clients of all kinds, through haproxy to both servers, and through haproxy and our gateway."""
    _needs_haproxy()
    with ExitStack() as stack:
        book = run.folder / "ledger"
        servers = [serving(kind, ledger=book) for kind in _BACKENDS]
        started = _together(stack, *servers, *map(proxy_mirror.mirroring, _BACKENDS))
        servers, mirrors = started[:2], started[2:]
        backends = {kind: [server.address] for kind, server in zip(_BACKENDS, servers, strict=True)}
        backends |= {
            f"mirror-{kind}": [mirror.address] for kind, mirror in zip(_BACKENDS, mirrors, strict=True)
        }
        backends["gateway"] = [stack.enter_context(gateway(servers[0].address))]
        proxy = stack.enter_context(Haproxy(Setup(backends)))
        dues = {
            kind: proxy_plans.planned(
                kind, str(book), run.rng(kind), run.pick(2, 40), (*_BACKENDS, "gateway")
            )
            for kind in KINDS
        }
        plans = {
            kind: [(lanes, [due.ask for due in stage]) for lanes, stage in stages]
            for kind, stages in dues.items()
        }
        seen = _all_seen(proxy.address, plans, run.pick(60.0, 180.0))
        # A cancel may still be on its way when the last call is over.
        time.sleep(proxy_plans.PATIENCE)
        entries = list(read_ledger(book))
    early: Counter[str] = Counter()
    for kind in KINDS:
        found = proxy_plans.judge([due for _, stage in dues[kind] for due in stage], seen[kind], entries)
        note = _figure(run, kind)
        note(f"{kind} failed", len(found.wrong), f"of {found.calls:,}", at_most=0)
        note(f"{kind} slowest cancel", found.slowest_cancel * 1000, "ms")
        note(f"{kind} most over the deadline", found.most_over * 1000, "ms")
        early.update({"all": found.early, "right": found.early_right, "no initial": found.no_initial})
        for wrong in found.wrong[:3]:
            run.note(wrong)
    run.note(
        f"{early['right']} of {early['all']} refusals of a stream that was still being sent arrived as what they are,"
        " the others as CANCELLED: haproxy 2.6 swallows them (its issue 1219)"
    )
    run.note(
        f"{early['no initial']} streams that failed at once had no initial metadata: grpc.aio drops them where the"
        " status is read with them, ours and bare"
    )


@row(
    "P2",
    "behind haproxy that closes after 2 s: calls after a quiet time",
    target="0 failed first calls; slowest at most 250 ms",
    short=False,
)
def quiet_times(run: Run) -> None:
    """Rounds that are quiet for longer than haproxy's patience, and for just as long: the call meets the close."""
    _needs_haproxy()
    setup = {"longer": (3.0, 3.2), "just as long": (1.97, 2.03)}
    with _servers(run.folder) as (servers, _), ExitStack() as stack:
        addresses = [server.address for server in servers]
        proxy = stack.enter_context(Haproxy(Setup({"main": addresses})))
        for name, quiet in setup.items():
            with ExitStack() as children:
                running = {
                    kind: children.enter_context(
                        Child(
                            proxy_rounds.quiet_rounds,
                            kind,
                            proxy.address,
                            8,
                            run.pick(2, 10),
                            quiet,
                            run.seed,
                        )
                    )
                    for kind in KINDS
                }
                for kind, child in running.items():
                    _quiet_figures(run, kind, name, child.result(run.pick(60.0, 150.0)))
        _idle_streams(run, proxy.address)


def _quiet_figures(run: Run, kind: str, name: str, calls: list[dict[str, Any]]) -> None:
    failed = [call for call in calls if call["code"] != "OK"]
    note = _figure(run, kind)
    note(f"{kind}, {name}: failed", len(failed), f"of {len(calls)}", at_most=0)
    note(f"{kind}, {name}: slowest", max(call["seconds"] for call in calls) * 1000, "ms", at_most=250)
    for call in failed[:2]:
        run.note(f"{kind}, {name}: {call['code']} {call['details'][:100]}")


def _idle_streams(run: Run, address: str) -> None:
    """A stream that is silent for longer than haproxy waits: it must end with an error that helps, not hang."""
    asks = [
        Ask(f"idle-{shape}", shape, timeout=None, messages=2, pause=8.0, verb=verb)
        for shape, verb in (("stream_stream", "echo"), ("unary_stream", "hold"))
    ]
    for kind, seen in _all_seen(address, {kind: [(2, asks)] for kind in KINDS}, 60.0).items():
        for one in seen.values():
            name = f"{kind} {one.shape}, silent for longer: ended"
            _figure(run, kind)(name, one.seconds, f"s {one.code}", at_most=12)
            if kind in OURS:
                run.ours(f"{kind} {one.shape}: hint", "yes" if one.hint else "none", exactly="yes")
                run.note(f"{kind} {one.shape}: {one.code}, {one.origin}, {one.details!r}: {one.hint}")


@row(
    "P3",
    "haproxy's own answers (401, 429, 503, pages, trailers alone...) as a caller sees them",
    target="unary: all right in code, origin and hint; streams: 0 wrong, where grpc loses the status a hint",
    short=True,
)
def own_answers(run: Run) -> None:
    """Each answer of the table, in each shape."""
    _needs_haproxy()
    with _servers(run.folder) as (servers, _), broken_backends() as broken:
        backends = {
            "main": [server.address for server in servers],
            "empty": [],
            "down": [broken["refusing"]],
            **{name: [address] for name, address in broken.items()},
        }
        setup = Setup(
            backends,
            idle=proxy_answers.IDLE,
            rules=proxy_answers.rules(),
            sections=proxy_answers.SECTIONS,
            unchecked=tuple(broken),
            retries=0,
        )
        with Haproxy(setup) as proxy:
            cases = _cases()
            plans = {kind: [(24, [ask for _, ask in cases.values()])] for kind in KINDS}
            seen = _all_seen(proxy.address, plans, 90.0)
    for kind in KINDS:
        _answer_figures(run, kind, {id: (answer, seen[kind][id]) for id, (answer, _) in cases.items()})
    run.note(
        "grpc loses the HTTP status of an answer to a stream when it reads the end with the beginning: UNKNOWN or"
        " CANCELLED, 'Stream removed' (its issue 34076); our error has a hint that says so"
    )


def _cases() -> dict[str, tuple[proxy_answers.Answer, Ask]]:
    made = {}
    for answer in ANSWERS:
        metadata = [(HEADER, answer.name)]
        if answer.backend:
            metadata.append((BACKEND_HEADER, answer.backend))
        for shape in answer.shapes:
            id = f"{answer.name}/{shape}"
            made[id] = (
                answer,
                Ask(id, shape, answer.verb, timeout=10.0, metadata=tuple(metadata), pause=answer.pause),
            )
    return made


def _answer_figures(run: Run, kind: str, found: dict[str, tuple[proxy_answers.Answer, Seen]]) -> None:
    verdicts = {id: verdict(answer, seen, kind) for id, (answer, seen) in found.items()}
    unary = {id for id, (_, seen) in found.items() if seen.shape == "unary_unary"}
    right = sum(verdicts[id] == "right" for id in unary)
    counts = Counter(verdicts[id] for id in verdicts if id not in unary)
    streams = len(verdicts) - len(unary)
    wrong = streams - counts["right"] - counts["lost"]
    note = _figure(run, kind)
    note(f"{kind} unary right", right, f"of {len(unary)}", exactly=len(unary))
    note(f"{kind} streams wrong", wrong, f"of {streams}", at_most=0)
    note(f"{kind} streams whose status grpc lost", counts["lost"], f"of {streams}")
    note(f"{kind} slowest", max(seen.seconds for _, seen in found.values()), "s", at_most=10.25)
    bad = [f"{kind} {id}: {words}" for id, words in verdicts.items() if words not in {"right", "lost"}]
    for words in bad[: 4 if kind in OURS else 1]:
        run.note(words)


@dataclass
class _Load:
    """Load clients that run, with the files of what they saw."""

    run: Run
    children: dict[str, Child]
    histories: dict[str, Path]

    def verdicts(self, book: Path) -> dict[str, Verdict]:
        """Ends the load; what histories and ledger say together, for each kind."""
        for child in self.children.values():
            child.tell("stop")
        for child in self.children.values():
            child.result(60.0)
        entries = list(read_ledger(book))
        return {kind: judge(read_history(history), entries) for kind, history in self.histories.items()}


@contextmanager
def _loading(run: Run, address: str, name: str) -> Iterator[_Load]:
    with ExitStack() as stack:
        histories = {kind: run.folder / f"{name}-{kind}" for kind in KINDS}
        children = {
            kind: stack.enter_context(
                Child(load.run, kind, address, str(history), _LONGEST, 4, SHAPES, run.seed)
            )
            for kind, history in histories.items()
        }
        for child in children.values():
            child.until("up", 30.0)
        yield _Load(run, children, histories)


@row(
    "P4",
    "haproxy reloads, and loses a backend, under load",
    target="unary: at most 0.2 % failed; 0 acknowledged lost or wrong; 0 later than deadline + 0.25 s",
    short=False,
)
def reloads(run: Run) -> None:
    """New configurations come into force while calls of all shapes run; then a backend is killed and returns."""
    _needs_haproxy()
    pause, times, kills = run.rng("pauses"), run.pick(4, 30), run.pick(0, 6)
    with _servers(run.folder) as (servers, book):
        setup = Setup({"main": [server.address for server in servers]})
        with Haproxy(setup) as proxy, _loading(run, proxy.address, "reload") as loading:
            for number in range(1, times + 1):
                time.sleep(pause.uniform(0.3, 0.9))
                proxy.reload(replace(setup, version=number))
            time.sleep(0.5)
            _load_figures(run, f"{times} reloads", loading.verdicts(book))
    if not kills:
        return
    # The clients of the second part use the same ids, so it has a ledger of its own.
    with _servers(run.folder, "ledger-kill") as (servers, book):
        setup = Setup({"main": [server.address for server in servers]})
        with Haproxy(setup) as proxy, _loading(run, proxy.address, "kill") as loading:
            _kill_and_return(run, servers[1], book, kills)
            _load_figures(run, f"{kills} kills of a backend", loading.verdicts(book))


def _kill_and_return(run: Run, server: Serving, book: Path, times: int) -> None:
    """Kills one of the two backends, starts it again at the same address, and so on."""
    pause, port = run.rng("kills"), int(server.address.rpartition(":")[2])
    with ExitStack() as stack:
        for _ in range(times):
            time.sleep(pause.uniform(0.5, 1.5))
            server.kill()
            time.sleep(pause.uniform(0.2, 1.0))
            server = stack.enter_context(serving(_BACKENDS[1], ledger=book, port=port))
        time.sleep(1.0)


def _load_figures(run: Run, name: str, verdicts: dict[str, Verdict]) -> None:
    for kind, found in verdicts.items():
        note, about = _figure(run, kind), f"{kind}, {name}:"
        unary = found.calls["unary_unary"]
        note(f"{about} unary failed", found.failed_percent(["unary_unary"]), f"% of {unary:,}", at_most=0.2)
        note(f"{about} all failed", found.failed_percent(), f"% of {found.calls.total():,}")
        note(f"{about} lost or wrong", len(found.lost) + len(found.wrong), at_most=0)
        note(f"{about} run twice", len(found.twice))
        note(f"{about} most over the deadline", max(0.0, found.most_over), "s", at_most=0.25)
        if kind in OURS and found.unexplained:
            run.note(f"{about} {dict(found.unexplained.most_common(3))}")


@row(
    "P5",
    "message sizes through haproxy's 16 KiB buffers, 1 B to 8 MB both ways",
    target="0 changed; time against raw grpcio is reported",
    short=False,
)
def sizes(run: Run) -> None:
    """Random bytes of sizes around every buffer that they pass, and how long large ones take beside raw grpcio."""
    _needs_haproxy()
    edges = [base + by for base in (16_384, 65_536) for by in (-1, 0, 1)]
    wanted = [1, 2, 1000, *edges, 1_000_000, 4_194_304, 8_000_000]
    with ExitStack() as stack:
        mirrors = _together(stack, *map(proxy_mirror.mirroring, _BACKENDS))
        backends = {f"mirror-{kind}": [one.address] for kind, one in zip(_BACKENDS, mirrors, strict=True)}
        for name, addresses in backends.items():
            # One after the other: they are timed.
            with Haproxy(Setup({name: addresses}, idle=10.0)) as proxy:
                for kind in KINDS:
                    with Child(proxy_rounds.round_trips, kind, proxy.address, wanted, run.seed) as child:
                        found = child.result(90.0)
                    note = _figure(run, kind)
                    note(f"{kind}, {name}: changed", len(found["wrong"]), f"of {found['trips']}", at_most=0)
                    for wrong in found["wrong"][:2]:
                        run.note(f"{kind}, {name}: {wrong}")
                for kind, bare in zip(OURS, RAW, strict=True):
                    args = (kind, bare, proxy.address, 1_000_000, 10, run.pick(5, 15))
                    with Child(proxy_rounds.paired_rounds, *args) as child:
                        ratio = statistics.median(child.result(120.0))
                    run.ours(f"{kind}, {name}: time of 1 MB there and back", ratio, "x raw")
