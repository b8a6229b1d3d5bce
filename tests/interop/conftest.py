"""The servers and the programs in other languages, each started or built once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from interop.programs import BUILD, HERE, PEERS_PYTHON, TOKEN, locked, serving, unavailable

_INSTALL_SECONDS = 600


@pytest.fixture(scope="session")
def serve() -> Iterator[str]:
    """The address of `eas-grpc serve`, whose token is TOKEN."""
    with serving(sys.executable, "-m", "eas_grpc.cli", "serve", "--port", "0", "--token", TOKEN) as address:
        yield address


@pytest.fixture(scope="session")
def go_programs() -> Path:
    """The folder of the programs below go/cmd."""
    go = shutil.which("go") or unavailable("no `go` on the PATH: the grpc-go tests do not run")
    folder = HERE / "go"
    with locked("go"):
        sources = _install(go, "list", "-deps", "./cmd/...", cwd=folder)
        if sources.returncode != 0:
            unavailable(f"`go` cannot get the modules of {folder}:\n{sources.stderr}")
        built = _install(go, "build", "-buildvcs=false", "-o", f"{BUILD / 'go'}/", "./cmd/...", cwd=folder)
    assert built.returncode == 0, built.stderr
    return BUILD / "go"


@pytest.fixture(scope="session")
def node_programs() -> tuple[str, Path]:
    """The interpreter and the folder of the scripts, with their packages installed."""
    node = shutil.which("node") or unavailable("no `node` on the PATH: the grpc-js tests do not run")
    npm = shutil.which("npm") or unavailable("no `npm` on the PATH: the grpc-js tests do not run")
    folder = HERE / "node"
    wanted = (folder / "package-lock.json").read_bytes()
    stamp = folder / "node_modules" / ".installed"
    with locked("node"):
        if not stamp.exists() or stamp.read_bytes() != wanted:
            done = _install(npm, "ci", cwd=folder)
            if done.returncode != 0:
                unavailable(f"`npm ci` failed in {folder}:\n{done.stderr}")
            stamp.write_bytes(wanted)
    return node, folder


@pytest.fixture(scope="session")
def peers_python() -> str:
    """The interpreter of the environment that holds the Python packages of others."""
    if not os.access(PEERS_PYTHON, os.X_OK):
        unavailable(f"no environment with the packages of others at {PEERS_PYTHON}: run `make interop`")
    return PEERS_PYTHON


def _install(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """With the user's own environment: proxies and registries are theirs to choose."""
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=_INSTALL_SECONDS)
