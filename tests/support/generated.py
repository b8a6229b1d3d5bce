"""Generated trees for tests: the real command in a process of its own, and programs run on what it wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import eas_grpc_pb
import pytest

ROOT = Path(__file__).resolve().parents[2]
PROTOS = ROOT / "tests/protos"
FORTY = PROTOS / "forty"
OUR_SOURCES = ROOT / "protos" if (ROOT / "protos").is_dir() else Path(eas_grpc_pb.__path__[0]).parent
OUR_PROTOS = ROOT / "generated"
PYTHON = Path(os.environ.get("EAS_GRPC_PROTOC_PYTHON") or ROOT / ".venv-codegen/bin/python")
PLUGINS = Path(os.environ.get("EAS_GRPC_PLUGINS_BIN") or ROOT / ".venv-codegen-plugins/bin")
TOOLS = ("--protoc-python", str(PYTHON), "--plugins-bin", str(PLUGINS))


def need_tools() -> None:
    """Skip without the compiler's environments; in CI their absence is a failure."""
    if not PYTHON.exists() or not (PLUGINS / "protoc-gen-mypy").exists():
        text = f"no protoc environment at {PYTHON} and {PLUGINS}; run `make setup`"
        pytest.fail(text) if os.environ.get("CI") else pytest.skip(text)


def command(
    *arguments: str | Path,
    cwd: Path,
    tools: tuple[str, ...] = TOOLS,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """`eas-grpc generate ARGUMENTS`, whatever comes of it."""
    line = [sys.executable, "-m", "eas_grpc.cli", "generate", *map(str, arguments), *tools]
    return subprocess.run(
        line, cwd=cwd, env=environment, capture_output=True, encoding="utf-8", check=False, timeout=120
    )


def generate(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The same, and it succeeded."""
    done = command(*arguments, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def refused(*arguments: str | Path, cwd: Path, status: int = 3) -> str:
    """The same, and it failed with this status and wrote nothing; what it said."""
    before = content(cwd)
    done = command(*arguments, cwd=cwd)
    assert done.returncode == status, done.stdout + done.stderr
    assert content(cwd) == before
    return done.stderr


def unmeasured() -> dict[str, str]:
    """The environment for programs that run no code of ours: measuring their coverage would only take time."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


def write(root: Path, files: Mapping[str, str]) -> Path:
    """Write files by relative path."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def content(root: Path) -> dict[str, bytes]:
    """Every file below a folder, by relative path; what Python compiles is left out."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


@dataclass(frozen=True)
class Tree:
    """A generated tree: `root` is imported from, and `package` is what the modules lie in ("" for none)."""

    root: Path
    package: str = ""
    mode: str = ""

    @property
    def out(self) -> Path:
        """The folder that was generated into."""
        return self.root.joinpath(*self.package.split(".")) if self.package else self.root

    def module(self, name: str) -> str:
        """The full name of a module of the tree."""
        return f"{self.package}.{name}" if self.package else name

    def run(self, program: str, *arguments: str, **environment: str) -> Any:
        """Run a program of `protos/programs` on it in a fresh process; the JSON that it prints."""
        line = [
            sys.executable,
            "-B",
            str(PROTOS / "programs" / program),
            str(self.root),
            self.package,
            *arguments,
        ]
        return json.loads(self._run(line, environment))

    def python(self, source: str, **environment: str) -> str:
        """Run Python code that may import the tree; what it prints."""
        return self._run([sys.executable, "-B", "-c", source], environment)

    def _run(self, line: list[str], environment: Mapping[str, str]) -> str:
        return python(line, path=(self.root,), environment=environment)


def python(line: list[str], *, path: tuple[Path, ...], environment: Mapping[str, str]) -> str:
    """Run a process that must succeed and say nothing on standard error; what it prints."""
    # Our own modules are installed in editable form, which a user's environment has not; their folder goes last.
    folders = os.pathsep.join(map(str, (*path, OUR_PROTOS)))
    whole = {**unmeasured(), "PYTHONPATH": folders, "GRPC_VERBOSITY": "NONE", **environment}
    done = subprocess.run(
        line, env=whole, cwd="/", capture_output=True, encoding="utf-8", check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout
