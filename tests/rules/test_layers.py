"""Import direction, and the one place that builds channels."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from rules.repository import PACKAGES, ROOT, pyproject, sources

FACTORIES = {"insecure_channel", "secure_channel"}


def builds_channels(source: str) -> bool:
    """Whether code names one of grpc's channel factories; text in a docstring does not count."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in FACTORIES:
            return True
        if isinstance(node, ast.ImportFrom) and FACTORIES & {alias.name for alias in node.names}:
            return True
    return False


def may_build_channels(path: Path) -> bool:
    inside = path.relative_to(ROOT).as_posix()
    return inside == "eas_grpc/aio.py" or inside.startswith("eas_grpc/rpc/")


def test_the_contracts_in_pyproject_hold():
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        f"Contracts: {len(pyproject()['tool']['importlinter']['contracts'])} kept, 0 broken." in done.stdout
    )


def test_only_the_channel_factory_builds_channels():
    builders = [
        path for package in PACKAGES for path in sources(package) if builds_channels(path.read_text())
    ]
    assert builders, "nothing builds channels: has grpc renamed its factories?"
    assert [str(path) for path in builders if not may_build_channels(path)] == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import grpc\nchannel = grpc.insecure_channel('x')", True),
        ("import grpc\nchannel = grpc.aio.secure_channel('x', None)", True),
        ("from grpc import insecure_channel as dial", True),
        ('"""Use grpc.insecure_channel(target)."""', False),
    ],
)
def test_a_factory_is_found_however_it_is_named(source, found):
    assert builds_channels(source) is found
