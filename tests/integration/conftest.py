"""What the tests of `eas_grpc.codegen` start from."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.codegen_jobs import INFER, TYPES, write
from support.generated import PLUGINS, PYTHON, need_tools

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
