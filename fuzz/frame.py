"""Runs one target in this process: under atheris, or on files.

    python fuzz/frame.py endpoint --seconds 60   # what coverage suggests, from the target's seeds and its corpus on
    python fuzz/frame.py endpoint --runs 100000
    python fuzz/frame.py endpoint FILE ...       # these inputs again, without atheris

A target is a module of `targets`. Its docstring says what a finding is beside what is one everywhere: an error that
its `check(data)` does not expect, a hang, memory out of proportion. `seeds()` gives inputs to begin with, `RATE` how many
inputs it takes in a second, about. It may have `mutate(data, size, seed, plain)` and `MEGABYTES`.
"""

from __future__ import annotations

import argparse
import base64
import importlib
import os
import resource
import sys
import time
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
FOUND = ROOT / ".venv-fuzz" / "found"
CORPUS = HERE / "corpus"
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(HERE)]

LONGEST_INPUT = 5000
# Seconds of processor time, since machines pause; libFuzzer's own clock, below, is for what never ends.
LONGEST = 5
# For what a few kilobytes can describe, and what Python and libFuzzer take meanwhile.
MEGABYTES = 256
# Whose branches are counted.
INSTRUMENTED = ["eas_grpc", "server_demo", "h11", "hpack"]


def names() -> list[str]:
    """All targets."""
    return sorted(path.stem for path in (HERE / "targets").glob("[a-z]*.py"))


def load(name: str) -> ModuleType:
    """A target."""
    return importlib.import_module(f"targets.{name}")


def check(target: ModuleType, data: bytes) -> None:
    """Raises what is a finding."""
    began = time.process_time()
    target.check(data)
    spent = time.process_time() - began
    assert spent < LONGEST, f"{len(data)} bytes took {spent:.1f} seconds"


def corpus(name: str) -> list[bytes]:
    """The inputs that are kept with the repository, one a line: what coverage found, and what once was a finding."""
    path = CORPUS / f"{name}.txt"
    return [base64.b64decode(line) for line in path.read_text("ascii").splitlines()] if path.exists() else []


def keep(name: str, inputs: set[bytes]) -> None:
    """Writes the corpus of a target."""
    CORPUS.mkdir(exist_ok=True)
    lines = [base64.b64encode(data).decode() for data in sorted(inputs, key=lambda data: (len(data), data))]
    (CORPUS / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines), "ascii")


def fuzz(name: str, found: Path, seed: int, limit: str) -> None:
    """Runs libFuzzer in this process, which it ends; what it finds and keeps goes below `found`."""
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED):
        target = load(name)
    kept, first = found / name, found / f"{name}-seeds"
    for folder in (kept, first):
        folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate([*target.seeds(), *corpus(name)]):
        (first / f"{number:04}").write_bytes(data)
    mutate = getattr(target, "mutate", None)
    arguments = [
        sys.argv[0],
        limit,
        f"-seed={seed}",
        f"-max_len={LONGEST_INPUT}",
        "-timeout=120",
        "-rss_limit_mb=600",
        f"-artifact_prefix={found}/{name}-",
        "-print_final_stats=1",
        "-verbosity=0",
        str(kept),
        str(first),
    ]
    more = {}
    if mutate is not None:
        more["custom_mutator"] = lambda data, size, chance: mutate(data, size, chance, atheris.Mutate)
    atheris.Setup(arguments, lambda data: check(target, data), **more)
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    most = pages * resource.getpagesize() + getattr(target, "MEGABYTES", MEGABYTES) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    atheris.Fuzz()


def main(arguments: list[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", choices=names())
    parser.add_argument("files", nargs="*", type=Path)
    limit = parser.add_mutually_exclusive_group()
    limit.add_argument("--seconds", type=int)
    limit.add_argument("--runs", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--found", type=Path, default=FOUND)
    given = parser.parse_args(arguments)
    if given.files:
        target = load(given.target)
        for path in given.files:
            check(target, path.read_bytes())
            print(f"{path}: as it should be")
        return 0
    runs = f"-runs={given.runs}" if given.runs else f"-max_total_time={given.seconds or 60}"
    fuzz(given.target, given.found, given.seed, runs)
    return 0


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main(sys.argv[1:]))
