"""Secrets: canary token, refusals (F3, F4)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from reliability import canary, canary_serve, refusals
from reliability.child import ROOT, Child
from reliability.clients import OURS
from reliability.score import Run, row

_TOKEN = "right-Token-" + "0123456789abcdef" * 4


@row(
    "F4",
    "what is not a right token opens nothing, and a refusal does not tell by its time how wrong it was",
    target="bypasses 0; median difference of first and last byte wrong below noise",
    short=True,
)
def refused(run: Run) -> None:
    """Every method of every service of ours with every kind of wrong token, over gRPC and HTTP; then the stopwatch."""
    with Child(refusals.servers, _TOKEN) as servers:
        ready = servers.until("ready")
        addresses, methods = ready["addresses"], ready["methods"]
        _refuse_grpc(run, "threads", addresses["threads"], methods)
        _refuse_grpc(run, "asyncio", addresses["asyncio"], methods)
        # The gateway has no open methods.
        _refuse_grpc(run, "gateway", addresses["gateway"], [*methods, *refusals.HEALTH])
        with Child(refusals.http_refusals, addresses["gateway"], _TOKEN) as client:
            _note(run, "gateway HTTP", client.result(60))
        servers.tell("?")
        # Four calls with the right token, to see that the door is not simply shut.
        run.ours("handlers that ran without a token", servers.until("ran")["count"] - 4, exactly=0)
        with Child(refusals.grpc_refusals, addresses["stock"], methods, _TOKEN) as client:
            found = client.result(60)
            run.raw("calls not refused", f"{len(found['passed'])} of {found['made']}")
        _time(run, addresses["threads"])


def _refuse_grpc(run: Run, name: str, address: str, methods: list[Any]) -> None:
    with Child(refusals.grpc_refusals, address, methods, _TOKEN) as client:
        _note(run, name, client.result(120))


def _note(run: Run, name: str, found: dict[str, Any]) -> None:
    run.ours(f"{name} bypasses", len(found["passed"]), f"of {found['made']}", exactly=0)
    run.ours(f"{name} lets the right token in", int(found["let_in"]), exactly=1)
    for each in found["passed"][:5]:
        run.note(f"{name}: {each}")


def _time(run: Run, address: str) -> None:
    pairs = 3000
    with Child(refusals.timings, pairs, run.seed) as client:
        found = {name: refusals.Timing(*each) for name, each in client.result(120).items()}
    with Child(refusals.timings_over_the_wire, address, _TOKEN, run.pick(500, pairs), run.seed) as client:
        found["whole calls"] = refusals.Timing(*client.result(120))
    for name in ("token", "HTTP", "whole calls"):
        _note_time(run, name, found[name])
    for name in ("compared with ==", "byte by byte"):
        run.raw(name, f"{found[name].difference:,.0f} ns (noise {found[name].noise:,.0f})")


def _note_time(run: Run, name: str, timing: refusals.Timing) -> None:
    run.ours(f"{name}: first against last byte", timing.difference, "ns", at_most=timing.noise)


# Core's tracers of what a client does, but the one that prints its arguments as they are.
_TRACED = {"GRPC_VERBOSITY": "debug", "GRPC_TRACE": "all,-api"}


@row(
    "F3",
    "a canary token past every error, log level, repr, pickle, traceback, trace, command and page",
    target="occurrences 0",
    short=True,
)
def canary_token(run: Run) -> None:
    """Clients, servers, gateway and commands print all there is to print; then it is searched, encodings included."""
    secret = f"Y2FuYXJ5{run.rng().randbytes(16).hex()}=="
    with Child(canary.servers, secret) as servers, ThreadPoolExecutor(2) as pool:
        addresses = servers.until("ready")["addresses"]
        walks = {
            f"{kind} by {door}": pool.submit(_walk, canary.client, kind, door, addresses, secret)
            for kind in OURS
            for door in ("connect", "interceptors")
        }
        walks["commands"] = pool.submit(_walk, canary.commands, addresses["threads"], secret, str(run.folder))
        walks["eas-grpc serve"] = pool.submit(canary_serve.walk, secret)
        for kind in OURS:
            arguments = (canary.traced, kind, addresses["threads"], secret)
            walks[f"{kind} traced"] = pool.submit(_walk, *arguments, env=_TRACED)
        bare = pool.submit(_walk, canary.client, "raw", "connect", addresses, secret)
        api = {"GRPC_VERBOSITY": "debug", "GRPC_TRACE": "api"}
        core = pool.submit(_walk, canary.traced, "sync", addresses["threads"], secret, env=api)
        texts = {name: walk.result() for name, walk in walks.items()}
        servers.tell("print")
        servers.until("printed")
        texts["servers and gateway"] = servers.errors()
    found = {name: canary.occurrences(text, secret) for name, text in texts.items()}
    run.ours("occurrences", sum(found.values()), exactly=0)
    run.ours("characters searched", sum(map(len, texts.values())), at_least=200_000)
    for name, count in found.items():
        if count:
            run.note(f"{name}: {count}")
            (run.folder / name.replace(" ", "-")).write_text(texts[name].replace(secret, "<TOKEN>"))
    run.raw("errors and tracebacks of a raw client", canary.occurrences(bare.result(), secret))
    run.raw("core's own trace `api`", canary.occurrences(core.result(), secret))
    run.note(
        "core's tracer `api`, which is part of GRPC_TRACE=all, prints what a client sends, and `http` what a server is sent;"
        " no library above can keep them from it: trace with a throw-away token"
    )
    if run.long:
        _suite(run)
    else:
        run.note("`make test` searches the output of every test in the same way (tests/support/canary.py)")


def _walk(function: Any, *arguments: Any, env: dict[str, str] | None = None) -> str:
    with Child(function, *arguments, env=env) as child:
        child.result(120)
        return child.errors()


_SUITES = (
    "tests/integration/test_secrets.py",
    "tests/integration/test_cli*.py",
    "tests/integration/test_serving*.py",
)


def _suite(run: Run) -> None:
    """The tests that handle tokens most, with the search that fails any test whose output holds one."""
    files = sorted(str(each) for pattern in _SUITES for each in ROOT.glob(pattern))
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", *files]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=400, check=False
    )
    (run.folder / "suite").write_text(done.stdout)
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error)", done.stdout)}
    run.ours("tests searched", counts.get("passed", 0) + counts.get("failed", 0), at_least=500)
    run.ours("tests that showed a token", done.stdout.count("the token is in "), exactly=0)
