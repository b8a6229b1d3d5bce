"""Our channels call greeters written in Go and JavaScript, in both colours and all four shapes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloManyTimesRequest, HelloRequest
from eas_grpc_pb.greeter.v1.greeter_pb2_grpc import GreeterServiceStub
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from interop.programs import TOKEN, serving

import eas_grpc
from eas_grpc import aio
from eas_grpc.errors import CallError, Origin

pytestmark = pytest.mark.interop

WORLD = "Hello, World!"
GREETINGS = {
    "SayHello": [WORLD],
    "SayHelloManyTimes": [WORLD, WORLD],
    "SayHelloToAll": ["Hello, World and Moon!"],
    "Chat": [WORLD, "Hello, Moon!"],
}
STREAMS = {"SayHelloManyTimes", "Chat"}
REQUEST_STREAMS = {"SayHelloToAll", "Chat"}
# grpc core rounds a deadline of a second or more up to the next 10 ms when it writes grpc-timeout.
ROUNDING_MS = 10


@dataclass
class Outcome:
    """All that a caller can learn from one call."""

    messages: list[str] = field(default_factory=list)
    error: Any = None
    code: str = ""
    details: str = ""
    initial: list[tuple[str, Any]] = field(default_factory=list)
    trailing: list[tuple[str, Any]] = field(default_factory=list)

    def seen(self, key: str) -> list[Any]:
        """What the server says it saw."""
        return [value for name, value in self.trailing if name == key]


def request_for(method: str, names: tuple[str, ...]) -> Any:
    if method == "SayHello":
        return HelloRequest(name=names[0])
    if method == "SayHelloManyTimes":
        return HelloManyTimesRequest(name=names[0], count=2)
    return iter([HelloRequest(name=name) for name in names])


def call_sync(address: str, method: str, names: tuple[str, ...], token: str, options: Any) -> Outcome:
    outcome = Outcome()
    with eas_grpc.connect(address, token=token) as channel:
        multicallable = getattr(GreeterServiceStub(channel), method)
        begin = multicallable if method in STREAMS else multicallable.future
        call = begin(request_for(method, names), **options)
        try:
            for reply in call if method in STREAMS else [call.result()]:
                outcome.messages.append(reply.message)
        except grpc.RpcError as error:
            outcome.error = error
        outcome.code, outcome.details = call.code().name, call.details()
        outcome.initial, outcome.trailing = list(call.initial_metadata()), list(call.trailing_metadata())
    return outcome


async def nothing() -> AsyncIterator[HelloRequest]:
    """Requests that never come."""
    await asyncio.Event().wait()
    yield HelloRequest()


async def call_aio(address: str, method: str, names: tuple[str, ...], token: str, options: Any) -> Outcome:
    outcome = Outcome()
    requests = request_for(method, names)
    if token != TOKEN and method in REQUEST_STREAMS:
        # A write that meets a call the server has just ended turns its status into INTERNAL: grpc/grpc#36066.
        requests = nothing()
    async with aio.connect(address, token=token) as channel:
        call = getattr(GreeterServiceStub(channel), method)(requests, **options)
        try:
            if method in STREAMS:
                async for reply in call:
                    outcome.messages.append(reply.message)
            else:
                outcome.messages.append((await call).message)
        except grpc.aio.AioRpcError as error:
            outcome.error = error
        outcome.code, outcome.details = (await call.code()).name, await call.details()
        outcome.initial = list(await call.initial_metadata())
        outcome.trailing = list(await call.trailing_metadata())
    return outcome


@pytest.fixture(scope="module", params=["go", "js"])
def server(request) -> Iterator[str]:
    """The address of a greeter that wants TOKEN."""
    if request.param == "go":
        command = [request.getfixturevalue("go_programs") / "server"]
    else:
        node, folder = request.getfixturevalue("node_programs")
        command = [node, folder / "server.js"]
    with serving(*command, TOKEN) as address:
        yield address


@pytest.fixture(params=["sync", "aio"])
def call(request, server):
    """Makes one call on a channel of its own."""

    def run(method: str, *names: str, token: str = TOKEN, **options: Any) -> Outcome:
        if request.param == "sync":
            return call_sync(server, method, names, token, options)
        return asyncio.run(call_aio(server, method, names, token, options))

    return run


@pytest.fixture(params=GREETINGS)
def method(request) -> str:
    return request.param


def test_a_greeting_arrives_and_the_token_was_sent_once(call, method):
    outcome = call(method, "World", "Moon")
    assert (outcome.code, outcome.error) == ("OK", None)
    assert outcome.messages == GREETINGS[method]
    assert outcome.seen("x-authorization") == [f"Bearer {TOKEN}"]
    assert outcome.seen("x-raw-bin") == [b"\x00\xff"]


def test_initial_metadata_arrives(call):
    assert dict(call("SayHello", "World").initial)["x-language"] in {"go", "js"}


def test_the_default_deadline_reaches_the_server_unless_it_answers_with_a_stream(call, method):
    (left,) = call(method, "World").seen("x-timeout-ms")
    if method in STREAMS:
        assert left == "none"
    else:
        assert 4000 < float(left) <= 5000 + ROUNDING_MS


def test_a_deadline_of_the_call_reaches_the_server(call, method):
    (left,) = call(method, "World", timeout=2.5).seen("x-timeout-ms")
    assert 1500 < float(left) <= 2500 + ROUNDING_MS


def test_status_details_and_trailers_of_a_failure_arrive(call, method):
    outcome = call(method, "fail")
    assert (outcome.code, outcome.details) == ("FAILED_PRECONDITION", "größer als 100 % of it")
    assert isinstance(outcome.error, CallError)
    assert isinstance(outcome.error, grpc.RpcError)
    failure = outcome.error.failure
    assert (failure.status, failure.details, failure.origin) == (outcome.code, outcome.details, Origin.SERVER)
    assert ("x-raw-bin", b"\x00\xff") in failure.trailing_metadata
    assert outcome.seen("x-raw-bin") == [b"\x00\xff"]


def test_messages_before_a_failure_arrive(call):
    outcome = call("Chat", "World", "fail")
    assert (outcome.code, outcome.messages) == ("FAILED_PRECONDITION", [WORLD])


def test_a_wrong_token_is_refused_with_a_hint_that_does_not_show_it(call, method):
    outcome = call(method, "World", token="wrong-token")
    assert (outcome.code, outcome.details) == ("UNAUTHENTICATED", "token refused")
    assert outcome.seen("x-authorization") == ["Bearer wrong-token"]
    assert outcome.error.hint
    assert "wrong-token" not in str(outcome.error)


def test_an_unavailable_server_is_tried_until_it_answers(call, method):
    """Where requests stream the attempts are ours, and core lets none of them say its number: there the server counts."""
    name = "counted" if method in {"SayHelloToAll", "Chat"} else "flaky"
    outcome = call(method, name)
    assert (outcome.code, outcome.error) == ("OK", None)
    assert set(outcome.messages) == {f"Hello, {name}!"}


def test_the_health_check_of_the_server_is_understood(server):
    with eas_grpc.connect(server, token=TOKEN) as channel:
        reply = HealthStub(channel).Check(HealthCheckRequest())
    assert reply.status == HealthCheckResponse.SERVING
