"""What really goes wrong on a loopback, in both colours: status, who said so, HTTP status, and the hint.

The texts behind the hints are grpc core's and change with its version; this is where a change shows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.echo import SHAPES, EchoServer, method
from support.h2_answers import Http1, Http2, Silent
from support.paths import Path
from support.processes import reserved_port

from eas_grpc.errors import CallError, Origin

both_colours = pytest.mark.parametrize("colour", ["sync", "aio"])

HTML = (("content-type", "text/html"),)
GRPC = ((":status", "200"), ("content-type", "application/grpc"))


class Certificate(NamedTuple):
    key: bytes
    chain: bytes


def self_signed(name: str) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Certificate(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        certificate.public_bytes(serialization.Encoding.PEM),
    )


OURS = self_signed("localhost")
ANOTHERS = self_signed("another.example")


@dataclass
class Call:
    """One call: where to, what, and with which options of the channel and of the call."""

    address: str
    request: bytes = b"echo:x"
    channel: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Case:
    name: str
    make: Callable[[], AbstractContextManager[Call]]
    status: str
    origin: Origin
    hint: str
    http_status: int | None = None


def over_tls(address: str) -> str:
    return f"https://localhost:{address.rpartition(':')[2]}"


@contextmanager
def nothing_listening() -> Iterator[Call]:
    with reserved_port() as port:
        yield Call(f"127.0.0.1:{port}")


@contextmanager
def unknown_name() -> Iterator[Call]:
    yield Call("no-such-host.invalid")


def tls_server(
    certificate: Certificate, trusted: bytes | None = None, *, tls: bool = True
) -> Callable[[], AbstractContextManager[Call]]:
    @contextmanager
    def make() -> Iterator[Call]:
        credentials = grpc.ssl_server_credentials([(certificate.key, certificate.chain)])
        channel = {"credentials": grpc.ssl_channel_credentials(trusted)} if tls else {}
        with EchoServer(credentials=credentials) as server:
            yield Call(over_tls(server.address) if tls else server.address, channel=channel)

    return make


def grpc_server(
    request: bytes = b"echo:x", options: dict[str, Any] | None = None, *, tls: bool = False, **channel: Any
) -> Callable[[], AbstractContextManager[Call]]:
    @contextmanager
    def make() -> Iterator[Call]:
        limits = (("grpc.max_receive_message_length", 1000), ("grpc.absolute_max_metadata_size", 1200))
        with EchoServer(limits) as server:
            address = over_tls(server.address) if tls else server.address
            yield Call(address, request, channel, options or {})

    return make


def silent(*, tls: bool = False, deadline: float = 20, connect_ms: int = 20_000) -> Any:
    @contextmanager
    def make() -> Iterator[Call]:
        with Silent() as server:
            channel = {"deadline": deadline, "options": [("grpc.min_reconnect_backoff_ms", connect_ms)]}
            yield Call(over_tls(server.address) if tls else server.address, channel=channel)

    return make


@contextmanager
def http1() -> Iterator[Call]:
    with Http1() as server:
        yield Call(server.address)


@contextmanager
def http_proxy() -> Iterator[Call]:
    with Http1("501 Not Implemented") as proxy:
        options = [("grpc.http_proxy", f"http://{proxy.address}")]
        yield Call("192.0.2.1", channel={"options": options, "proxy": True})


def http2(*args: Any, **kwargs: Any) -> Callable[[], AbstractContextManager[Call]]:
    @contextmanager
    def make() -> Iterator[Call]:
        with Http2(*args, **kwargs) as server:
            yield Call(server.address)

    return make


def says(status: int) -> Callable[[], AbstractContextManager[Call]]:
    return http2([(":status", str(status)), *HTML], b"<html>no</html>")


CLIENT, SERVER, GATEWAY, UNKNOWN = Origin.CLIENT, Origin.SERVER, Origin.GATEWAY, Origin.UNKNOWN

CASES = [
    Case("nothing listens", nothing_listening, "UNAVAILABLE", CLIENT, "nothing listens there"),
    Case("no such name", unknown_name, "UNAVAILABLE", CLIENT, "only inside its VPC"),
    Case("no TLS to a TLS port", tls_server(OURS, tls=False), "UNAVAILABLE", CLIENT, "write https://"),
    Case("TLS to a plain port", grpc_server(tls=True), "UNAVAILABLE", CLIENT, "does not speak TLS"),
    Case("unknown CA", tls_server(OURS), "UNAVAILABLE", CLIENT, "pass its CA in credentials="),
    Case("wrong host name", tls_server(ANOTHERS, ANOTHERS.chain), "UNAVAILABLE", CLIENT, "for another name"),
    Case("no PEM", tls_server(OURS, b"what is this?"), "UNAVAILABLE", CLIENT, "credentials= cannot be read"),
    Case("HTTP/1.1", http1, "UNAVAILABLE", CLIENT, "speaks HTTP/1.1, not gRPC"),
    Case("silence", silent(deadline=0.3), "DEADLINE_EXCEEDED", CLIENT, "timeout="),
    Case("silence, connecting", silent(connect_ms=300), "UNAVAILABLE", CLIENT, "says nothing"),
    Case("silence, TLS", silent(connect_ms=300, tls=True), "UNAVAILABLE", CLIENT, "TLS handshake"),
    Case("proxy", http_proxy, "UNAVAILABLE", CLIENT, "proxy=False"),
    Case("400", says(400), "INTERNAL", GATEWAY, "enable_grpc", 400),
    Case("401", says(401), "UNAUTHENTICATED", GATEWAY, "gateway refused the token", 401),
    Case("403", says(403), "PERMISSION_DENIED", GATEWAY, "forbids this call", 403),
    Case("404", says(404), "UNIMPLEMENTED", GATEWAY, "no such service", 404),
    Case("405", says(405), "UNKNOWN", GATEWAY, "enable_grpc", 405),
    Case("408", says(408), "UNKNOWN", GATEWAY, "metadata.rpc.keepalive", 408),
    Case("413", says(413), "UNKNOWN", GATEWAY, "1 MB", 413),
    Case("415", says(415), "UNKNOWN", GATEWAY, "does not take gRPC", 415),
    Case("418", says(418), "UNKNOWN", GATEWAY, "HTTP 418 instead of the service", 418),
    Case("429", says(429), "UNAVAILABLE", GATEWAY, "slow down", 429),
    Case("431", says(431), "INTERNAL", GATEWAY, "metadata of the call are too large", 431),
    Case("450", says(450), "UNKNOWN", GATEWAY, "queue is full", 450),
    Case("500", says(500), "UNKNOWN", GATEWAY, "look at the service's log", 500),
    Case("502", says(502), "UNAVAILABLE", GATEWAY, "broke the connection to the gateway", 502),
    Case("503", says(503), "UNAVAILABLE", GATEWAY, "no instance is ready", 503),
    Case("504", says(504), "UNAVAILABLE", GATEWAY, "no answer from the service in time", 504),
    Case("302", says(302), "UNKNOWN", GATEWAY, "redirect", 302),
    Case("web page", http2([(":status", "200"), *HTML], b"<html/>"), "UNKNOWN", UNKNOWN, "not gRPC"),
    Case("empty web page", http2([(":status", "200"), *HTML]), "UNKNOWN", UNKNOWN, "not gRPC"),
    Case("broken off", http2(GRPC, reset=2), "INTERNAL", UNKNOWN, "broke this call off"),
    Case("not begun", http2(GRPC, reset=7), "UNAVAILABLE", UNKNOWN, "send it again"),
    Case("enhance your calm", http2(GRPC, reset=11), "RESOURCE_EXHAUSTED", UNKNOWN, "slow down"),
    Case("goodbye", http2(GRPC, goaway=(0, b"")), "UNAVAILABLE", CLIENT, "the next call uses a new one"),
    Case("pings", http2(GRPC, goaway=(11, b"too_many_pings")), "UNAVAILABLE", CLIENT, "profile='direct'"),
    Case("headers", http2([*GRPC, ("x-a", "y" * 70_000)]), "RESOURCE_EXHAUSTED", UNKNOWN, "answer's headers"),
    Case("large answer", grpc_server(b"echo:" + b"x" * 900, max_response=500), "RESOURCE_EXHAUSTED", CLIENT, "max_response="),
    Case("large request", grpc_server(b"echo:" + b"x" * 1500), "RESOURCE_EXHAUSTED", SERVER, "raise its limit"),
    Case("metadata", grpc_server(options={"metadata": (("x-a", "y" * 4000),)}), "RESOURCE_EXHAUSTED", UNKNOWN, "metadata of the call"),
    Case("wrong token", grpc_server(b"need:right", token="wrong"), "UNAUTHENTICATED", SERVER, "details page"),
    Case("service failed", grpc_server(b"sleep:soon"), "UNKNOWN", SERVER, "its log has the traceback"),
    Case("deadline", grpc_server(b"hold:", options={"timeout": 0.2}), "DEADLINE_EXCEEDED", CLIENT, "timeout="),
]  # fmt: skip


@both_colours
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_failure_says_its_status_its_origin_and_what_to_do(case: Case, colour: str) -> None:
    with case.make() as call:
        # A token for a public host would be warned of, rightly.
        token = "a-token-of-this-test" if call.address.startswith("127.0.0.1") else None
        channel = {"deadline": 20, "retry": None, "token": token} | call.channel
        path = Path("unary_unary", colour, "connect")
        with path.client(call.address, **channel) as client, pytest.raises(CallError) as caught:
            client.run(call.request, **call.options)
    failure = caught.value.failure
    assert (failure.status, failure.origin, failure.http_status) == (
        case.status,
        case.origin,
        case.http_status,
    ), failure
    assert case.hint in failure.hint, failure
    assert caught.value.code() is grpc.StatusCode[case.status]
    assert failure.hint in str(caught.value)


@both_colours
@pytest.mark.parametrize("name", ["/test.Echo/No", "/no.Such/unary_unary"])
def test_a_missing_method_says_where_to_look(colour: str, name: str, echo: EchoServer) -> None:
    with Path("unary_unary", colour, "connect").client(echo.address) as client:
        client.multicallable = client.channel.unary_unary(name)
        with pytest.raises(CallError) as caught:
            client.run(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert caught.value.origin is Origin.SERVER
    assert "in the .proto" in caught.value.hint


@both_colours
@pytest.mark.parametrize("shape", SHAPES)
def test_an_answer_that_the_stub_cannot_read_says_so(shape: str, colour: str, echo: EchoServer) -> None:
    """grpc.aio itself answers None here, as if the call had gone well."""

    def refuse(_: bytes) -> None:
        raise ValueError("not my message")

    with Path(shape, colour, "connect").client(echo.address) as client:
        client.multicallable = getattr(client.channel, shape)(method(shape), None, refuse)
        with pytest.raises(CallError) as caught:
            client.run(b"echo:x")
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert caught.value.origin is Origin.CLIENT
    assert "compare its .proto" in caught.value.hint


@both_colours
@pytest.mark.parametrize(
    "status", [s.name for s in grpc.StatusCode if s is not grpc.StatusCode.OK], ids=str.lower
)
def test_the_words_of_a_service_are_never_taken_for_a_failure_of_this_side(
    colour: str, status: str, echo: EchoServer
) -> None:
    """A service may speak of keepalive, connections and content types; it has not lost ours."""
    words = "wrong content-type, keepalive off, Connection refused by the database"
    path = Path("unary_unary", colour, "connect")
    with path.client(echo.address, retry=None) as client, pytest.raises(CallError) as caught:
        client.run(f"fail:{status}:{words}".encode())
    assert caught.value.details() == words
    assert caught.value.origin in (Origin.SERVER, Origin.UNKNOWN)
    for wrong in ("nothing listens", "not gRPC", "gone silent", "could not be reached"):
        assert wrong not in caught.value.hint


@both_colours
def test_a_call_that_the_service_cancelled_was_not_cancelled_here(colour: str) -> None:
    path = Path("unary_unary", colour, "connect")
    with (
        Http2(GRPC, reset=8) as server,
        path.client(server.address, retry=None) as client,
        pytest.raises(CallError) as caught,
    ):
        client.run(b"echo:x")
    assert caught.value.code() is grpc.StatusCode.CANCELLED
    assert caught.value.origin is Origin.UNKNOWN


@pytest.mark.parametrize("shape", ["unary_stream", "stream_stream"])
def test_reading_a_stream_that_was_cancelled_here_raises_at_once(shape: str, echo: EchoServer) -> None:
    """grpc's own debug_error_string() would wait for ever: grpc never makes that text for such a call."""
    with Path(shape, "sync", "connect").client(echo.address) as client:
        call = client.begin(b"hold:")
        call.cancel()
        with pytest.raises(CallError) as caught:
            call.next()
    assert caught.value.code() is grpc.StatusCode.CANCELLED
    assert caught.value.origin is Origin.CLIENT
    assert caught.value.cancelled()
    assert call.call.debug_error_string() == ""


@both_colours
def test_a_gateway_that_speaks_grpc_may_be_taken_for_the_service(colour: str) -> None:
    """Nothing tells the two apart; older cores say at least that it came from the other side."""
    path = Path("unary_unary", colour, "connect")
    headers = [*GRPC, ("grpc-status", "14"), ("grpc-message", "no healthy upstream")]
    with (
        Http2(headers) as server,
        path.client(server.address, retry=None) as client,
        pytest.raises(CallError) as caught,
    ):
        client.run(b"echo:x")
    assert caught.value.details() == "no healthy upstream"
    assert caught.value.origin in (Origin.SERVER, Origin.UNKNOWN)
    assert "look at its state" in caught.value.hint
