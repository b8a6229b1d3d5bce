"""The schema of protos/kinds, its servers in three languages, and the two programs that are compared."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from interop.kinds.judge import FILES, INCLUDES, Judge
from interop.programs import ROOT, protoc, serving, unavailable


@pytest.fixture(scope="session")
def schema_file(tmp_path_factory) -> Path:
    """The descriptor set of protos/kinds and of all that may be in an Any."""
    out = tmp_path_factory.mktemp("schema") / "kinds.binpb"
    roots = [f"-I{folder}" for folder in INCLUDES]
    protoc(*roots, "--include_imports", "--include_source_info", f"--descriptor_set_out={out}", *FILES)
    return out


@pytest.fixture(scope="session")
def pool(schema_file) -> DescriptorPool:
    """The same, for messages."""
    pool = DescriptorPool()
    for file in FileDescriptorSet.FromString(schema_file.read_bytes()).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


@pytest.fixture(scope="session")
def python_server(schema_file) -> Iterator[str]:
    with serving(sys.executable, ROOT / "tests/support/kinds_server.py", schema_file) as address:
        yield address


@pytest.fixture(scope="session")
def go_server(go_programs) -> Iterator[str]:
    with serving(go_programs / "kinds") as address:
        yield address


@pytest.fixture(scope="session")
def js_server(node_programs, schema_file) -> Iterator[str]:
    node, folder = node_programs
    with serving(node, folder / "kinds.js", schema_file) as address:
        yield address


@pytest.fixture(scope="session", params=["python", "go", "js"])
def server(request) -> str:
    """The address of the services, in each language."""
    return request.getfixturevalue(f"{request.param}_server")


@pytest.fixture(scope="session")
def buf() -> str:
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return shutil.which("buf", path=places) or unavailable("no `buf`: install the wheel buf-bin")


@pytest.fixture(scope="session")
def judge(server, buf, tmp_path_factory) -> Judge:
    return Judge(server, buf, tmp_path_factory.mktemp("judge"))


@pytest.fixture(scope="session")
def go_judge(go_server, buf, tmp_path_factory) -> Judge:
    """For what is decided before anything is sent."""
    return Judge(go_server, buf, tmp_path_factory.mktemp("judge"))
