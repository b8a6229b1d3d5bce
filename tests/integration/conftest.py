"""What the tests of `eas_grpc.codegen` start from."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.codegen_jobs import INFER, TYPES, write
from support.generated import PLUGINS, PYTHON, need_tools
from support.schema_versions import OLD, X
from support.schema_versions import write as write_file
from support.schemas import PROTOC_PYTHON, need_protoc

from eas_grpc.cli.__main__ import _Group
from eas_grpc.cli._breaking import breaking
from eas_grpc.codegen import Toolchain


@pytest.fixture
def toolchain() -> Toolchain:
    need_tools()
    return Toolchain.installed(str(PYTHON), str(PLUGINS))


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A folder of two protos, as the working directory."""
    folder = tmp_path / "project"
    write(folder, {"acme/v1/types.proto": TYPES, "acme/v1/infer.proto": INFER})
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the command in an empty project; gives its exit code and what it printed."""
    need_protoc()
    monkeypatch.chdir(tmp_path)
    cli = _Group("cli", commands=[breaking])

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli, ["breaking", *arguments, "--protoc-python", str(PROTOC_PYTHON)])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output

    return run


@pytest.fixture
def found(run):
    """(file, line, rule) of everything that the command finds."""

    def found(*arguments: str) -> list[tuple[str, int, str]]:
        code, output = run(*arguments, "--format", "json")
        assert code in {0, 1}, output
        return [(each["file"], each["line"], each["rule"]) for each in json.loads(output)["diagnostics"]]

    return found


@pytest.fixture
def git(tmp_path, monkeypatch):
    """Runs git without anybody's configuration."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")

    def git(*arguments: str, cwd: Path = tmp_path) -> None:
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.invalid")
        subprocess.run(["git", *identity, *arguments], cwd=cwd, check=True, capture_output=True)

    return git


@pytest.fixture
def repository(run, git):
    """A repository whose branch `main` has OLD as x.proto."""
    git("init", "-q", "-b", "main")
    write_file(X, OLD)
    git("add", ".")
    git("commit", "-qm", "one")
