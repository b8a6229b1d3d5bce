"""What importing costs over grpc alone, and `--help` over a bare click program; each in fresh processes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

GRPC = "import grpc"
OURS = "import grpc, eas_grpc; eas_grpc.connect"
BARE_CLICK = """
import click
@click.group()
def cli(): pass
@cli.command()
def one(): pass
cli(['--help'])
"""
HELP = "from eas_grpc.cli.__main__ import main; import sys; sys.argv = ['eas-grpc', '--help']; main()"


def figures(rounds: int) -> dict[str, Any]:
    """Both ratios; the note of the first says how many milliseconds importing adds."""
    with tempfile.TemporaryDirectory() as cache:
        # As installed packages run: with their bytecode cached, whatever this shell says.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": ""}
        return _figures(rounds, environment)


def _figures(rounds: int, environment: dict[str, str]) -> dict[str, Any]:
    imports = _paired(GRPC, OURS, rounds, environment)
    added = statistics.median(ours - bare for bare, ours in imports) * 1000
    helps = _paired(BARE_CLICK, HELP, rounds, environment)
    return {
        "import eas_grpc and connect / import grpc": _ratio(imports)
        | {"added_ms": added, "limit_ms": 15, "note": f" (adds {added:.1f} ms, limit 15)"},
        "eas-grpc --help / a bare click program's": _ratio(helps) | {"limit": 1.5},
    }


def _paired(bare: str, ours: str, rounds: int, environment: dict[str, str]) -> list[tuple[float, float]]:
    _seconds(bare, environment), _seconds(ours, environment)
    return [(_seconds(bare, environment), _seconds(ours, environment)) for _ in range(rounds)]


def _seconds(program: str, environment: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - began


def _ratio(pairs: list[tuple[float, float]]) -> dict[str, Any]:
    low, middle, high = statistics.quantiles([ours / bare for bare, ours in pairs], n=4)
    return {"ratio": middle, "quartiles": [low, high], "rounds": len(pairs)}
