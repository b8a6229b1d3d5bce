"""Requests that no client of grpc's would send, as raw HTTP/2."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import h2.config
import h2.connection
import pytest
from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloRequest
from eas_grpc_pb.greeter.v1.greeter_pb2_grpc import GreeterServiceStub
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.serving import COLOURS, bearer, dial, running


@contextmanager
def demo(*flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "server_demo", "--port", "0", "--token", "t", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process, process.stdout.readline().removeprefix("ready on ").strip()
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)


def send_path(address: str, path: bytes) -> None:
    """One request with this path and no token, and then the end of the connection."""
    host, port = address.rsplit(":", 1)
    config = h2.config.H2Configuration(
        validate_outbound_headers=False, normalize_outbound_headers=False, header_encoding=None
    )
    connection = h2.connection.H2Connection(config)
    connection.initiate_connection()
    connection.send_headers(
        1,
        [
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", path),
            (b":authority", address.encode()),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
        ],
        end_stream=True,
    )
    with socket.create_connection((host, int(port)), timeout=5) as raw:
        raw.sendall(connection.data_to_send())
        raw.settimeout(1)
        try:
            while raw.recv(4096):
                pass
        except OSError:
            return


@pytest.mark.parametrize("flags", [(), ("--asyncio",)], ids=COLOURS)
def test_a_path_that_is_not_text_never_leaves_a_server_running_that_answers_nobody(
    flags: tuple[str, ...],
) -> None:
    """It goes on; or, where grpc.aio gives up over it (1.85), the program ends with a status that says so."""
    with demo(*flags) as (process, address), grpc.insecure_channel(address) as channel:
        send_path(address, b"/a/\xff")
        until = time.monotonic() + 10
        while process.poll() is None and time.monotonic() < until:
            try:
                GreeterServiceStub(channel).SayHello(HelloRequest(name="x"), metadata=bearer("t"), timeout=2)
                break
            except grpc.RpcError:
                continue
        else:
            assert process.poll() == 1, "neither answering nor ended"
            assert "ended by itself" in process.stderr.read()


@pytest.mark.parametrize("colour", COLOURS)
def test_a_health_request_of_a_size_that_no_name_has_is_refused_and_not_kept(colour: str) -> None:
    with running(colour) as server, dial(server) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        with pytest.raises(grpc.RpcError):
            stub.Check(health_pb2.HealthCheckRequest(service="x" * 5000), timeout=5)
        with pytest.raises(grpc.RpcError):
            next(iter(stub.Watch(health_pb2.HealthCheckRequest(service="x" * 5000), timeout=5)))
        assert stub.Check(health_pb2.HealthCheckRequest(), timeout=5).status == 1


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("side", ["request", "response"])
def test_what_a_serializer_raises_is_logged_here_and_not_told_to_the_caller(
    colour: str, side: str, caplog: pytest.LogCaptureFixture
) -> None:
    def raising(_: object) -> bytes:
        raise ValueError("inner-detail-41")

    def plain(request: bytes, _: object) -> bytes:
        return request

    async def coroutine(request: bytes, _: object) -> bytes:
        return request

    def register(server: Any) -> None:
        read, write = (raising, None) if side == "request" else (None, raising)
        handler = grpc.unary_unary_rpc_method_handler(plain if colour == "sync" else coroutine, read, write)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("p.S", {"M": handler}),))

    with (
        running(colour, register) as server,
        dial(server) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        channel.unary_unary("/p.S/M")(b"x", timeout=5)
    assert "inner-detail-41" not in f"{caught.value.details()} {caught.value}"
    assert "inner-detail-41" in caplog.text
