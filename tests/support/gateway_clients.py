"""Clients of a gateway that send exactly what they are told: HTTP/1.1, HTTP/2, and gRPC on top of that."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.client
import socket
import ssl
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

WAIT = 10.0
DATE = "Tue, 02 Jan 2024 03:04:05 GMT"
OCTETS = "application/octet-stream"

Pairs = Sequence[tuple[str, str]]


def signed(
    token: str, resource: str, body: bytes = b"", *, method: str = "POST", content_type: str = OCTETS
) -> list[tuple[str, str]]:
    """The headers of the vendor's signature (eas-wire.md 2.2)."""
    md5 = hashlib.md5(body).hexdigest()
    text = f"{method}\n{md5}\n{content_type}\n{DATE}\n{resource}"
    digest = base64.b64encode(hmac.digest(token.encode(), text.encode(), "sha1")).decode()
    return [
        ("Content-MD5", md5),
        ("Content-Type", content_type),
        ("Date", DATE),
        ("Authorization", f"EAS {digest}"),
    ]


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def connected(address: str, context: ssl.SSLContext | None = None) -> socket.socket:
    plain = socket.create_connection(("127.0.0.1", port_of(address)), timeout=WAIT)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return plain if context is None else context.wrap_socket(plain, server_hostname="localhost")


@dataclass
class Answer:
    """What came back; `everything` is all of its text, for tests that look for secrets."""

    status: int
    headers: dict[str, str]
    body: bytes
    closes: bool = False
    trailers: dict[str, str] = field(default_factory=dict)

    @property
    def everything(self) -> str:
        return f"{self.headers} {self.trailers} {self.body!r}"

    @property
    def grpc_status(self) -> str | None:
        return self.trailers.get("grpc-status", self.headers.get("grpc-status"))


def request_bytes(
    method: str,
    target: str,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    *,
    host: str = "localhost",
    version: str = "1.1",
    chunked: bool = False,
) -> bytes:
    lines = [f"{method} {target} HTTP/{version}", f"Host: {host}", *(f"{n}: {v}" for n, v in headers)]
    if chunked:
        lines.append("Transfer-Encoding: chunked")
        body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    elif body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class _Reader:
    """A connection as http.client reads it, for several answers: what it has read ahead is not lost."""

    def __init__(self, connection: socket.socket) -> None:
        self._file = connection.makefile("rb")

    def makefile(self, _: str) -> _Reader:
        return self

    def __getattr__(self, name: str):
        return getattr(self._file, name)

    def close(self) -> None:
        """Not after each answer."""

    def really_close(self) -> None:
        self._file.close()


class Http1:
    """A connection of HTTP/1.1, made anew when the gateway has ended it."""

    def __init__(self, address: str, context: ssl.SSLContext | None = None) -> None:
        self._address, self._context = address, context
        self.socket: socket.socket | None = None
        self._reader: _Reader | None = None

    def __enter__(self) -> Http1:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self.socket is not None:
            self._reader.really_close()
            self.socket.close()
            self.socket = None

    def abort(self) -> None:
        """Ends the connection with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def send(self, data: bytes) -> None:
        if self.socket is None:
            self.socket = connected(self._address, self._context)
            self._reader = _Reader(self.socket)
        self.socket.sendall(data)

    def receive(self, method: str = "POST") -> Answer:
        """The next answer; ConnectionError if there is none."""
        response = http.client.HTTPResponse(self._reader, method=method)
        try:
            response.begin()
            if response.status == 101:
                return Answer(101, dict(response.headers), b"")
            headers = {name.lower(): value for name, value in response.headers.items()}
            answer = Answer(response.status, headers, response.read(), response.will_close)
        finally:
            response.close()
        return answer

    def ask(self, method: str, target: str, *arguments, **options) -> Answer:
        """One request made by `request_bytes`, and its answer."""
        self.send(request_bytes(method, target, *arguments, **options))
        answer = self.receive(method)
        if answer.closes or answer.status == 101:
            self.close()
        return answer

    def ended(self) -> bool:
        """Waits for the end of the connection; whether it came without a byte."""
        with contextlib.suppress(ConnectionResetError):
            return self._reader.read(1) == b""
        return True


def ask(address: str, method: str, target: str, *arguments, **options) -> Answer:
    """One request on a connection of its own."""
    with Http1(address) as client:
        return client.ask(method, target, *arguments, **options)


def post(address: str, service: str, token: str, body: bytes = b"x", path: str = "") -> Answer:
    return ask(address, "POST", f"/api/predict/{service}{path}", [("Authorization", token)], body)


class Http2:
    """A connection of HTTP/2 that keeps to no rule about headers. Streams are numbered from 1."""

    def __init__(self, address: str, context: ssl.SSLContext | None = None) -> None:
        self.socket = connected(address, context)
        self.connection = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=True,
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
                validate_inbound_headers=False,
            )
        )
        self.connection.initiate_connection()
        self.answers: dict[int, Answer] = {}
        self.resets: dict[int, int] = {}
        self.over: set[int] = set()
        self.goaway: int | None = None
        self.closed = False
        self._flush()
        # What it allows has to be known before it is used.
        self.until(lambda: self._settled)

    _settled = False

    def __enter__(self) -> Http2:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def _flush(self) -> None:
        if data := self.connection.data_to_send():
            self.socket.sendall(data)

    def begin(self, headers: Pairs, *, end: bool = False) -> int:
        """Opens a stream; pseudo-headers are the caller's."""
        while self.connection.open_outbound_streams >= self.connection.remote_settings.max_concurrent_streams:
            self.turn()
        number = self.connection.get_next_available_stream_id()
        self.connection.send_headers(number, [(n.encode(), v.encode("latin-1")) for n, v in headers], end)
        self._flush()
        return number

    def send(self, number: int, data: bytes, *, end: bool = False) -> bool:
        """Sends a body as far as windows allow; False if the stream ended before."""
        while data or end:
            if number in self.over or self.closed:
                return False
            room = min(
                self.connection.local_flow_control_window(number), self.connection.max_outbound_frame_size
            )
            piece = data[:room]
            if data and not piece:
                self.turn()
                continue
            data = data[len(piece) :]
            try:
                self.connection.send_data(number, piece, end_stream=end and not data)
            except h2.exceptions.ProtocolError:
                return False
            self._flush()
            if end and not data:
                return True
        return True

    def reset(self, number: int) -> None:
        """Breaks a stream off."""
        self.connection.reset_stream(number, h2.errors.ErrorCodes.CANCEL)
        self._flush()

    def turn(self) -> None:
        """Takes what the gateway sends next."""
        data = self.socket.recv(65536)
        if not data:
            self.closed = True
            return
        for event in self.connection.receive_data(data):
            self._take(event)
        self._flush()

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RemoteSettingsChanged):
            self._settled = True
        elif isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
            pairs = {name.decode(): value.decode() for name, value in event.headers}
            if isinstance(event, h2.events.TrailersReceived):
                self.answers[event.stream_id].trailers = pairs
            else:
                self.answers[event.stream_id] = Answer(int(pairs[":status"]), pairs, b"")
        elif isinstance(event, h2.events.DataReceived):
            self.answers[event.stream_id].body += event.data
            self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.over.add(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self.resets[event.stream_id] = event.error_code
            self.over.add(event.stream_id)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = event.error_code
            if event.error_code:
                self.closed = True

    def until(self, done) -> None:
        while not done() and not self.closed:
            self.turn()

    def answer(self, number: int) -> Answer:
        """The whole answer on a stream; status 0 if it was reset before any."""
        self.until(lambda: number in self.over)
        return self.answers.get(number, Answer(0, {}, b""))

    def ended(self) -> bool:
        """Waits for the end of the connection."""
        with contextlib.suppress(ConnectionResetError):
            self.until(lambda: False)
        return True

    def request(
        self, method: str, target: str, headers: Pairs = (), body: bytes = b"", host: str = "localhost"
    ) -> Answer:
        """One request over plain HTTP."""
        return self.answer(self.begin_request(method, target, headers, body, host))

    def begin_request(
        self, method: str, target: str, headers: Pairs = (), body: bytes = b"", host: str = "localhost"
    ) -> int:
        pseudo = [(":method", method), (":scheme", "http"), (":authority", host), (":path", target)]
        number = self.begin([*pseudo, *((n.lower(), v) for n, v in headers)], end=not body)
        if body:
            self.send(number, body, end=True)
        return number

    def begin_call(
        self,
        path: str,
        metadata: Pairs = (),
        *messages: bytes,
        host: str = "localhost",
        end: bool = True,
        verb: str = "POST",
    ) -> int:
        """A call of gRPC."""
        number = self.begin(
            [
                (":method", verb),
                (":scheme", "http"),
                (":authority", host),
                (":path", path),
                ("te", "trailers"),
                ("content-type", "application/grpc"),
                *metadata,
            ],
        )
        self.send(number, b"".join(map(framed, messages)), end=end)
        return number

    def call(self, path: str, metadata: Pairs = (), *messages: bytes, **options) -> Answer:
        return self.answer(self.begin_call(path, metadata, *messages, **options))


def framed(message: bytes) -> bytes:
    return b"\0" + struct.pack(">I", len(message)) + message
