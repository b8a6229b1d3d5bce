"""A client of HTTP/2 that shows every frame as it came and sends nothing unasked but its settings."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import hpack

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7, 0x8
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
NO_ERROR, INTERNAL_ERROR = 0x0, 0x2

# Every wait ends here; a test that comes to it has failed.
PATIENCE_SECONDS = 20.0

_INITIAL_WINDOW_SIZE = 0x4
_LARGEST_WINDOW = 2**31 - 1
_LARGEST_FRAME = 16_384


@dataclass(frozen=True)
class Frame:
    """One frame; `headers` are those of a HEADERS frame, `at` is when its last byte came."""

    kind: int
    flags: int
    stream: int
    payload: bytes
    headers: dict[str, str] = field(default_factory=dict)
    at: float = 0.0

    @property
    def ends_stream(self) -> bool:
        return bool(self.flags & END_STREAM)

    @property
    def code(self) -> int:
        """The error code of RST_STREAM or GOAWAY."""
        return int.from_bytes(self.payload[-4:] if self.kind == RST_STREAM else self.payload[4:8], "big")

    @property
    def last_stream(self) -> int:
        """Of GOAWAY."""
        return int.from_bytes(self.payload[:4], "big")


class H2Peer:
    """`with H2Peer(address) as peer:` is connected and has said hello."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS)
        self._authority = address
        self._decoder = hpack.Decoder()
        self._next_stream = 1
        self.frames: list[Frame] = []
        # When how many bytes came, and what of them is no whole frame.
        self.arrivals: list[tuple[float, int]] = []
        self.partial = b""
        # "FIN" or "RST", once the connection has ended.
        self.end: str | None = None
        settings = struct.pack(">HI", _INITIAL_WINDOW_SIZE, _LARGEST_WINDOW)
        window = struct.pack(">I", _LARGEST_WINDOW - 65_535)
        self.send(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            frame(SETTINGS, 0, 0, settings),
            frame(WINDOW_UPDATE, 0, 0, window),
        )

    def __enter__(self) -> H2Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    # What it sends.

    def send(self, *pieces: bytes) -> None:
        self._socket.sendall(b"".join(pieces))

    def call(self, path: str, *messages: bytes, token: str = "t", end: bool = True) -> int:
        """Begins a gRPC call, in one write; its stream."""
        headers = [
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("authorization", f"Bearer {token}"),
        ]
        return self._begin(path, headers, _framed(messages), end=end)

    def post(self, path: str, body: bytes, *, token: str = "t") -> int:
        """Begins a plain POST, in one write; its stream."""
        return self._begin(path, [("authorization", token)], body, end=True)

    def send_message(self, stream: int, *messages: bytes, end: bool = False) -> None:
        self.send(_data(stream, _framed(messages), end=end))

    def send_end(self, stream: int) -> None:
        self.send(_data(stream, b"", end=True))

    def cancel(self, stream: int) -> None:
        self.send(frame(RST_STREAM, 0, stream, (8).to_bytes(4, "big")))

    def ping(self) -> None:
        self.send(frame(PING, 0, 0, b"are you "))

    def _begin(self, path: str, headers: list[tuple[str, str]], body: bytes, *, end: bool) -> int:
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        pseudo = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", self._authority)]
        # An encoder without memory: the order in which frames are sent does not matter.
        block = hpack.Encoder().encode([*pseudo, *headers])
        self.send(frame(HEADERS, END_HEADERS, stream, block), _data(stream, body, end=end))
        return stream

    # What it sees.

    def until(self, wanted: Callable[[Frame], bool]) -> Frame:
        """The first frame like this, waited for; an AssertionError tells what came instead."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            found = next((each for each in self.frames if wanted(each)), None)
            if found is not None:
                return found
            left = deadline - time.monotonic()
            assert self.end is None and left > 0, f"not among {self.frames}, then {self.end}"
            self._read(left)

    def answer(self, stream: int) -> list[Frame]:
        """All frames of a stream, up to its end or its reset."""
        self.until(
            lambda each: (
                each.stream == stream
                and (each.kind == RST_STREAM or (each.kind in {DATA, HEADERS} and each.ends_stream))
            )
        )
        return self.on(stream)

    def until_end(self) -> str:
        """How the connection ends, waited for: FIN or RST."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.end is None:
            assert time.monotonic() < deadline, f"the connection goes on after {self.frames}"
            self._read(deadline - time.monotonic())
        return self.end

    def is_silent(self, seconds: float = 0.1) -> bool:
        """Whether nothing comes for so long, and no end either."""
        before = len(self.arrivals)
        self._read(seconds)
        return len(self.arrivals) == before and self.end is None

    def on(self, stream: int) -> list[Frame]:
        """The frames of a stream so far.

        Left out are those that only move windows, and a reset without blame: an answer that came before its request was
        complete calls off the rest of it (RFC 9113, 8.1).
        """
        return [
            each
            for each in self.frames
            if each.stream == stream
            and each.kind != WINDOW_UPDATE
            and (each.kind, each.payload) != (RST_STREAM, bytes(4))
        ]

    def messages(self, stream: int) -> bytes:
        """The body of a stream so far."""
        return b"".join(each.payload for each in self.on(stream) if each.kind == DATA)

    def _read(self, seconds: float) -> None:
        if self.end is not None or not select.select([self._socket], [], [], max(0.0, seconds))[0]:
            return
        try:
            data = self._socket.recv(1024 * 1024)
        except ConnectionResetError:
            self.end = "RST"
            return
        if not data:
            self.end = "FIN"
            return
        now = time.monotonic()
        self.arrivals.append((now, len(data)))
        self.partial += data
        at = 0
        while len(self.partial) - at >= 9:
            size = int.from_bytes(self.partial[at : at + 3], "big")
            if len(self.partial) - at - 9 < size:
                break
            kind, flags = self.partial[at + 3], self.partial[at + 4]
            stream = int.from_bytes(self.partial[at + 5 : at + 9], "big") & _LARGEST_WINDOW
            payload = self.partial[at + 9 : at + 9 + size]
            headers = dict(self._decoder.decode(payload)) if kind == HEADERS else {}
            self.frames.append(Frame(kind, flags, stream, payload, headers, now))
            at += 9 + size
        self.partial = self.partial[at:]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _data(stream: int, body: bytes, *, end: bool) -> bytes:
    """A body, not longer than windows are at first, in DATA frames."""
    pieces = [body[at : at + _LARGEST_FRAME] for at in range(0, len(body), _LARGEST_FRAME)] or [b""]
    flags = [0] * (len(pieces) - 1) + [END_STREAM if end else 0]
    return b"".join(frame(DATA, *each) for each in zip(flags, [stream] * len(pieces), pieces, strict=True))


def _framed(messages: tuple[bytes, ...]) -> bytes:
    """As gRPC frames them."""
    return b"".join(b"\0" + len(message).to_bytes(4, "big") + message for message in messages)
