"""`buf curl` finds and calls the services of `eas-grpc serve` by reflection."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from interop.programs import TOKEN, finish, unavailable

pytestmark = pytest.mark.interop

GREETERS = ["GreeterService", "helloworld.GreeterService", "eas_grpc_pb.greeter.v1.GreeterService"]
NAMES = '{"name": "World"}{"name": "Moon"}'
ON_UNAUTHENTICATED = 16 << 3


@pytest.fixture
def buf() -> str:
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return shutil.which("buf", path=places) or unavailable("no `buf`: install the wheel buf-bin")


@pytest.fixture(params=["grpc-v1", "grpc-v1alpha"])
def curl(request, buf, serve, tmp_path):
    """Runs `buf curl` with one version of reflection."""

    def run(*arguments: str, path: str = "", token: str = TOKEN) -> subprocess.CompletedProcess[str]:
        return finish(
            *(buf, "curl", "--protocol", "grpc", "--http2-prior-knowledge"),
            *("--reflect-protocol", request.param, "--reflect-header", f"authorization: Bearer {TOKEN}"),
            *("--header", f"authorization: Bearer {token}", *arguments, f"http://{serve}{path}"),
            HOME=str(tmp_path),
        )

    return run


def test_reflection_lists_every_service(curl):
    listed = set(curl("--list-services").stdout.split())
    assert listed > {*GREETERS, "eas_grpc_pb.tensor.v1.TensorService", "grpc.health.v1.Health"}


@pytest.mark.parametrize("service", GREETERS)
def test_a_method_found_by_reflection_can_be_called(curl, service):
    done = curl("--data", '{"name": "World"}', path=f"/{service}/SayHello")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"message": "Hello, World!"})


def test_a_conversation_found_by_reflection_can_be_held(curl):
    done = curl("--data", NAMES, path=f"/{GREETERS[-1]}/Chat")
    assert done.returncode == 0
    assert "Hello, World!" in done.stdout
    assert "Hello, Moon!" in done.stdout


def test_a_wrong_token_ends_with_the_exit_status_of_unauthenticated(curl):
    done = curl("--data", '{"name": "World"}', path="/GreeterService/SayHello", token="wrong")
    assert done.returncode == ON_UNAUTHENTICATED
    assert json.loads(done.stderr)["code"] == "unauthenticated"
