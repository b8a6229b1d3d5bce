"""What may be sent now and what waits: for windows, for the transport, for its turn."""

from __future__ import annotations

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.http2_rig import RESPONSE, TRAILERS, frames_of

from server_demo.gateway import _frames as f
from server_demo.gateway._frames import Http2Error
from server_demo.gateway._http2_send import Sender, Stream


class Rig:
    def __init__(self, *, window: int = 2**30, streams: int = 1, stream_window: int = 2**30) -> None:
        self.closed: list[int] = []
        self.sender = Sender(self._close)
        self.sender.window = window
        self.streams = [Stream(1 + 2 * n, stream_window) for n in range(streams)]
        self.writable = True
        self.writes: list[int] = []
        self.confirmed: list[str] = []

    def _close(self, stream: Stream) -> None:
        stream.local_closed = True
        self.closed.append(stream.id)

    def data(self, body: bytes, name: str = "", stream: int = 0) -> None:
        self.sender.data(self.streams[stream], body, lambda: self.confirmed.append(name))

    def frames(self) -> list[tuple[int, int, int, bytes]]:
        wire = b""

        def write(data: bytes) -> bool:
            nonlocal wire
            wire += data
            self.writes.append(len(data))
            return self.writable

        self.sender.flush(write)
        return frames_of(wire)

    def bodies(self) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        for kind, _, stream, payload in self.frames():
            assert kind == f.DATA
            found[stream] = found.get(stream, b"") + payload
        return found


@given(st.lists(st.binary(max_size=50), max_size=8), st.lists(st.integers(0, 40), max_size=20), st.booleans())
def test_a_body_goes_out_whole_and_in_order_through_any_windows(pieces, grants, by_stream):
    rig = Rig(window=2**30 if by_stream else 0, stream_window=0 if by_stream else 2**30)
    stream = rig.streams[0]
    for number, piece in enumerate(pieces):
        rig.data(piece, str(number))
    rig.sender.end(stream)
    body, granted = b"", 0
    for more in (*grants, 1000):
        granted += more
        if by_stream:
            stream.window += more
            rig.sender.pump(stream)
        else:
            rig.sender.window += more
            rig.sender.pump_all()
        body += b"".join(rig.bodies().values())
        assert len(body) <= granted
    assert body == b"".join(pieces)
    assert rig.confirmed == [str(number) for number in range(len(pieces))]
    assert rig.closed == [1]


def test_no_frame_is_longer_than_the_peer_takes():
    rig = Rig()
    rig.data(b"x" * 50_000)
    assert [len(payload) for *_, payload in rig.frames()] == [16_384, 16_384, 16_384, 848]


def test_the_end_rides_on_the_last_piece_and_trailers_come_behind_it():
    rig = Rig(streams=2)
    for stream, trailers in zip(rig.streams, (None, TRAILERS), strict=True):
        stream.window = 0
        rig.sender.data(stream, b"body")
        rig.sender.end(stream, trailers)
        stream.window = 100
        rig.sender.pump(stream)
    plain, body, end = rig.frames()
    assert plain == (f.DATA, f.END_STREAM, 1, b"body")
    assert body == (f.DATA, 0, 3, b"body")
    assert end[:3] == (f.HEADERS, f.END_STREAM | f.END_HEADERS, 3)
    assert rig.closed == [1, 3]


def test_an_end_needs_no_window():
    rig = Rig(window=0, stream_window=0)
    rig.sender.headers(rig.streams[0], RESPONSE)
    rig.sender.end(rig.streams[0])
    assert [(kind, flags) for kind, flags, *_ in rig.frames()] == [
        (f.HEADERS, f.END_HEADERS),
        (f.DATA, f.END_STREAM),
    ]


def test_streams_that_wait_for_the_same_window_take_turns():
    rig = Rig(window=0, streams=3)
    for number in range(3):
        rig.data(b"x" * 100, stream=number)
    for turn in range(6):
        rig.sender.window += 10
        rig.sender.pump_all()
        assert rig.bodies() == {1 + 2 * (turn % 3): b"x" * 10}


def test_a_transport_that_is_full_holds_bodies_back_and_nothing_else():
    rig = Rig(streams=2)
    rig.sender.blocked = True
    rig.data(b"body", "body")
    rig.sender.headers(rig.streams[1], RESPONSE)
    rig.writable = False
    assert [kind for kind, *_ in rig.frames()] == [f.HEADERS]
    assert rig.confirmed == []
    rig.sender.blocked = False
    rig.sender.pump_all()
    assert [kind for kind, *_ in rig.frames()] == [f.DATA]
    assert rig.confirmed == ["body"]


def test_however_much_waits_the_transport_is_asked_after_each_burst():
    rig = Rig(window=0, streams=20)
    for number in range(20):
        rig.data(b"x" * 500_000, stream=number)
    rig.sender.window = 2**30
    rig.writable = False
    rig.sender.pump_all()
    first = rig.bodies()
    assert sum(map(len, first.values())) < 300_000
    rig.writable, rig.sender.blocked = True, False
    rig.sender.pump_all()
    rest = rig.bodies()
    assert sum(map(len, rest.values())) + sum(map(len, first.values())) == 20 * 500_000
    assert max(rig.writes) < 300_000
    assert len(rig.confirmed) == 20


def test_what_is_forgotten_counts_as_sent_and_is_not():
    rig = Rig(window=6)
    rig.data(b"half sent", "first")
    rig.data(b"never sent", "second")
    rig.sender.forget(rig.streams[0])
    assert rig.confirmed == ["first", "second"]
    rig.sender.window = 100
    rig.sender.pump_all()
    assert rig.bodies() == {1: b"half s"}


def test_nothing_is_sent_behind_the_end():
    rig = Rig()
    stream = rig.streams[0]
    rig.sender.end(stream)
    rig.frames()
    rig.data(b"late", "late")
    rig.sender.headers(stream, RESPONSE)
    rig.sender.end(stream, TRAILERS)
    assert (rig.frames(), rig.confirmed, rig.closed) == ([], ["late"], [1])


def test_a_smaller_window_to_begin_with_may_leave_streams_below_zero():
    rig = Rig(stream_window=65_535)
    rig.data(b"x" * 60_000)
    rig.frames()
    rig.sender.change_windows(100, rig.streams)
    rig.data(b"more")
    assert (rig.streams[0].window, rig.bodies()) == (100 - 60_000, {})
    rig.sender.pump_all()
    assert rig.bodies() == {}
    rig.sender.change_windows(60_100, rig.streams)
    rig.sender.pump_all()
    assert rig.bodies() == {1: b"more"}


def test_a_window_to_begin_with_must_not_lift_one_above_the_largest():
    rig = Rig(stream_window=f.LARGEST_WINDOW)
    with pytest.raises(Http2Error) as caught:
        rig.sender.change_windows(65_536, rig.streams)
    assert caught.value.code == f.FLOW_CONTROL_ERROR


def test_a_peer_that_wants_a_smaller_table_is_told_once_that_there_is_none():
    rig, decoder = Rig(streams=3), hpack.Decoder()
    for _ in range(2):
        # As hpack wants it of an encoder after its own settings were acknowledged.
        decoder.max_allowed_table_size = 1024
        rig.sender.give_up_table()
    blocks = []
    for stream in rig.streams:
        rig.sender.headers(stream, RESPONSE)
        ((*_, block),) = rig.frames()
        blocks.append(block)
        assert decoder.decode(block, raw=True) == RESPONSE
    assert blocks == [f.NO_TABLE + blocks[1], blocks[1], blocks[1]]
