"""The connectrpc conformance runner, its gRPC part, against clients and servers of ours and bare ones.

Its protos come with its Go module; Python is made from them at run time, into a folder of the run's own.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reliability.child import ROOT, clean_environment
from reliability.gotools import MODULE, tool
from reliability.score import Skip

__all__ = ["OURS", "Outcome", "Runner", "Running", "listed", "read_outcome"]

KNOWN = Path(__file__).parent / "known_failures"
OURS = ("sync", "aio", "threads")
_SECONDS = 150
_FILES = ("client_compat", "config", "server_compat", "service", "suite")

# All that gRPC has: no Connect, no gRPC-Web, no JSON. Without TLS, which servers of ours leave to the gateway.
_CONFIG = """\
features:
  versions: [HTTP_VERSION_2]
  protocols: [PROTOCOL_GRPC]
  codecs: [CODEC_PROTO]
  compressions: [COMPRESSION_IDENTITY, COMPRESSION_GZIP]
  supportsTls: {tls}
  supportsTlsClientCerts: {tls}
"""


@dataclass(frozen=True)
class Outcome:
    """What the runner counted, and its own words where it is not content."""

    total: int
    passed: int
    failed: int
    known: int
    good: bool
    text: str

    @property
    def names(self) -> list[str]:
        """The cases that failed, and complaints about the lists."""
        lines = self.text.splitlines()
        failed = [line.removeprefix("FAILED: ") for line in lines if line.startswith("FAILED: ")]
        return failed or ([] if self.good else lines[-3:])


def read_outcome(text: str, *, good: bool) -> Outcome:
    """From what the runner prints at its end. Raises ValueError where it did not come so far."""
    total = re.search(r"^Total cases: (\d+)", text, re.MULTILINE)
    counts = re.search(r"^(\d+) passed, (\d+) failed", text, re.MULTILINE)
    if total is None or counts is None:
        raise ValueError(f"the conformance runner did not finish: {text[-1000:]}")
    known = re.search(r"^\((?:Another )?(\d+) failed as expected", text, re.MULTILINE)
    as_known = int(known[1]) if known else 0
    return Outcome(int(total[1]), int(counts[1]), int(counts[2]), as_known, good, text)


class Running:
    """A run under way; never outlives its `with` block, nor does what it started."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)

    def outcome(self) -> Outcome:
        """Waits for its end; TimeoutExpired where it hangs."""
        code = self._process.wait(_SECONDS)
        return read_outcome(self._log.read_text(errors="replace"), good=code == 0)


class Runner:
    """The program and the generated Python, ready for any number of runs."""

    def __init__(self, folder: Path) -> None:
        self._program = tool("connectconformance")
        self._folder = folder / "conformance"
        self._folder.mkdir()
        self._generate()

    def begin(self, mode: str, kind: str) -> Running:
        """Begins a run with a client or a server under test."""
        # Servers of ours have no TLS: it is the gateway's affair.
        tls = mode == "client"
        config = self._folder / f"{mode}_{kind}.yaml"
        config.write_text(_CONFIG.format(tls=str(tls).lower()))
        command = [str(self._program), "--mode", mode, "--conf", str(config)]
        for flag, ending in (("--known-failing", ""), ("--known-flaky", "_flaky"), ("--skip", "_skipped")):
            # The runner reads one file of a kind, so all of the lists go into one.
            patterns = self._folder / f"{mode}_{kind}{ending}.txt"
            patterns.write_text("\n".join(listed(mode, kind, ending)) + "\n")
            if patterns.stat().st_size > 1:
                command += [flag, f"@{patterns}"]
        under_test = [sys.executable, "-m", f"reliability.conformance_connect_{mode}", kind]
        environment = clean_environment()
        environment["PYTHONPATH"] += os.pathsep + str(self._folder)
        return Running([*command, "--", *under_test], environment, self._folder / f"{mode}_{kind}.log")

    def _generate(self) -> None:
        compiler = ROOT / ".venv-codegen" / "bin" / "python"
        if not compiler.exists():
            raise Skip("no .venv-codegen to make Python of the conformance protos with: `make setup`")
        protos = self._protos()
        files = [f"connectrpc/conformance/v1/{name}.proto" for name in _FILES]
        out = f"--python_out={self._folder}", f"--grpc_python_out={self._folder}"
        self._run([str(compiler), "-m", "grpc_tools.protoc", f"-I{protos}", *out, *files], ROOT)

    def _protos(self) -> Path:
        # Mostly there already; the program may have been built on another day than the modules were fetched.
        told = self._run(["go", "mod", "download", "-json", "connectrpc.com/conformance"], MODULE)
        return Path(json.loads(told)["Dir"]) / "proto"

    def _run(self, command: Sequence[str], where: Path) -> str:
        done = subprocess.run(
            command, cwd=where, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        if done.returncode:
            raise Skip(f"`{' '.join(command[:3])}` failed: {done.stderr[-300:]}")
        return done.stdout


def listed(mode: str, kind: str, ending: str = "", folder: Path = KNOWN) -> list[str]:
    """The lines of the lists for a kind: those of all kinds, those of ours, its own."""
    names = [
        f"connect_{mode}{part}{ending}.txt" for part in ("", "_ours" if kind in OURS else "", f"_{kind}")
    ]
    files = [folder / name for name in dict.fromkeys(names)]
    return [line for file in files if file.exists() for line in file.read_text().splitlines()]
