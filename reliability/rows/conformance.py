"""HTTP/2 and gRPC as others test them: negative cases, odd responses, h2spec (G2, G3, G5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from reliability import conformance_cases, conformance_connect, conformance_negative, h2_server, h2spec
from reliability.child import Child
from reliability.conformance_calls import KINDS, OURS, run_calls
from reliability.conformance_known import Verdict, judge, read_known
from reliability.conformance_negative import NEGATIVE
from reliability.demo_commands import Command
from reliability.gotools import tool
from reliability.sampler import Sampler, sample
from reliability.score import Run, row

KNOWN = Path(__file__).parents[1] / "known_failures"
SERVERS = ("threads", "aio", "stock", "stock-aio")
# Sentences of one run that are worth a line; its whole text lies in the row's folder.
_SHOWN = 8

GATEWAY_PATH = "/api/predict/echo"
_METHOD_PATH = "/eas_grpc_pb.greeter.v1.GreeterService/SayHello"
# What is started, as users start it, and the path that h2spec asks for.
TARGETS = {
    "gateway": (("-m", "eas_grpc.cli", "serve", "--port", "0"), GATEWAY_PATH),
    "threads": (("-m", "server_demo", "--port", "0"), _METHOD_PATH),
    "aio": (("-m", "server_demo", "--port", "0", "--asyncio"), _METHOD_PATH),
    "stock": (("-m", "reliability.h2spec_stock"), _METHOD_PATH),
}
# Cases that the gateway cannot pass, and why.
ARGUED = {"http2/3.5/2": "the port speaks HTTP/1.1 too, and what is no preface is answered in that"}


@row("G2", "negative HTTP/2 cases of gRPC", target="6 of 6", short=True)
def negative_http2(run: Run) -> None:
    """GOAWAY, three kinds of RST_STREAM, PINGs and a stream limit of 1, from a peer on h2."""
    scripts, seen = conformance_negative.scripts(), {}
    with ExitStack() as stack:
        limits = {case.max_streams for case in NEGATIVE}
        peers = {limit: stack.enter_context(Child(h2_server.serve, scripts, limit)) for limit in limits}
        ports = {limit: peer.until("up")["port"] for limit, peer in peers.items()}
        calls = [{"name": case.name, "port": ports[case.max_streams], **case.calls} for case in NEGATIVE]
        results = {kind: {each["name"]: each for each in got} for kind, got in _by_all_kinds(calls).items()}
        for peer in peers.values():
            peer.tell("enough")
            seen |= peer.result()
    for kind in KINDS:
        faults = {
            case.name: conformance_negative.fault(
                case, results[kind][case.name], seen[f"/{kind}.Odd/{case.name}"]
            )
            for case in NEGATIVE
        }
        good = sum(not why for why in faults.values())
        if kind in OURS:
            run.ours(kind, good, f"of {len(NEGATIVE)}", exactly=len(NEGATIVE))
        else:
            run.raw(kind, good, f"of {len(NEGATIVE)}")
        for name, why in faults.items():
            if why:
                run.note(f"{kind} {name}: {why}")
    codes = [results["sync"][case.name]["code"] for case in NEGATIVE if case.fails]
    run.note(f"codes of the three resets: {', '.join(codes)}")


@row("G3", "odd responses", target="all as documented; at most 5 known, none unexplained", short=True)
def odd_responses(run: Run) -> None:
    """What a broken service, a proxy or an attacker may answer; what the client makes of it; the call after it."""
    cases = conformance_cases.odd_responses(every_status=run.long)
    scripts = {case.name: case.steps for case in cases} | {"ok": conformance_cases.GOOD}
    with Child(h2_server.serve, scripts) as peer:
        to_peer = {"port": peer.until("up")["port"], "then": "ok"}
        results = _by_all_kinds([{"name": case.name, "shape": case.shape, **to_peer} for case in cases])
    faults = {
        kind: {
            case.name: conformance_cases.fault(case, got, then=kind in OURS)
            for case, got in zip(cases, results[kind], strict=True)
        }
        for kind in KINDS
    }
    for kind in KINDS:
        note = run.ours if kind in OURS else run.raw
        note(f"{kind} as documented", sum(not why for why in faults[kind].values()), f"of {len(cases)}")
    known = read_known((KNOWN / "odd_responses.txt").read_text())
    found = _verdict(faults, OURS, known)
    run.ours("known", len(known), "reasons", at_most=5)
    run.ours("unexplained", found.unexplained, exactly=0)
    bare = _verdict(faults, KINDS[len(OURS) :], read_known((KNOWN / "odd_responses_grpcio.txt").read_text()))
    run.raw("known", bare.known, "cases")
    run.raw("unexplained", bare.unexplained)
    for sentence in found.sentences():
        run.note(sentence)
    for sentence in bare.sentences():
        run.note(f"raw: {sentence}")
    _connectrpc(run)


def _verdict(
    faults: Mapping[str, Mapping[str, str]], kinds: Iterable[str], known: Mapping[str, str]
) -> Verdict:
    """Of both colours together: a case is good where it is good in both."""
    together: dict[str, str] = {}
    for kind in kinds:
        for name, why in faults[kind].items():
            here = f"{kind} {why}" if why else ""
            together[name] = "; ".join(each for each in (together.get(name), here) if each)
    return judge(together, known)


def _by_all_kinds(calls: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The same calls by each kind of client, at the same time, each in a process of its own."""
    with ExitStack() as stack:
        clients = {kind: stack.enter_context(Child(run_calls, kind, calls)) for kind in KINDS}
        return {kind: client.result(timeout=120) for kind, client in clients.items()}


def _connectrpc(run: Run) -> None:
    """The conformance suite of connectrpc, its gRPC part."""
    runner = conformance_connect.Runner(run.folder)
    unexplained = {True: 0, False: 0}
    for mode, kinds in (("client", KINDS), ("server", SERVERS)):
        with ExitStack() as stack:
            running = {kind: stack.enter_context(runner.begin(mode, kind)) for kind in kinds}
            found = {kind: each.outcome() for kind, each in running.items()}
        for kind, outcome in found.items():
            ours = kind in conformance_connect.OURS
            note = run.ours if ours else run.raw
            note(f"connect {mode} {kind}", f"{outcome.passed} of {outcome.total}", "cases")
            unexplained[ours] += outcome.failed or int(not outcome.good)
            for name in outcome.names[:_SHOWN]:
                run.note(f"connect {mode} {kind}: {name}")
    run.ours("connect unexplained", unexplained[True], exactly=0)
    run.raw("connect unexplained", unexplained[False])
    left_out = {
        line
        for kind in SERVERS
        for line in conformance_connect.listed("server", kind, "_skipped")
        if not line.startswith("#")
    }
    run.note("what fails as known or by chance: reliability/known_failures, with reasons")
    run.note(f"connect servers: without TLS, left out {', '.join(sorted(filter(None, left_out)))}")


@row(
    "G5",
    "h2spec",
    target="gateway at least 140 of 146; each server answers after each of the 146",
    short=True,
)
def h2spec_cases(run: Run) -> None:
    """All cases against the gateway; then one by one against gateway and servers, with a real call after each."""
    program = tool("h2spec")
    with ExitStack() as stack:
        servers: dict[str, Command] = {}
        for name, (arguments, _) in TARGETS.items():
            servers[name] = Command(*arguments)
            stack.callback(servers[name].end)
        samplers = {name: stack.enter_context(Sampler(server.pid)) for name, server in servers.items()}
        before = {name: sample(server.pid).rss for name, server in servers.items()}
        cases = h2spec.run_all(program, servers["gateway"].address, GATEWAY_PATH)
        passed = sum(not case.fault for case in cases)
        run.ours("gateway passes", passed, f"of {len(cases)}", at_least=140)
        for case in cases:
            if case.fault:
                run.note(f"gateway {case.id} {case.title}: {ARGUED.get(case.id) or case.fault}")
        ids = [case.id for case in cases]
        # Most cases wait for a second that nothing comes; in the short form many wait at once.
        at_once = run.pick(16, 1)
        probes = {
            name: stack.enter_context(
                Child(h2spec.after_each, str(program), server.address, TARGETS[name][1], ids, at_once)
            )
            for name, server in servers.items()
        }
        for name, probe in probes.items():
            failed = probe.result(timeout=run.pick(120, 400))
            good = len(ids) - len(failed) if servers[name].alive else 0
            _survived(run, name, good, len(ids), samplers[name].peak_rss - before[name])
            for case, why in failed.items():
                run.note(f"{name} after {case}: {why}")


def _survived(run: Run, name: str, good: int, cases: int, grown: int) -> None:
    if name == "stock":
        run.raw("stock answers after", good, f"of {cases}")
        run.raw("stock grows by", grown / 2**20, "MiB")
    else:
        run.ours(f"{name} answers after", good, f"of {cases}", exactly=cases)
        run.ours(f"{name} grows by", grown / 2**20, "MiB", at_most=64)
