"""Starts programs of others on loopback, bounded in time, and always stops them."""

from __future__ import annotations

import fcntl
import os
import select
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = HERE / ".build"
PROTOC_PYTHON = os.path.abspath(os.environ.get("EAS_GRPC_PROTOC_PYTHON") or ROOT / ".venv-codegen/bin/python")
PEERS_PYTHON = os.path.abspath(os.environ.get("EAS_GRPC_PEERS_PYTHON") or ROOT / ".venv-peers/bin/python")
TOKEN = "interop-token"

_START_SECONDS = 30
_STOP_SECONDS = 15


def unavailable(text: str) -> NoReturn:
    """Something is not installed: a user may go on without it, CI may not."""
    if os.environ.get("CI"):
        pytest.fail(text, pytrace=False)
    pytest.skip(text)


def protoc(*arguments: object) -> None:
    """Runs the compiler of grpcio-tools."""
    if not os.access(PROTOC_PYTHON, os.X_OK):
        unavailable(f"no protoc environment at {PROTOC_PYTHON}: run `make setup`")
    done = finish(PROTOC_PYTHON, "-m", "grpc_tools.protoc", *arguments)
    assert done.returncode == 0, done.stderr


def finish(
    *command: object, cwd: Path | None = None, timeout: float = 60, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**environment(), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


@contextmanager
def serving(*command: object) -> Iterator[str]:
    """Runs a server that prints `ready on ADDRESS`; gives the address; SIGTERM has to end it with status 0."""
    parts = [str(part) for part in command]
    with tempfile.TemporaryFile("w+") as log, _started(parts, log) as process:
        yield _address(process, log)
        process.terminate()
        status = process.wait(_STOP_SECONDS)
        log.seek(0)
        assert status == 0, f"{parts} ended with {status}:\n{log.read()}"


@contextmanager
def locked(name: str) -> Iterator[None]:
    """One process at a time: pytest-xdist builds once."""
    BUILD.mkdir(exist_ok=True)
    with (BUILD / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def environment() -> dict[str, str]:
    """Without proxies, which loopback must not go through, and without the user's EAS_ settings."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy")
        and (not name.startswith("EAS_") or name.startswith("EAS_GRPC_"))
    }


@contextmanager
def _started(command: Sequence[str], log: object) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _address(process: subprocess.Popen[str], log: object) -> str:
    readable, _, _ = select.select([process.stdout], [], [], _START_SECONDS)
    line = process.stdout.readline() if readable else ""
    log.seek(0)
    assert line.startswith("ready on "), f"{process.args} said {line!r} and:\n{log.read()}"
    return line.removeprefix("ready on ").strip()
