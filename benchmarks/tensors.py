"""Round trips of tensors: ours, protobuf and tritonclient, against raw bytes through bare grpc (the floor).

Every way has a client process of its own, because allocator settings belong to a process; all take turns in
each round, and a ratio is always one of the same round. The server is the demo server as it is shipped.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.worker import ROOT, Worker

TOKEN = "bench-token"
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"

# Bytes of a payload, and how many round trips are timed together.
SIZES = {3_072: 100, 602_112: 40, 9_633_792: 8, 38_535_168: 3}

FLOOR = "raw bytes, allocator settings on both ends"
STOCK_FLOOR = "raw bytes, stock grpc.aio server"
STOCK_THREADS = "raw bytes, stock grpc server"
OURS = "TensorClient"
OURS_STOCK = "TensorClient, stock client process"
OPEN_INFERENCE = "OpenInferenceClient"
TF_SERVING = "TFServingClient"
BYTES_FIELD = "protobuf, field of bytes"
REPEATED_FIELD = "protobuf, repeated field"
TRITON = "tritonclient"

# What is so slow that a few calls tell.
_FEW_ROUNDS = {REPEATED_FIELD: 1}

GENERATIONS = 4

_FLOOR_LIMITS = {602_112: 1.15, 9_633_792: 1.25, 38_535_168: 1.5}
_STOCK_LIMITS = {602_112: 0.7, 9_633_792: 0.7}
_TRITON_SIZES = (602_112, 9_633_792)

Samples = dict[str, dict[int, list[dict[str, float]]]]


def samples(rounds: int) -> Samples:
    """Wall and processor seconds per round trip: of each way, for each size, in each round.

    All processes are started anew several times: how their memory happens to lie makes one faster than another.
    """
    found: Samples = {}
    for _ in range(GENERATIONS):
        for name, by_size in _generation(max(2, rounds // GENERATIONS)).items():
            for nbytes, taken in by_size.items():
                found.setdefault(name, {}).setdefault(nbytes, []).extend(taken)
    return found


def _generation(rounds: int) -> Samples:
    with ExitStack() as stack:
        workers = _workers(stack)
        found: Samples = {name: {nbytes: [] for nbytes in SIZES} for name in workers}
        names = list(workers)
        for nbytes, calls in SIZES.items():
            for number in range(rounds):
                for name in names[number % len(names) :] + names[: number % len(names)]:
                    few = _FEW_ROUNDS.get(name)
                    if few is None or nbytes < 1_000_000:
                        found[name][nbytes].append(workers[name].measure(nbytes, calls))
                    elif number < few:
                        found[name][nbytes].append(workers[name].measure(nbytes, 1))
        return found


def figures(found: Samples) -> dict[str, dict[str, Any]]:
    """The ratios, with the limits that they have to keep."""
    rows: dict[str, dict[str, Any]] = {}
    for nbytes in SIZES:
        size = shown(nbytes)
        for name in (OURS, OPEN_INFERENCE, TF_SERVING, BYTES_FIELD, REPEATED_FIELD, TRITON):
            if name in found:
                rows[f"{size} round trip, {name} / floor"] = ratio(found, name, FLOOR, nbytes)
        rows[f"{size} round trip, {OURS} / floor"] |= _at_most(_FLOOR_LIMITS.get(nbytes))
        for name, floor in ((OURS, STOCK_FLOOR), (OURS, STOCK_THREADS), (OURS_STOCK, STOCK_FLOOR)):
            limit = _STOCK_LIMITS.get(nbytes) if (name, floor) == (OURS, STOCK_FLOOR) else None
            rows[f"{size} round trip, {name} / {floor}"] = ratio(found, name, floor, nbytes) | _at_most(limit)
        if TRITON in found:
            limits = {"wall": 1.8, "cpu": 3.0} if nbytes in _TRITON_SIZES else {}
            for clock, what in (("wall", "wall time"), ("cpu", "client CPU")):
                row = ratio(found, TRITON, OPEN_INFERENCE, nbytes, clock)
                if clock in limits:
                    row["least"] = limits[clock]
                rows[f"{size} {what}, {TRITON} / {OPEN_INFERENCE}"] = row
    return rows


def shown(nbytes: int) -> str:
    """A size as people say it."""
    return f"{nbytes / 1e6:.1f} MB" if nbytes >= 1e6 else f"{nbytes // 1000} KB"


def _workers(stack: ExitStack) -> dict[str, Worker]:
    kept = stack.enter_context(server("benchmarks.tensor_server", "--keep"))
    stock = stack.enter_context(server("benchmarks.tensor_server", "--asyncio"))
    stock_threads = stack.enter_context(server("benchmarks.tensor_server"))
    demo = stack.enter_context(server("server_demo", "--port", "0", "--token", TOKEN))

    def client(way: str, address: str, *flags: str) -> Worker:
        return stack.enter_context(Worker("benchmarks.tensor_client", way, address, *flags))

    workers = {
        FLOOR: client("raw", kept, "--keep"),
        STOCK_FLOOR: client("raw", stock, "--keep"),
        STOCK_THREADS: client("raw", stock_threads, "--keep"),
        OURS: client("native", demo, "--keep"),
        OURS_STOCK: client("native", demo),
        OPEN_INFERENCE: client("open-inference", demo, "--keep"),
        TF_SERVING: client("tf-serving", demo, "--keep"),
        BYTES_FIELD: client("bytes-field", kept, "--keep"),
        REPEATED_FIELD: client("repeated-field", kept, "--keep"),
    }
    if PEERS_PYTHON.exists():
        workers[TRITON] = stack.enter_context(
            Worker("benchmarks.triton_client", demo, python=str(PEERS_PYTHON))
        )
    else:
        print(f"{TRITON}: skipped, {PEERS_PYTHON.relative_to(ROOT)} is not there (make interop sets it up)")
    return workers


@contextmanager
def server(module: str, *args: str) -> Iterator[str]:
    """The address of a server in a process of its own; it is killed in the end."""
    with subprocess.Popen(
        [sys.executable, "-m", module, *args], stdout=subprocess.PIPE, text=True, cwd=Path(ROOT)
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().removeprefix("ready on ").strip()
        finally:
            process.kill()


def ratio(found: Samples, name: str, base: str, nbytes: int, clock: str = "wall") -> dict[str, Any]:
    """One way over another at one size, paired by round."""
    pairs = zip(found[name][nbytes], found[base][nbytes], strict=False)
    return quartiles([ours[clock] / theirs[clock] for ours, theirs in pairs])


def quartiles(ratios: list[float]) -> dict[str, Any]:
    """Median, middle half and count, as every figure is reported."""
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {"ratio": middle, "quartiles": [low, high], "rounds": len(ratios)}


def _at_most(limit: float | None) -> dict[str, float]:
    return {} if limit is None else {"limit": limit}
