"""The example project: a team's own service behind the gateway, tested as its README says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from support.generated import PLUGINS

EXAMPLE = Path(__file__).parents[2] / "examples" / "pricing"

INSTALLED = "eas_grpc.testing.plugin" in {entry.value for entry in entry_points(group="pytest11")}
PLUGIN = [] if INSTALLED else ["-p", "eas_grpc.testing.plugin"]


@pytest.fixture
def copy(tmp_path):
    """Elsewhere, so that nothing but what is installed can be imported."""
    return shutil.copytree(EXAMPLE, tmp_path / "pricing", ignore=shutil.ignore_patterns("__pycache__", ".*"))


@pytest.mark.parametrize("flags", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_its_tests_pass(copy, flags):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *PLUGIN, *flags]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 passed" in done.stdout


def test_its_generated_code_is_fresh(copy, toolchain):
    command = [sys.executable, "-m", "eas_grpc.cli", "generate", "--check"]
    tools = ["--protoc-python", toolchain.python, "--plugins-bin", str(PLUGINS)]
    done = subprocess.run([*command, *tools], cwd=copy, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
