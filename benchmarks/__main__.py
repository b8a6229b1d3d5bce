"""`make bench`: what a call through eas-grpc costs, next to the bare library in the same run, as ratios.

Machines are noisy, so every figure is a median over rounds; in a round all variants take their turns one after
the other, and each is compared with the bare one of that round. Client and server are separate processes.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
from pathlib import Path
from typing import Any

import grpc

from benchmarks import calls, chart, codecs, codegen, gateway, load, startup, tensors
from benchmarks.server import bench_server

RESULTS = Path(__file__).parent / "results" / "latest.json"


def main() -> int:
    """Runs everything, prints it, and writes the JSON beside."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--rounds", type=int, default=30, help="rounds per figure (default %(default)s)")
    parser.add_argument(
        "--only", choices=("calls", "tensors", "codegen", "gateway", "load"), help="one part of it"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the JSON goes")
    parser.add_argument("--chart", type=Path, help="also draw the chart of the tensors, into this file")
    args = parser.parse_args()

    versions = {
        "python": platform.python_version(),
        "grpcio": grpc.__version__,
        "machine": platform.machine(),
    }
    print(" ".join(f"{name} {value}" for name, value in versions.items()))
    results: dict[str, Any] = {"versions": versions, "figures": {}}
    if args.only in (None, "calls"):
        with bench_server() as address:
            results["figures"] |= calls.cost(address, args.rounds)
            results["figures"] |= calls.throughput(address, max(2, args.rounds // 4))
        results["figures"] |= startup.figures(max(2, args.rounds // 2))
    if args.only in (None, "gateway"):
        results["figures"] |= gateway.figures(args.rounds)
    if args.only in (None, "load"):
        with bench_server() as address:
            results["figures"] |= load.figures(address, max(2, args.rounds // 2))
    if args.only in (None, "codegen"):
        results["figures"] |= codegen.figures(max(2, args.rounds // 2))
    if args.only in (None, "tensors"):
        results["figures"] |= codecs.figures(max(2, args.rounds // 2))
        found = tensors.samples(max(2, args.rounds // 2))
        results["figures"] |= tensors.figures(found)
        results["to_floor"] = chart.to_floor(found)
        if args.chart:
            chart.draw(results["to_floor"], versions, args.chart)
    show(results["figures"])
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(results, indent=2) + "\n")
    return 0


def show(figures: dict[str, dict[str, Any]]) -> None:
    """Prints a line for each; the limit is the most that a figure may be, or with `>` the least."""
    print(f"{'figure':<78} {'ratio':>8} {'middle half':>17}  limit")
    for name, figure in figures.items():
        low, high = figure.get("quartiles", (figure["ratio"], figure["ratio"]))
        limit = f"{figure['limit']:.2f}" if "limit" in figure else ""
        if "least" in figure:
            limit = f"> {figure['least']:.2f}"
        kept = figure["ratio"] <= figure.get("limit", math.inf) and figure["ratio"] >= figure.get("least", 0)
        print(
            f"{name:<78} {figure['ratio']:>8.3f} {low:>8.3f}-{high:<8.3f}  {limit}"
            f"{figure.get('note', '')}{'' if kept else '  MISSED'}"
        )


if __name__ == "__main__":
    sys.exit(main())
