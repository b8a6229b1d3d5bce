"""What a server bears: too many calls, too large messages, hostile connections, pings."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import grpc
import pytest
from support.serving import (
    COLOURS,
    SERVICE,
    SHAPES,
    TOKEN,
    Gate,
    RawConnection,
    Sync,
    bearer,
    call,
    dial,
    handlers,
    path,
    refused,
    running,
)

from eas_grpc.serving import ServerOptions

EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.fixture(params=COLOURS)
def colour(request):
    return request.param


def test_calls_beyond_the_limit_are_refused_until_one_has_ended(colour):
    gate = Gate()
    options = ServerOptions(max_concurrent_rpcs=3)
    with running(colour, gate=gate, options=options) as server, dial(server) as channel:
        held = [channel.unary_unary(path("unary_unary")).future(b"hold") for _ in range(3)]
        gate.wait_entered(3)
        code, details = refused(channel, "unary_unary", b"hi")
        assert (code, details) == (EXHAUSTED, "Concurrent RPC limit exceeded!")
        gate.open()
        assert [h.result(timeout=10) for h in held] == [b"hold"] * 3
        # The server counts an ended call as such a moment after its answer has arrived.
        answer = None
        while answer is None:
            try:
                answer = call(channel, "unary_unary", b"hi")
            except grpc.RpcError as error:
                assert error.code() is EXHAUSTED
        assert answer == b"hi"


@pytest.mark.parametrize("shape", SHAPES)
def test_messages_are_limited_both_ways_and_the_limit_itself_passes(colour, shape):
    options = ServerOptions(max_message_bytes=5_000_000)
    no_limit = ("grpc.max_receive_message_length", -1)
    with running(colour, options=options) as server, dial(server, no_limit) as channel:
        assert len(call(channel, shape, b"x" * 5_000_000)) == 5_000_000
        code, details = refused(channel, shape, b"x" * 5_000_001)
        assert code is EXHAUSTED
        assert "5000001" in details
        assert refused(channel, shape, b"big:5000001")[0] is EXHAUSTED
        assert call(channel, shape, b"hi") == b"hi"


# What each call of the attacker sends before it falls silent.
ATTACKS = {"streams": ("stream_stream", b"hold"), "unary calls": ("unary_unary", None)}


def attack(port, shape, message):
    hostile = RawConnection(port)
    for _ in range(200):
        hostile.open(path(shape), message, metadata=bearer())
    hostile.wait_until_read()
    return hostile


@pytest.mark.parametrize("kind", ATTACKS)
def test_one_connection_with_unfinished_calls_does_not_starve_another(colour, kind):
    gate = Gate()
    options = ServerOptions(tokens=(TOKEN,))
    with (
        running(colour, gate=gate, options=options) as server,
        dial(server) as channel,
        attack(server.port, *ATTACKS[kind]),
    ):
        if kind == "streams":
            gate.wait_entered(100)
        for _ in range(20):
            for shape in SHAPES:
                assert call(channel, shape, b"hi", metadata=bearer()) == b"hi"


def test_the_same_attack_starves_a_server_with_stock_settings():
    gate = Gate()
    server = grpc.server(ThreadPoolExecutor(32))
    server.add_registered_method_handlers(SERVICE, handlers(Sync(gate)))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, attack(port, *ATTACKS["streams"]):
            gate.wait_entered(32)
            code, _ = refused(channel, "unary_unary", b"hi", timeout=1)
        assert code is grpc.StatusCode.DEADLINE_EXCEEDED
    finally:
        server.stop(0).wait()


# Our clients' profiles ping every 30 s and 330 s and the server allows every 10 s; here it is 0.2 and 0.1 s.
PINGS = (
    ("grpc.keepalive_time_ms", 200),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)


@pytest.mark.slow
def test_pings_as_frequent_as_our_clients_send_are_borne_and_more_frequent_ones_are_not(colour):
    allowing, strict = ServerOptions(min_ping_interval=0.1), ServerOptions(min_ping_interval=10)
    with (
        running(colour, options=allowing) as patient,
        running(colour, options=strict) as impatient,
        dial(patient, *PINGS) as one,
        dial(impatient, *PINGS) as other,
    ):
        # On both calls nothing travels but pings, for longer than three strikes take.
        calls = [c.unary_unary(path("unary_unary")).future(b"hold", timeout=5) for c in (one, other)]
        outcomes = [c.exception().code() for c in calls]
    assert outcomes == [grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE]


def test_a_bare_client_with_more_calls_than_one_connection_may_have_loses_none(colour):
    options = ServerOptions(max_concurrent_streams=4)
    with running(colour, options=options) as server, dial(server) as channel:
        for _ in range(5):
            pending = [channel.unary_unary(path("unary_unary")).future(b"hi") for _ in range(100)]
            assert {p.result(timeout=30) for p in pending} == {b"hi"}


def test_calls_from_many_connections_at_once_are_all_answered(colour):
    with running(colour) as server, ExitStack() as stack:
        channels = [stack.enter_context(dial(server)) for _ in range(4)]
        pending = [c.unary_unary(path("unary_unary")).future(b"hi") for c in channels for _ in range(90)]
        assert {p.result(timeout=30) for p in pending} == {b"hi"}
