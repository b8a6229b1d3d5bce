"""Starting, refusing to start, and stopping without losing a call."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloManyTimesRequest, HelloRequest
from eas_grpc_pb.greeter.v1.greeter_pb2_grpc import GreeterServiceStub
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.serving import (
    COLOURS,
    SERVICE,
    Async,
    Gate,
    Sync,
    bearer,
    call,
    dial,
    handlers,
    path,
    refused,
    register,
    running,
)

from eas_grpc import serving
from eas_grpc.errors import ConfigError


@pytest.fixture(params=COLOURS)
def colour(request):
    return request.param


def test_a_free_port_is_taken_and_named(colour):
    with running(colour) as server, dial(server) as channel:
        assert server.address == f"127.0.0.1:{server.port}"
        assert server.port > 0
        assert call(channel, "unary_unary", b"hi") == b"hi"


def test_a_port_that_is_taken_is_refused_with_the_reason(colour):
    with running(colour) as server:
        text = f"cannot listen on 127.0.0.1:{server.port}: another program listens there already"
        with pytest.raises(ConfigError, match=re.escape(text)), running(colour, port=server.port):
            pass


def test_a_port_is_free_again_right_after_a_stop(colour):
    with running(colour) as server, dial(server) as channel:
        assert call(channel, "unary_unary", b"hi") == b"hi"
        port = server.port
    with running(colour, port=port) as server, dial(server) as channel:
        assert call(channel, "unary_unary", b"hi") == b"hi"


def test_an_address_of_another_machine_is_refused_with_the_reason(colour):
    text = r"cannot listen on 192\.0\.2\.1:0: this machine does not have that address; write '127\.0\.0\.1'"
    with pytest.raises(ConfigError, match=text), running(colour, host="192.0.2.1"):
        pass


def test_a_name_that_nobody_has_is_refused_with_the_reason(colour):
    with pytest.raises(ConfigError, match="that name does not exist"), running(colour, host="two words"):
        pass


def test_run_outside_the_main_thread_says_what_to_use_there():
    async def serve():
        return await serving.run_async(register("aio", Gate()))

    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(ConfigError, match=r"main thread alone: use `with serving\.Server"):
            pool.submit(serving.run, register("sync", Gate())).result()
        with pytest.raises(ConfigError, match=r"main thread alone: use `async with serving\.AsyncServer"):
            pool.submit(asyncio.run, serve()).result()


@pytest.mark.parametrize("kind", [serving.Server, serving.AsyncServer])
def test_options_of_another_type_are_refused(kind):
    with pytest.raises(ConfigError, match=r"options must be a serving\.ServerOptions, not dict"):
        kind(register("sync", Gate()), options={"max_workers": 2})


def has_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_ipv6_is_written_with_brackets(colour, host):
    with running(colour, host=host) as server, dial(server) as channel:
        assert server.address == f"[::1]:{server.port}"
        assert call(channel, "unary_unary", b"hi") == b"hi"


def test_the_port_is_not_known_before_the_start():
    for kind, adding in ((serving.Server, "sync"), (serving.AsyncServer, "aio")):
        server = kind(register(adding, Gate()))
        for question in ("port", "address"):
            with pytest.raises(ConfigError, match=r"after start\(\)"):
                getattr(server, question)


def test_a_server_starts_once():
    with (
        serving.Server(register("sync", Gate())) as server,
        pytest.raises(ConfigError, match="make a new one"),
    ):
        server.start()
    server.stop()


async def test_an_async_server_starts_once_and_is_a_context():
    async with serving.AsyncServer(register("aio", Gate())) as server:
        with pytest.raises(ConfigError, match="make a new one"):
            await server.start()
        assert not await server.wait(0.01)
    assert await server.wait()


def test_a_plain_function_on_an_async_server_is_refused_by_name():
    with pytest.raises(ConfigError, match=f"/{SERVICE}/unary_unary: it is a plain function"):
        serving.AsyncServer(register("sync", Gate()))


def test_an_async_function_on_a_synchronous_server_is_refused_by_name():
    with pytest.raises(ConfigError, match=f"/{SERVICE}/unary_unary: it is `async def`; write a plain"):
        serving.Server(register("aio", Gate()))


def test_a_plain_function_behind_a_generic_handler_is_found_when_it_is_called():
    generic = grpc.method_handlers_generic_handler(SERVICE, handlers(Sync(Gate())))
    adding = lambda server: server.add_generic_rpc_handlers((generic,))  # noqa: E731
    with running("aio", adding) as server, dial(server) as channel:
        assert refused(channel, "unary_unary", b"hi")[0] is grpc.StatusCode.UNKNOWN


def test_an_async_function_behind_a_generic_handler_is_found_when_it_is_called():
    generic = grpc.method_handlers_generic_handler(SERVICE, handlers(Async(Gate())))
    adding = lambda server: server.add_generic_rpc_handlers((generic,))  # noqa: E731
    with running("sync", adding) as server, dial(server) as channel:
        assert refused(channel, "unary_unary", b"hi")[0] is grpc.StatusCode.UNKNOWN


def test_generic_handlers_are_services_too(colour):
    def adding(server):
        inner = register(colour, Gate())
        inner(Renamed(server))

    class Renamed:
        def __init__(self, server):
            self.server = server

        def add_registered_method_handlers(self, name, methods):
            generic = grpc.method_handlers_generic_handler(name, methods)
            self.server.add_generic_rpc_handlers((generic,))

    with running(colour, adding) as server, dial(server) as channel:
        assert call(channel, "stream_stream", b"hi") == b"hi"
        assert server.health.status(SERVICE) == "SERVING"


def outcome(channel):
    try:
        return call(channel, "unary_unary", b"hi")
    except grpc.RpcError as error:
        return error.code()


def test_a_call_under_way_finishes_and_a_new_one_is_refused(colour):
    gate = Gate()
    with running(colour, gate=gate) as server, dial(server) as channel, dial(server) as late:
        pending = channel.unary_unary(path("unary_unary")).future(b"hold")
        gate.wait_entered()
        watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watching).status == health_pb2.HealthCheckResponse.SERVING
        stopping = threading.Thread(target=server.stop, args=(30,))
        stopping.start()
        assert next(watching).status == health_pb2.HealthCheckResponse.NOT_SERVING
        # NOT_SERVING comes first, so a few calls may still get in after it.
        while outcome(late) == b"hi":
            pass
        assert outcome(late) is grpc.StatusCode.UNAVAILABLE
        gate.open()
        assert pending.result(timeout=10) == b"hold"
        stopping.join(20)
        assert not stopping.is_alive()
        assert server.wait(10)


def test_a_call_longer_than_the_grace_is_cut(colour):
    gate = Gate()
    options = serving.ServerOptions(grace=0.2)
    with running(colour, gate=gate, options=options) as server, dial(server) as channel:
        pending = channel.unary_unary(path("unary_unary")).future(b"hold")
        gate.wait_entered()
        begun = time.monotonic()
        server.stop()
        assert time.monotonic() - begun < 5
        assert pending.exception(timeout=10).code() in {
            grpc.StatusCode.CANCELLED,
            grpc.StatusCode.UNAVAILABLE,
        }


@contextmanager
def demo(*arguments):
    command = [sys.executable, "-m", "server_demo", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("signal_name", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("flags", [(), ("--asyncio",)], ids=["sync", "aio"])
def test_a_signal_lets_the_call_under_way_finish_and_the_program_end_well(flags, signal_name):
    with demo(*flags) as process:
        line = process.stdout.readline()
        assert re.fullmatch(r"ready on 127\.0\.0\.1:\d+\n", line)
        with grpc.insecure_channel(line.removeprefix("ready on ").strip()) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            watching = health.Watch(health_pb2.HealthCheckRequest(), timeout=30)
            assert next(watching).status == health_pb2.HealthCheckResponse.SERVING
            request = HelloManyTimesRequest(name="World", count=5, interval_ms=150)
            greetings = GreeterServiceStub(channel).SayHelloManyTimes(
                request, metadata=bearer("demo-token"), timeout=30
            )
            first = next(greetings)
            os.kill(process.pid, signal.Signals[signal_name])
            assert next(watching).status == health_pb2.HealthCheckResponse.NOT_SERVING
            assert [first, *greetings] == [first] * 5
        assert process.wait(timeout=20) == 0


@pytest.mark.parametrize("flags", [(), ("--asyncio",)], ids=["sync", "aio"])
def test_a_second_signal_ends_the_program_at_once(flags):
    with demo(*flags) as process:
        address = process.stdout.readline().removeprefix("ready on ").strip()
        with grpc.insecure_channel(address) as channel:
            names = threading.Event()

            def never_ending():
                yield HelloRequest(name="World")
                names.wait(60)

            chat = GreeterServiceStub(channel).Chat(never_ending(), metadata=bearer("demo-token"))
            next(chat)
            health = health_pb2_grpc.HealthStub(channel)
            watching = health.Watch(health_pb2.HealthCheckRequest(), timeout=30)
            next(watching)
            process.terminate()
            next(watching)
            begun = time.monotonic()
            process.terminate()
            assert process.wait(timeout=20) == -signal.SIGTERM
            assert time.monotonic() - begun < 5
            names.set()
