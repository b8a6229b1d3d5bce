"""`make bench`: what a call through eas-grpc costs, next to the bare library in the same run, as ratios.

Machines are noisy, so every figure is a median over rounds; in a round all variants take their turns one after
the other, and each is compared with the bare one of that round. Client and server are separate processes.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path

import grpc

from benchmarks import calls, startup
from benchmarks.server import bench_server

RESULTS = Path(__file__).parent / "results" / "latest.json"


def main() -> int:
    """Runs everything, prints it, and writes the JSON beside."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--rounds", type=int, default=30, help="rounds per figure (default %(default)s)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the JSON goes")
    args = parser.parse_args()

    versions = {
        "python": platform.python_version(),
        "grpcio": grpc.__version__,
        "machine": platform.machine(),
    }
    print(" ".join(f"{name} {value}" for name, value in versions.items()))
    with bench_server() as address:
        cost = calls.cost(address, args.rounds)
        throughput = calls.throughput(address, max(5, args.rounds // 4))
    figures = {**cost, **throughput, **startup.figures(max(9, args.rounds // 2))}
    print(f"{'figure':<52} {'ratio':>7} {'middle half':>15}  {'limit':>6}")
    for name, figure in figures.items():
        low, high = figure["quartiles"]
        limit = f"{figure['limit']:.2f}" if "limit" in figure else ""
        print(
            f"{name:<52} {figure['ratio']:>7.3f} {low:>7.3f}-{high:<7.3f}  {limit:>6}{figure.get('note', '')}"
        )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"versions": versions, "figures": figures}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
