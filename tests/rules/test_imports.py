"""What each door loads, in a fresh process: who only asks for `--help` does not pay for grpc."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

# What must never slip in, however small the allow-lists below are.
HEAVY = {"numpy", "click", "urllib3", "aiohttp", "google", "hypothesis"}

# grpc itself looks for these and loads what is installed of them: packages with next to nothing in them.
OF_GRPC = {"grpc", "grpc_health", "grpc_reflection", "grpc_tools", "typing_extensions"}

PROGRAM = """
import json, sys
before = set(sys.modules)
{statement}
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def loaded(statement: str) -> set[str]:
    """The top-level modules beyond the standard library that a statement loads."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(statement=statement)],
        capture_output=True,
        text=True,
        check=True,
    )
    names = {name.partition(".")[0] for name in json.loads(done.stdout)}
    return {name for name in names if name not in sys.stdlib_module_names and "cython" not in name}


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ("import eas_grpc", {"eas_grpc"}),
        ("import eas_grpc; dir(eas_grpc), eas_grpc.__version__", {"eas_grpc"}),
        ("from eas_grpc import Endpoint, Keepalive, Profile, StreamLimits, errors", {"eas_grpc"}),
        ("import eas_grpc.settings, eas_grpc.auth, eas_grpc.retry", {"eas_grpc"}),
        ("import eas_grpc; eas_grpc.connect", {"eas_grpc", *OF_GRPC}),
        ("import eas_grpc; eas_grpc.connect('127.0.0.1:1', token='t').close()", {"eas_grpc", *OF_GRPC}),
        ("from eas_grpc import aio; aio.connect", {"eas_grpc", *OF_GRPC}),
        ("import eas_grpc.cli.__main__", {"eas_grpc", "click"}),
        ("import server_demo", {"server_demo"}),
        ("import eas_grpc_pb", {"eas_grpc_pb"}),
        ("import eas_grpc.codegen", {"eas_grpc", "google"}),
    ],
)
def test_a_door_loads_nothing_beyond_its_list(statement, allowed):
    assert loaded(statement) - allowed == set()


def test_a_channel_loads_what_grpc_loads_and_no_more():
    bare = loaded("import grpc, grpc.aio")
    assert bare & HEAVY == set()
    assert loaded("import eas_grpc; eas_grpc.connect, eas_grpc.aio") - bare == {"eas_grpc"}


def test_the_measurement_itself_sees_what_is_loaded():
    assert {"grpc", "google", "eas_grpc_pb"} <= loaded("import eas_grpc_pb.greeter.v1.greeter_pb2_grpc")


@pytest.mark.parametrize(
    "command",
    [[], ["hello"], ["health"], ["serve"], ["env"], ["generate"], ["lint"], ["breaking"], ["init"]],
    ids=" ".join,
)
def test_help_is_answered_without_grpc(command):
    program = f"""
import sys
from eas_grpc.cli.__main__ import cli
cli([*{command!r}, "--help"], standalone_mode=False)
print(sorted({{"grpc", "numpy", "google.protobuf", "server_demo", "asyncio"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
