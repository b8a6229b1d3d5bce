"""Our `Connection` with hyper's h2 as its peer, bytes handed over in pieces, and no system between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

import h2.config
import h2.connection
import h2.events
import h2.windows

from server_demo.gateway import _frames as f
from server_demo.gateway._exchange import Headers, Sent
from server_demo.gateway._http2 import Connection
from server_demo.gateway._http2_rules import Fields
from server_demo.gateway._http2_send import Stream

REQUEST: Headers = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/p"),
    (b":authority", b"h"),
]
RESPONSE: Headers = [(b":status", b"200")]
TRAILERS: Headers = [(b"grpc-status", b"0")]


@dataclass
class Heard:
    """The owner of a stream: what it heard; `keeps` leaves confirming to the test."""

    stream: Stream | None = None
    fields: list[Fields] = field(default_factory=list)
    body: bytes = b""
    ended: bool = False
    reset: int | None = None
    keeps: bool = False
    unconfirmed: list[Sent] = field(default_factory=list)
    then: Callable[[Heard], object] | None = None

    def on_headers(self, fields: Fields, *, end: bool) -> None:
        assert not self.over
        self.fields.append(fields)
        if end:
            self.on_end()

    def on_data(self, data: bytes, sent: Sent) -> None:
        assert not self.over
        self.body += data
        if self.keeps:
            self.unconfirmed.append(sent)
        else:
            sent()

    def on_end(self) -> None:
        self.ended = True
        if self.then is not None:
            self.then(self)

    def on_reset(self, code: int) -> None:
        assert self.reset is None
        self.reset = code

    @property
    def over(self) -> bool:
        return self.ended or self.reset is not None

    def confirm(self) -> None:
        while self.unconfirmed:
            self.unconfirmed.pop(0)()


class Ours:
    """A Connection, the owners of its streams, and what it has sent."""

    def __init__(self, *, server: bool, keeps: bool = False, **arguments: int) -> None:
        self.heard: dict[int, Heard] = {}
        self.keeps = keeps
        self.woken = 0
        self.then: Callable[[Heard], object] | None = None
        self.connection = Connection(opened=self._opened if server else None, wake=self._wake, **arguments)

    def _wake(self) -> None:
        self.woken += 1

    def _opened(self, stream: Stream, fields: Fields, end: bool) -> Heard:
        heard = self.heard[stream.id] = Heard(stream, [fields], keeps=self.keeps, then=self.then)
        if end:
            heard.on_end()
        return heard

    def open(self, headers: Headers = REQUEST) -> Heard:
        heard = Heard(keeps=self.keeps)
        heard.stream = self.connection.open(headers, heard)
        self.heard[heard.stream.id] = heard
        return heard

    def out(self) -> bytes:
        """What is to be sent; the transport takes everything."""
        pieces: list[bytes] = []

        def write(data: bytes) -> bool:
            pieces.append(data)
            return True

        self.connection.sender.flush(write)
        return b"".join(pieces)

    def frames(self) -> list[tuple[int, int, int, bytes]]:
        """The same as kind, flags, stream and payload."""
        return frames_of(self.out())

    def feed(self, *frames: bytes) -> Ours:
        self.connection.feed(b"".join(frames))
        return self

    @property
    def windows_are_whole(self) -> bool:
        """Whether all that the peer ever sent on this connection has been credited, or is about to be."""
        connection = self.connection
        whole = connection._credit_step * 2
        return abs(connection._window_left + connection._uncredited - whole) <= 1


def greeted(*, server: bool = True, keeps: bool = False, **arguments: int) -> Ours:
    """A connection whose peer has said hello, and whose own hello is gone."""
    ours = Ours(server=server, keeps=keeps, **arguments)
    ours.out()
    ours.feed(f.PREFACE if server else b"", f.settings_frame([]))
    ours.out()
    return ours


def request(stream: int, *more: tuple[bytes, bytes], end: bool = False, flags: int = f.END_HEADERS) -> bytes:
    """HEADERS that open a stream."""
    block = f.header_block([*REQUEST, *more])
    return f.frame(f.HEADERS, flags | (f.END_STREAM if end else 0), stream, block)


def data(stream: int, body: bytes = b"", *, end: bool = False) -> bytes:
    return f.frame(f.DATA, f.END_STREAM if end else 0, stream, body)


def frames_of(wire: bytes) -> list[tuple[int, int, int, bytes]]:
    found, at = [], 0
    while at < len(wire):
        high, low, kind, flags, stream = f.FRAME_HEAD.unpack_from(wire, at)
        size = high << 8 | low
        found.append((kind, flags, stream, wire[at + 9 : at + 9 + size]))
        at += 9 + size
    assert at == len(wire)
    return found


def codes(ours: Ours, kind: int) -> list[int]:
    """The error codes of the RST_STREAM or GOAWAY frames that are to be sent."""
    return [
        f.word_at(payload, 0 if kind == f.RST_STREAM else 4)
        for found, _, _, payload in ours.frames()
        if found == kind
    ]


class Theirs:
    """An h2 connection: the events by stream, and what it has read."""

    def __init__(self, *, client: bool) -> None:
        self.connection = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=client, header_encoding=None)
        )
        self.connection.initiate_connection()
        self.bodies: dict[int, bytes] = {}
        self.headers: dict[int, list[Headers]] = {}
        self.ended: set[int] = set()
        self.reset: dict[int, int] = {}
        self.unacknowledged: dict[int, int] = {}
        self.events: list[h2.events.Event] = []

    def feed(self, data: bytes) -> None:
        for stream in self.connection.streams.values():
            stream._inbound_window_manager.window_consumed = partial(
                _consumed, stream._inbound_window_manager
            )
        for event in self.connection.receive_data(data):
            self.events.append(event)
            stream = getattr(event, "stream_id", None) or 0
            if isinstance(event, h2.events.DataReceived):
                self.bodies[stream] = self.bodies.get(stream, b"") + event.data
                size = event.flow_controlled_length
                self.unacknowledged[stream] = self.unacknowledged.get(stream, 0) + size
            elif isinstance(
                event, h2.events.RequestReceived | h2.events.ResponseReceived | h2.events.TrailersReceived
            ):
                self.headers.setdefault(stream, []).append([(bytes(n), bytes(v)) for n, v in event.headers])
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.add(stream)
            elif isinstance(event, h2.events.StreamReset):
                self.reset[stream] = int(event.error_code)

    def acknowledge(self, stream: int, size: int | None = None) -> None:
        waiting = self.unacknowledged.get(stream, 0)
        size = waiting if size is None else min(size, waiting)
        if size:
            self.unacknowledged[stream] = waiting - size
            self.connection.acknowledge_received_data(size, stream)


def _consumed(manager: h2.windows.WindowManager, size: int) -> None:
    # h2 takes an empty frame amiss once its settings have made a window negative; RFC 9113, 6.9.1 does not.
    if size:
        h2.windows.WindowManager.window_consumed(manager, size)


def hand_over(ours: Ours, theirs: Theirs, sizes: Iterable[int] = ()) -> bool:
    """Moves bytes both ways once, in pieces of these sizes, then in whole; whether there were any."""
    pending = iter(sizes)
    wire, back = ours.out(), theirs.connection.data_to_send()
    for data, feed in ((wire, theirs.feed), (back, ours.connection.feed)):
        left = data
        while left:
            size = next(pending, len(left))
            feed(left[:size])
            left = left[size:]
    return bool(wire or back)


def settle(ours: Ours, theirs: Theirs) -> None:
    """Moves bytes until both are silent."""
    while hand_over(ours, theirs):
        pass
