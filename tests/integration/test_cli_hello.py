"""`eas-grpc hello`: where endpoint and token come from, and what people read when it does not work."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from concurrent import futures
from contextlib import contextmanager

import grpc
import pytest
from click.testing import CliRunner
from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloRequest, HelloResponse
from support.processes import reserved_port

from eas_grpc.cli import _target
from eas_grpc.cli.__main__ import cli
from server_demo import app

TOKEN = "canary-0123456789abcdef"


@pytest.fixture(scope="module")
def server():
    with app.build(token=TOKEN) as server:
        yield server


def hello(*args: str, **env: str):
    return CliRunner().invoke(cli, ["hello", *args], env=env)


def write_profiles(tmp_path, text: str) -> None:
    (tmp_path / "eas-grpc").mkdir()
    (tmp_path / "eas-grpc" / "config.toml").write_text(text)
    (tmp_path / "eas-grpc" / "config.toml").chmod(0o600)


def greeted(done, name: str = "World") -> bool:
    assert done.exit_code == 0, done.output
    assert done.stderr.startswith("helloworld.GreeterService/SayHello answered in ")
    assert TOKEN not in done.output
    return done.stdout == f"Hello, {name}!\n"


@contextmanager
def greeter_of(service: str | None, *, refuse: str = ""):
    """A plain gRPC server with SayHello under one name alone; it notes which token came."""
    tokens = []

    def say_hello(request, context):
        tokens.append(dict(context.invocation_metadata()).get("authorization"))
        if refuse:
            context.abort(grpc.StatusCode[refuse], f"this is {refuse}")
        return HelloResponse(message=f"{service} greets {request.name}")

    handler = grpc.unary_unary_rpc_method_handler(
        say_hello, HelloRequest.FromString, HelloResponse.SerializeToString
    )
    server = grpc.server(futures.ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    if service is not None:
        server.add_registered_method_handlers(service, {"SayHello": handler})
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}", tokens
    finally:
        server.stop(0).wait()


def test_the_program_greets(server):
    command = [sys.executable, "-m", "eas_grpc.cli", "hello", "-e", server.address, "--token", TOKEN, "Ada"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "Hello, Ada!\n"
    assert done.stderr.count("\n") == 1


def test_endpoint_and_token_by_option(server):
    assert greeted(hello("-e", server.address, "--token", TOKEN, "Bob"), "Bob")
    assert greeted(hello("--endpoint", f"http://{server.address}/api/predict/greeter", "--token", TOKEN))


def test_endpoint_and_token_by_environment(server):
    assert greeted(hello(EAS_ENDPOINT=server.address, EAS_TOKEN=TOKEN))


def test_the_token_may_be_in_a_file(server, tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert greeted(hello("-e", server.address, "--token-file", str(file)))
    assert greeted(hello("-e", server.address, EAS_TOKEN_FILE=str(file)))


def test_endpoint_and_token_by_profile(server, tmp_path):
    write_profiles(tmp_path, f'[prod]\nendpoint = "{server.address}"\ntoken = "{TOKEN}"\n')
    assert greeted(hello("--profile", "prod"))
    assert greeted(hello(EAS_PROFILE="prod"))


def test_the_option_wins_over_the_environment_and_that_over_the_profile(server, tmp_path):
    write_profiles(tmp_path, '[prod]\nendpoint = "127.0.0.1:1"\ntoken = "of-the-profile"\n')
    env = {"EAS_PROFILE": "prod", "EAS_ENDPOINT": server.address, "EAS_TOKEN": "of-the-environment"}
    assert hello(**env).exit_code == 80
    assert greeted(hello("--token", TOKEN, **env))
    assert greeted(hello(**(env | {"EAS_TOKEN": TOKEN})))


def test_without_anything_it_asks_the_local_server_with_its_token(monkeypatch):
    with app.build() as local:
        monkeypatch.setattr(_target, "LOCAL_ENDPOINT", local.address)
        assert greeted(hello())
        assert greeted(hello(EAS_ENDPOINT=" "))
        assert hello("--token", "wrong").exit_code == 80


def test_the_demo_token_goes_nowhere_else():
    with greeter_of("helloworld.GreeterService") as (address, tokens):
        assert hello("-e", address).exit_code == 0
        assert hello(EAS_ENDPOINT=address).exit_code == 0
        assert tokens == [None, None]


def test_a_service_whose_proto_has_no_package_is_greeted_too():
    with greeter_of("GreeterService") as (address, _):
        done = hello("-e", address)
        assert (done.exit_code, done.stdout) == (0, "GreeterService greets World\n")
        assert done.stderr.startswith("GreeterService/SayHello answered in ")


def test_a_service_that_is_no_greeter_is_told_from_one_that_does_not_answer():
    with greeter_of(None) as (address, _):
        done = hello("-e", address)
    assert done.exit_code == 64 + 12
    assert "the service answers, but is neither helloworld.GreeterService nor GreeterService" in done.stderr


def test_another_status_is_not_taken_for_a_missing_method():
    with greeter_of("helloworld.GreeterService", refuse="RESOURCE_EXHAUSTED") as (address, tokens):
        done = hello("-e", address, "--token", TOKEN)
        assert tokens == [f"Bearer {TOKEN}"]
    assert done.exit_code == 64 + 8
    assert "RESOURCE_EXHAUSTED: this is RESOURCE_EXHAUSTED" in done.stderr


def test_a_wrong_token_is_80_with_a_hint_and_stays_unseen(server):
    done = hello("-e", server.address, "--token", "another-secret-token")
    assert done.exit_code == 64 + 16
    assert done.stdout == ""
    assert "\n  hint: the token was refused" in done.stderr
    assert "another-secret-token" not in done.stderr
    assert TOKEN not in done.stderr


def test_no_token_at_all_says_how_to_give_one(server):
    done = hello("-e", server.address)
    assert done.exit_code == 80
    assert "\n  hint: no token was given" in done.stderr
    assert "EAS_TOKEN" in done.stderr


def test_nothing_listening_is_5():
    with reserved_port() as port:
        done = hello("-e", f"127.0.0.1:{port}", "--token", TOKEN)
    assert done.exit_code == 5
    assert done.stdout == ""
    assert "Connection refused" in done.stderr
    assert "\n  hint: nothing listens there" in done.stderr
    assert TOKEN not in done.stderr


def test_nothing_listening_where_nobody_named_an_endpoint_says_what_was_tried(monkeypatch):
    with reserved_port() as port:
        monkeypatch.setattr(_target, "LOCAL_ENDPOINT", f"127.0.0.1:{port}")
        done = hello()
    assert done.exit_code == 5
    assert "\n  hint: no endpoint was given" in done.stderr
    assert "eas-grpc serve" in done.stderr


@pytest.mark.parametrize(
    "endpoint", ["", "ftp://x", "host:99999", "https://host:80", "host:443", "a b", "http://"]
)
def test_an_endpoint_that_cannot_work_is_one_sentence(endpoint):
    done = hello("-e", endpoint, "--token", TOKEN)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert TOKEN not in done.stderr


@pytest.mark.parametrize("token", ["", " ", "two\nlines", "t\u00f6ken", "a b"])
def test_a_token_that_cannot_work_is_one_sentence_without_it(token):
    done = hello("-e", "127.0.0.1:1", "--token", token)
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: the token")
    assert done.stderr.count("\n") == 1
    assert "two" not in done.stderr
    assert "\u00f6ken" not in done.stderr


def test_token_and_token_file_exclude_each_other(tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN)
    done = hello("--token", TOKEN, "--token-file", str(file))
    assert done.exit_code == 2
    assert "--token and --token-file" in done.stderr
    assert TOKEN not in done.stderr


def test_a_token_file_that_is_not_there_is_named():
    done = hello("--token-file", "no/such/file")
    assert done.exit_code == 2
    assert "no/such/file" in done.stderr


def test_a_profile_that_is_not_there_is_named(tmp_path):
    missing = hello("--profile", "prod")
    assert missing.exit_code == 2
    assert "config.toml" in missing.stderr
    write_profiles(tmp_path, '[prod]\nendpoint = "127.0.0.1:1"\n')
    unknown = hello("--profile", "prd")
    assert unknown.exit_code == 2
    assert "did you mean 'prod'?" in unknown.stderr


def test_a_server_that_never_answers_is_given_up_after_the_timeout():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        done = hello("-e", f"127.0.0.1:{silent.getsockname()[1]}", "--timeout", "300ms")
    assert done.exit_code == 64 + 4
    assert "DEADLINE_EXCEEDED" in done.stderr


def test_without_an_endpoint_the_token_of_the_environment_is_used(server, tmp_path, monkeypatch):
    monkeypatch.setattr(_target, "LOCAL_ENDPOINT", server.address)
    file = tmp_path / "token"
    assert hello().exit_code == 80
    assert greeted(hello(EAS_TOKEN=TOKEN))
    unreadable = hello(EAS_TOKEN_FILE=str(file))
    assert unreadable.exit_code == 2
    assert str(file) in unreadable.stderr
    file.write_text(TOKEN)
    assert greeted(hello(EAS_TOKEN_FILE=str(file)))


def test_a_token_of_the_environment_that_the_local_server_refuses_is_named(server, monkeypatch):
    monkeypatch.setattr(_target, "LOCAL_ENDPOINT", server.address)
    done = hello(EAS_TOKEN="for-elsewhere")
    assert done.exit_code == 80
    assert "no endpoint was given, so the token of EAS_TOKEN went to" in done.stderr
    assert "for-elsewhere" not in done.stderr


@pytest.mark.parametrize(("given", "expected"), [(None, "NONE"), ("debug", "debug")])
def test_the_core_of_grpc_is_quiet_before_it_is_loaded_unless_asked_to_speak(given, expected):
    program = (
        "import os, sys; from eas_grpc.cli import __main__ as program;"
        "program.cli = lambda **_: print(os.environ['GRPC_VERBOSITY'], 'grpc' in sys.modules); program.main()"
    )
    env = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
    if given is not None:
        env["GRPC_VERBOSITY"] = given
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=env, check=True
    )
    assert done.stdout == f"{expected} False\n"
