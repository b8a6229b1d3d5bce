"""`eas-grpc serve`, as a program of its own."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloRequest
from eas_grpc_pb.greeter.v1.greeter_pb2_grpc import GreeterServiceStub

import eas_grpc
from eas_grpc.cli import _serve, _target
from eas_grpc.cli.__main__ import cli
from eas_grpc.errors import CallError
from eas_grpc.serving import ServerOptions
from server_demo import app
from server_demo.gateway import GatewayOptions, demo

DEPLOY = Path(app.__file__).parent / "deploy"
READY = re.compile(r"ready on (127\.0\.0\.1:\d+)\n")


@contextmanager
def serving(*args: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The program once it is ready, and its address."""
    script = Path(sys.executable).with_name("eas-grpc")
    command = [str(script), "serve", "--port", "0", *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            ready = READY.fullmatch(line)
            assert ready, line or process.stderr.read()
            yield process, ready[1]
        finally:
            process.kill()


def greet(address: str, token: str) -> str:
    with eas_grpc.connect(address, token=token) as channel:
        return GreeterServiceStub(channel).SayHello(HelloRequest(name="World")).message


@pytest.mark.parametrize("colour", [[], ["--asyncio"]], ids=["threads", "asyncio"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_it_says_where_it_serves_and_ends_with_0_when_told_to(colour, number):
    with serving(*colour) as (process, address):
        assert greet(address, "demo-token") == "Hello, World!"
        with pytest.raises(CallError, match="UNAUTHENTICATED"):
            greet(address, "another")
        process.send_signal(number)
        rest, errors = process.communicate(timeout=20)
        assert (process.returncode, rest, errors) == (0, "", "")


def test_a_token_of_ones_own_replaces_the_well_known_one():
    with serving("--token", "my-own") as (process, address):
        assert greet(address, "my-own") == "Hello, World!"
        with pytest.raises(CallError, match="UNAUTHENTICATED"):
            greet(address, "demo-token")
        process.terminate()
        assert "my-own" not in "".join(process.communicate(timeout=20))


def test_a_port_that_is_taken_is_refused_with_what_to_do():
    with app.build() as server:
        done = CliRunner().invoke(cli, ["serve", "--port", str(server.port)])
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr == (
        f"Error: cannot listen on 127.0.0.1:{server.port}: another program listens there already;"
        " choose another port, or 0 for any free one\n"
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_an_address_that_others_can_reach_needs_to_be_meant(host):
    done = CliRunner().invoke(cli, ["serve", "--host", host, "--port", "0"])
    assert done.exit_code == 2
    assert done.stdout == ""
    assert f"'{host}' can be reached from other machines" in done.stderr
    assert "a well-known token" in done.stderr
    assert "--public" in done.stderr


def test_only_the_well_known_token_is_called_so():
    own = CliRunner().invoke(cli, ["serve", "--host", "0.0.0.0", "--token", "my-own"])
    none = CliRunner().invoke(cli, ["serve", "--host", "0.0.0.0", "--no-token"])
    assert "machines: listen on 127.0.0.1" in own.stderr
    assert "asks for no token: listen on" in none.stderr


def test_without_a_token_everybody_may_call():
    with serving("--no-token") as (_, address), eas_grpc.connect(address) as channel:
        assert GreeterServiceStub(channel).SayHello(HelloRequest(name="World")).message == "Hello, World!"


def test_verbose_prints_a_line_for_each_call_and_no_token():
    with serving("--verbose") as (process, address):
        assert greet(address, "demo-token") == "Hello, World!"
        process.terminate()
        errors = process.communicate(timeout=20)[1]
    assert errors.count("\n") == 1
    assert " OK greeter /eas_grpc_pb.greeter.v1.GreeterService/SayHello from 127.0.0.1:" in errors
    assert "demo-token" not in errors


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--token", ""], "token is empty"),
        (["--token", "two words"], "a space"),
        (["--port", "65536"], "--port"),
        (["--port", "-1"], "--port"),
        (["--host", "127.0.0.1:80"], "127.0.0.1:80"),
        (["--host", ""], "host is empty: write '127.0.0.1'"),
        (["--host", "two words"], "that name does not exist"),
        (["--token", "t", "--no-token"], "--token and --no-token exclude each other"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_work_is_a_usage_error_in_one_sentence(args, said):
    done = CliRunner().invoke(cli, ["serve", "--port", "0", *args])
    assert done.exit_code == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: ")


def test_the_flags_reach_the_gateway(monkeypatch):
    runs = []
    monkeypatch.setattr(
        demo, "serve", lambda gateway, tokens, **options: runs.append((gateway, tokens, options)) or 0
    )
    flags = ["--token", "t", "--token", "u", "--asyncio", "--gateway", "dedicated", "--max-body", "0"]
    flags += ["--keepalive", "7", "--strict-auth", "--fault", "html", "--upstream", "mine=127.0.0.1:9"]
    assert CliRunner().invoke(cli, ["serve", *flags]).exit_code == 0
    assert CliRunner().invoke(cli, ["serve"]).exit_code == 0
    (told, told_tokens, told_options), (plain, plain_tokens, plain_options) = runs
    assert told.options == replace(
        GatewayOptions.dedicated(), max_body_bytes=None, keepalive=7.0, strict_auth=True
    )
    assert (told_tokens, told_options["use_asyncio"], told_options["faults"]) == (("t", "u"), True, ("html",))
    assert plain.options == GatewayOptions()
    assert (plain_tokens, plain_options["use_asyncio"], plain_options["faults"]) == (
        ("demo-token",),
        False,
        (),
    )


def test_serve_and_the_commands_that_dial_agree_on_the_defaults():
    defaults = {option.name: option.default for option in _serve.serve.params}
    assert (defaults["host"], defaults["port"]) == (app.DEFAULT_HOST, app.DEFAULT_PORT)
    assert f"{app.DEFAULT_HOST}:{app.DEFAULT_PORT}" == _target.LOCAL_ENDPOINT
    assert app.DEFAULT_TOKEN == _target.LOCAL_TOKEN


def test_behind_a_gateway_one_connection_may_carry_more_calls():
    assert app.parse(["--behind-gateway"])["options"] is app.BEHIND_GATEWAY
    assert app.BEHIND_GATEWAY.max_concurrent_streams > ServerOptions().max_concurrent_streams
    service = json.loads((DEPLOY / "service.json").read_text())
    script = service["containers"][0]["script"].split()
    assert script[:3] == ["python", "-m", "server_demo"]
    assert app.parse(script[3:])["options"] is app.BEHIND_GATEWAY
    assert json.dumps(script) in (DEPLOY / "Dockerfile").read_text()
