"""Runs every fuzz target, each in a process of its own, and says what came of it; exit status 1 at a finding.

    python fuzz/run.py --seconds 90                   # in all, divided among the targets
    python fuzz/run.py --runs 200000 --json out.json  # inputs in all, divided so that each takes about as long
    python fuzz/run.py --only endpoint,http1 --keep   # and what coverage found goes into fuzz/corpus

Two targets run at once (--jobs). The same seed, number of runs and corpus give the same inputs. One input again:
`python fuzz/frame.py TARGET FILE`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from frame import FOUND, HERE, ROOT, corpus, keep, names

# Time to import and to instrument, and for the inputs to begin with.
STARTING_SECONDS = 60
# How many times as long as planned a number of runs may take on a machine that is busy.
PATIENCE = 10
LAST_LINES = 30
# Inputs that a target's corpus has, and how large one may be that is added to it.
KEPT = 60
LARGEST_KEPT = 600


def main(arguments: list[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    limit = parser.add_mutually_exclusive_group()
    limit.add_argument("--seconds", type=float, default=60.0)
    limit.add_argument("--runs", type=int)
    parser.add_argument("--only", default=",".join(names()), help="targets, with commas between them")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--found", type=Path, default=FOUND, help="where inputs are collected")
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args(arguments)
    if importlib.util.find_spec("atheris") is None:
        where = f"Python {sys.version_info[0]}.{sys.version_info[1]} on {sys.platform}"
        print(
            f"SKIPPED, nothing was fuzzed: atheris is not installed, or has no wheel for {where}",
            file=sys.stderr,
        )
        return 1 if os.environ.get("CI") else 0
    chosen = [name for name in given.only.split(",") if name]
    unknown = sorted(set(chosen) - set(names()))
    if unknown:
        parser.error(f"there is no target {unknown[0]}: there are {', '.join(names())}")
    results = run(chosen, given)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n")
    inputs, findings = (sum(each[key] for each in results) for key in ("inputs", "findings"))
    print(f"{inputs:,} inputs, {findings} findings")
    return int(findings > 0)


def run(chosen: list[str], given: argparse.Namespace) -> list[dict[str, Any]]:
    """Every target; what each found, in their order."""
    rates = {name: rate(name) for name in chosen}
    seconds = given.seconds * given.jobs / len(chosen)
    total = sum(rates.values())
    if given.runs:
        seconds = given.runs / total

    def one(name: str) -> dict[str, Any]:
        runs = math.ceil(given.runs * rates[name] / total) if given.runs else None
        result = run_one(name, runs=runs, seconds=seconds, seed=given.seed, found=given.found)
        print(line(result), flush=True)
        if given.keep:
            keep_some(name, given.found)
        return result

    with ThreadPoolExecutor(given.jobs) as pool:
        return list(pool.map(one, chosen))


def run_one(name: str, *, runs: int | None, seconds: float, seed: int, found: Path) -> dict[str, Any]:
    """One target in its own process."""
    limit = ["--seconds", f"{max(1, round(seconds))}"] if runs is None else ["--runs", str(runs)]
    # Where a file is for each process alone, the system deletes it.
    with tempfile.TemporaryDirectory(prefix="eas-grpc-fuzz-") as temporary:
        command = [
            sys.executable,
            str(HERE / "frame.py"),
            name,
            *limit,
            "--seed",
            str(seed),
            "--found",
            str(found),
        ]
        began = time.monotonic()
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                env={**os.environ, "TMPDIR": temporary},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=STARTING_SECONDS + PATIENCE * seconds,
                check=False,
            )
            text, code = done.stdout.decode("utf-8", "replace"), done.returncode
        except subprocess.TimeoutExpired as late:
            text, code = (
                f"{(late.stdout or b'').decode('utf-8', 'replace')}\nhangs: it did not end in time",
                -1,
            )
        spent = time.monotonic() - began
    return judged(name, text, code) | {"seconds": round(spent, 1)}


def judged(name: str, text: str, code: int) -> dict[str, Any]:
    """What a process's exit status and its words say."""
    inputs = _stat(text, "number_of_executed_units")
    tail = text[text.find("=== Uncaught") :] if "=== Uncaught" in text else text
    return {
        "target": name,
        "inputs": inputs,
        "peak_mb": _stat(text, "peak_rss_mb"),
        # libFuzzer ends at the first one. A process that says nothing of its inputs has run none.
        "findings": int(code != 0 or inputs == 0),
        "text": "\n".join(tail.splitlines()[-LAST_LINES:]) if code or not inputs else "",
    }


def _stat(text: str, name: str) -> int:
    found = re.search(rf"stat::{name}:\s+(\d+)", text)
    return int(found[1]) if found else 0


def line(result: dict[str, Any]) -> str:
    """A target's result for people."""
    speed = result["inputs"] / max(result["seconds"], 0.1)
    words = (
        f"{result['target']:<10} {result['inputs']:>9,} inputs  {result['peak_mb']:>4} MB at most "
        f"{result['seconds']:>6.1f} s {speed:>7,.0f} a second  {result['findings']} findings"
    )
    return f"{words}\n{result['text']}" if result["findings"] else words


def rate(name: str) -> int:
    """A target's RATE, read without importing it: that takes as long as the target itself does."""
    text = (HERE / "targets" / f"{name}.py").read_text("utf-8")
    found = re.search(r"^RATE = ([\d_]+)$", text, re.MULTILINE)
    return int(found[1]) if found else 1000


def keep_some(name: str, found: Path) -> None:
    """Fills a target's corpus up with what coverage found: small inputs of every size."""
    kept = set(corpus(name))
    paths = sorted((found / name).iterdir(), key=lambda path: (path.stat().st_size, path.name))
    small = [data for path in paths if len(data := path.read_bytes()) <= LARGEST_KEPT and data not in kept]
    room = max(0, KEPT - len(kept))
    keep(name, kept | set(small[:: max(1, -(-len(small) // room))][:room] if room else []))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
