"""The fixtures around the gateway, as pytest runs them for a user: a process of its own, with the plugin and no other help."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

from eas_grpc.errors import ConfigError
from eas_grpc.testing import LocalGateway
from server_demo.gateway import Response

INSTALLED = "eas_grpc.testing.plugin" in {entry.value for entry in entry_points(group="pytest11")}
PLUGIN = [] if INSTALLED else ["-p", "eas_grpc.testing.plugin"]

HEAD = """
import grpc, pytest, requests
from eas_grpc.errors import CallError
from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloRequest
from eas_grpc_pb.greeter.v1.greeter_pb2_grpc import GreeterServiceStub, add_GreeterServiceServicer_to_server
from server_demo.gateway import GatewayOptions, Response
from server_demo.greeter import AsyncGreeter, Greeter

WORLD = HelloRequest(name="World")

class Loud(Greeter):
    def SayHello(self, request, context):
        answer = super().SayHello(request, context)
        answer.message = answer.message.upper()
        return answer

def register(server):
    add_GreeterServiceServicer_to_server(Greeter(), server)

def register_async(server):
    add_GreeterServiceServicer_to_server(AsyncGreeter(), server)

def register_loud(server):
    add_GreeterServiceServicer_to_server(Loud(), server)

def greet(channel):
    return GreeterServiceStub(channel).SayHello(WORLD).message
"""

SETTINGS = """
[pytest]
filterwarnings = error
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
"""


@pytest.fixture
def run(tmp_path):
    """Writes a test file, runs pytest on it, and gives what pytest printed and its exit status."""

    def start(text, *args):
        (tmp_path / "test_it.py").write_text(HEAD + text)
        (tmp_path / "pytest.ini").write_text(SETTINGS)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *PLUGIN, *args, "test_it.py"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr, done.returncode

    return start


def passes(run, text, *args, passed=1):
    output, status = run(text, *args)
    assert (status, f"{passed} passed" in output) == (0, True), output


def test_without_a_servicer_of_ones_own_the_demo_is_behind_it_over_both_protocols(run):
    passes(
        run,
        """
def test_it(eas_gateway, eas_channel):
    assert greet(eas_channel) == "Hello, World!"
    answer = requests.post(eas_gateway.url("echo"), b"abc", headers={"Authorization": str(eas_gateway.token)})
    assert (answer.status_code, answer.content) == (200, b"abc")
    assert [(call.service, call.status) for call in eas_gateway.calls()] == [("greeter", "OK"), ("echo", "200")]
""",
    )


def test_a_servicer_of_ones_own_is_behind_it_in_both_colours(run):
    passes(
        run,
        """
@pytest.fixture
def eas_register():
    return register_loud

def test_threads(eas_gateway, eas_channel):
    assert greet(eas_channel) == "HELLO, WORLD!"
    assert eas_gateway.channel is eas_channel

async def test_asyncio(eas_aio_channel):
    assert (await GreeterServiceStub(eas_aio_channel).SayHello(WORLD)).message == "HELLO, WORLD!"
""",
        passed=2,
    )


def test_several_services_are_told_apart_by_name_and_the_first_is_the_usual_one(run):
    passes(
        run,
        """
async def test_it(eas_make_gateway):
    gateway = eas_make_gateway()
    gateway.put(register, name="soft_one")
    gateway.put(register_loud, name="loud", http=lambda request: Response(body=request.path.encode()))
    gateway.put(register_async, name="other", use_asyncio=True, tokens=("its-own",))
    assert greet(gateway.channel) == greet(gateway.connect("soft_one")) == "Hello, World!"
    assert greet(gateway.connect("loud")) == "HELLO, WORLD!"
    assert (await GreeterServiceStub(gateway.connect_aio("loud")).SayHello(WORLD)).message == "HELLO, WORLD!"
    assert greet(gateway.connect("other", token="its-own")) == "Hello, World!"
    with pytest.raises(CallError, match="UNAUTHENTICATED"):
        greet(gateway.connect("other"))
    answer = requests.get(gateway.url("loud", "/a/b"), headers={"Authorization": str(gateway.token)})
    assert answer.text == "/a/b"
""",
    )


def test_over_tls_its_certificate_is_trusted_and_no_other(run):
    passes(
        run,
        """
def test_it(eas_make_gateway):
    first, second = eas_make_gateway(tls=True), eas_make_gateway(tls=True)
    first.put(register)
    assert greet(first.channel) == "Hello, World!"
    foreign = grpc.ssl_channel_credentials(second.certificate.chain)
    with pytest.raises(CallError, match="UNAVAILABLE"):
        greet(first.connect(credentials=foreign, retry=None))
""",
    )


def test_options_of_the_gateway_and_of_a_service_hold(run):
    passes(
        run,
        """
def test_it(eas_make_gateway):
    gateway = eas_make_gateway(options=GatewayOptions(max_body_bytes=100), token="mine")
    gateway.put(register, rate_limit=2)
    stub = GreeterServiceStub(gateway.channel)
    with pytest.raises(CallError, match="larger than the gateway's limit of 100 bytes"):
        stub.SayHello(HelloRequest(name="x" * 200))
    assert greet(gateway.connect(token="mine")) == "Hello, World!"
    with pytest.raises(CallError, match="rate limit: more than 2 calls a second"):
        for _ in range(5):
            greet(gateway.channel)
""",
    )


def test_a_fault_ends_with_its_block_and_with_the_test_also_with_one_that_fails(run):
    output, status = run(
        """
import weakref
gateways = []

def test_fails_inside(eas_gateway, eas_channel):
    gateways.append(eas_gateway)
    eas_gateway.faults.never_answer()
    with eas_gateway.faults.status("ABORTED"):
        greet(eas_channel)

def test_comes_after(eas_gateway, eas_channel):
    assert eas_gateway.faults.active() == []
    assert greet(eas_channel) == "Hello, World!"
    with pytest.raises(Exception, match="the gateway does not run"):
        gateways[0].faults.active()
"""
    )
    assert status == 1
    assert "1 failed, 1 passed" in output
    assert "ABORTED" in output


def test_the_token_is_in_no_output_of_a_test_that_fails(run):
    output, status = run(
        """
def test_it(eas_make_gateway):
    gateway = eas_make_gateway(token="canary-token")
    token = gateway.token
    gateway.put(register)
    service, record = gateway.service("service"), None
    greet(gateway.channel)
    record = gateway.calls()[0]
    raise ValueError(repr((gateway, token, service, record)))
""",
        "--showlocals",
    )
    assert (status, "ValueError" in output) == (1, True)
    # It stands in the source that pytest shows, and nowhere else.
    assert output.count("canary-token") == 1


def test_tests_in_parallel_have_gateways_of_their_own(run):
    passes(
        run,
        """
@pytest.mark.parametrize("number", range(8))
def test_it(eas_gateway, eas_channel, number):
    with eas_gateway.faults.status("ABORTED"), pytest.raises(CallError, match="ABORTED"):
        greet(eas_channel)
    assert greet(eas_channel) == "Hello, World!"
""",
        "-n",
        "2",
        passed=8,
    )


def test_what_cannot_work_is_said_before_anything_starts():
    with pytest.raises(ConfigError, match="token is empty"):
        LocalGateway(token="")
    with LocalGateway() as gateway, pytest.raises(ConfigError, match="rate_limit=-1 must be"):
        gateway.put(http=lambda request: Response(), rate_limit=-1)
