"""The fixture `eas_serve`, as pytest runs it for a user: a process of its own, with the plugin and no other help."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from eas_grpc import testing

# Installed, the plugin is found by itself, and pytest takes the same module under a second name for a mistake.
INSTALLED = "eas_grpc.testing.plugin" in {entry.value for entry in entry_points(group="pytest11")}
PLUGIN = [] if INSTALLED else ["-p", "eas_grpc.testing.plugin"]

GREETER = """
import asyncio, threading
import grpc, pytest
from eas_grpc.errors import CallError, ConfigError
from eas_grpc.serving import ServerOptions
from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloRequest
from eas_grpc_pb.greeter.v1.greeter_pb2_grpc import GreeterServiceStub, add_GreeterServiceServicer_to_server
from server_demo.greeter import AsyncGreeter, Greeter

def register(server):
    add_GreeterServiceServicer_to_server(Greeter(), server)

def register_async(server):
    add_GreeterServiceServicer_to_server(AsyncGreeter(), server)

WORLD = HelloRequest(name="World")
"""

SERVERS = {"threads": "register", "asyncio": "register_async, use_asyncio=True"}

SETTINGS = """
[pytest]
filterwarnings = error
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
"""


@pytest.fixture
def run(tmp_path):
    """Writes a test file, runs pytest on it, and gives what pytest printed and its exit status."""

    def start(text, *args, name="test_it.py"):
        (tmp_path / name).write_text(GREETER + text)
        (tmp_path / "pytest.ini").write_text(SETTINGS)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *PLUGIN, *args, name]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr, done.returncode

    return start


def passes(run, text, *args, passed=1):
    output, status = run(text, *args)
    assert (status, f"{passed} passed" in output) == (0, True), output


def test_a_stub_gets_an_answer_and_a_wrong_token_is_refused(run):
    passes(
        run,
        """
def test_it(eas_serve):
    served = eas_serve(register, token="mine")
    assert served.token == "mine" and served.endpoint.startswith("127.0.0.1:")
    assert GreeterServiceStub(served.channel).SayHello(WORLD).message == "Hello, World!"
    assert served.channel is served.channel
    assert served.health.status("eas_grpc_pb.greeter.v1.GreeterService") == "SERVING"
    for token in ("wrong", None):
        with pytest.raises(CallError, match="UNAUTHENTICATED"):
            GreeterServiceStub(served.connect(token=token)).SayHello(WORLD)
""",
    )


def test_each_server_has_a_token_of_its_own_which_is_never_printed(run):
    passes(
        run,
        """
def test_it(eas_serve):
    first, second = eas_serve(register), eas_serve(register)
    assert first.token != second.token and first.endpoint != second.endpoint
    assert first.token not in repr(first)
    for served in (first, second):
        GreeterServiceStub(served.channel).SayHello(WORLD)
    with pytest.raises(CallError, match="UNAUTHENTICATED"):
        GreeterServiceStub(second.connect(token=first.token)).SayHello(WORLD)
""",
    )


def test_options_of_the_server_hold_and_keep_their_tokens(run):
    passes(
        run,
        """
def test_it(eas_serve):
    served = eas_serve(register, options=ServerOptions(tokens=("old",), max_message_bytes=1000))
    GreeterServiceStub(served.connect(token="old")).SayHello(WORLD)
    with pytest.raises(CallError, match="RESOURCE_EXHAUSTED"):
        GreeterServiceStub(served.channel).SayHello(HelloRequest(name="x" * 2000))
""",
    )


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
def test_async_tests_have_a_channel_of_which_nothing_is_left(run, server):
    """pytest-asyncio closes the loop of the test before the fixture ends."""
    passes(
        run,
        f"""
import gc, weakref
made = []

async def test_it(eas_serve):
    served = eas_serve({server})
    channel = served.connect_aio()
    stub = GreeterServiceStub(channel)
    made.append(weakref.ref(channel))
    answers = await asyncio.gather(*[stub.SayHello(WORLD) for _ in range(20)])
    assert {{answer.message for answer in answers}} == {{"Hello, World!"}}
    async with served.connect_aio(token="wrong") as other:
        with pytest.raises(CallError, match="UNAUTHENTICATED"):
            await GreeterServiceStub(other).SayHello(WORLD)

def test_then_it_is_gone():
    gc.collect()
    assert made[0]() is None
    assert not [each for each in threading.enumerate() if each.name == "eas-serve"]
""",
        passed=2,
    )


def test_a_channel_on_a_loop_that_goes_on_is_closed(run):
    passes(
        run,
        """
made = []

@pytest.mark.asyncio(loop_scope="session")
async def test_it(eas_serve):
    made.append(eas_serve(register).connect_aio())
    await GreeterServiceStub(made[0]).SayHello(WORLD)

@pytest.mark.asyncio(loop_scope="session")
async def test_then_it_is_closed():
    with pytest.raises(grpc.aio.UsageError, match="closed"):
        await GreeterServiceStub(made[0]).SayHello(WORLD)
""",
        passed=2,
    )


def test_a_channel_for_a_loop_of_the_tests_own_is_left_to_it(run):
    passes(
        run,
        """
def test_it(eas_serve):
    channel = eas_serve(register).connect_aio()

    async def main():
        async with channel:
            return await GreeterServiceStub(channel).SayHello(WORLD)

    assert asyncio.run(main()).message == "Hello, World!"
""",
    )


def test_async_methods_on_the_plain_server_are_refused_with_the_way_out(run):
    output, status = run("def test_it(eas_serve):\n    eas_serve(register_async)\n")
    assert status == 1
    assert "it is `async def`" in output
    assert "ERROR" not in output


def test_asyncio_leaves_no_thread_when_it_cannot_serve(run):
    passes(
        run,
        """
def test_it(eas_serve):
    with pytest.raises(ConfigError):
        eas_serve(register, use_asyncio=True)
    assert not [each for each in threading.enumerate() if each.name == "eas-serve"]
""",
    )


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
def test_everything_ends_when_the_test_fails_too(run, server):
    """The second test sees what the first has left behind; a stream under way holds nothing up."""
    output, status = run(f"""
import socket, time
from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloManyTimesRequest
left = []

def test_fails(eas_serve):
    served = eas_serve({server})
    left.append(served)
    stream = GreeterServiceStub(served.channel).SayHelloManyTimes(HelloManyTimesRequest(interval_ms=60000))
    left.append(time.monotonic())
    raise RuntimeError("on purpose")

def test_sees_nothing_left():
    served, failed = left
    assert time.monotonic() - failed < 5
    host, port = served.endpoint.split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))
    with pytest.raises(ValueError, match="closed channel"):
        GreeterServiceStub(served.channel).SayHello(WORLD)
""")
    assert (status, "1 failed, 1 passed" in output) == (1, True), output


def test_it_works_in_several_workers(run):
    passes(
        run,
        """
@pytest.mark.parametrize("number", range(6))
def test_it(eas_serve, number):
    GreeterServiceStub(eas_serve(register).channel).SayHello(WORLD)
""",
        "-n2",
        passed=6,
    )


def test_a_server_starts_and_answers_in_well_under_half_a_second(run):
    """Once grpc is loaded; the fastest of five, since machines are busy."""
    passes(
        run,
        """
import time

def test_it(eas_serve):
    taken = []
    for _ in range(5):
        before = time.perf_counter()
        GreeterServiceStub(eas_serve(register).channel).SayHello(WORLD)
        taken.append(time.perf_counter() - before)
    assert min(taken) < 0.3
""",
    )


def test_pytest_starts_without_anything_heavy(tmp_path):
    """In a fresh process: who has eas-grpc installed and tests something else pays next to nothing."""
    (tmp_path / "test_it.py").write_text("""
import json, sys
def test_it(pytestconfig):
    assert any(name.endswith("eas_grpc.testing.plugin") for name in sys.modules)
    print(json.dumps(sorted({"grpc", "numpy", "google.protobuf", "asyncio.events", "eas_grpc.serving"} & set(sys.modules))))
""")
    others = [
        "-p",
        "no:cacheprovider",
        "-p",
        "no:asyncio",
        "-p",
        "no:xdist",
        "-p",
        "no:cov",
        "-p",
        "no:hypothesispytest",
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-s", *others, *PLUGIN, "test_it.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    (found,) = [line for line in done.stdout.splitlines() if line.startswith("[")]
    assert [name for name in json.loads(found.rstrip(".")) if not name.startswith("asyncio")] == []


def test_the_door_offers_the_types_and_nothing_else():
    assert dir(testing) == testing.__all__ == ["LocalGateway", "MakeGateway", "Serve", "Served"]
    assert testing.LocalGateway.__module__ == "eas_grpc.testing._gateway"
    assert testing.Served.__module__ == "eas_grpc.testing._served"
    with pytest.raises(AttributeError, match="has no attribute 'Serving'"):
        testing.Serving
