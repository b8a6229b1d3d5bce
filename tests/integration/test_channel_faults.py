"""A connection that goes bad under a channel: silent, frozen, closed while idle, pinged, led to a proxy.

Times are compressed: pings after 1 s, given up 1 s later. What is promised is the sum, and 1 s of slack.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace

import grpc
import pytest
from grpc._cython import cygrpc
from support.echo import EchoServer
from support.echo_server import HANDLERS, PINGS_ALLOWED
from support.parallel import together
from support.paths import Path, SyncClient
from support.processes import EchoProcess
from support.relay import Relay

from eas_grpc import serving
from eas_grpc.options import PROFILES, Keepalive

COLOURS = ["sync", "aio"]
INTERVAL, TIMEOUT, SLACK = 1.0, 1.0, 1.0
NOTICED = INTERVAL + TIMEOUT + SLACK
FAST = replace(PROFILES["gateway"], keepalive=Keepalive(time=INTERVAL, timeout=TIMEOUT, without_calls=True))
# A call that nobody ends would go on until its deadline; then it fails the test by its status.
LONG = 20.0
PING = 17
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
DEADLINE_EXCEEDED = grpc.StatusCode.DEADLINE_EXCEEDED


def connected(shape, colour):
    return Path(shape, colour, "connect")


def begin_held(client, timeout):
    """A call that the server has and does not answer."""
    call = client.begin(b"hold", timeout=timeout)
    # Frames keep their order: when this is answered, the server has the call above as well.
    assert client.run(b"echo:hi") == [b"hi"]
    return call


def failure(call):
    """The status of a call that must fail, and the seconds until it did."""
    began = time.monotonic()
    with pytest.raises(grpc.RpcError) as caught:
        call.messages()
    return caught.value.code(), time.monotonic() - began


def await_lost(client):
    """Waits until the client's channel has noticed that its connection is gone.

    A call that begins at that very moment may still be given to the old connection, and with `retry=None` it
    fails with it.
    """
    if isinstance(client, SyncClient):
        # What grpc offers in public, `subscribe`, may leave out a state that has passed quickly.
        channel, ready = client.channel.inner()._channel, cygrpc.ConnectivityState.ready
        until = time.time() + LONG
        while channel.check_connectivity_state(False) == ready:
            assert time.time() < until
            channel.watch_connectivity_state(ready, until)
    else:
        client.loop.run_until_complete(asyncio.wait_for(_lost(client.channel), LONG))


async def _lost(channel):
    ready = grpc.ChannelConnectivity.READY
    while channel.get_state() is ready:
        await channel.wait_for_state_change(ready)


# --- silent: bytes are acknowledged and go nowhere

BOTH, UP, DOWN = {}, {"down": False}, {"up": False}
SILENCES = [
    *((shape, colour, "both", 0) for shape in ("unary_unary", "unary_stream") for colour in COLOURS),
    *(("unary_unary", colour, "up", 0) for colour in COLOURS),
    *(("unary_stream", colour, "down", 0) for colour in COLOURS),
    # Quiet for longer: core would send two pings and from then on one a minute.
    *(("unary_stream", colour, "both", 3) for colour in COLOURS),
]


def time_to_notice_silence(case):
    shape, colour, direction, pings = case
    with (
        EchoServer(PINGS_ALLOWED) as server,
        Relay(server.port) as relay,
        connected(shape, colour).client(relay.address, profile=FAST, retry=None) as client,
    ):
        call = begin_held(client, LONG)
        assert relay.last.await_up(pings * PING, LONG)
        link = relay.silence(**{"both": BOTH, "up": UP, "down": DOWN}[direction])
        code, took = failure(call)
        assert code is UNAVAILABLE
        assert link.given_up.wait(SLACK)
        await_lost(client)
        assert client.run(b"echo:hi") == [b"hi"]
        assert relay.accepted == 2
        return took


def test_a_call_on_a_link_that_goes_silent_ends_in_time_and_the_next_takes_a_new_connection():
    took = together(time_to_notice_silence, SILENCES)
    assert {case: seconds for case, seconds in took.items() if seconds > NOTICED} == {}


def test_an_idle_link_that_goes_silent_is_given_up_in_time_and_costs_the_next_call_nothing():
    def scenario(colour):
        with (
            EchoServer(PINGS_ALLOWED) as server,
            Relay(server.port) as relay,
            connected("unary_unary", colour).client(relay.address, profile=FAST, retry=None) as client,
        ):
            assert client.run(b"echo:hi") == [b"hi"]
            assert relay.silence().given_up.wait(NOTICED)
            await_lost(client)
            assert client.run(b"echo:hi", timeout=SLACK) == [b"hi"]
            assert relay.accepted == 2

    together(scenario, COLOURS)


def test_a_call_sent_into_silence_is_answered_over_a_new_connection():
    def scenario(colour):
        with (
            EchoServer(PINGS_ALLOWED) as server,
            Relay(server.port) as relay,
            connected("unary_unary", colour).client(relay.address, profile=FAST) as client,
        ):
            assert client.run(b"echo:hi") == [b"hi"]
            relay.silence()
            began = time.monotonic()
            assert client.run(b"echo:hi", timeout=LONG) == [b"hi"]
            assert time.monotonic() - began <= NOTICED
            assert relay.accepted == 2

    together(scenario, COLOURS)


# grpc's own channel, and ours where only the argument that sounds right is set.
BLIND = {
    "bare": ("interceptors", {}),
    "keepalive_timeout_ms alone": (
        "connect",
        {"profile": FAST, "retry": None, "options": [("grpc.http2.ping_timeout_ms", 60_000)]},
    ),
}


def test_without_these_settings_silence_is_not_noticed_in_that_time():
    def scenario(case):
        name, colour = case
        door, options = BLIND[name]
        with (
            EchoServer(PINGS_ALLOWED) as server,
            Relay(server.port) as relay,
            Path("unary_stream", colour, door).client(relay.address, **options) as client,
        ):
            call = begin_held(client, NOTICED)
            link = relay.silence()
            assert failure(call)[0] is DEADLINE_EXCEEDED
            assert failure(client.begin(b"echo:hi", timeout=0.3))[0] is DEADLINE_EXCEEDED
            assert relay.accepted == 1
            assert not link.given_up.is_set()

    together(scenario, [(name, colour) for name in BLIND for colour in COLOURS])


# --- frozen: the process is stopped, its kernel accepts and acknowledges


def test_a_frozen_server_is_noticed_in_time_and_used_again_when_it_goes_on():
    def scenario(case):
        shape, colour = case
        with (
            EchoProcess() as server,
            connected(shape, colour).client(server.address, profile=FAST, retry=None) as client,
        ):
            call = begin_held(client, LONG)
            server.freeze()
            code, took = failure(call)
            assert code is UNAVAILABLE
            await_lost(client)
            server.thaw()
            assert client.run(b"echo:hi", timeout=LONG) == [b"hi"]
            return took

    took = together(scenario, [(shape, c) for shape in ("unary_unary", "unary_stream") for c in COLOURS])
    assert {case: seconds for case, seconds in took.items() if seconds > NOTICED} == {}


def test_a_call_to_a_frozen_server_is_answered_when_the_server_goes_on():
    def scenario(colour):
        with (
            EchoProcess() as server,
            Relay(server.port) as relay,
            connected("unary_unary", colour).client(relay.address, profile=FAST) as client,
        ):
            assert client.run(b"echo:hi") == [b"hi"]
            link = relay.last
            server.freeze()
            call = client.begin(b"echo:hi", timeout=LONG)
            # An aio client works only inside its loop, which `messages` runs.
            thaw = threading.Thread(target=lambda: link.given_up.wait(LONG) and server.thaw())
            thaw.start()
            assert call.messages() == [b"hi"]
            thaw.join()
            assert relay.accepted == 2

    together(scenario, COLOURS)


# --- closed by the other side while nothing was under way

ROUNDS = 50


@pytest.mark.skipif(
    grpc.__version__.startswith("1.71."),
    reason="grpcio 1.71 looks at an idle connection only now and then; there the retries are needed",
)
@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
def test_an_idle_connection_closed_by_the_other_side_costs_no_call_even_without_retries(reset):
    def scenario(colour):
        with (
            EchoServer() as server,
            Relay(server.port) as relay,
            connected("unary_unary", colour).client(relay.address, retry=None) as client,
        ):
            for _ in range(ROUNDS):
                assert client.run(b"echo:hi") == [b"hi"]
                relay.close(reset=reset)
                await_lost(client)
            assert client.run(b"echo:hi") == [b"hi"]
            assert (relay.accepted, len(server.calls)) == (ROUNDS + 1, ROUNDS + 1)

    together(scenario, COLOURS)


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
def test_a_call_that_races_with_the_closing_of_its_connection_is_tried_again(reset):
    def scenario(colour):
        with (
            EchoServer() as server,
            Relay(server.port) as relay,
            connected("unary_unary", colour).client(relay.address) as client,
        ):
            for _ in range(ROUNDS):
                assert client.run(b"echo:hi") == [b"hi"]
                relay.close(reset=reset)
            assert client.run(b"echo:hi") == [b"hi"]

    together(scenario, COLOURS)


# --- pings, as many as a service bears

# The gateway profile and the server's own limit, both faster in the same proportion. Core pings once a second
# at most.
SCALE = PROFILES["gateway"].keepalive.time
PINGING = replace(PROFILES["gateway"], keepalive=Keepalive(time=1.0, timeout=1.0, without_calls=True))
SERVED = serving.ServerOptions(min_ping_interval=serving.ServerOptions().min_ping_interval / SCALE)
PINGS = 5


def end_of_a_silent_stream(address, colour):
    """How a stream ends that the server holds and its caller gives up after more than five pings."""
    with (
        Relay(int(address.rpartition(":")[2])) as relay,
        connected("unary_stream", colour).client(relay.address, profile=PINGING, retry=None) as client,
    ):
        call = begin_held(client, PINGS + 1.0)
        sent = relay.last.bytes_up
        code, _ = failure(call)
        return code, relay.links[0].bytes_up - sent >= PINGS * PING


def test_our_server_bears_the_pings_of_our_client_during_a_long_stream():
    def register(server):
        server.add_registered_method_handlers("test.Echo", HANDLERS)

    with serving.Server(register, options=SERVED) as server:
        ended = together(lambda colour: end_of_a_silent_stream(server.address, colour), COLOURS)
    assert ended == dict.fromkeys(COLOURS, (DEADLINE_EXCEEDED, True))


def test_a_stock_server_ends_that_stream():
    with EchoServer() as server:
        ended = together(lambda colour: end_of_a_silent_stream(server.address, colour)[0], COLOURS)
    assert ended == dict.fromkeys(COLOURS, UNAVAILABLE)


# --- proxy variables

CALLS = """
import asyncio, sys
import grpc
import eas_grpc
from eas_grpc import aio

address, path = sys.argv[1:]

async def ours():
    async with aio.connect(address) as channel:
        return await channel.unary_unary(path)(b"echo:aio")

with eas_grpc.connect(address) as channel:
    print(channel.unary_unary(path)(b"echo:sync"), asyncio.run(ours()), flush=True)
with grpc.insecure_channel(address) as channel:
    try:
        channel.unary_unary(path)(b"echo:bare", timeout=10)
    except grpc.RpcError as error:
        print(error.code().name, flush=True)
"""


def test_proxy_variables_do_not_lead_a_loopback_call_astray(echo):
    seen = []

    def refuse_all(proxy):
        # Closing the listener ends the loop.
        while True:
            try:
                connection = proxy.accept()[0]
            except OSError:
                return
            with connection:
                seen.append(connection.recv(7))
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as proxy:
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        answering = threading.Thread(target=refuse_all, args=(proxy,))
        answering.start()
        hidden = {"no_proxy", "no_grpc_proxy", "grpc_proxy", "https_proxy"}
        cleared = {name: value for name, value in os.environ.items() if name.lower() not in hidden}
        done = subprocess.run(
            [sys.executable, "-c", CALLS, echo.address, "/test.Echo/unary_unary"],
            env=cleared | {"http_proxy": address},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        proxy.shutdown(socket.SHUT_RDWR)
        answering.join()
    assert done.stdout.splitlines() == ["b'sync' b'aio'", "UNAVAILABLE"], done.stderr
    assert set(seen) == {b"CONNECT"}
    assert [call.requests for call in echo.calls] == [[b"echo:sync"], [b"echo:aio"]]
