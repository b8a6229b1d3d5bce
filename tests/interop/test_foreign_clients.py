"""Clients in Go and JavaScript make every call of the greeter against `eas-grpc serve`."""

from __future__ import annotations

import json

import grpc
import pytest
from interop.programs import TOKEN, finish

pytestmark = pytest.mark.interop

OURS = "/eas_grpc_pb.greeter.v1.GreeterService"
HEALTH = "/grpc.health.v1.Health/Check"
HELLO_WORLD = "Hello, World!"
GREETINGS = {
    "/GreeterService/SayHello": [HELLO_WORLD],
    "/helloworld.GreeterService/SayHello": [HELLO_WORLD],
    f"{OURS}/SayHello": [HELLO_WORLD],
    f"{OURS}/SayHelloManyTimes": [HELLO_WORLD] * 3,
    f"{OURS}/SayHelloToAll": ["Hello, World and Moon!"],
    f"{OURS}/Chat": [HELLO_WORLD, "Hello, Moon!"],
    HEALTH: ["SERVING"],
}
REFUSALS = {"too late": grpc.StatusCode.DEADLINE_EXCEEDED, "too many": grpc.StatusCode.INVALID_ARGUMENT}


@pytest.fixture(params=["go", "js"])
def client(request) -> list[object]:
    """The command that takes an address and a token."""
    if request.param == "go":
        return [request.getfixturevalue("go_programs") / "client"]
    node, folder = request.getfixturevalue("node_programs")
    return [node, folder / "client.js"]


def report(*command: object) -> dict[str, dict]:
    done = finish(*command)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def status(outcome: dict) -> grpc.StatusCode:
    return next(code for code in grpc.StatusCode if code.value[0] == outcome["code"])


def test_a_client_gets_a_greeting_on_every_path_in_every_shape(serve, client):
    outcomes = report(*client, serve, TOKEN)
    assert {path: outcomes[path]["messages"] for path in GREETINGS} == GREETINGS
    assert {status(outcomes[path]) for path in GREETINGS} == {grpc.StatusCode.OK}


def test_a_client_sees_why_a_call_was_refused(serve, client):
    outcomes = report(*client, serve, TOKEN)
    assert {name: status(outcomes[name]) for name in REFUSALS} == REFUSALS
    assert outcomes["too many"]["details"].startswith("count=1001 is too many")


def test_a_client_with_a_wrong_token_gets_unauthenticated_everywhere_from_a_gateway(serve, client):
    outcomes = report(*client, serve, "wrong")
    assert outcomes.keys() == GREETINGS.keys() | REFUSALS.keys()
    assert {status(outcome) for outcome in outcomes.values()} == {grpc.StatusCode.UNAUTHENTICATED}
