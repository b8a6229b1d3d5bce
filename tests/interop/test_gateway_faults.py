"""Clients of others meet with each fault of the gateway: grpc-go, grpc-js, and curl over HTTP/1.1 and HTTP/2."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
from interop.gateway_probe import Probe, curl
from support.gateway_greeter import (
    ECHO,
    HELLO_WORLD,
    TOKEN,
    await_stream,
    eventually,
    greeter_gateway,
    last_call,
)
from support.relay import Relay

from server_demo.gateway import Gateway

pytestmark = pytest.mark.interop

Code = grpc.StatusCode
CURLS = ["--http1.1", "--http2-prior-knowledge"]

# curl's exit statuses.
FINE, NO_CONNECTION, PARTIAL, TIMED_OUT, NOT_SENT, NOT_RECEIVED, STREAM_BROKEN = 0, 7, 18, 28, 55, 56, 92


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with greeter_gateway() as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def no_faults_left(gateway) -> Iterator[None]:
    yield
    gateway.faults.end_all()


@pytest.fixture
def relay(gateway) -> Iterator[Relay]:
    """In front of the gateway: counts connections."""
    with Relay(gateway.port) as relay:
        yield relay


@pytest.fixture(params=["go", "js"])
def language(request) -> str:
    return request.param


@pytest.fixture
def command(language, request) -> list[object]:
    if language == "go":
        return [request.getfixturevalue("go_programs") / "probe"]
    node, folder = request.getfixturevalue("node_programs")
    return [node, folder / "probe.js"]


@pytest.fixture
def probe(command, relay) -> Iterator[Probe]:
    """A client that has a connection."""
    with Probe(command, relay.address, TOKEN) as probe:
        assert probe.call().messages == [HELLO_WORLD]
        yield probe


# What both say, or what each of them says, and a part of the words.
DIFFERENT = dict[str, tuple[grpc.StatusCode, str]]
OVER_GRPC: dict[str, tuple[grpc.StatusCode, str] | DIFFERENT] = {
    "status": (Code.UNAVAILABLE, ""),
    "status:code=RESOURCE_EXHAUSTED,details=größer als 100 %": (Code.RESOURCE_EXHAUSTED, "größer als 100 %"),
    "status:code=503,details=busy": (Code.UNAVAILABLE, "HTTP status code"),
    "status:code=401": (Code.UNAUTHENTICATED, "HTTP status code"),
    "status:code=INTERNAL,details=early,after_messages=0": (Code.INTERNAL, "early"),
    "reset": (Code.INTERNAL, "RST_STREAM"),
    "reset:after=headers": (Code.INTERNAL, "RST_STREAM"),
    "reset:connection=true": (Code.UNAVAILABLE, ""),
    "reset:connection=true,after=headers": (Code.UNAVAILABLE, ""),
    "half_close": {
        "go": (Code.UNAVAILABLE, "error reading from server: EOF"),
        "js": (Code.UNAVAILABLE, "Connection dropped"),
    },
    "truncated_frame": {
        "go": (Code.UNAVAILABLE, "unexpected EOF"),
        "js": (Code.UNAVAILABLE, "Connection dropped"),
    },
    # Each tries once more on a connection of its own accord, since nothing was begun; that meets with the same.
    "goaway:grace=false": {
        "go": (Code.UNAVAILABLE, "the connection is draining"),
        "js": (Code.UNAVAILABLE, "Stream refused by server"),
    },
    "html": {
        "go": (Code.UNKNOWN, 'unexpected content-type "text/html'),
        # It takes `<!DOC` for the prefix of a message.
        "js": (Code.RESOURCE_EXHAUSTED, "larger than max"),
    },
    "html:status=502": (Code.UNAVAILABLE, "HTTP status code"),
    # grpc-js does not look at it.
    "content_type:value=text/plain": {
        "go": (Code.UNKNOWN, 'unexpected content-type "text/plain"'),
        "js": (Code.OK, ""),
    },
    "giant_message": (Code.RESOURCE_EXHAUSTED, "larger than max (100000000 vs"),
    "no_healthy_upstream": (Code.UNAVAILABLE, "no healthy upstream"),
}


@pytest.mark.parametrize("text", OVER_GRPC)
def test_a_client_of_grpc_sees_what_the_fault_says_and_nothing_of_it_afterwards(
    gateway, probe, language, text
):
    expected = OVER_GRPC[text]
    code, words = expected[language] if isinstance(expected, dict) else expected
    with gateway.faults.begin(text) as fault:
        seen = probe.call()
    assert (seen.code, seen.messages) == (code, [HELLO_WORLD] if code is Code.OK else [])
    assert words in seen.details.replace("status code received from server", "HTTP status code")
    assert fault.hits >= 1
    assert probe.call().messages == [HELLO_WORLD]


def test_a_status_comes_as_trailers_alone_or_after_headers_and_so_many_messages(gateway, probe):
    with gateway.faults.status("ABORTED", "enough"):
        alone = probe.call("SayHelloManyTimes", count=5)
    with gateway.faults.status("ABORTED", "enough", after_messages=0):
        at_once = probe.call("SayHelloManyTimes", count=5)
    with gateway.faults.status("ABORTED", "enough", after_messages=3):
        later = probe.call("SayHelloManyTimes", count=5)
    assert [seen.code for seen in (alone, at_once, later)] == [Code.ABORTED] * 3
    assert [seen.details for seen in (alone, at_once, later)] == ["enough"] * 3
    assert [len(seen.messages) for seen in (alone, at_once, later)] == [0, 0, 3]
    assert ["content-type" in seen.headers for seen in (at_once, later)] == [True, True]
    # Those of an answer that is trailers alone are no headers to a client.
    assert "grpc-accept-encoding" not in alone.headers


@pytest.mark.parametrize("method", ["SayHello", "SayHelloManyTimes", "SayHelloToAll", "Chat"])
def test_a_status_ends_calls_of_every_shape(gateway, probe, method):
    with gateway.faults.status("DATA_LOSS", calls=1):
        assert probe.call(method).code is Code.DATA_LOSS
        assert probe.call(method).code is Code.OK


def test_latency_and_jitter_take_the_time_that_the_trace_tells(gateway, probe):
    with gateway.faults.latency(0.1, jitter=0.3, seed=7) as fault:
        took = [probe.call().seconds for _ in range(4)]
    told = [float(entry.did.split()[1]) for entry in fault.trace]
    assert all(seconds >= delay >= 0.1 for seconds, delay in zip(took, told, strict=True))
    assert len(set(told)) == 4


def test_a_goaway_with_grace_lets_streams_end_and_sends_new_calls_over_a_new_connection(
    gateway, probe, relay
):
    streaming = probe.begin("SayHelloManyTimes", count=30, interval_ms=20)
    await_stream(gateway)
    with gateway.faults.goaway(calls=1) as fault:
        assert probe.call().messages == [HELLO_WORLD]
        assert fault.hits == 1
    assert probe.call().messages == [HELLO_WORLD]
    assert relay.accepted == 2
    assert probe.end(streaming).messages == [HELLO_WORLD] * 30
    eventually(lambda: gateway.connections() == 1)


def test_a_goaway_without_grace_ends_streams_and_a_call_that_nobody_began_goes_over_a_new_connection(
    gateway, probe, relay
):
    streaming = probe.begin("SayHelloManyTimes", count=1000, interval_ms=100)
    await_stream(gateway)
    with gateway.faults.goaway(grace=False, calls=1) as fault:
        assert probe.call().messages == [HELLO_WORLD]
        assert fault.hits == 1
    assert probe.end(streaming).code is Code.UNAVAILABLE
    assert relay.accepted == 2


@pytest.mark.parametrize("direction", ["both", "to_client", "to_service"])
def test_an_idle_connection_in_a_black_hole_looks_well_and_carries_nothing_until_it_ends(
    gateway, probe, relay, direction
):
    calls = len(gateway.calls())
    with gateway.faults.black_hole(direction):
        assert probe.call(timeout=0.5).code is Code.DEADLINE_EXCEEDED
        # Only what the service says disappears: it was called.
        assert len(gateway.calls()) - calls == (1 if direction == "to_client" else 0)
        assert not relay.last.given_up.is_set()
    assert probe.call().messages == [HELLO_WORLD]
    assert relay.accepted == 1


@pytest.mark.parametrize("direction", ["both", "to_client", "to_service"])
def test_the_next_call_in_a_black_hole_takes_its_connection_along(gateway, probe, direction):
    with gateway.faults.black_hole(direction, calls=1) as fault:
        assert probe.call(timeout=0.5).code is Code.DEADLINE_EXCEEDED
        assert probe.call(timeout=0.5).code is Code.DEADLINE_EXCEEDED
        assert (fault.hits, len(fault.trace)) == (1, 1)
    assert probe.call().messages == [HELLO_WORLD]


def test_a_stream_in_a_black_hole_stands_still_and_loses_nothing(gateway, probe, relay):
    streaming = probe.begin("SayHelloManyTimes", count=20, interval_ms=20)
    await_stream(gateway)
    with gateway.faults.black_hole("to_client"):
        passed = relay.last.bytes_down
        eventually(lambda: last_call(gateway).status == "OK")
        # What had left before may still have been on its way.
        assert relay.last.bytes_down - passed < last_call(gateway).response_bytes
    seen = probe.end(streaming)
    assert (seen.code, seen.messages) == (Code.OK, [HELLO_WORLD] * 20)


def test_only_keepalive_finds_a_black_hole_before_the_deadline(gateway, node_programs):
    node, folder = node_programs
    keepalive = {"grpc.keepalive_time_ms": 100, "grpc.keepalive_timeout_ms": 200}
    with (
        Probe([node, folder / "probe.js"], gateway.address, TOKEN, **keepalive) as careful,
        Probe([node, folder / "probe.js"], gateway.address, TOKEN) as trusting,
    ):
        assert careful.call().code is trusting.call().code is Code.OK
        with gateway.faults.black_hole():
            waiting = trusting.begin(timeout=2)
            found = careful.call()
            assert (found.code, found.details) in [
                (Code.UNAVAILABLE, "Keepalive timeout"),
                (Code.UNAVAILABLE, "Connection dropped"),
            ]
            assert trusting.end(waiting).code is Code.DEADLINE_EXCEEDED


def test_a_dripping_stream_is_complete_and_takes_as_long_as_its_drops(gateway, probe):
    with gateway.faults.drip(10, interval=0.02, calls=1):
        slow = probe.call("SayHelloManyTimes", count=10)
    quick = probe.call("SayHelloManyTimes", count=10)
    assert slow.messages == quick.messages == [HELLO_WORLD] * 10
    assert slow.seconds >= last_call(gateway).response_bytes / 10 * 0.02
    assert slow.seconds > quick.seconds


@pytest.mark.parametrize("which", [{}, {"calls": 1}])
def test_bandwidth_bounds_what_a_client_of_grpc_receives_or_sends(gateway, probe, which):
    name = "x" * 20_000
    with gateway.faults.bandwidth(40_000, **which):
        down = probe.call("SayHello", name)
    assert down.messages == [f"Hello, {name}!"]
    assert down.seconds >= 20_000 / 40_000 * 0.9
    # A single call is known from its head on: what comes in one piece with that, 256 KiB at most, is in.
    with gateway.faults.bandwidth(400_000, direction="to_service", **which):
        up = probe.call("SayHelloToAll", *[name] * 25)
    assert up.code is Code.OK
    assert up.seconds >= (500_000 - 256 * 1024) / 400_000 * 0.9


def test_never_answered_calls_run_into_the_deadline_or_go_on_when_the_fault_ends(gateway, probe):
    with gateway.faults.never_answer(method="*/SayHello") as fault:
        assert probe.call(timeout=0.3).code is Code.DEADLINE_EXCEEDED
        waiting = probe.begin()
        eventually(lambda: len(fault.trace) == 2)
        # Others are answered meanwhile.
        assert probe.call("SayHelloToAll").messages == [HELLO_WORLD]
    assert probe.end(waiting).messages == [HELLO_WORLD]


def test_a_restart_breaks_every_connection_and_comes_back_on_the_same_port(command):
    with greeter_gateway() as gateway, Probe(command, gateway.address, TOKEN) as probe:
        streaming = probe.begin("SayHelloManyTimes", count=1000, interval_ms=100)
        await_stream(gateway)
        with gateway.faults.restart(down=0.5, calls=1, method="POST *"):
            assert curl(f"http://{gateway.address}{ECHO}").exit == NOT_RECEIVED
        assert probe.end(streaming).code is Code.UNAVAILABLE
        assert curl(f"http://{gateway.address}{ECHO}").exit == NO_CONNECTION
        eventually(lambda: curl(f"http://{gateway.address}{ECHO}").exit == FINE)
        eventually(lambda: probe.call().messages == [HELLO_WORLD])


# What is sent; curl's exit status over HTTP/1.1 and over HTTP/2, the HTTP status (0: none), the content type, the body's
# first line. What is answered in the service's place is asked without a body: curl 7.88 takes it badly when HTTP/2
# answers before it has sent all.
FORM = "application/x-www-form-urlencoded"
OVER_HTTP = {
    "status:code=450,details=busy": (None, FINE, FINE, 450, "text/plain; charset=utf-8", "busy"),
    # Happens to gRPC alone.
    "status:code=INTERNAL": ("hello", FINE, FINE, 200, FORM, "hello"),
    "reset": (None, NOT_RECEIVED, STREAM_BROKEN, 0, None, ""),
    "reset:after=headers": ("hello", NOT_RECEIVED, STREAM_BROKEN, 200, FORM, ""),
    "reset:connection=true": (None, NOT_RECEIVED, NOT_RECEIVED, 0, None, ""),
    "reset:connection=true,after=headers": ("hello", NOT_RECEIVED, NOT_RECEIVED, 200, FORM, ""),
    "half_close": ("hello", PARTIAL, PARTIAL, 200, FORM, ""),
    "truncated_frame": ("hello", PARTIAL, PARTIAL, 200, FORM, "he"),
    "html": (None, FINE, FINE, 200, "text/html; charset=utf-8", "<!DOCTYPE html>"),
    "html:status=502": (None, FINE, FINE, 502, "text/html; charset=utf-8", "<!DOCTYPE html>"),
    "content_type:value=image/png": ("hello", FINE, FINE, 200, "image/png", "hello"),
    "no_healthy_upstream": (None, FINE, FINE, 503, "text/plain; charset=utf-8", "no healthy upstream"),
}


@pytest.mark.parametrize("version", CURLS)
@pytest.mark.parametrize("text", OVER_HTTP)
def test_curl_sees_what_the_fault_says_and_nothing_of_it_afterwards(gateway, version, text):
    url = f"http://{gateway.address}{ECHO}"
    sent, exit_1, exit_2, status, content_type, body = OVER_HTTP[text]
    with gateway.faults.begin(text):
        seen = curl(url, version, body=sent)
    expected = exit_1 if version == CURLS[0] else exit_2
    # It may hear of a reset connection when it sends a window update; and the system makes a reset of an end where
    # something of HTTP/2's own (an acknowledgement of SETTINGS) comes after it.
    also = {NOT_RECEIVED: NOT_SENT, PARTIAL: NOT_RECEIVED if version != CURLS[0] else PARTIAL}
    assert seen.exit in {expected, also.get(expected, expected)}, seen.error
    # curl forgets the headers of a stream that is reset in the same breath.
    if (seen.exit, seen.http_code) != (STREAM_BROKEN, 0):
        assert (seen.http_code, seen.content_type) == (status, content_type)
    assert seen.body.partition("\n")[0] == body
    after = curl(url, version, body="hello")
    assert (after.exit, after.http_code, after.body) == (FINE, 200, "hello")


@pytest.mark.parametrize("version", CURLS)
def test_curl_waits_as_long_as_latency_says(gateway, version):
    with gateway.faults.latency(0.3) as fault:
        seen = curl(f"http://{gateway.address}{ECHO}", version, body="hello")
    assert (seen.body, seen.time_total >= 0.3) == ("hello", True)
    assert [entry.did for entry in fault.trace] == ["waited 0.3 s"]


@pytest.mark.parametrize("version", CURLS)
@pytest.mark.parametrize(
    "text",
    [
        "never_answer",
        "black_hole",
        "black_hole:direction=to_client",
        "black_hole:direction=to_service,calls=1",
    ],
)
def test_curl_times_out_without_a_byte_and_without_an_end(gateway, version, text):
    with gateway.faults.begin(text):
        seen = curl(f"http://{gateway.address}{ECHO}", version, "--max-time", 0.4, body="hello")
    assert (seen.exit, seen.http_code, seen.body) == (TIMED_OUT, 0, "")
    assert "with 0 bytes received" in seen.error


@pytest.mark.parametrize("version", CURLS)
@pytest.mark.parametrize("which", ["", ",calls=1"])
def test_curl_receives_slowly_what_drips_or_has_little_bandwidth(gateway, version, which):
    url, body = f"http://{gateway.address}{ECHO}", "x" * 2000
    for text in (f"drip:size=100,interval=0.02{which}", f"bandwidth:bytes_per_second=5000{which}"):
        with gateway.faults.begin(text):
            seen = curl(url, version, body=body)
        # 2,000 bytes in 20 drops, or at 5,000 bytes a second.
        assert (seen.body, seen.time_total - seen.time_starttransfer >= 0.3) == (body, True), text


@pytest.mark.parametrize("version", CURLS)
def test_curl_sends_slowly_where_the_way_to_the_service_has_little_bandwidth(gateway, version):
    body = "x" * 20_000
    with gateway.faults.bandwidth(40_000, direction="to_service"):
        seen = curl(f"http://{gateway.address}{ECHO}", version, "--header", "Expect:", body=body)
    assert seen.body == body
    assert seen.time_total >= 0.45
    assert last_call(gateway).request_bytes == 20_000
