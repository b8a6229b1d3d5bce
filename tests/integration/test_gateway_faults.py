"""Each fault of the gateway on the wire: which frames and bytes come, and how the connection ends."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator

import pytest
from support.gateway_clients import connected, request_bytes
from support.gateway_greeter import (
    CHAT,
    ECHO,
    MANY_TIMES,
    SAY_HELLO,
    WORLD,
    answered,
    eventually,
    greeter_gateway,
    last_call,
    many,
    record,
)
from support.h2_peer import DATA, GOAWAY, HEADERS, INTERNAL_ERROR, NO_ERROR, PING, RST_STREAM, H2Peer

from server_demo.gateway import Certificate, Gateway

AUTHORIZED = [("Authorization", "t")]


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with greeter_gateway() as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def no_faults_left(gateway) -> Iterator[None]:
    yield
    gateway.faults.end_all()
    eventually(lambda: gateway.connections() == 0)


@pytest.fixture
def peer(gateway) -> Iterator[H2Peer]:
    """A client that has made a call."""
    with H2Peer(gateway.address) as peer:
        peer.answer(peer.call(SAY_HELLO, WORLD))
        yield peer


def kinds(peer: H2Peer, stream: int) -> list[int]:
    return [frame.kind for frame in peer.on(stream)]


# Statuses.


def test_a_status_instead_of_an_answer_is_one_frame_of_headers_that_ends_the_stream(gateway, peer):
    with gateway.faults.status("ABORTED", "not 100 %"):
        (only,) = peer.answer(peer.call(SAY_HELLO, WORLD))
    assert (only.kind, only.ends_stream) == (HEADERS, True)
    assert only.headers == {
        ":status": "200",
        "content-type": "application/grpc",
        "grpc-status": "10",
        "grpc-message": "not 100 %25",
    }
    assert answered(peer)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_status_in_the_middle_of_a_stream_follows_so_many_messages(gateway, peer, count):
    with gateway.faults.status("DATA_LOSS", after_messages=count):
        head, *messages, trailers = peer.answer(peer.call(MANY_TIMES, many(5)))
    assert (head.kind, head.ends_stream) == (HEADERS, False)
    assert [(each.kind, each.ends_stream) for each in messages] == [(DATA, False)] * count
    assert (trailers.kind, trailers.ends_stream, trailers.headers) == (HEADERS, True, {"grpc-status": "15"})


def test_a_status_of_http_reaches_a_call_of_grpc_as_no_grpc_at_all(gateway, peer):
    with gateway.faults.status(503, "busy"):
        head, *_ = peer.answer(stream := peer.call(SAY_HELLO, WORLD))
    assert head.headers == {
        ":status": "503",
        "content-type": "text/plain; charset=utf-8",
        "content-length": "4",
    }
    assert peer.messages(stream) == b"busy"


def test_html_reaches_a_call_of_grpc_as_a_page(gateway, peer):
    with gateway.faults.html():
        head, *_ = peer.answer(stream := peer.call(SAY_HELLO, WORLD))
    assert (head.headers[":status"], head.headers["content-type"]) == ("200", "text/html; charset=utf-8")
    assert peer.messages(stream).startswith(b"<!DOCTYPE html>")


def test_a_wrong_content_type_changes_nothing_else(gateway, peer):
    usual = peer.answer(peer.call(SAY_HELLO, WORLD))
    with gateway.faults.content_type("application/json"):
        changed = peer.answer(peer.call(SAY_HELLO, WORLD))
    assert changed[0].headers == usual[0].headers | {"content-type": "application/json"}
    assert [each.payload for each in changed[1:]] == [each.payload for each in usual[1:]]


def test_no_healthy_upstream_is_said_as_a_gateway_says_it(gateway, peer):
    with gateway.faults.no_healthy_upstream():
        only, *_ = peer.answer(peer.call(SAY_HELLO, WORLD))
        assert (only.headers["grpc-status"], only.headers["grpc-message"]) == ("14", "no healthy upstream")
        head, *_ = peer.answer(stream := peer.post(ECHO, b"x"))
        assert (head.headers[":status"], peer.messages(stream)) == ("503", b"no healthy upstream")


def test_a_giant_message_is_announced_and_sent(gateway, peer):
    with gateway.faults.giant_message(300_000):
        *_, trailers = peer.answer(stream := peer.call(SAY_HELLO, WORLD))
    assert trailers.headers == {"grpc-status": "0"}
    assert peer.messages(stream) == b"\0" + (300_000).to_bytes(4, "big") + bytes(300_000)


def test_a_giant_message_waits_for_who_reads_it(gateway, peer):
    with gateway.faults.giant_message(2**32 - 1, calls=1):
        stream = peer.call(SAY_HELLO, WORLD)
        announced = peer.until(lambda frame: frame.stream == stream and frame.kind == DATA)
        assert announced.payload == b"\0\xff\xff\xff\xff"
        giant = last_call(gateway).number
        # Others are served meanwhile, and nothing collects for who does not read.
        with H2Peer(gateway.address) as other:
            assert all(answered(other) for _ in range(20))
        assert (record(gateway, giant).status, record(gateway, giant).response_bytes < 2**26) == (None, True)


# What breaks off.


def test_a_reset_before_headers_is_one_frame_and_the_connection_goes_on(gateway, peer):
    with gateway.faults.reset():
        (only,) = peer.answer(peer.call(SAY_HELLO, WORLD))
    assert (only.kind, only.code) == (RST_STREAM, INTERNAL_ERROR)
    assert answered(peer)


def test_a_reset_after_headers_comes_right_behind_them(gateway, peer):
    with gateway.faults.reset("headers"):
        head, reset = peer.answer(peer.call(MANY_TIMES, many(5)))
    assert (head.kind, head.headers[":status"], head.ends_stream) == (HEADERS, "200", False)
    assert (reset.kind, reset.code) == (RST_STREAM, INTERNAL_ERROR)
    assert answered(peer)


@pytest.mark.parametrize(("after", "before"), [("nothing", []), ("headers", [HEADERS])])
def test_a_reset_of_the_connection_is_one_of_tcp(gateway, peer, after, before):
    with gateway.faults.reset(after, connection=True):
        stream = peer.call(MANY_TIMES, many(5))
        assert peer.until_end() == "RST"
    assert kinds(peer, stream) == before
    assert GOAWAY not in kinds(peer, 0)


def test_half_close_ends_one_direction_and_the_gateway_goes_on_reading(gateway, peer):
    with gateway.faults.half_close():
        stream = peer.call(SAY_HELLO, WORLD)
        assert peer.until_end() == "FIN"
    (head,) = peer.on(stream)
    assert (head.kind, head.ends_stream) == (HEADERS, False)
    # Who had closed both would have answered the first with a reset when the second is sent.
    peer.ping()
    with H2Peer(gateway.address) as other:
        assert answered(other)
        peer.ping()
        assert gateway.connections() == 2


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_truncated_frame_announces_twice_what_comes(gateway, peer, size):
    with gateway.faults.truncated_frame():
        stream = peer.post(ECHO, b"x" * size) if size > 10 else peer.call(SAY_HELLO, WORLD)
        assert peer.until_end() == "FIN"
    assert kinds(peer, stream) == [HEADERS]
    announced, kind = int.from_bytes(peer.partial[:3], "big"), peer.partial[3]
    # A frame that is longer than the client allows would be another mistake.
    assert (kind, announced <= 16_384) == (DATA, True)
    assert len(peer.partial) - 9 == announced // 2 > 0


def test_a_goaway_with_grace_names_the_call_and_ends_the_connection_after_what_runs(gateway, peer):
    running = peer.call(CHAT, WORLD, end=False)
    peer.until(lambda frame: frame.stream == running and frame.kind == DATA)
    with gateway.faults.goaway():
        stream = peer.call(MANY_TIMES, many(3))
        goaway = peer.until(lambda frame: frame.kind == GOAWAY)
        assert (goaway.last_stream, goaway.code) == (stream, NO_ERROR)
    assert [each.kind for each in peer.answer(stream)] == [HEADERS, DATA, DATA, DATA, HEADERS]
    # One that begins after it was told is not answered; one that ran goes on.
    late = peer.call(SAY_HELLO, WORLD)
    peer.ping()
    peer.until(lambda frame: frame.kind == PING)
    assert not peer.on(late)
    assert peer.end is None
    peer.send_end(running)
    assert peer.answer(running)[-1].headers["grpc-status"] == "0"
    assert peer.until_end() == "FIN"


def test_a_goaway_without_grace_names_no_call_and_ends_the_connection_at_once(gateway, peer):
    running = peer.call(CHAT, WORLD, end=False)
    peer.until(lambda frame: frame.stream == running and frame.kind == DATA)
    with gateway.faults.goaway(grace=False):
        stream = peer.call(SAY_HELLO, WORLD)
        assert peer.until_end() in {"FIN", "RST"}
    goaway = peer.until(lambda frame: frame.kind == GOAWAY)
    assert (goaway.last_stream, goaway.code) == (0, NO_ERROR)
    assert kinds(peer, stream) == []
    assert kinds(peer, running) == [HEADERS, DATA]


def test_a_restart_resets_every_connection_and_refuses_new_ones_until_it_is_back():
    with greeter_gateway() as gateway, H2Peer(gateway.address) as idle, H2Peer(gateway.address) as peer:
        assert answered(idle)
        with gateway.faults.restart(down=0.3, calls=1) as fault:
            peer.call(SAY_HELLO, WORLD)
            assert (idle.until_end(), peer.until_end()) == ("RST", "RST")
            with pytest.raises(ConnectionRefusedError):
                connected(gateway.address)
            assert [entry.did for entry in fault.trace] == ["restarted, down for 0.3 s"]
        eventually(lambda: _connects(gateway.address))
        with H2Peer(gateway.address) as again:
            assert answered(again)


def _connects(address: str) -> bool:
    try:
        connected(address).close()
    except ConnectionRefusedError:
        return False
    return True


# The same over HTTP/1.1.


@contextlib.contextmanager
def asked(gateway: Gateway, body: bytes = b"hello", context: ssl.SSLContext | None = None):
    """A connection on which a request was sent."""
    connection = connected(gateway.address, context)
    with connection:
        connection.sendall(request_bytes("POST", ECHO, AUTHORIZED, body))
        yield connection


def rest(connection: socket.socket) -> bytes:
    """All that comes, up to the end."""
    data = b""
    while piece := connection.recv(65536):
        data += piece
    return data


def test_over_http1_half_close_ends_after_the_head_and_the_gateway_goes_on_reading(gateway):
    with gateway.faults.half_close(), asked(gateway) as connection:
        head, end, body = rest(connection).partition(b"\r\n\r\n")
        assert (head.splitlines()[0], end, body) == (b"HTTP/1.1 200 OK", b"\r\n\r\n", b"")
        connection.sendall(b"more")
        connection.sendall(b"and more")
        assert gateway.connections() == 1


def test_over_http1_a_truncated_body_is_half_of_what_its_length_says(gateway):
    with gateway.faults.truncated_frame(), asked(gateway, b"x" * 1000) as connection:
        head, _, body = rest(connection).partition(b"\r\n\r\n")
        assert b"\r\ncontent-length: 1000" in head.lower()
        assert 0 < len(body) < 1000


@pytest.mark.parametrize(("after", "seen"), [("nothing", b""), ("headers", b"HTTP/1.1 200 OK")])
def test_over_http1_a_reset_is_one_of_tcp(gateway, after, seen):
    with gateway.faults.reset(after), asked(gateway) as connection:
        data = b""
        with pytest.raises(ConnectionResetError):
            while True:
                data += connection.recv(65536)
        assert data.splitlines()[:1] == ([seen] if seen else [])


@pytest.mark.parametrize("direction", ["both", "to_client", "to_service"])
def test_over_http1_a_black_hole_on_an_idle_connection_says_nothing_until_it_ends(gateway, direction):
    with asked(gateway) as connection:
        assert rest_of_one(connection).endswith(b"hello")
        with gateway.faults.black_hole(direction):
            connection.sendall(request_bytes("POST", ECHO, AUTHORIZED, b"again"))
            connection.settimeout(0.1)
            with pytest.raises(TimeoutError):
                connection.recv(1)
        connection.settimeout(10)
        assert rest_of_one(connection).endswith(b"again")


def test_over_tls_every_end_is_an_end_and_a_black_hole_is_silent():
    certificate = Certificate.selfsigned("localhost")
    with greeter_gateway(certificate=certificate) as gateway:
        context = ssl.create_default_context(cadata=certificate.chain.decode())
        for text in ("half_close", "truncated_frame", "reset", "reset:after=headers"):
            with (
                gateway.faults.begin(text),
                asked(gateway, context=context) as connection,
                contextlib.suppress(ConnectionResetError, ssl.SSLEOFError),
            ):
                assert not rest(connection).endswith(b"hello")
            assert gateway.calls()[-1].ok is False
        with asked(gateway, context=context) as connection:
            assert rest_of_one(connection).endswith(b"hello")
            with gateway.faults.black_hole():
                connection.sendall(request_bytes("POST", ECHO, AUTHORIZED, b"again"))
                connection.settimeout(0.1)
                with pytest.raises(TimeoutError):
                    connection.recv(1)
            connection.settimeout(10)
            assert rest_of_one(connection).endswith(b"again")


def rest_of_one(connection: socket.socket) -> bytes:
    """One answer with a body of five bytes."""
    data = b""
    while not data.partition(b"\r\n\r\n")[2][4:]:
        piece = connection.recv(65536)
        assert piece, data
        data += piece
    return data
