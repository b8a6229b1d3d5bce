"""What importing costs over grpc alone, `--help` and a TAB over a bare click program, and the first byte of a call over buf curl's.

Each in fresh processes, in pairs, one after the other.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TOKEN = "bench-token"
GRPC = "import grpc"
OURS = "import grpc, eas_grpc; eas_grpc.connect"
# A group of as many commands as ours, each with a line of help.
BARE_CLICK = """
import click
@click.group()
def cli(): pass
for number in range({count}):
    cli.add_command(click.Command(f'command{{number}}', help='One line of help for it.'))
cli(['--help'])
"""
HELP = "from eas_grpc.cli.__main__ import main; import sys; sys.argv = ['eas-grpc', '--help']; main()"
TAB = "from eas_grpc.cli.__main__ import main; import sys; sys.argv = ['eas-grpc']; main()"
EAS_GRPC = "from eas_grpc.cli.__main__ import main; main()"

# Either of the two is enough for a call.
CALL_RATIO, CALL_MS = 1.3, 250.0


def figures(rounds: int) -> dict[str, Any]:
    """The ratios; a note says how many milliseconds lie behind one."""
    with tempfile.TemporaryDirectory() as cache:
        # As installed packages run: with their bytecode cached, whatever this shell says.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": ""}
        return _figures(rounds, environment)


def _figures(rounds: int, environment: dict[str, str]) -> dict[str, Any]:
    from eas_grpc.cli.__main__ import cli

    imports = _paired(_python(GRPC), _python(OURS), rounds, environment)
    added = statistics.median(ours - bare for bare, ours in imports) * 1000
    bare = _python(BARE_CLICK.format(count=len(cli.lazy)))
    asked = {"_EAS_GRPC_COMPLETE": "bash_complete", "COMP_WORDS": "eas-grpc describe a", "COMP_CWORD": "2"}
    tabs = _paired(bare, _python(TAB), rounds, {**environment, **asked})
    helps = _paired(bare, _python(HELP), rounds, environment)
    found = {
        "import eas_grpc and connect / import grpc": _ratio(imports)
        | {"added_ms": added, "limit_ms": 15, "note": f" (adds {added:.1f} ms, limit 15)"},
        "eas-grpc --help / a bare click program's": _ratio(helps) | {"limit": 1.5},
        "a TAB for a name / a bare click program's --help": _ratio(tabs),
    }
    return found | _call(rounds, environment)


def _call(rounds: int, environment: dict[str, str]) -> dict[str, Any]:
    """A call with the schema from reflection, to the first byte of its answer; {} where there is no buf."""
    buf = shutil.which("buf") or str(Path(sys.executable).with_name("buf"))
    if not os.access(buf, os.X_OK):
        return {}
    method, data = "helloworld.GreeterService/SayHello", '{"name":"World"}'
    with _greeter() as address:
        bearer = f"authorization: Bearer {TOKEN}"
        theirs = [
            buf,
            "curl",
            "--protocol",
            "grpc",
            "--http2-prior-knowledge",
            "--reflect-protocol",
            "grpc-v1",
        ]
        theirs += ["--reflect-header", bearer, "-H", bearer, "-d", data, f"http://{address}/{method}"]
        ours = [*_python(EAS_GRPC), "call", method, "-d", data, "-e", address, "--token", TOKEN]
        pairs = _paired(theirs, ours, rounds, environment, first_byte=True)
    milliseconds = statistics.median(ours for _, ours in pairs) * 1000
    figure = _ratio(pairs) | {
        "ms": milliseconds,
        "limit_ms": CALL_MS,
        "note": f" ({milliseconds:.0f} ms; limit {CALL_RATIO} or {CALL_MS:.0f} ms)",
    }
    if milliseconds > CALL_MS:
        figure["limit"] = CALL_RATIO
    return {"eas-grpc call to the first byte / buf curl": figure}


@contextmanager
def _greeter() -> Iterator[str]:
    """The address of a running demo server; it is killed in the end."""
    command = [sys.executable, "-m", "server_demo", "--port", "0", "--token", TOKEN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip().removeprefix("ready on ")
        finally:
            process.kill()


def _python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def _paired(
    bare: Sequence[str],
    ours: Sequence[str],
    rounds: int,
    environment: dict[str, str],
    *,
    first_byte: bool = False,
) -> list[tuple[float, float]]:
    def seconds(command: Sequence[str]) -> float:
        return _seconds(command, environment, first_byte=first_byte)

    seconds(bare), seconds(ours)
    return [(seconds(bare), seconds(ours)) for _ in range(rounds)]


def _seconds(command: Sequence[str], environment: dict[str, str], *, first_byte: bool) -> float:
    """From the start to the first byte of output, or to the end."""
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        taken = time.perf_counter() - began
        process.stdout.read()
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command)
    return taken if first_byte else time.perf_counter() - began


def _ratio(pairs: list[tuple[float, float]]) -> dict[str, Any]:
    low, middle, high = statistics.quantiles([ours / bare for bare, ours in pairs], n=4)
    return {"ratio": middle, "quartiles": [low, high], "rounds": len(pairs)}
