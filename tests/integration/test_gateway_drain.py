"""A gateway that is told to stop lets calls under way end, and takes no more."""

from __future__ import annotations

import socket
import threading
import time

import grpc
import pytest
from support.echo import EchoServer, method

import eas_grpc
from server_demo.gateway import Gateway, Service


@pytest.fixture
def upstream():
    with EchoServer() as server:
        yield server


@pytest.fixture
def gateway(upstream):
    with Gateway(Service(name="echo", grpc=upstream.address, tokens=("t",))) as gateway:
        yield gateway


def begun(server, count):
    deadline = time.monotonic() + 20
    while len(server.calls) < count:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_call_under_way_ends_well_and_the_wait_with_it(gateway, upstream):
    with eas_grpc.connect(gateway.address, token="t") as channel:
        calls = [channel.unary_unary(method("unary_unary")).future(b"sleep:0.5") for _ in range(5)]
        begun(upstream, 5)
        began = time.monotonic()
        gateway.drain(grace=20)
        assert [call.result() for call in calls] == [b"slept"] * 5
        assert time.monotonic() - began < 10


def test_it_waits_no_longer_than_it_is_told(gateway, upstream):
    with eas_grpc.connect(gateway.address, token="t", retry=None) as channel:
        call = channel.unary_unary(method("unary_unary")).future(b"hold", timeout=30)
        begun(upstream, 1)
        began = time.monotonic()
        gateway.drain(grace=0.2)
        assert 0.2 <= time.monotonic() - began < 5
        gateway.stop()
        assert call.code() is grpc.StatusCode.UNAVAILABLE


def test_idle_connections_are_not_waited_for_and_new_ones_are_refused(gateway):
    with eas_grpc.connect(gateway.address, token="t") as channel:
        assert channel.unary_unary(method("unary_unary"))(b"echo:hi") == b"hi"
        with socket.create_connection(("127.0.0.1", gateway.port)):
            drained = threading.Thread(target=gateway.drain)
            drained.start()
            drained.join(5)
            assert not drained.is_alive()
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", gateway.port)).close()
