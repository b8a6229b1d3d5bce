"""Where the repository is and what it holds (no tests here)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("eas_grpc", "server_demo")


def git(*args: str) -> subprocess.CompletedProcess[str]:
    """Runs git on this repository; the test is skipped where there is none, as in an unpacked archive."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout, so nothing can be said about what git tracks")
    command = ["git", "-c", "safe.directory=*", "-C", str(ROOT), *args]
    return subprocess.run(command, capture_output=True, text=True)


@cache
def files() -> tuple[str, ...]:
    """Every file that is tracked or would be with `git add .`, relative to the root."""
    listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    assert listed.returncode == 0, listed.stderr
    return tuple(sorted(name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()))


@cache
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def sources(package: str) -> list[Path]:
    """The hand-written modules of a folder; what tools build or install below it does not count."""
    found = (ROOT / package).rglob("*.py")
    return sorted(path for path in found if not _is_built(path.relative_to(ROOT)))


def _is_built(path: Path) -> bool:
    return any(part.startswith(".") or part == "node_modules" for part in path.parts)
