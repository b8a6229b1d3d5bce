"""Over HTTP: faults for each call, requests that take too long, idle connections, compressed bodies (eas-wire.md 9, 4, 5, 8).

Times are compressed: what takes 5 or 180 s in EAS takes a fraction of one here, and is waited for, not slept through.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator

import cramjam
import pytest
from support.gateway_clients import WAIT, Answer, Http1, Http2, ask, port_of, post, request_bytes, signed
from support.gateway_upstreams import GrpcUpstream, Held, HttpUpstream
from support.relay import Relay

from server_demo.gateway import Gateway, GatewayOptions, Request, Response, Service, demo

TOKEN = "dG9rZW4tb2YtYWxs"
AUTH = [("Authorization", TOKEN)]
BEARER = [("authorization", f"Bearer {TOKEN}")]
ECHO = "/api/predict/echo"


@pytest.fixture(scope="module")
def shared() -> Iterator[Gateway]:
    with Gateway(options=GatewayOptions(rate_limit=0)) as running:
        demo.add_demo(running, [TOKEN])
        yield running


@pytest.fixture
def gateway(shared) -> Iterator[Gateway]:
    yield shared
    shared.faults.end_all()


def echoed(gateway: Gateway, body: bytes = b"body") -> Answer:
    return ask(gateway.address, "POST", ECHO, AUTH, body)


# Faults of a call.


@pytest.mark.parametrize("status", [400, 401, 404, 429, 450, 499, 500, 502, 503, 504, 512])
def test_a_status_comes_with_its_body_for_so_many_calls_and_keeps_the_connection(gateway, status):
    with gateway.faults.status(status, "because", calls=2) as fault, Http1(gateway.address) as client:
        for _ in range(2):
            answer = client.ask("POST", ECHO, AUTH, b"x")
            assert (answer.status, answer.body, answer.closes) == (status, b"because", False)
        assert client.ask("POST", ECHO, AUTH, b"x").body == b"x"
        assert fault.hits == 2


def test_408_closes_the_connection(gateway):
    with gateway.faults.status(408, "too slow", calls=1), Http1(gateway.address) as client:
        client.send(request_bytes("POST", ECHO, AUTH, b"x"))
        answer = client.receive()
        assert (answer.status, answer.body, answer.closes) == (408, b"too slow", True)
        assert client.ended()


def test_no_healthy_upstream_is_the_503_of_eas(gateway):
    with gateway.faults.no_healthy_upstream():
        answer = echoed(gateway)
    assert (answer.status, answer.body) == (503, b"no healthy upstream")


def test_a_fault_is_for_its_service_and_its_path_alone(gateway):
    gateway.faults.status(503, method=f"POST {ECHO}/v1/*")
    gateway.faults.status(450, service="digits")
    assert echoed(gateway).status == 200
    assert ask(gateway.address, "POST", f"{ECHO}/v1/x", AUTH, b"x").status == 503
    assert ask(gateway.address, "GET", "/api/predict/digits", AUTH).status == 450


def test_a_fault_does_not_let_anybody_in(gateway):
    with gateway.faults.status(503) as fault:
        assert ask(gateway.address, "POST", ECHO, [("Authorization", "wrong")], b"x").status == 401
        assert fault.hits == 0


def test_a_delay_holds_the_request_back_and_then_lets_it_go_on(gateway):
    with HttpUpstream() as upstream:
        gateway.add(Service(name="delayed", http=upstream.address, tokens=(TOKEN,)))
        with gateway.faults.latency(60, service="delayed") as fault, Http1(gateway.address) as client:
            client.send(request_bytes("POST", "/api/predict/delayed", AUTH, b"x"))
            # One that is not delayed overtakes it.
            assert echoed(gateway).status == 200
            assert gateway.calls()[-2].status is None
            assert upstream.heads == []
            fault.end()
            assert client.receive().body == b"served"
    with gateway.faults.latency(0.02):
        assert echoed(gateway).status == 200
        assert gateway.calls()[-1].seconds >= 0.02


def test_an_early_close_comes_without_an_answer(gateway):
    with gateway.faults.reset(), Http1(gateway.address) as client:
        client.send(request_bytes("POST", ECHO, AUTH, b"x"))
        with pytest.raises(ConnectionResetError):
            client.receive()
        assert gateway.calls()[-1].status == "RESET"


def test_a_close_after_the_head_leaves_the_body_incomplete(gateway):
    import http.client

    for text in ("reset:after=headers", "truncated_frame", "half_close"):
        fault = gateway.faults.begin(f"{text},calls=1" if ":" in text else f"{text}:calls=1")
        with fault, Http1(gateway.address) as client:
            client.send(request_bytes("POST", ECHO, AUTH, b"body"))
            with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
                client.receive()
            assert fault.hits == 1
    assert echoed(gateway).body == b"body"


def test_a_login_page_and_another_content_type(gateway):
    with gateway.faults.html():
        answer = echoed(gateway)
        assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    with gateway.faults.content_type("x/y"):
        answer = echoed(gateway)
        assert (answer.headers["content-type"], answer.body) == ("x/y", b"body")


def test_a_call_that_is_never_answered_goes_on_when_the_fault_ends(gateway):
    with gateway.faults.never_answer() as fault, Http1(gateway.address) as client:
        client.send(request_bytes("POST", ECHO, AUTH, b"x"))
        wait_for_hits(fault)
        fault.end()
        assert client.receive().body == b"x"


def wait_for_hits(fault) -> None:
    import time

    until = time.monotonic() + WAIT
    while not fault.hits:
        assert time.monotonic() < until


# Requests that take too long (metadata.rpc.keepalive).


def test_a_request_that_takes_longer_than_its_services_keepalive_is_408_and_the_connection_closes(gateway):
    held = Held()
    place = gateway.serve_http(held)
    gateway.add(Service(name="slow", http=place, tokens=(TOKEN,), keepalive=0.05))
    gateway.add(Service(name="patient", http=place, tokens=(TOKEN,)))
    with Http1(gateway.address) as patient, Http1(gateway.address) as client:
        patient.send(request_bytes("POST", "/api/predict/patient/p", AUTH, b"x"))
        waiting = held.next()
        client.send(request_bytes("POST", "/api/predict/slow", AUTH, b"x"))
        held.next()
        answer = client.receive()
        assert (answer.status, answer.closes) == (408, True)
        assert answer.body == b"the service did not answer within its keepalive of 0.05 s"
        assert client.ended()
        waiting.answer()
        assert patient.receive().body == b"/p"


def test_over_http_2_a_request_that_takes_too_long_is_408_and_the_others_go_on(gateway):
    held = Held()
    gateway.add(Service(name="slow2", http=gateway.serve_http(held), tokens=(TOKEN,), keepalive=0.05))
    with Http2(gateway.address) as client:
        number = client.begin_request("POST", "/api/predict/slow2", AUTH, b"x")
        assert client.answer(number).status == 408
        assert client.request("POST", ECHO, AUTH, b"x").body == b"x"


def test_time_in_which_the_client_sends_does_not_count(gateway):
    """A slow upload is not the service's fault; its time begins with the end of the request."""
    held = Held()
    gateway.add(Service(name="slow3", http=gateway.serve_http(held), tokens=(TOKEN,), keepalive=0.05))
    whole = request_bytes("POST", "/api/predict/slow3", AUTH, b"xy")
    with Http1(gateway.address) as slow, Http1(gateway.address) as other:
        slow.send(whole[:-1])
        other.send(request_bytes("POST", "/api/predict/slow3", AUTH, b"x"))
        assert other.receive().status == 408
        slow.send(whole[-1:])
        assert slow.receive().status == 408
        assert held.next()
        assert held.next()


# Idle connections.


@pytest.fixture
def hurried() -> Iterator[tuple[Gateway, Held]]:
    held = Held()
    with Gateway(options=GatewayOptions(idle_timeout=0.05)) as running:
        running.add(Service(name="held", http=running.serve_http(held), tokens=(TOKEN,)))
        yield running, held


def idle_connections_end(gateway: Gateway) -> None:
    """Waits until one that came now, and did nothing, was closed."""
    with Http1(gateway.address) as client:
        client.send(b"")
        assert client.ended()


def test_an_idle_connection_is_closed_whatever_it_did_before(hurried):
    gateway, held = hurried
    idle_connections_end(gateway)
    with Http1(gateway.address) as used, Http2(gateway.address) as http2:
        used.send(request_bytes("POST", "/api/predict/held", AUTH, b"x"))
        held.next().answer()
        assert used.receive().status == 200
        assert used.ended()
        assert http2.ended()
        assert http2.goaway == 0


def test_half_a_head_does_not_keep_a_connection(hurried):
    gateway, _ = hurried
    with Http1(gateway.address) as client:
        client.send(b"POST /api/predict/held HTTP/1.1\r\nHost: lo")
        assert client.ended()


def test_pings_do_not_keep_a_connection(hurried):
    """As middle boxes see it: a connection without calls. A client learns so by GOAWAY, not by a reset."""
    gateway, _ = hurried
    with Http2(gateway.address) as client:
        client.connection.ping(b"12345678")
        client.socket.sendall(client.connection.data_to_send())
        assert client.ended()
        assert client.goaway == 0


def test_a_connection_with_a_request_under_way_is_not_idle(hurried):
    gateway, held = hurried
    with Http1(gateway.address) as client, Http2(gateway.address) as http2:
        client.send(request_bytes("POST", "/api/predict/held/1", AUTH, b"x"))
        first = held.next()
        number = http2.begin_request("POST", "/api/predict/held/2", AUTH, b"x")
        second = held.next()
        for _ in range(3):
            idle_connections_end(gateway)
        first.answer()
        second.answer()
        assert client.receive().body == b"/1"
        assert http2.answer(number).body == b"/2"
        # And is so afterwards.
        assert client.ended()
        assert http2.ended()


def test_idle_connections_to_services_are_closed_and_made_anew():
    options = GatewayOptions(backend_idle_timeout=0.05)
    with HttpUpstream() as http, GrpcUpstream() as rpc, Relay(port_of(rpc.address)) as relay:
        service = Service(name="svc", http=http.address, grpc=relay.address, tokens=(TOKEN,))
        with Gateway(service, options=options) as gateway, Http2(gateway.address) as client:
            for count in (1, 2):
                assert post(gateway.address, "svc", TOKEN).status == 200
                http.ended.get(timeout=WAIT)
                assert http.accepted == count
                assert client.call("/a/b", BEARER, b"x").grpc_status == "0"
                assert relay.links[-1].given_up.wait(WAIT)
                assert relay.accepted == count
            # The client's own connection stays all the time.
            assert not client.closed


# Compressed bodies.

COMPRESS = {
    "zlib": zlib.compress,
    "gzip": lambda body: gzip.compress(body, mtime=0),  # not the time of day
    "snappy": lambda body: bytes(cramjam.snappy.compress_raw(body)),
    "zstd": lambda body: bytes(cramjam.zstd.compress(body)),
    "lz4": lambda body: bytes(cramjam.lz4.compress(body)),
}


@pytest.fixture(scope="module")
def packed(shared) -> Gateway:
    """A service for each decompressor, and one without, which answer with what reached them."""

    def tell(request: Request) -> Response:
        told = {
            f"x-saw-{name}": request.headers[name]
            for name in ("content-length", "content-encoding", "transfer-encoding")
            if name in request.headers
        }
        return Response(body=request.body, headers=told)

    place = shared.serve_http(tell)
    shared.add(Service(name="plain", http=place, tokens=(TOKEN,)))
    for how in COMPRESS:
        shared.add(Service(name=how, http=place, tokens=(TOKEN,), decompressor=how))
    return shared


PLAIN = b"some text that is worth it " * 40


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("how", COMPRESS)
def test_a_body_is_decompressed_as_the_service_is_configured(packed, how, chunked):
    path = f"/api/predict/{how}"
    answer = ask(packed.address, "POST", path, AUTH, COMPRESS[how](PLAIN), chunked=chunked)
    assert (answer.status, answer.body) == (200, PLAIN)
    assert answer.headers["x-saw-content-length"] == str(len(PLAIN))
    assert "x-saw-transfer-encoding" not in answer.headers
    with Http2(packed.address) as client:
        assert client.request("POST", path, AUTH, COMPRESS[how](PLAIN)).body == PLAIN


@pytest.mark.parametrize("encoding", ["gzip", "zlib", "deflate", "snappy", "br", "identity"])
@pytest.mark.parametrize("how", COMPRESS)
def test_content_encoding_decides_nothing(packed, how, encoding):
    headers = [*AUTH, ("Content-Encoding", encoding)]
    answer = ask(packed.address, "POST", f"/api/predict/{how}", headers, COMPRESS[how](PLAIN))
    assert answer.body == PLAIN
    untouched = ask(packed.address, "POST", "/api/predict/plain", headers, COMPRESS[how](PLAIN))
    assert untouched.body == COMPRESS[how](PLAIN)
    assert untouched.headers["x-saw-content-encoding"] == encoding


@pytest.mark.parametrize("how", COMPRESS)
def test_an_empty_body_and_a_get_pass(packed, how):
    for method in ("GET", "POST"):
        answer = ask(packed.address, method, f"/api/predict/{how}", AUTH)
        assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("how", COMPRESS)
def test_a_body_that_is_not_compressed_so_is_400(packed, how):
    for body in (PLAIN, COMPRESS[how](PLAIN)[:-9]):
        answer = ask(packed.address, "POST", f"/api/predict/{how}", AUTH, body)
        assert (answer.status, answer.headers["content-type"]) == (400, "text/plain; charset=utf-8")
        assert how in answer.body.decode()


@pytest.mark.parametrize("how", ["zlib", "gzip", "zstd", "lz4"])
def test_a_bomb_is_refused_and_reaches_no_service(packed, how):
    bomb = COMPRESS[how](bytes(200_000_000))
    assert len(bomb) < 1_000_000
    answer = ask(packed.address, "POST", f"/api/predict/{how}", AUTH, bomb)
    assert answer.status == 400
    assert b"larger than" in answer.body
    assert packed.calls()[-1].response_bytes == len(answer.body)


def test_a_signature_is_about_the_body_as_it_was_sent():
    """The vendor's clients compress first and sign then (eas-wire.md 3.4)."""
    with HttpUpstream() as upstream:
        service = Service(name="svc", http=upstream.address, tokens=(TOKEN,), decompressor="zlib")
        with Gateway(service, options=GatewayOptions(strict_auth=True)) as gateway:
            path, body = "/api/predict/svc", zlib.compress(PLAIN)
            assert ask(gateway.address, "POST", path, signed(TOKEN, path, body), body).status == 200
            assert ask(gateway.address, "POST", path, signed(TOKEN, path, PLAIN), body).status == 401
            assert len(upstream.heads) == 1


def test_messages_of_grpc_are_not_touched():
    with GrpcUpstream() as upstream:
        service = Service(name="svc", grpc=upstream.address, tokens=(TOKEN,), decompressor="zlib")
        with Gateway(service) as gateway, Http2(gateway.address) as client:
            client.call("/a/b", BEARER, zlib.compress(PLAIN))
        assert upstream.messages == [zlib.compress(PLAIN)]
