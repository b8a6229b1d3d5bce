"""The network: vanished packets, frozen peers, half-open, loss, NAT, slow links, names (B5, C2 to C4, C8, C9, C11)."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from eas_grpc.options import PROFILES, Keepalive
from reliability import netns
from reliability.child import Child
from reliability.clients import KINDS, OURS
from reliability.deadline_figures import percentile
from reliability.faultproxy import FaultProxy
from reliability.ledger import SHAPES
from reliability.network_calls import first_calls, many_calls
from reliability.network_groups import (
    Group,
    again,
    all_wait,
    ask,
    collect,
    ended,
    figure,
    of_each_kind,
    report,
    style,
    waiting,
)
from reliability.network_names import Hosts, name_server, steady_calls
from reliability.score import Run, Skip, row
from reliability.server import serving

# The study's scaled pings: a second without packets is noticed within 2 + 1.
PINGS = (2.0, 1.0)
# The server allows quick pings and sends none itself, so that only the client's own are at work.
_SERVER = {"min_ping_interval": 0.5, "keepalive_interval": 3600.0, "max_concurrent_rpcs": 4000}


def _default_limit() -> float:
    pings = PROFILES["gateway"].keepalive
    return pings.time + pings.timeout


def _shown(pings: Keepalive) -> str:
    return f"{pings.time:g} s / {pings.timeout:g} s"


def _needs_namespaces() -> None:
    reason = netns.available()
    if reason:
        raise Skip(reason)


@row(
    "C2",
    "vanished packets: noticed later than ping time + timeout by",
    target="at most 1 s, both directions and each alone",
    short=True,
)
def vanished(run: Run) -> None:
    """A firewall swallows the packets of both directions or of one, of each connection at a moment of its own."""
    _needs_namespaces()
    moments = run.pick(3, 20)
    groups = [Group(kind, kind, PINGS, 10.0, sum(PINGS)) for kind in KINDS]
    if run.long:
        default = _default_limit()
        groups += [Group(f"{kind}, default profile", kind, None, default + 10, default) for kind in OURS]
    groups.append(Group("raw without pings", "raw", None, run.pick(5.0, 20.0), None))
    rng = run.rng("moments")
    at = sorted(rng.uniform(0, run.pick(PINGS[0], 2 * PINGS[0])) for _ in range(moments))
    plan = [(direction, moment) for direction in ("both", "in", "out") for moment in range(moments)]
    with netns.pair(len(plan) * len(groups)) as net, ExitStack() as stack:
        server = stack.enter_context(
            serving("asyncio", host="0.0.0.0", wrap=net.server.prefix, options=_SERVER)
        )
        port, hosts = server.address.rpartition(":")[2], iter(net.server.addresses)
        rules: list[list[str]] = [[] for _ in at]
        for group in groups:
            for number, (direction, moment) in enumerate(plan):
                host = next(hosts)
                group.lanes.append({"address": f"{host}:{port}", "delay": 0.0, "style": style(number)})
                rules[moment] += _vanish(host, direction)
        children = stack.enter_context(waiting(groups, net.client.prefix))
        all_wait([server], len(plan) * len(groups))
        broken, began = [], time.monotonic()
        for moment, lines in zip(at, rules, strict=True):
            time.sleep(max(0.0, began + moment - time.monotonic()))
            broken.append(time.monotonic())
            net.client.firewall(*lines)
        for group in groups:
            group.broken = [broken[moment] for _, moment in plan]
        early = collect(groups, children, run)
        net.client.run("iptables", "-w", "-F")
        failed = again(children[: len(OURS)], run)
    report(run, groups)
    run.ours("ended before the break", early, exactly=0)
    run.ours("failed when the packets came back", failed, exactly=0)
    run.note(f"{len(plan)} connections a client, in streams and unary calls; {_both_pings()}")
    if run.long:
        run.note(_RAW_PINGS)


def _vanish(host: str, direction: str) -> list[str]:
    rules = {"in": f"-A INPUT -p tcp -s {host} -j DROP", "out": f"-A OUTPUT -p tcp -d {host} -j DROP"}
    return list(rules.values()) if direction == "both" else [rules[direction]]


@row(
    "C3",
    "frozen peer (stopped process, stopped proxy): noticed later than ping time + timeout by",
    target="at most 1 s, with our defaults",
    short=True,
)
def frozen(run: Run) -> None:
    """The peer's process stops, and its kernel goes on acknowledging."""
    lanes = run.pick(4, 20)
    with ExitStack() as stack:
        stopped = stack.enter_context(serving("asyncio", options=_SERVER))
        behind = stack.enter_context(serving("asyncio", options=_SERVER))
        proxy = stack.enter_context(FaultProxy(behind.address))
        addresses = {"stopped": stopped.address, "proxy": proxy.address}
        groups = [Group(f"{kind} {how}", kind, PINGS, 10.0, sum(PINGS)) for how in addresses for kind in OURS]
        if run.long:
            default = _default_limit()
            groups += [
                Group(f"{kind} {how}, default profile", kind, None, default + 10, default)
                for how in addresses
                for kind in OURS
            ]
            # What core does without ping_timeout_ms: 60 s, whatever keepalive_timeout_ms is.
            groups += [Group(f"raw {how}", "raw", PINGS, 68.0, sum(PINGS)) for how in addresses]
        rng = run.rng("phases")
        for group in groups:
            address = addresses["proxy" if "proxy" in group.label else "stopped"]
            # Quiet for up to one interval, so that the freeze meets each connection at another point of it.
            group.lanes = [
                {"address": address, "delay": rng.uniform(0, PINGS[0]), "style": style(number)}
                for number in range(lanes)
            ]
        children = stack.enter_context(waiting(groups))
        all_wait([stopped, behind], lanes * len(groups))
        at = time.monotonic()
        stopped.freeze()
        toxic = proxy.add("freeze")
        for group in groups:
            group.broken = [at] * lanes
        early = collect(groups, children, run)
        stopped.thaw()
        proxy.remove(toxic)
        failed = again(children[: 2 * len(OURS)], run)
    report(run, groups)
    run.ours("ended before the freeze", early, exactly=0)
    run.ours("failed when the peer went on", failed, exactly=0)
    run.note(
        f"{2 * lanes} connections a client; {_both_pings()}"
        + ("" if run.long else ", in the long form, as raw grpcio")
    )


# Why a raw channel with the very same pings misses what ours notices.
_RAW_PINGS = "raw grpcio sends a quiet connection two pings, then one a minute (max_pings_without_data)"


def _both_pings() -> str:
    return f"pings {PINGS[0]:g} s / {PINGS[1]:g} s; default profile {_shown(PROFILES['gateway'].keepalive)}"


@row(
    "C4",
    "half-open: server vanishes and is back without memory of the connection: slowest first call",
    target="at most 1 s; no hang",
    short=False,
)
def half_open(run: Run) -> None:
    """The firewall swallows the farewell of a killed server; a new one listens at the same address."""
    _needs_namespaces()
    rounds, channels = 6, 4
    with netns.pair() as net, ExitStack() as stack:
        net.server.sysctl("net.ipv4.tcp_orphan_retries", 1)
        host, wrap, port = net.server.addresses[0], net.server.prefix, 50051
        server = stack.enter_context(serving("asyncio", host=host, port=port, wrap=wrap))
        address = server.address
        clients = of_each_kind(
            stack, first_calls, [address] * channels, [0.0] * channels, 5.0, {}, wrap=net.client.prefix
        )
        for child in clients.values():
            assert child.until("up")["codes"] == ["OK"]
        found: dict[tuple[str, bool], list[dict[str, Any]]] = {}
        for turn in range(rounds):
            calling = turn % 2 == 1
            net.server.firewall(*(f"-A {rule}" for rule in _FAREWELL))
            server.kill()
            if calling:
                ask(clients, timeout=1.0)
            net.server.wait_for_no_connections()
            server = stack.enter_context(serving("asyncio", host=host, port=port, wrap=wrap))
            net.server.firewall(*(f"-D {rule}" for rule in _FAREWELL))
            for kind, calls in ask(clients, timeout=5.0).items():
                found.setdefault((kind, calling), []).extend(calls)
    (run.folder / "calls.json").write_text(json.dumps([[*key, calls] for key, calls in found.items()]))
    for kind in KINDS:
        quiet, busy = ended(found[kind, False]), ended(found[kind, True])
        figure(run, kind, "", quiet[0], "s", at_most=1.0)
        figure(run, kind, "failed", quiet[1] + busy[1], f"of {rounds * channels}", exactly=0)
        figure(run, kind, "after calls into the void", busy[0], "s")
    run.note(
        "calls into the void: one on each channel while the server was away; what it sent is waiting for the kernel's next"
        " retransmission, which comes after about as long again as the outage lasted"
    )


_FAREWELL = ("OUTPUT -p tcp --tcp-flags FIN FIN -j DROP", "OUTPUT -p tcp --tcp-flags RST RST -j DROP")


@row(
    "C8", "loss of 5 % each way: failed calls, and p99", target="0 of 2,000 (10 kB, 5 s); 500 ms", short=False
)
def lossy(run: Run) -> None:
    """Each packet is dropped with a chance of one in twenty, in both directions."""
    _needs_namespaces()
    count, connections, workers = run.pick(1000, 2000), 4, 8
    with netns.pair() as net, ExitStack() as stack:
        server = stack.enter_context(serving("asyncio", host=net.server.addresses[0], wrap=net.server.prefix))
        for namespace in (net.client, net.server):
            namespace.firewall("-A INPUT -p tcp -m statistic --mode random --probability 0.05 -j DROP")
        size, timeout = 10_000, 5.0
        children = of_each_kind(
            stack,
            many_calls,
            server.address,
            count,
            connections,
            workers,
            ["unary_unary"],
            size,
            timeout,
            wrap=net.client.prefix,
        )
        found = {kind: child.result(count * timeout / workers + 30) for kind, child in children.items()}
    (run.folder / "calls.json").write_text(json.dumps(found))
    for kind, calls in found.items():
        failed = sum(not one["right"] for one in calls)
        p99 = 1000 * percentile((one["seconds"] for one in calls), 0.99)
        figure(run, kind, "failed", failed, exactly=0)
        figure(run, kind, "p99", p99, "ms", at_most=500)
    run.note(
        f"{count} calls a client, {workers} at a time on {connections} connections; the kernel draws the lots, not the seed"
    )


@row(
    "C9",
    "latency 200 +- 100 ms, 256 kbit/s, slices of one byte: failed calls, wrong bytes",
    target="0; 0 (all four shapes)",
    short=False,
)
def slow_link(run: Run) -> None:
    """A proxy delays each piece by chance, lets little through, and hands it on byte by byte."""
    count, workers, size = 120, 8, 400
    with (
        serving("asyncio") as server,
        FaultProxy(server.address, seed=run.seed) as proxy,
        ExitStack() as stack,
    ):
        proxy.add("latency", latency=0.2, jitter=0.1)
        proxy.add("bandwidth", rate=32_000)
        proxy.add("slicer", size=1)
        children = of_each_kind(stack, many_calls, proxy.address, count, 1, workers, list(SHAPES), size, 10.0)
        found = {kind: child.result(240) for kind, child in children.items()}
    (run.folder / "calls.json").write_text(json.dumps(found))
    for kind, calls in found.items():
        failed = sum(one["code"] != "OK" for one in calls)
        wrong = sum(one["code"] == "OK" and not one["right"] for one in calls)
        figure(run, kind, "failed", failed, exactly=0)
        figure(run, kind, "wrong", wrong, exactly=0)
        figure(run, kind, "slowest", max(one["seconds"] for one in calls), "s")
    run.note(
        f"{count} calls a client, {workers} at a time on one connection, {size} bytes a message, deadline 10 s"
    )


@row(
    "B5",
    "long quiet behind a NAT that forgets after 8 s, idle 60 s: failed first calls, slowest",
    target="0 of 20; 250 ms",
    short=False,
)
def quiet(run: Run) -> None:
    """A router forgets the connection while the client is quiet; all clients are quiet at the same time."""
    _needs_namespaces()
    # The short form is the same, three times as fast.
    expiry, long_quiet, dead_quiet = run.pick((3, 8.0, 6.0), (8, 60.0, 20.0))
    rounds, patience = run.pick(5, 20), run.pick(5.0, 20.0)
    often = (expiry / 2, 2.0)
    jobs = [_Quiet(f"{kind} pings {often[0]:g} s", kind, often, long_quiet) for kind in OURS]
    jobs.append(_Quiet("raw without pings", "raw", None, dead_quiet))
    if run.long:
        # The second is between the NAT's forgetting and our noticing it: the worst moment to call.
        for idle in (long_quiet, dead_quiet):
            jobs += [_Quiet(f"{kind} default profile, quiet {idle:g} s", kind, None, idle) for kind in OURS]
        jobs.append(_Quiet("raw with the same pings", "raw", often, long_quiet))
    with netns.nat(expiry) as net, ExitStack() as stack:
        server = stack.enter_context(
            serving("asyncio", host=net.server.addresses[0], wrap=net.server.prefix, options=_SERVER)
        )
        everywhere, wrap = [server.address] * rounds, net.client.prefix
        children = [
            stack.enter_context(
                Child(
                    first_calls,
                    job.kind,
                    everywhere,
                    [job.idle] * rounds,
                    patience,
                    {"keepalive": job.pings},
                    wrap=wrap,
                )
            )
            for job in jobs
        ]
        for child in children:
            assert child.until("up")["codes"] == ["OK"]
        for child in children:
            child.tell(json.dumps({"timeout": patience}))
        found = [child.until("called", long_quiet + patience + 60)["found"] for child in children]
    (run.folder / "calls.json").write_text(json.dumps(found))
    for job, calls in zip(jobs, found, strict=True):
        slowest, failed = ended(calls)
        if job.kind not in OURS:
            run.raw(f"{job.label} failed", failed, f"of {rounds}")
            run.raw("slowest", slowest, "s")
            continue
        run.ours(f"{job.label} failed", failed, f"of {rounds}", exactly=0)
        if job.idle == long_quiet:
            run.ours("slowest", 1000 * slowest, "ms", at_most=250)
        else:
            run.ours("slowest", slowest, "s", at_most=PROFILES["gateway"].keepalive.timeout + 1)
    pings = PROFILES["gateway"].keepalive
    run.note(
        f"here the NAT forgets after {expiry} s, and the quiet lasts {long_quiet:g} s ({dead_quiet:g} s without pings)"
    )
    run.note(
        f"the default profile pings after {pings.time:g} s, so a NAT that remembers for longer never forgets it; where one"
        f" does, a call in the gap takes up to {pings.timeout:g} s more (the default deadline is 5 s) and goes by a new connection"
    )


@dataclass
class _Quiet:
    label: str
    kind: str
    pings: tuple[float, float] | None
    idle: float


@row(
    "C11",
    "the name's addresses shrink, move, go away and return: calls failed while one address is good",
    target="0",
    short=False,
)
def name_change(run: Run) -> None:
    """A name server of our own answers; servers come before the name says so, and go after it has changed."""
    _needs_namespaces()
    with netns.pair(3) as net, ExitStack() as stack:
        net.client.resolver("127.0.0.1")
        names = stack.enter_context(Child(name_server, "127.0.0.1", [], wrap=net.client.prefix))
        names.until("ready")
        hosts = Hosts(net.server.addresses, net.server.prefix, names, stack)
        hosts.start(0, 1)
        hosts.name(0, 1)
        target = f"service.test:{hosts.port}"
        clients = of_each_kind(stack, steady_calls, target, 4, 0.05, {}, wrap=net.client.prefix)
        for child in clients.values():
            assert child.until("up")["codes"] == ["OK"]
        hosts.change("shrinks", to=(1,), gone=0)
        hosts.start(2)
        hosts.change("moves", to=(2,), gone=1)
        hosts.start(0)
        hosts.change("grows, and moves on", to=(0, 2), gone=2)
        hosts.start(2)
        hosts.change("goes away", to=(), gone=0)
        hosts.start(1)
        # Where a name is unknown, core asks again after 1, 1.6, 2.6, 4.1 s and so on, whatever it is told.
        hosts.change("returns elsewhere", to=(1,), gone=2, overlap=6.0)
        for child in clients.values():
            child.tell("enough")
        found = {kind: child.result(30) for kind, child in clients.items()}
        queries = hosts.name(1)
    (run.folder / "calls.json").write_text(json.dumps({"steps": hosts.steps, "found": found}))
    for kind, one in found.items():
        figure(run, kind, "failed", len(one["failed"]), f"of {one['calls']:,}", exactly=0)
    changes = ", ".join(what for what, _ in hosts.steps)
    run.note(
        f"the name {changes}, each with the loss of the server in use; {len(clients)} clients asked {queries} times"
    )
    run.note("our client takes addresses from names alone: it does not use the discovery of EAS")
