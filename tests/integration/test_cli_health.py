"""`eas-grpc health`: one answer, a wait, a watch, a list."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from concurrent import futures
from contextlib import contextmanager

import grpc
import pytest
from click.testing import CliRunner
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.processes import reserved_port

from eas_grpc.cli.__main__ import cli
from server_demo import app

GREETER = "helloworld.GreeterService"
MODULE = [sys.executable, "-m", "eas_grpc.cli", "health"]


@pytest.fixture
def server():
    with app.build() as server:
        yield server


@contextmanager
def stock(servicer):
    server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


def listener_on(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    listener.settimeout(20)
    return listener


@contextmanager
def started(*args: str):
    with subprocess.Popen(
        [*MODULE, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def health(*args: str):
    return CliRunner().invoke(cli, ["health", *args])


def test_a_server_that_serves_is_0_without_a_token(server):
    done = health("-e", server.address)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "SERVING\n", "")


def test_one_service_can_be_asked_for(server):
    assert health("-e", server.address, GREETER).stdout == "SERVING\n"
    server.health.set(GREETER, serving=False)
    done = health("-e", server.address, GREETER)
    assert (done.exit_code, done.stdout) == (4, "NOT_SERVING\n")
    assert health("-e", server.address).exit_code == 0


def test_a_server_that_does_not_serve_is_4(server):
    server.health.set("", serving=False)
    done = health("-e", server.address)
    assert (done.exit_code, done.stdout, done.stderr) == (4, "NOT_SERVING\n", "")


def test_a_service_that_the_server_does_not_know_is_4(server):
    done = health("-e", server.address, "no.Such")
    assert (done.exit_code, done.stdout, done.stderr) == (4, "SERVICE_UNKNOWN\n", "")


def test_nothing_there_is_5():
    with reserved_port() as port:
        done = health("-e", f"127.0.0.1:{port}")
    assert done.exit_code == 5
    assert done.stdout == ""
    assert "hint: nothing listens there" in done.stderr


@pytest.mark.parametrize("mode", [[], ["--watch"], ["--list"], ["--wait", "20s"]], ids=" ".join)
def test_no_health_service_is_76_and_said_so(echo, mode):
    done = health("-e", echo.address, *mode)
    assert done.exit_code == 64 + 12
    assert done.stdout == ""
    assert "hint: this service answers gRPC, but without the standard health service" in done.stderr


@pytest.mark.parametrize("flags", [["--watch", "--list"], ["--wait", "1s", "--watch"], ["--list", "a.B"]])
def test_flags_that_exclude_each_other_are_a_usage_error(flags):
    done = health(*flags)
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1].startswith("Error: --")


def test_a_wait_begins_before_the_server_is_there():
    with reserved_port() as port:
        command = ["-e", f"127.0.0.1:{port}", "--wait", "30s"]
        # A listener that is no server proves that the program has begun to ask.
        with listener_on(port) as listener, started(*command) as process:
            listener.accept()[0].close()
            listener.close()
            with app.build(port=port):
                assert process.communicate(timeout=30) == ("SERVING\n", "")
    assert process.returncode == 0


def test_a_wait_for_a_server_that_serves_is_over_at_once(server):
    done = health("-e", server.address, "--wait", "1h")
    assert (done.exit_code, done.stdout) == (0, "SERVING\n")


def test_a_wait_for_a_server_that_does_not_come_is_5():
    with reserved_port() as port:
        done = health("-e", f"127.0.0.1:{port}", "--wait", "400ms")
    assert done.exit_code == 5
    assert done.stdout == ""
    assert done.stderr.startswith("no answer after 0.4 s\nError: ")


def test_a_wait_for_a_server_that_stays_silent_is_5():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        done = health("-e", f"127.0.0.1:{silent.getsockname()[1]}", "--wait", "400ms")
    assert done.exit_code == 5
    assert done.stderr.startswith("no answer after 0.4 s\nError: ")


def test_a_wait_for_a_server_that_does_not_serve_is_4(server):
    server.health.set("", serving=False)
    done = health("-e", server.address, "--wait", "300ms")
    assert (done.exit_code, done.stdout, done.stderr) == (4, "", "NOT_SERVING after 0.3 s\n")
    unknown = health("-e", server.address, "--wait", "300ms", "no.Such")
    assert (unknown.exit_code, unknown.stderr) == (4, "SERVICE_UNKNOWN after 0.3 s\n")


def said(process) -> str:
    """The next line of a watch, without its time."""
    line = process.stdout.readline()
    time, _, status = line.strip().partition(" ")
    assert re.fullmatch(r"\d\d:\d\d:\d\d", time), line or process.stderr.read()
    return status


def test_a_watch_prints_each_change_up_to_the_end_of_the_server():
    server = app.build().start()
    try:
        with started("-e", server.address, "--watch", GREETER) as process:
            assert said(process) == "SERVING"
            server.health.set(GREETER, serving=False)
            assert said(process) == "NOT_SERVING"
            server.health.set(GREETER, serving=True)
            assert said(process) == "SERVING"
            server.stop()
            assert said(process) == "NOT_SERVING"
            rest, errors = process.communicate(timeout=20)
            assert process.returncode == 4
            assert rest == ""
            assert re.fullmatch(r"\d\d:\d\d:\d\d the watch ended: .+\n", errors), errors
    finally:
        server.stop(0)


def test_ctrl_c_ends_a_watch_quietly(server):
    with started("-e", server.address, "--watch") as process:
        assert said(process) == "SERVING"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == ("", "")
        assert process.returncode == 0


def test_a_watch_whose_reader_is_gone_ends_without_a_traceback(server):
    with started("-e", server.address, "--watch") as process:
        assert said(process) == "SERVING"
        process.stdout.close()
        server.health.set("", serving=False)
        assert process.wait(20) == 0
        assert process.stderr.read() == ""


def test_a_watch_of_a_service_that_is_not_there_says_so(server):
    with started("-e", server.address, "--watch", "no.Such") as process:
        assert said(process) == "SERVICE_UNKNOWN"


class Closing(health_pb2_grpc.HealthServicer):
    """Ends every stream after one message, and lets nobody check."""

    def Watch(self, request, context):
        yield health_pb2.HealthCheckResponse(status=1)

    def Check(self, request, context):
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "not for you")


def test_a_watch_that_the_server_closes_is_4():
    with stock(Closing()) as address:
        done = health("-e", address, "--watch")
    assert done.exit_code == 4
    assert done.stdout.endswith(" SERVING\n")
    assert done.stderr.endswith(" the watch ended: the server closed the stream\n")


def test_a_wait_does_not_go_on_where_waiting_does_not_help():
    with stock(Closing()) as address:
        done = health("-e", address, "--wait", "1h")
    assert done.exit_code == 64 + 7
    assert "PERMISSION_DENIED: not for you" in done.stderr


def test_a_watch_of_nothing_is_5():
    with reserved_port() as port:
        done = health("-e", f"127.0.0.1:{port}", "--watch")
    assert (done.exit_code, done.stdout) == (5, "")


class WithList(health_pb2_grpc.HealthServicer):
    def List(self, request, context):
        statuses = {"": 1, "shop.Payments": 2, "shop.Orders": 1, "shop.Later": 7}
        return health_pb2.HealthListResponse(
            statuses={
                name: health_pb2.HealthCheckResponse(status=status) for name, status in statuses.items()
            }
        )


class WithoutList(health_pb2_grpc.HealthServicer):
    """What grpcio-health-checking itself serves."""

    def Check(self, request, context):
        return health_pb2.HealthCheckResponse(status=7)

    def List(self, request, context):
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "no List here")


def test_the_list_has_every_service_and_the_whole():
    with stock(WithList()) as address:
        done = health("-e", address, "--list")
    assert done.exit_code == 0
    assert [line.split(maxsplit=1) for line in done.stdout.splitlines()] == [
        ["SERVING", "(the server as a whole)"],
        ["7", "shop.Later"],
        ["SERVING", "shop.Orders"],
        ["NOT_SERVING", "shop.Payments"],
    ]


def test_a_health_service_without_list_is_told_from_none_at_all():
    with stock(WithoutList()) as address:
        done = health("-e", address, "--list")
    assert done.exit_code == 64 + 12
    assert "hint: its health service has no List" in done.stderr


def test_a_status_that_has_no_name_here_is_printed_as_its_number():
    with stock(WithoutList()) as address:
        done = health("-e", address)
    assert (done.exit_code, done.stdout) == (4, "7\n")


def test_an_old_grpcio_health_checking_is_told_what_to_update(monkeypatch, server):
    class OldStub:
        """What grpcio-health-checking 1.71 generates: no List."""

        def __init__(self, channel):
            self.Check = self.Watch = None

    monkeypatch.setattr(health_pb2_grpc, "HealthStub", OldStub)
    monkeypatch.delattr(health_pb2, "HealthListRequest")
    done = health("-e", server.address, "--list")
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: --list needs a newer grpcio-health-checking")
    assert "pip install -U grpcio-health-checking" in done.stderr
