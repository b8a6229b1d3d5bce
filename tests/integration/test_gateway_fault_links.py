"""Faults that hold bytes and calls back, on the wire: black hole, drip, bandwidth, and no answer at all."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
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
from support.h2_peer import ACK, DATA, HEADERS, PING, RST_STREAM, H2Peer

from server_demo.gateway import Gateway, Response, Service


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
        assert answered(peer)
        yield peer


def test_a_call_that_is_never_answered_waits_on_a_connection_that_lives(gateway, peer):
    with gateway.faults.never_answer(calls=1) as fault:
        stream = peer.call(SAY_HELLO, WORLD)
        eventually(lambda: fault.trace)
        peer.ping()
        peer.until(lambda frame: frame.kind == PING)
        assert answered(peer)
        assert peer.on(stream) == []
        assert last_call(gateway).status == "OK"
    assert peer.answer(stream)[-1].headers["grpc-status"] == "0"


@pytest.mark.parametrize("direction", ["both", "to_client", "to_service"])
def test_a_black_hole_on_an_idle_connection_answers_no_ping_and_does_not_close(gateway, peer, direction):
    with gateway.faults.black_hole(direction):
        peer.ping()
        assert peer.is_silent()
    pong = peer.until(lambda frame: frame.kind == PING)
    assert (pong.flags, pong.payload) == (ACK, b"are you ")
    assert answered(peer)


@pytest.mark.parametrize("direction", ["both", "to_client", "to_service"])
def test_a_new_connection_into_a_black_hole_is_accepted_and_hears_nothing(gateway, direction):
    with gateway.faults.black_hole(direction), H2Peer(gateway.address) as peer:
        before = len(gateway.calls())
        stream = peer.call(SAY_HELLO, WORLD)
        eventually(lambda: gateway.connections() == 1)
        if direction == "to_client":
            eventually(lambda: len(gateway.calls()) > before and last_call(gateway).status == "OK")
        assert peer.is_silent()
        assert (len(gateway.calls()) > before) is (direction == "to_client")
        gateway.faults.end_all()
        assert peer.answer(stream)[-1].headers["grpc-status"] == "0"


def test_a_black_hole_on_a_connection_in_use_stops_it_between_two_bytes_and_loses_none(gateway, peer):
    stream = peer.call(MANY_TIMES, many(10, interval_ms=10))
    peer.until(lambda frame: frame.stream == stream and frame.kind == DATA)
    with gateway.faults.black_hole("to_client"):
        # What the service says is heard by the gateway and by nobody else.
        eventually(lambda: last_call(gateway).status == "OK")
        peer.is_silent()  # takes what had left before
        assert peer.is_silent()
    assert [each.kind for each in peer.answer(stream)] == [HEADERS, *[DATA] * 10, HEADERS]


def test_a_black_hole_to_the_service_keeps_what_the_client_says_and_loses_none_of_it(gateway, peer):
    stream = peer.call(CHAT, WORLD, end=False)
    peer.until(lambda frame: frame.stream == stream and frame.kind == DATA)
    with gateway.faults.black_hole("to_service"):
        before = last_call(gateway).request_bytes
        peer.send_message(stream, WORLD)
        peer.send_end(stream)
        assert peer.is_silent()
        assert last_call(gateway).request_bytes == before
    assert [each.kind for each in peer.answer(stream)] == [HEADERS, DATA, DATA, HEADERS]


@pytest.mark.parametrize(("direction", "status"), [("both", None), ("to_service", None), ("to_client", "OK")])
def test_the_call_that_meets_with_a_black_hole_reaches_the_service_only_if_that_way_is_open(
    gateway, peer, direction, status
):
    with gateway.faults.black_hole(direction, calls=1) as fault:
        stream = peer.call(SAY_HELLO, WORLD)
        eventually(lambda: fault.hits == 1)
        number = last_call(gateway).number
        with H2Peer(gateway.address) as other:
            assert answered(other)
        eventually(lambda: record(gateway, number).status == status)
        assert (record(gateway, number).response_bytes > 0) is (status is not None)
        assert peer.is_silent()
    assert peer.answer(stream)[-1].headers["grpc-status"] == "0"


def test_a_black_hole_for_one_call_takes_its_connection_and_no_other(gateway, peer):
    with gateway.faults.black_hole(calls=1) as fault, H2Peer(gateway.address) as other:
        stream = peer.call(SAY_HELLO, WORLD)
        eventually(lambda: fault.hits == 1)
        assert answered(other)
        peer.ping()
        assert peer.is_silent()
        fault.end()
        assert peer.answer(stream)[-1].headers["grpc-status"] == "0"
        peer.until(lambda frame: frame.kind == PING)


@pytest.mark.parametrize("which", ["", ",calls=1", ",share=1,service=echo"])
def test_what_drips_comes_in_drops_and_no_faster(gateway, peer, which):
    first, began = len(peer.arrivals), time.monotonic()
    with gateway.faults.begin(f"drip:size=4,interval=0.01{which}"):
        peer.answer(peer.call(MANY_TIMES, many(3)))
    drops = [(at - began, size) for at, size in peer.arrivals[first:]]
    assert sum(size for _, size in drops) > 100
    total = 0
    for at, size in drops:
        total += size
        # One at once, and one more each interval.
        assert total <= 4 * (1 + at / 0.01 + 0.01)


@pytest.mark.parametrize("which", ["", ",calls=1"])
def test_no_more_bytes_come_than_the_bandwidth_allows(gateway, peer, which):
    first, began = len(peer.arrivals), time.monotonic()
    with gateway.faults.begin(f"bandwidth:bytes_per_second=2000{which}"):
        peer.answer(peer.call(MANY_TIMES, many(20)))
    total = 0
    for at, size in peer.arrivals[first:]:
        total += size
        assert total <= 2000 * (at - began) + 2000 / 50 + 1
    assert total > 500


def test_a_large_answer_to_one_call_is_slow_to_its_end_and_the_next_one_is_not(gateway, peer):
    # More than the gateway holds back on a connection: the rest waits in front of it.
    body = b"x" * 1_000_000
    gateway.add(Service(name="large", http=gateway.serve_http(lambda _: Response(body=body))))
    took = []
    with gateway.faults.bandwidth(2_000_000, calls=1):
        for _ in range(2):
            began = time.monotonic()
            peer.answer(stream := peer.post("/api/predict/large", b""))
            took.append(time.monotonic() - began)
            assert peer.messages(stream) == body
    assert took[0] >= 1_000_000 / 2_000_000 * 0.95
    assert took[1] < took[0]


def test_no_more_bytes_go_to_the_service_than_the_bandwidth_allows(gateway, peer):
    began = time.monotonic()
    with gateway.faults.bandwidth(20_000, direction="to_service"):
        stream = peer.post(ECHO, b"x" * 5_000)
        eventually(lambda: last_call(gateway).request_bytes)
        while (received := last_call(gateway).request_bytes) < 5_000:
            assert received <= 20_000 * (time.monotonic() - began) + 400
    peer.answer(stream)
    assert time.monotonic() - began >= 5_000 / 20_000 * 0.95
    assert peer.messages(stream) == b"x" * 5_000


@pytest.mark.parametrize(
    "text",
    [
        "drip:interval=60",
        "bandwidth:bytes_per_second=1",
        "bandwidth:bytes_per_second=1,direction=to_service",
        "bandwidth:bytes_per_second=1,direction=both",
    ],
)
def test_what_is_slow_goes_on_at_once_when_the_fault_ends(gateway, peer, text):
    with gateway.faults.begin(text):
        stream = peer.post(ECHO, b"x" * 1000)
        assert RST_STREAM not in {frame.kind for frame in peer.on(stream)}
    assert peer.answer(stream)[0].headers[":status"] == "200"
    assert peer.messages(stream) == b"x" * 1000


def test_a_slow_call_slows_another_one_on_its_connection_until_both_are_answered(gateway, peer):
    began = time.monotonic()
    with gateway.faults.drip(10, interval=0.01, method="*/SayHello*"):
        streams = [peer.call(SAY_HELLO, WORLD), peer.call(MANY_TIMES, many(10, interval_ms=1))]
        for stream in streams:
            peer.answer(stream)
    taken = sum(len(frame.payload) + 9 for stream in streams for frame in peer.on(stream))
    assert time.monotonic() - began >= (taken / 10 - 1) * 0.01 * 0.95
