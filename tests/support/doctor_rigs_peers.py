"""Peers for the rows of the doctor that are no gRPC servers: proxies, HTTP/1.1, and those that misbehave."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import hpack

from support.h2_answers import Listener
from support.h2_peer import HEADERS, SETTINGS, frame

CONTINUATION = 0x9
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# Every wait ends here.
PATIENCE_SECONDS = 20.0


class _Quiet:
    """Both stock handlers write a line for each request on stderr; not here."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


class _Files(_Quiet, SimpleHTTPRequestHandler):
    """The standard library's web server."""


class _NoTunnels(_Quiet, BaseHTTPRequestHandler):
    """The standard library's, without a method: its own answer to CONNECT is 501."""


@contextmanager
def _http_server(
    handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None = None
) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        # A client that goes away is nothing to write about.
        server.handle_error = lambda *_: None
        if context is not None:
            # The handshake is the thread's that serves the connection, not that of the one that accepts.
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join(10)


def web_server() -> contextlib.AbstractContextManager[int]:
    """`python -m http.server`; its port."""
    return _http_server(_Files)


class _AsksForPassword(_NoTunnels):
    """A proxy that is not for everybody."""

    def do_CONNECT(self) -> None:
        self.send_response(407)
        self.send_header("Proxy-Authenticate", 'Basic realm="the company"')
        self.send_header("Content-Length", "0")
        self.end_headers()


def proxy_with_password() -> contextlib.AbstractContextManager[int]:
    """A proxy that answers CONNECT with 407; its port."""
    return _http_server(_AsksForPassword)


def web_server_with_tls(chain: Path) -> contextlib.AbstractContextManager[int]:
    """The same as `web_server`, with the key and the certificate of this file; it knows nothing of ALPN."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return _http_server(_Files, context)


def proxy_without_tunnels() -> contextlib.AbstractContextManager[int]:
    """A proxy that answers CONNECT with 501; its port."""
    return _http_server(_NoTunnels)


@dataclass
class Tunnels(Listener):
    """A proxy that makes every tunnel that is asked for, to one port of this machine; it notes for whom."""

    target: int

    def __post_init__(self) -> None:
        self.asked: list[str] = []

    def talk(self, connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            data = connection.recv(65536)
            if not data:
                return
            head += data
        verb, where, *_ = head.decode("latin-1").split()
        if verb != "CONNECT":
            connection.sendall(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
            return
        self.asked.append(where)
        with socket.create_connection(("127.0.0.1", self.target)) as server:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            server.sendall(head.partition(b"\r\n\r\n")[2])
            pass_on(connection, server)


def pass_on(one: socket.socket, other: socket.socket, *, quiet_after: float | None = None) -> None:
    """Relays both ways until one side ends; after `quiet_after` seconds without a byte, nothing passes any more."""
    ends = {one: other, other: one}
    forgotten = False
    while True:
        wait = PATIENCE_SECONDS if quiet_after is None or forgotten else quiet_after
        ready = select.select(list(ends), [], [], wait)[0]
        if not ready:
            if quiet_after is None or forgotten:
                return
            forgotten = True
        for each in ready:
            data = each.recv(65536)
            if not data:
                return
            if not forgotten:
                ends[each].sendall(data)


@dataclass
class Forgetful(Listener):
    """Relays to a port of this machine, and forgets a connection that says nothing for a while: no byte, no end."""

    target: int
    seconds: float

    def talk(self, connection: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self.target)) as server:
            pass_on(connection, server, quiet_after=self.seconds)


class OnlySettings(Listener):
    """Speaks HTTP/2 so far as to send its settings, and never another frame."""

    def talk(self, connection: socket.socket) -> None:
        connection.sendall(frame(SETTINGS, 0, 0))
        while connection.recv(65536):
            pass


class Garbage(Listener):
    """Answers the first bytes with noise that is no protocol, and closes."""

    def talk(self, connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"\x00\xffnoise" + random.Random(7).randbytes(4096))


class EndlessHeaders(Listener):
    """Begins a header block as its answer, and never comes to the end of it."""

    def talk(self, connection: socket.socket) -> None:
        connection.sendall(frame(SETTINGS, 0, 0) + frame(SETTINGS, 1, 0))
        connection.recv(65536)
        field = hpack.Encoder().encode([(":status", "200")])
        connection.sendall(frame(HEADERS, 0, 1, field))
        filler = hpack.Encoder().encode([(f"x-{each}", "y" * 50) for each in range(100)])
        while True:
            connection.sendall(frame(CONTINUATION, 0, 1, filler))
            # At its own pace, as long as the other side listens.
            if select.select([connection], [], [], 0.01)[0] and not connection.recv(65536):
                return


class HangsUp(Listener):
    """Greets in HTTP/2 and is gone as soon as there is a request: a server that dies under the probe."""

    def talk(self, connection: socket.socket) -> None:
        connection.sendall(frame(SETTINGS, 0, 0) + frame(SETTINGS, 1, 0))
        seen = b""
        while not _has_request(seen):
            data = connection.recv(65536)
            if not data:
                return
            seen += data


class DiesSoon(HangsUp):
    """Takes two connections, ends each at its first request, and then listens no more."""

    def __enter__(self) -> DiesSoon:
        super().__enter__()
        self._lives = 2
        return self

    def talk(self, connection: socket.socket) -> None:
        self._lives -= 1
        if self._lives == 0:
            self._socket.shutdown(socket.SHUT_RDWR)
        super().talk(connection)

    def __exit__(self, *details: object) -> None:
        if self._lives > 0:
            super().__exit__(*details)
            return
        # What is ended below must be a socket that listens; the one that died is only closed.
        with self._socket:
            self._socket = socket.create_server(("127.0.0.1", 0))
            super().__exit__(*details)


def _has_request(seen: bytes) -> bool:
    at = len(_PREFACE)
    while len(seen) >= at + 9:
        if seen[at + 3] == HEADERS:
            return True
        at += 9 + int.from_bytes(seen[at : at + 3], "big")
    return False


@dataclass
class Http2Talker(Listener):
    """Answers every request in HTTP/2 as soon as its headers are there; what it says may depend on them."""

    def talk(self, connection: socket.socket) -> None:
        peer = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        )
        peer.initiate_connection()
        connection.sendall(peer.data_to_send())
        while data := connection.recv(65536):
            for event in peer.receive_data(data):
                if isinstance(event, h2.events.DataReceived):
                    peer.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.RequestReceived):
                    self.answer(peer, connection, event.stream_id, dict(event.headers))
            connection.sendall(peer.data_to_send())

    def answer(
        self,
        peer: h2.connection.H2Connection,
        connection: socket.socket,
        stream: int,
        headers: dict[str, str],
    ) -> None:
        raise NotImplementedError


# What a terminal would obey, and what would turn a line around: colours, title, bell, backspace, C1, bidi.
CONTROLS = "\x1b[31m\x1b]0;title\x07\x08\x00\x9b2J\u202e"


class Echoes(Http2Talker):
    """Refuses with a body that repeats the token it was sent, plain and in pieces of it, among control characters."""

    def answer(
        self,
        peer: h2.connection.H2Connection,
        connection: socket.socket,
        stream: int,
        headers: dict[str, str],
    ) -> None:
        said = headers.get("authorization", "no token")
        body = f"<p>{CONTROLS}refused: {said}\r\n{CONTROLS}again: {said.rpartition(' ')[2]}</p>".encode()
        peer.send_headers(
            stream, [(":status", "401"), ("content-type", "text/html"), ("x-was", said)], end_stream=False
        )
        peer.send_data(stream, body, end_stream=True)


class EchoesInStatus(Http2Talker):
    """The same in a gRPC answer: UNAUTHENTICATED whose message is the token, percent-encoded, among controls."""

    def answer(
        self,
        peer: h2.connection.H2Connection,
        connection: socket.socket,
        stream: int,
        headers: dict[str, str],
    ) -> None:
        text = CONTROLS + headers.get("authorization", "no token")
        message = "".join(f"%{byte:02X}" for byte in text.encode())
        head = [(":status", "200"), ("content-type", "application/grpc")]
        peer.send_headers(stream, [*head, ("grpc-status", "16"), ("grpc-message", message)], end_stream=True)


@dataclass
class WantsToken(Http2Talker):
    """A gateway that refuses every token but one with 401, and answers calls that have it with an empty message."""

    token: str

    def answer(
        self,
        peer: h2.connection.H2Connection,
        connection: socket.socket,
        stream: int,
        headers: dict[str, str],
    ) -> None:
        if headers.get("authorization") != f"Bearer {self.token}":
            peer.send_headers(stream, [(":status", "401"), ("content-type", "text/plain")])
            peer.send_data(stream, b"the gateway does not know this token", end_stream=True)
            return
        peer.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
        peer.send_data(stream, bytes(5))
        peer.send_headers(stream, [("grpc-status", "0")], end_stream=True)


class Drips(Http2Talker):
    """Answers 500 with a page of 10 MB, a few bytes at a time."""

    def answer(
        self,
        peer: h2.connection.H2Connection,
        connection: socket.socket,
        stream: int,
        headers: dict[str, str],
    ) -> None:
        head = [(":status", "500"), ("content-type", "text/html"), ("content-length", str(10 * 1024 * 1024))]
        peer.send_headers(stream, head)
        while peer.local_flow_control_window(stream) > 200:
            peer.send_data(stream, b"the backend burst " * 10)
            connection.sendall(peer.data_to_send())
            # At its own pace, as long as the other side listens.
            if select.select([connection], [], [], 0.05)[0]:
                return
