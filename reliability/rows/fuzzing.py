"""Malformed input (E3)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from reliability.child import ROOT, Child, clean_environment
from reliability.demo_commands import Command, gateway_command, server_command
from reliability.sampler import Sample, Sampler
from reliability.score import Run, Skip, row
from reliability.sessions import recorded, send

FUZZING = ROOT / ".venv-fuzz" / "bin" / "python"

# Inputs of the targets, and mutated sessions for each of the two servers.
SHORT_INPUTS, LONG_INPUTS = 200_000, 10_000_000
SHORT_SESSIONS, LONG_SESSIONS = 4_000, 60_000
SHORT_SECONDS, LONG_SECONDS = 12.0, 150.0
FUZZING_SECONDS = 3600.0
PROBE_EVERY = 200
MOST_GROWTH = 16.0
# The first part of the time, in which a server takes what it needs for good.
WARMING = 0.3


@row(
    "E3",
    "malformed input",
    target="0 crashes, hangs, foreign errors or growing memory in 200,000 inputs (long: 10 million)",
    short=True,
)
def malformed_input(run: Run) -> None:
    """Every fuzz target, then mutated sessions against live servers."""
    results = _targets(run, run.pick(SHORT_INPUTS, LONG_INPUTS))
    seconds, sessions = run.pick(SHORT_SECONDS, LONG_SECONDS), run.pick(SHORT_SESSIONS, LONG_SESSIONS)
    through = _attack(run, gateway_command, sessions, seconds, http=True)
    direct = _attack(run, server_command, sessions, seconds, http=False)
    live = through["sent"] + direct["sent"]
    inputs = sum(each["inputs"] for each in results)
    findings = sum(each["findings"] for each in results)
    run.ours("inputs", inputs + live, at_least=run.pick(SHORT_INPUTS, LONG_INPUTS))
    run.ours("findings", findings, exactly=0)
    run.ours("targets", len(results))
    run.ours("most memory", max(each["peak_mb"] for each in results), "MB", at_most=600)
    for name, found in (("gateway", through), ("grpcio server", direct)):
        run.ours(f"{name}: sessions", found["sent"])
        run.ours(f"{name}: failed calls", len(found["failed_calls"]), exactly=0)
        run.ours(f"{name}: deaths and tracebacks", found["broken"], exactly=0)
        run.ours(f"{name}: growth", round(found["growth"], 1), "MiB", at_most=MOST_GROWTH)
        for failure in found["failed_calls"][:3]:
            run.note(f"{name}: {failure}")
    rates = ", ".join(
        f"{each['target']} {each['inputs'] / max(each['seconds'], 0.1):,.0f}" for each in results
    )
    run.note(f"inputs a second, start included: {rates}")


def _targets(run: Run, inputs: int) -> list[dict[str, Any]]:
    """fuzz/run.py in its own environment; its results."""
    if not FUZZING.exists():
        raise Skip("there is no .venv-fuzz: run make fuzz once")
    seen = subprocess.run(
        [FUZZING, "-c", "import atheris, cramjam"], capture_output=True, timeout=60, check=False
    )
    if seen.returncode:
        raise Skip(
            "atheris or cramjam is missing in .venv-fuzz: it has no wheel for this Python, or make fuzz never ran"
        )
    results, found = run.folder / "fuzz.json", run.folder / "found"
    command = [FUZZING, "fuzz/run.py", "--runs", str(inputs), "--seed", str(run.seed), "--json", str(results)]
    done = subprocess.run(
        [*command, "--found", str(found)],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=FUZZING_SECONDS,
        check=False,
    )
    if not results.exists():
        raise AssertionError(f"fuzz/run.py ended with {done.returncode}:\n{done.stderr[-2000:]}")
    found_here = json.loads(results.read_text())
    for each in found_here:
        if each["findings"]:
            print(f"{each['target']}:\n{each['text']}", file=sys.stderr)
            run.note(f"finding in {each['target']}; its input is below {found}")
    return found_here


def _attack(
    run: Run,
    start: Callable[[], AbstractContextManager[Command]],
    sessions: int,
    seconds: float,
    *,
    http: bool,
) -> dict[str, Any]:
    """Mutated sessions against one command; what came of them and of it."""
    assert recorded(), "there are no recorded sessions"
    seed = str(run.rng(start.__name__).getrandbits(64))
    with start() as command, Sampler(command.pid) as sampler:
        with Child(send, command.port, seed, sessions, seconds, PROBE_EVERY, http) as sender:
            found: dict[str, Any] = sender.result(timeout=4 * seconds + 60)
        said = command.errors()
        broken = int(not command.alive) + said.count("Traceback (most recent call last)")
        if broken:
            (run.folder / f"{start.__name__}.stderr").write_text(said)
            run.note(f"{start.__name__} said: {said[-300:]}")
        return {**found, "broken": broken, "growth": growth(sampler.samples, WARMING)}


def growth(samples: list[Sample], warming: float) -> float:
    """By how many MiB a process grew after this part of the time; from middle to middle, so that no peak decides."""
    rest = samples[int(len(samples) * warming) :]
    part = max(3, len(rest) // 4)
    if len(rest) < 2 * part:
        return 0.0
    first, last = (sorted(each.rss for each in some)[len(some) // 2] for some in (rest[:part], rest[-part:]))
    return (last - first) / 2**20
