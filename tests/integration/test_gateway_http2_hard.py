"""A gateway in a process of its own against clients that take much, never read, or never stop: its memory, and the next call."""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from support.http2_rig import data, frames_of, request
from support.serving import SERVICE, call, running

from eas_grpc.serving import ServerOptions
from server_demo.gateway import _frames as f

PROGRAM = """
import resource, sys, threading
from server_demo.gateway import Gateway, GatewayOptions, Service

options = GatewayOptions(max_body_bytes=None, keepalive=60.0, rate_limit=0)
with Gateway(Service(name="echo", grpc=sys.argv[1]), options=options) as gateway:
    print(gateway.address, flush=True)
    for line in sys.stdin:
        pages = int(open("/proc/self/statm").read().split()[1])
        print(pages * resource.getpagesize(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, flush=True)
"""
MEGABYTE = 1024 * 1024
WAIT = 20.0
HELLO = f.PREFACE + f.settings_frame([(f.INITIAL_WINDOW_SIZE, f.LARGEST_WINDOW)])

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="its memory is read from /proc")


class Process:
    """The gateway: where it is, and its memory in bytes, now and at most."""

    def __init__(self, process: subprocess.Popen) -> None:
        self._process = process
        self.address = process.stdout.readline().strip()

    def memory(self) -> tuple[int, int]:
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        now, most = self._process.stdout.readline().split()
        return int(now), int(most)

    def dial(self) -> grpc.Channel:
        sizes = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        return grpc.insecure_channel(self.address, options=[("grpc.use_local_subchannel_pool", 1), *sizes])

    def connect(self) -> socket.socket:
        host, _, port = self.address.rpartition(":")
        connected = socket.create_connection((host, int(port)), timeout=WAIT)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected

    def answers(self) -> bool:
        with self.dial() as channel:
            return call(channel, "unary_unary", b"still here") == b"still here"


@pytest.fixture
def process() -> Iterator[Process]:
    with running("aio", options=ServerOptions(max_concurrent_rpcs=1000)) as server:
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM, server.address],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as started:  # fmt: skip
            try:
                process = Process(started)
                assert process.answers()
                yield process
            finally:
                started.kill()


def unary(stream: int, body: bytes) -> bytes:
    """A call to the echo, as frames."""
    path = b"/" + SERVICE.encode() + b"/unary_unary"
    headers = [
        (b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"h"),
        (b"te", b"trailers"), (b"content-type", b"application/grpc"),
    ]  # fmt: skip
    head = f.header_frames(stream, f.header_block(headers), end=False, largest=16_384)
    return head + data(stream, b"\0" + len(body).to_bytes(4, "big") + body, end=True)


def test_large_messages_do_not_collect_on_their_way(process):
    body = b"x" * (20 * MEGABYTE)
    _, before = process.memory()
    with process.dial() as channel:
        for _ in range(3):
            assert call(channel, "unary_unary", body) == body
        answers = channel.stream_stream(f"/{SERVICE}/stream_stream")(iter([b"big:20000000"] * 3), timeout=60)
        assert [len(answer) for answer in answers] == [20_000_000] * 3
    _, after = process.memory()
    assert after - before < 16 * MEGABYTE


def test_two_thousand_idle_connections_are_held_and_all_of_them_are_usable(process):
    count = 2000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count + 200:
        pytest.skip(f"only {hard} files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count + 200), hard))
    try:
        before, _ = process.memory()
        with contextlib.ExitStack() as stack:
            idle = [stack.enter_context(process.connect()) for _ in range(count)]
            for each in idle:
                each.sendall(HELLO)
            for each in idle:
                assert f.frame(f.SETTINGS, f.ACK, 0) in _until(each, f.frame(f.SETTINGS, f.ACK, 0))
            after, _ = process.memory()
            assert (after - before) / count < 32 * 1024
            # Not all at once: the service behind takes a thousand.
            for start in range(0, count, 100):
                some = idle[start : start + 100]
                for each in some:
                    each.sendall(unary(1, b"hello"))
                for each in some:
                    assert b"\0\0\0\0\5hello" in _until(each, b"grpc-status")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _until(connected: socket.socket, wanted: bytes) -> bytes:
    found = b""
    while wanted not in found:
        piece = connected.recv(65_536)
        assert piece, found
        found += piece
    return found


def _flood(connected: socket.socket, pieces: Iterator[bytes]) -> None:
    """Sends until the gateway cuts the connection off, or for as long as there are pieces; reads nothing."""
    connected.settimeout(2.0)
    with contextlib.suppress(OSError):
        for piece in pieces:
            connected.sendall(piece)


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param(f.frame(f.PING, 0, 0, b"12345678") * 4000, id="pings"),
        pytest.param(f.settings_frame([]) * 7000, id="settings"),
        pytest.param(
            b"".join(request(n, (b"connection", b"x")) for n in range(1, 2001, 2)), id="wrong requests"
        ),
        pytest.param(b"".join(data(1, b"x" * 9) for _ in range(4000)), id="data after the end"),
    ],
)
def test_a_client_that_makes_the_gateway_answer_and_never_reads_costs_little(process, flood):
    _, before = process.memory()
    with process.connect() as connected:
        connected.sendall(HELLO + unary(1, b"x"))
        _flood(connected, itertools.repeat(flood, 300))
    assert process.answers()
    _, after = process.memory()
    assert after - before < 40 * MEGABYTE


def test_calls_that_are_broken_off_at_once_leave_nothing(process):
    with process.connect() as connected:
        connected.sendall(HELLO)
        numbers = range(1, 20_001, 2)
        for number in numbers:
            connected.sendall(unary(number, b"x") + f.frame(f.RST_STREAM, 0, number, f.word(f.CANCEL)))
            if number == 2001:
                early, _ = process.memory()
        connected.sendall(unary(20_001, b"last"))
        _until(connected, b"\0\0\0\0\4last")
        late, _ = process.memory()
    # The log of calls grows to a thousand of them.
    assert late - early < 6 * MEGABYTE


def test_a_reader_that_stops_costs_no_more_than_its_windows_and_gets_everything_later(process):
    _, before = process.memory()
    body = b"x" * (2 * MEGABYTE)
    streams = range(1, 41, 2)
    with process.connect() as connected:
        connected.sendall(HELLO + f.frame(f.WINDOW_UPDATE, 0, 0, f.word(f.LARGEST_WINDOW - f.DEFAULT_WINDOW)))
        for stream in streams:
            connected.sendall(unary(stream, b"big:%d" % len(body)))
        # Others are answered meanwhile, and the answers of this one wait at the service.
        for _ in range(5):
            assert process.answers()
        _, after = process.memory()
        assert after - before < 20 * MEGABYTE + 8 * MEGABYTE
        got, left, wire = dict.fromkeys(streams, 0), set(streams), b""
        while left:
            assert select.select([connected], [], [], WAIT)[0]
            piece = connected.recv(MEGABYTE)
            assert piece
            wire += piece
            whole = _whole_frames(wire)
            for kind, flags, stream, payload in frames_of(wire[:whole]):
                if kind == f.DATA:
                    got[stream] += len(payload)
                if kind in {f.DATA, f.HEADERS} and flags & f.END_STREAM:
                    left.discard(stream)
            wire = wire[whole:]
    assert set(got.values()) == {len(body) + 5}


def _whole_frames(wire: bytes) -> int:
    at = 0
    while len(wire) - at >= 9:
        size = int.from_bytes(wire[at : at + 3], "big")
        if at + 9 + size > len(wire):
            break
        at += 9 + size
    return at
