"""Which calls are tried again, how often, and how large they may be: counted by the server."""

from __future__ import annotations

import time
from concurrent import futures
from itertools import count

import grpc
import pytest
from eas_grpc_pb.greeter.v1 import greeter_pb2, greeter_pb2_grpc
from support.echo import SHAPES
from support.paths import Path

import eas_grpc
from eas_grpc import RetryPolicy, aio
from eas_grpc.retry import service_config

CASES = [Path(shape, colour, "connect") for shape in SHAPES for colour in ("sync", "aio")]
QUICK = RetryPolicy(initial_backoff=0.01, max_backoff=0.02)
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
SIZE = 3_000_000


@pytest.fixture(params=CASES, ids=str)
def path(request):
    return request.param


class Scripted(grpc.GenericRpcHandler):
    """A server that fails the first `failures` attempts with `status`, then answers the request's size.

    It sends no header before that. `previous` has what each attempt said of those before it.
    """

    def __init__(self, failures=10, status=UNAVAILABLE, answer=lambda request: str(len(request)).encode()):
        self._failures = failures
        self.status = status
        self._answer = answer
        self._attempts = count()
        self.previous = []

    def __enter__(self):
        # Else the system may give it a port that another such server has as well.
        self._server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((self,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()
        return self

    def __exit__(self, *_):
        self._server.stop(0).wait()

    def service(self, handler_call_details):
        name = handler_call_details.method.rpartition("/")[2]
        if name in {"unary_stream", "SayHelloManyTimes"}:
            return grpc.unary_stream_rpc_method_handler(self._stream)
        if name == "stream_unary":
            return grpc.stream_unary_rpc_method_handler(self._whole)
        if name == "stream_stream":
            return grpc.stream_stream_rpc_method_handler(
                lambda requests, context: self._stream(b"".join(requests), context)
            )
        return grpc.unary_unary_rpc_method_handler(self._single)

    def _whole(self, requests, context):
        return self._single(b"".join(requests), context)

    def _single(self, request, context):
        said = dict(context.invocation_metadata())
        self.previous.append(int(said.get("grpc-previous-rpc-attempts", 0)))
        if next(self._attempts) < self._failures:
            context.abort(self.status, "scripted")
        return self._answer(request)

    def _stream(self, request, context):
        yield self._single(request, context)


def numbers(path, *previous):
    """What the attempts of a call say: nothing where we make them, since core keeps that to itself."""
    return [0] * len(previous) if path.many_requests else list(previous)


def outcome(client, *requests, **options):
    try:
        return client.run(*requests, **options)
    except grpc.RpcError as error:
        return error.code()


def test_unavailable_is_tried_four_times_in_all_and_each_says_which_it_is(path):
    with Scripted() as server, path.client(server.address) as client:
        assert outcome(client, b"hi") is UNAVAILABLE
        assert server.previous == numbers(path, 0, 1, 2, 3)


def test_the_fourth_attempt_may_succeed(path):
    with Scripted(failures=3) as server, path.client(server.address, retry=QUICK) as client:
        assert outcome(client, b"hi") == [b"2"]
        assert server.previous == numbers(path, 0, 1, 2, 3)


def test_no_other_status_is_tried_again(path):
    others = [status for status in grpc.StatusCode if status not in {UNAVAILABLE, grpc.StatusCode.OK}]
    with Scripted(failures=len(others)) as server, path.client(server.address, retry=QUICK) as client:
        for server.status in others:
            assert outcome(client, b"hi") is server.status
        assert server.previous == [0] * len(others)


@pytest.mark.parametrize("name", [None, "method", "service"])
def test_what_is_not_to_be_tried_again_is_tried_once(path, name):
    excluded = {"method": f"test.Echo/{path.shape}", "service": "test.Echo"}
    retry = None if name is None else RetryPolicy(initial_backoff=0.01, exclude=(excluded[name],))
    with Scripted() as server, path.client(server.address, retry=retry) as client:
        assert outcome(client, b"hi") is UNAVAILABLE
        assert server.previous == [0]


GREETER = "eas_grpc_pb.greeter.v1.GreeterService"


def greet(address, retry):
    with eas_grpc.connect(address, retry=retry) as channel:
        stub = greeter_pb2_grpc.GreeterServiceStub(channel)
        try:
            return stub.SayHello(greeter_pb2.HelloRequest()).message
        except grpc.RpcError as error:
            return error.code()


def greet_many(address, retry):
    with eas_grpc.connect(address, retry=retry) as channel:
        stub = greeter_pb2_grpc.GreeterServiceStub(channel)
        try:
            return [answer.message for answer in stub.SayHelloManyTimes(greeter_pb2.HelloManyTimesRequest())]
        except grpc.RpcError as error:
            return error.code()


async def greet_aio(address, retry):
    async with aio.connect(address, retry=retry) as channel:
        stub = greeter_pb2_grpc.GreeterServiceStub(channel)
        try:
            return (await stub.SayHello(greeter_pb2.HelloRequest())).message
        except grpc.RpcError as error:
            return error.code()


def hello(request):
    return greeter_pb2.HelloResponse(message="hello").SerializeToString()


async def test_in_an_excluded_service_a_method_that_its_proto_calls_idempotent_is_tried_again():
    """SayHello has `idempotency_level = NO_SIDE_EFFECTS`, SayHelloManyTimes says nothing."""
    retry = RetryPolicy(initial_backoff=0.01, exclude=(GREETER,))
    with Scripted(failures=2, answer=hello) as server:
        assert greet(server.address, retry) == "hello"
        assert server.previous == [0, 1, 2]
    with Scripted(failures=2, answer=hello) as server:
        assert await greet_aio(server.address, retry) == "hello"
        assert server.previous == [0, 1, 2]
    with Scripted(failures=2, answer=hello) as server:
        assert greet_many(server.address, retry) is UNAVAILABLE
        assert server.previous == [0]


async def test_an_idempotent_method_that_is_excluded_by_name_is_tried_once():
    retry = RetryPolicy(initial_backoff=0.01, exclude=(GREETER, f"{GREETER}/SayHello"))
    with Scripted() as server:
        assert greet(server.address, retry) is UNAVAILABLE
        assert await greet_aio(server.address, retry) is UNAVAILABLE
        assert server.previous == [0, 0]


def test_the_deadline_bounds_the_attempts(path):
    patient = RetryPolicy(initial_backoff=10, max_backoff=10)
    with Scripted() as server, path.client(server.address, retry=patient) as client:
        began = time.monotonic()
        assert outcome(client, b"hi", timeout=0.3) is grpc.StatusCode.DEADLINE_EXCEEDED
        assert 0.29 <= time.monotonic() - began < 2
        assert server.previous == [0]


@pytest.mark.parametrize("choice", [{"max_request": None}, {"profile": "direct"}], ids=str)
def test_a_request_of_three_megabytes_is_tried_again_as_a_small_one_is(path, choice):
    for request in (b"hi", b"x" * SIZE):
        with Scripted(failures=2) as server, path.client(server.address, retry=QUICK, **choice) as client:
            assert outcome(client, request) == [str(len(request)).encode()]
            assert server.previous == numbers(path, 0, 1, 2)


async def test_without_a_replay_buffer_grpc_forgets_to_try_a_large_request_again():
    options = [("grpc.service_config", service_config(QUICK))]
    for request, previous in ((b"hi", [0, 1, 2]), (b"x" * SIZE, [0])):
        code = grpc.StatusCode.OK if len(previous) == 3 else UNAVAILABLE
        with Scripted(failures=2) as server, grpc.insecure_channel(server.address, options) as bare:
            assert bare.unary_unary("/test.Echo/unary_unary").future(request).code() is code
            assert server.previous == previous
        with Scripted(failures=2) as server:
            async with grpc.aio.insecure_channel(server.address, options) as bare:
                assert await bare.unary_unary("/test.Echo/unary_unary")(request).code() is code
            assert server.previous == previous
