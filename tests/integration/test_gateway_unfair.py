"""What one caller can do that is no fair play, and what the gateway does about it: nobody else is harmed."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import zlib

import pytest
from support.gateway_clients import ask
from support.h2_peer import H2Peer, frame

from eas_grpc.errors import ConfigError
from server_demo.gateway import Gateway, GatewayOptions, Response, Service
from server_demo.gateway import _frames as f

TOKEN = "a-token"
BARE = [("Authorization", TOKEN)]


@pytest.fixture
def gateway():
    with Gateway(options=GatewayOptions(rate_limit=0)) as gateway:
        address = gateway.serve_http(lambda request: Response(200, request.body))
        gateway.add(Service(name="echo", http=address, tokens=(TOKEN,)))
        yield gateway


def loop_seconds(gateway: Gateway) -> float:
    """How long the gateway's loop takes to come to something else."""
    began = time.perf_counter()
    gateway.run(lambda core: None)
    return time.perf_counter() - began


def busy_seconds(gateway: Gateway, work) -> float:
    """The longest that somebody else waits while `work` goes on."""
    longest, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.is_set():
            longest.append(loop_seconds(gateway))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return max(longest)


def test_a_host_with_very_many_labels_costs_no_more_than_one_with_few(gateway):
    def called(labels: int) -> float:
        began = time.process_time()
        assert ask(gateway.address, "GET", "/", [], b"", host="a." * labels + "a").status in {401, 404}
        return time.process_time() - began

    called(10)
    # By pairs of labels it would be a thousand times as much.
    assert called(28_000) < 100 * max(called(28), 0.001)


def test_a_body_in_very_many_chunks_lets_others_have_their_turn(gateway):
    chunks = b"1\r\nx\r\n" * 150_000 + b"0\r\n\r\n"

    def send() -> None:
        host, port = gateway.address.split(":")
        with socket.create_connection((host, int(port))) as raw:
            head = b"POST /api/predict/echo HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
            raw.sendall(head + f"Authorization: {TOKEN}\r\n\r\n".encode() + chunks)
            answer = b""
            while piece := raw.recv(65536):
                answer += piece
        assert answer.endswith(b"x" * 1000 + b"\r\n0\r\n\r\n") or answer.count(b"x") >= 150_000

    began = time.perf_counter()
    longest = busy_seconds(gateway, send)
    assert longest < (time.perf_counter() - began) / 2


def test_a_flood_of_settings_ends_the_connection(gateway):
    with H2Peer(gateway.address) as peer:
        peer.send(f.settings_frame([(f.INITIAL_WINDOW_SIZE, 70_000)]) * 1000)
        assert peer.until(lambda each: each.kind == f.GOAWAY).code == f.ENHANCE_YOUR_CALM


def test_a_client_that_breaks_off_call_after_call_lets_others_have_their_turn(gateway):
    head = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", b"/api/predict/echo"),
        (b":authority", b"h"),
    ]
    block = f.header_block([*head, (b"authorization", TOKEN.encode())])
    calls = b"".join(
        frame(f.HEADERS, f.END_HEADERS, n, block) + f.frame(f.RST_STREAM, 0, n, f.word(f.CANCEL))
        for n in range(1, 4001, 2)
    )

    def send() -> None:
        with H2Peer(gateway.address) as peer:
            peer.send(calls, f.frame(f.PING, 0, 0, b"12345678"))
            peer.until(lambda each: each.kind == f.PING)

    began = time.perf_counter()
    longest = busy_seconds(gateway, send)
    # All in one go it would be nearly the whole time.
    assert longest < (time.perf_counter() - began) / 3


@pytest.mark.parametrize("begin", [b"", b"POST / HTTP/1.1\r\nX-A: b\r\n", f.PREFACE + f.settings_frame([])])
def test_who_begins_and_does_not_go_on_is_not_waited_for_for_ever(begin, monkeypatch):
    monkeypatch.setattr("server_demo.gateway._limits.PATIENCE_SECONDS", 0.2)
    with Gateway(options=GatewayOptions(idle_timeout=600)) as gateway:
        host, port = gateway.address.split(":")
        with socket.create_connection((host, int(port)), timeout=10) as raw:
            raw.sendall(begin)
            said = b""
            while piece := raw.recv(65536):
                said += piece
    assert said.startswith(b"HTTP/1.1 408") if b"POST" in begin else True
    assert f.word(f.SETTINGS_TIMEOUT) in said if b"PRI" in begin else True


def test_the_path_that_is_remembered_is_cut(gateway):
    assert ask(gateway.address, "GET", "/api/predict/echo/" + "a" * 50_000, [], b"").status == 401
    assert len(gateway.calls()[-1].method) <= 1000


def test_a_small_body_that_is_large_inside_is_refused(gateway):
    gateway.configure("echo", decompressor="zlib")
    bomb = zlib.compress(bytes(200 * 1024 * 1024), 9)
    answer = ask(gateway.address, "POST", "/api/predict/echo", BARE, bomb)
    assert (answer.status, b"when it is decompressed" in answer.body) == (400, True)


def test_a_handler_may_not_wait_for_the_gateway_that_runs_it():
    said = []

    async def handler(request):
        for wait in (gateway.stop, lambda: gateway.add_instance("h"), lambda: gateway.serve_http(handler)):
            with pytest.raises(ConfigError, match="cannot wait for the gateway") as caught:
                wait()
            said.append(str(caught.value))
        return Response(200, b"done")

    with Gateway() as gateway:
        gateway.add(Service(name="h", http=gateway.serve_http(handler)))
        assert ask(gateway.address, "GET", "/api/predict/h", [], b"").body == b"done"
    assert len(said) == 3


def test_a_handler_that_will_not_end_does_not_keep_the_gateway_from_stopping():
    import asyncio

    begun, let_go = threading.Event(), threading.Event()

    async def handler(request):
        while not let_go.is_set():
            try:
                begun.set()
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if let_go.is_set():
                    raise
        return Response(200)

    gateway = Gateway().start()
    gateway.add(Service(name="h", http=gateway.serve_http(handler)))
    caller = threading.Thread(target=ask_quietly, args=(gateway.address,))
    caller.start()
    assert begun.wait(10)
    gateway.stop()
    let_go.set()
    caller.join(10)
    assert not gateway.running


def ask_quietly(address: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        ask(address, "GET", "/api/predict/h", [], b"")


def test_a_forked_child_does_not_wait_for_a_thread_that_it_does_not_have(gateway):
    child = os.fork()
    if child == 0:
        gateway.stop()
        os._exit(7)
    for _ in range(500):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.01)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
        pytest.fail("the child hangs")
    assert os.waitstatus_to_exitcode(status) == 7
    assert ask(gateway.address, "POST", "/api/predict/echo", BARE, b"x").body == b"x"


def test_a_port_that_somebody_takes_during_a_restart_is_waited_for(gateway, caplog):
    host, port = gateway.address.split(":")
    gateway.restart(down=0.2)
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind((host, int(port)))
        thief.listen()
        deadline = time.monotonic() + 10
        while "cannot listen again yet" not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    deadline = time.monotonic() + 10
    while True:
        try:
            assert ask(gateway.address, "POST", "/api/predict/echo", BARE, b"x").body == b"x"
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_connect_leads_nowhere_over_http_2_either(gateway):
    head = [
        (b":method", b"CONNECT"),
        (b":scheme", b"http"),
        (b":path", b"/api/predict/echo"),
        (b":authority", b"h"),
    ]
    block = f.header_block([*head, (b"authorization", TOKEN.encode())])
    with H2Peer(gateway.address) as peer:
        peer.send(frame(f.HEADERS, f.END_HEADERS | f.END_STREAM, 1, block))
        assert peer.until(lambda each: each.kind == f.RST_STREAM).code == f.PROTOCOL_ERROR
    assert gateway.calls() == []


def test_a_service_that_moves_leaves_no_connection_behind(gateway):
    assert ask(gateway.address, "POST", "/api/predict/echo", BARE, b"x").body == b"x"
    gateway.configure("echo", http=gateway.serve_http(lambda request: Response(200, b"new")))
    assert ask(gateway.address, "POST", "/api/predict/echo", BARE, b"x").body == b"new"


def test_a_token_that_is_changed_very_often_leaves_nothing_behind_and_calls_are_counted_through_it(gateway):
    for number in range(50):
        gateway.configure("echo", tokens=(TOKEN, f"token-{number}"))
    assert ask(gateway.address, "POST", "/api/predict/echo", BARE, b"x").status == 200
    gateway.configure("echo", tokens=(TOKEN,))
    assert ask(gateway.address, "POST", "/api/predict/echo", [], b"x").status == 401
    counts = gateway.run(lambda core: core.known("echo").counts)
    assert (counts.calls, counts.errors) == (2, 1)
    assert gateway.run(lambda core: core._replaced) == []
