"""What generating costs: a run that finds nothing to do, and 500 protos next to protoc with the same plugins alone."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PROTOC = str(ROOT / ".venv-codegen/bin/python")
PLUGINS = ROOT / ".venv-codegen-plugins/bin"
TOOLS = ("--protoc-python", PROTOC, "--plugins-bin", str(PLUGINS))

_PROTO = """syntax = "proto3";
package acme.{package}.v1;

import "google/protobuf/timestamp.proto";
{imports}
// What is sent.
message Message{number} {{
  string name = 1;
  repeated int64 dims = 2;
  map<string, double> scores = 3;
  oneof content {{
    string text = 4;
    bytes raw = 5;
  }}
  google.protobuf.Timestamp at = 6;
  enum Kind {{
    KIND_UNSPECIFIED = 0;
    KIND_LARGE = 1;
  }}
  Kind kind = 7;
  optional float weight = 8;
{use}}}
"""
_SERVICE = """
// Serves it.
service Service{number} {{
  // Once.
  rpc Do(Message{number}) returns (Message{number});
  // As a stream.
  rpc Many(Message{number}) returns (stream Message{number});
}}
"""


def figures(rounds: int, protos: int = 500) -> dict[str, Any]:
    """The two ratios, each the median of pairs; the note of the first has the milliseconds over the interpreter."""
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        write_tree(home / "few", 2)
        write_tree(home / "many", protos)
        ours = _generate(home / "few", home / "out-few")
        _seconds(ours)
        idle = [(_seconds([sys.executable, "-c", ""]), _seconds(ours)) for _ in range(rounds)]
        pairs = []
        for _ in range(max(5, rounds // 2)):
            alone = _seconds(_protoc(home / "many", home / "alone"), fresh=home / "alone")
            pairs.append((alone, _seconds(_generate(home / "many", home / "out"), fresh=home / "out")))
        again = [
            (_seconds([sys.executable, "-c", ""]), _seconds(_generate(home / "many", home / "out")))
            for _ in range(rounds)
        ]
    return {
        "generate with nothing to do / an interpreter that starts": _added(idle),
        f"the same with {protos} protos": _added(again),
        f"generate {protos} protos / protoc with the same plugins alone": _ratio(pairs) | {"limit": 2},
    }


def write_tree(folder: Path, count: int) -> None:
    """`count` protos, each importing the one before; every fifth has a service."""
    for number in range(count):
        package, before = f"p{number % 20:02}", f"p{(number - 1) % 20:02}"
        path = folder / f"acme/{package}/v1/file{number:03}.proto"
        path.parent.mkdir(parents=True, exist_ok=True)
        imports = f'import "acme/{before}/v1/file{number - 1:03}.proto";\n' if number else ""
        use = f"  acme.{before}.v1.Message{number - 1} before = 9;\n" if number else ""
        text = _PROTO.format(package=package, number=number, imports=imports, use=use)
        path.write_text(text + (_SERVICE.format(number=number) if number % 5 == 0 else ""))


def _generate(protos: Path, out: Path) -> list[str]:
    command = [sys.executable, "-m", "eas_grpc.cli.__main__", "generate", str(protos), "--out", str(out)]
    return [*command, "--package", "", *TOOLS]


def _protoc(protos: Path, out: Path) -> list[str]:
    plugins = [f"--plugin=protoc-gen-{name}={PLUGINS}/protoc-gen-{name}" for name in ("mypy", "mypy_grpc")]
    outs = [f"--{name}_out={out}" for name in ("python", "grpc_python", "mypy", "mypy_grpc")]
    names = sorted(path.relative_to(protos).as_posix() for path in protos.rglob("*.proto"))
    return [PROTOC, "-m", "grpc_tools.protoc", f"-I{protos}", *plugins, *outs, *names]


def _seconds(command: list[str], *, fresh: Path | None = None) -> float:
    if fresh:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def _ratio(pairs: list[tuple[float, float]]) -> dict[str, Any]:
    low, middle, high = statistics.quantiles([ours / bare for bare, ours in pairs], n=4)
    return {"ratio": middle, "quartiles": [low, high], "rounds": len(pairs)}


def _added(pairs: list[tuple[float, float]]) -> dict[str, Any]:
    added = statistics.median(ours - bare for bare, ours in pairs) * 1000
    return _ratio(pairs) | {"added_ms": added, "limit_ms": 250, "note": f" (adds {added:.0f} ms, limit 250)"}
