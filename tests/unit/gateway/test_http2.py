"""What a connection makes of its peer's frames: credit, verdicts over streams and over the whole, goodbyes, floods."""

from __future__ import annotations

import h2.events
import pytest
from support.http2_rig import REQUEST, RESPONSE, TRAILERS, Ours, Theirs, codes, data, greeted, request, settle

from server_demo.gateway import _frames as f

# Windows, as our side gives them.


def test_credit_that_comes_late_wakes_the_connection():
    ours = greeted(keeps=True)
    ours.feed(request(1), *[data(1, b"x" * 16_384)] * 20)
    assert ours.out() == b""
    ours.heard[1].confirm()
    assert ours.woken > 0
    assert [(kind, stream) for kind, _, stream, _ in ours.frames()] == [(f.WINDOW_UPDATE, 1)]


def test_a_stream_that_stands_still_stops_no_other():
    ours = greeted(keeps=True, max_streams=3)
    for number in (1, 3):
        ours.feed(request(number), *[data(number, b"x" * 65_536)] * 8)
    ours.feed(request(5), data(5, b"goes on", end=True))
    assert ours.heard[5].ended
    assert ours.connection.failed is None


def test_more_than_the_window_of_a_stream_breaks_the_stream_alone():
    ours = greeted(keeps=True)
    ours.feed(request(1), request(3), *[data(1, b"x" * 65_536)] * 9)
    assert ours.heard[1].reset == f.FLOW_CONTROL_ERROR
    assert codes(ours, f.RST_STREAM) == [f.FLOW_CONTROL_ERROR]
    ours.heard[1].confirm()
    assert ours.feed(data(3, b"still here", end=True)).heard[3].ended
    ours.heard[3].confirm()
    assert ours.windows_are_whole


def test_more_than_the_window_of_the_connection_ends_it():
    ours = greeted(keeps=True, max_streams=1)
    ours.feed(request(1), *[data(1, b"x" * 65_536)] * 8)
    ours.feed(data(1, b"x" * 2))
    assert codes(ours, f.GOAWAY) == [f.FLOW_CONTROL_ERROR]


@pytest.mark.parametrize(
    "late",
    [
        pytest.param(
            lambda ours: ours.connection.reset(ours.connection.streams[1], f.CANCEL), id="reset by us"
        ),
        pytest.param(lambda ours: ours.feed(f.frame(f.RST_STREAM, 0, 1, f.word(8))), id="reset by the peer"),
        pytest.param(
            lambda ours: ours.connection.sender.end(ours.connection.streams[1]), id="answered early"
        ),
    ],
)
def test_what_comes_for_a_stream_that_is_over_is_credited(late):
    ours = greeted(keeps=True)
    ours.feed(request(1), data(1, b"x" * 1000))
    late(ours)
    ours.feed(f.frame(f.DATA, f.PADDED, 1, b"\x09" + b"x" * 1000 + b"\0" * 9))
    ours.heard[1].confirm()
    assert ours.windows_are_whole
    assert not ours.connection.streams
    assert ours.connection.failed is None


def test_a_stream_above_the_limit_is_refused_and_its_bytes_are_credited():
    ours = greeted(max_streams=2)
    ours.feed(request(1), request(3), request(5), data(5, b"x" * 100, end=True))
    assert codes(ours, f.RST_STREAM) == [f.REFUSED_STREAM]
    assert (set(ours.heard), ours.windows_are_whole) == ({1, 3}, True)


# What ends a stream, and what ends the connection.


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([request(1, (b"content-length", b"3"), end=True)], f.PROTOCOL_ERROR),
        ([request(1, (b"content-length", b"3")), data(1, b"four", end=True)], f.PROTOCOL_ERROR),
        ([request(1, (b"content-length", b"3")), data(1, b"two"), request(1)], f.PROTOCOL_ERROR),
        ([request(1, (b"content-length", b"3")), data(1, b"2", end=True)], f.PROTOCOL_ERROR),
        ([request(1, (b"connection", b"close"))], f.PROTOCOL_ERROR),
        ([request(1), request(1, end=True)], f.PROTOCOL_ERROR),
        ([request(1, end=True), data(1, b"late")], f.STREAM_CLOSED),
        ([request(1, end=True), request(1, end=True)], f.STREAM_CLOSED),
        ([request(1), f.frame(f.WINDOW_UPDATE, 0, 1, f.word(0))], f.PROTOCOL_ERROR),
        ([request(1), f.frame(f.WINDOW_UPDATE, 0, 1, f.word(2**31 - 1))], f.FLOW_CONTROL_ERROR),
    ],
)
def test_a_mistake_on_a_stream_breaks_that_stream(frames, code):
    ours = greeted().feed(*frames)
    assert codes(ours, f.RST_STREAM) == [code]
    assert (ours.connection.failed, ours.connection.streams) == (None, {})
    assert ours.feed(request(3, end=True)).heard[3].ended


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([data(1, b"x")], f.PROTOCOL_ERROR),
        ([data(0, b"x")], f.PROTOCOL_ERROR),
        ([request(2)], f.PROTOCOL_ERROR),
        ([request(5), request(3)], f.PROTOCOL_ERROR),
        ([f.frame(f.RST_STREAM, 0, 1, f.word(8))], f.PROTOCOL_ERROR),
        ([f.frame(f.WINDOW_UPDATE, 0, 1, f.word(1))], f.PROTOCOL_ERROR),
        ([f.frame(f.WINDOW_UPDATE, 0, 0, f.word(0))], f.PROTOCOL_ERROR),
        ([f.frame(f.WINDOW_UPDATE, 0, 0, f.word(2**31 - 1))], f.FLOW_CONTROL_ERROR),
        ([f.frame(f.SETTINGS, 0, 1)], f.PROTOCOL_ERROR),
        ([f.frame(f.SETTINGS, f.ACK, 0, b"\0" * 6)], f.FRAME_SIZE_ERROR),
        ([f.frame(f.PING, 0, 0, b"short")], f.FRAME_SIZE_ERROR),
        ([f.frame(f.GOAWAY, 0, 0, b"short")], f.FRAME_SIZE_ERROR),
        ([f.frame(f.PUSH_PROMISE, 0, 1, b"\0" * 4)], f.PROTOCOL_ERROR),
        ([f.frame(f.CONTINUATION, 0, 1)], f.PROTOCOL_ERROR),
        ([request(1, flags=0), data(1, b"x")], f.PROTOCOL_ERROR),
        ([request(1, flags=0), f.frame(f.CONTINUATION, 0, 3)], f.PROTOCOL_ERROR),
        ([request(1, flags=0), f.frame(0xEE, 0, 1)], f.PROTOCOL_ERROR),
        ([f.frame(f.HEADERS, f.HAS_PRIORITY, 1, b"abc")], f.FRAME_SIZE_ERROR),
        ([f.frame(f.HEADERS, f.HAS_PRIORITY, 1, f.word(1) + b"x")], f.PROTOCOL_ERROR),
        ([f.frame(f.PRIORITY, 0, 3, f.word(3) + b"x")], f.PROTOCOL_ERROR),
        ([f.frame_head(f.DATA, 0, 1, 65_537)], f.FRAME_SIZE_ERROR),
        ([f.frame(f.HEADERS, f.END_HEADERS, 1, b"\xff\xff")], f.COMPRESSION_ERROR),
    ],
)
def test_a_mistake_on_the_connection_ends_it_with_the_code_of_the_rfc(frames, code):
    ours = greeted().feed(*frames, request(9, end=True))
    assert codes(ours, f.GOAWAY) == [code]
    assert ours.connection.failed
    assert 9 not in ours.heard
    assert all(heard.over for heard in ours.heard.values())


def test_headers_on_a_stream_that_was_answered_end_the_connection():
    ours = greeted().feed(request(1, end=True))
    ours.connection.sender.end(ours.heard[1].stream)
    assert codes(ours.feed(request(1, end=True)), f.GOAWAY) == [f.STREAM_CLOSED]


@pytest.mark.parametrize("server", [True, False])
def test_a_peer_that_does_not_begin_with_its_settings_is_no_peer(server):
    ours = Ours(server=server)
    ours.out()
    ours.feed(f.PREFACE if server else b"", f.frame(f.PING, 0, 0, b"12345678"))
    assert codes(ours, f.GOAWAY) == [f.PROTOCOL_ERROR]


def test_what_says_hello_in_another_protocol_is_told_so():
    ours = Ours(server=True)
    ours.out()
    assert codes(ours.feed(b"GET / HTTP/1.1\r\n"), f.GOAWAY) == [f.PROTOCOL_ERROR]


@pytest.mark.parametrize(
    ("frames", "heard"),
    [
        ([data(1, b"before the head")], f.PROTOCOL_ERROR),
        ([f.header_frames(1, f.header_block(TRAILERS), end=True, largest=999)], f.PROTOCOL_ERROR),
        ([f.header_frames(1, f.header_block([(b":status", b"100")]), end=True, largest=999)], f.PROTOCOL_ERROR),
        ([f.header_frames(1, f.header_block(RESPONSE), end=False, largest=999)] * 2, f.PROTOCOL_ERROR),
        (
            [
                f.header_frames(1, f.header_block([*RESPONSE, (b"content-length", b"3")]), end=False, largest=999),
                data(1, b"2", end=True),
            ],
            f.PROTOCOL_ERROR,
        ),
        ([f.frame(f.RST_STREAM, 0, 1, f.word(f.REFUSED_STREAM))], f.REFUSED_STREAM),
        ([f.frame(f.GOAWAY, 0, 0, f.word(0) + f.word(0))], f.REFUSED_STREAM),
        ([f.frame(f.GOAWAY, 0, 0, f.word(1) + f.word(0))], None),
    ],
)  # fmt: skip
def test_a_client_tells_the_owner_why_there_is_no_answer(frames, heard):
    ours = greeted(server=False)
    owner = ours.open()
    ours.feed(*frames)
    assert (owner.reset, ours.connection.failed) == (heard, None)
    assert (1 in ours.connection.streams) == (heard is None)


def test_a_client_hears_of_interim_heads_then_the_head_then_trailers():
    ours = greeted(server=False)
    owner = ours.open()
    for headers, end in (([(b":status", b"103")], False), (RESPONSE, False), (TRAILERS, True)):
        ours.feed(f.header_frames(1, f.header_block(headers), end=end, largest=999))
    assert [fields.pseudo.get(b":status") for fields in owner.fields] == [b"103", b"200", None]
    assert owner.ended


def test_a_server_that_allows_pushes_is_none():
    ours = greeted(server=False).feed(f.settings_frame([(f.ENABLE_PUSH, 1)]))
    assert codes(ours, f.GOAWAY) == [f.PROTOCOL_ERROR]


# Goodbyes.


def test_after_a_goodbye_new_streams_are_not_heard_and_old_ones_go_on():
    ours = greeted().feed(request(1))
    ours.connection.goaway()
    ours.feed(request(3), data(3, b"x"), request(3, end=True), data(1, b"end", end=True))
    assert (set(ours.heard), ours.heard[1].body, ours.windows_are_whole) == ({1}, b"end", True)
    ours.feed(data(0))
    lasts = [f.word_at(payload) for kind, _, _, payload in ours.frames() if kind == f.GOAWAY]
    # The second, for a mistake, must not promise more than the first.
    assert lasts == [1, 1]


def test_a_client_opens_no_more_streams_after_a_goodbye_or_above_the_limit():
    ours = greeted(server=False)
    assert ours.connection.may_open
    ours.feed(f.settings_frame([(f.MAX_CONCURRENT_STREAMS, 1)]))
    ours.open()
    assert not ours.connection.may_open
    ours.feed(f.settings_frame([(f.MAX_CONCURRENT_STREAMS, 9)]))
    assert ours.connection.may_open
    ours.feed(f.frame(f.GOAWAY, 0, 0, f.word(1) + f.word(0)))
    assert not ours.connection.may_open


# Abuse.


def test_a_header_block_that_goes_on_and_on_ends_the_connection():
    ours = greeted().feed(request(1, flags=0), *[f.frame(f.CONTINUATION, 0, 1)] * 100)
    assert codes(ours, f.GOAWAY) == [f.ENHANCE_YOUR_CALM]
    ours = greeted(max_header_bytes=1024).feed(
        request(1, flags=0), *[f.frame(f.CONTINUATION, 0, 1, b"x" * 999)] * 9
    )
    assert codes(ours, f.GOAWAY) == [f.ENHANCE_YOUR_CALM]


def test_headers_above_the_limit_are_heard_up_to_four_times_as_many():
    ours = greeted(max_header_bytes=1024).feed(request(1, (b"x", b"y" * 3000)))
    assert len(ours.heard[1].fields[0].headers[0][1]) == 3000
    assert codes(ours.feed(request(3, (b"x", b"y" * 5000))), f.GOAWAY) == [f.ENHANCE_YOUR_CALM]


def test_streams_that_are_reset_as_fast_as_they_are_opened_leave_nothing():
    ours = greeted()
    for number in range(1, 40_000, 2):
        ours.feed(request(number), f.frame(f.RST_STREAM, 0, number, f.word(f.CANCEL)))
        assert ours.heard.pop(number).reset == f.CANCEL
    assert (ours.connection.streams, ours.out()) == ({}, b"")
    assert ours.feed(request(50_001, end=True)).heard[50_001].ended


@pytest.mark.parametrize(
    ("flood", "each"),
    [
        (f.settings_frame([(f.INITIAL_WINDOW_SIZE, 10)] * 10_000), 9),
        (f.frame(f.SETTINGS, f.ACK, 0), 0),
        (f.frame(f.PING, 0, 0, b"12345678"), 17),
        (f.frame(f.PING, f.ACK, 0, b"12345678"), 0),
        (f.frame(f.PRIORITY, 0, 3, f.word(0) + b"x"), 0),
        (f.frame(f.WINDOW_UPDATE, 0, 0, f.word(1)), 0),
        (f.frame(0xEE, 0xFF, 7, b"unknown"), 0),
        (data(1), 0),
        (f.frame(f.DATA, f.PADDED, 1, b"\0"), 0),
    ],
    ids=[
        "settings",
        "their acks",
        "pings",
        "their acks",
        "priorities",
        "windows",
        "unknown",
        "empty data",
        "padding",
    ],
)
def test_a_flood_is_answered_with_no_more_than_it_deserves(flood, each):
    ours = greeted().feed(request(1))
    for _ in range(200):
        ours.feed(flood)
    assert len(ours.out()) <= 200 * each
    assert ours.connection.failed is None
    assert ours.feed(data(1, b"x", end=True)).heard[1].ended


def test_a_peer_that_feeds_an_answer_byte_by_byte_gets_it_byte_by_byte():
    ours = greeted().feed(f.settings_frame([(f.INITIAL_WINDOW_SIZE, 0)]), request(1, end=True))
    stream = ours.heard[1].stream
    ours.connection.sender.headers(stream, RESPONSE)
    ours.connection.sender.data(stream, b"answer")
    ours.connection.sender.end(stream, TRAILERS)
    ours.out()
    seen = []
    for _ in range(6):
        ours.feed(f.frame(f.WINDOW_UPDATE, 0, 1, f.word(1)))
        seen += [payload for kind, *_, payload in ours.frames() if kind == f.DATA]
    assert seen == [b"a", b"n", b"s", b"w", b"e", b"r"]
    assert not ours.connection.streams


def test_every_owner_hears_that_the_connection_is_gone():
    ours = greeted().feed(request(1), request(3, end=True))
    ours.connection.lost()
    assert [heard.reset for heard in ours.heard.values()] == [f.CANCEL, f.CANCEL]
    assert not ours.connection.streams


def test_h2_reads_headers_longer_than_a_frame():
    ours, theirs = Ours(server=True), Theirs(client=True)
    settle(ours, theirs)
    theirs.connection.send_headers(1, REQUEST, end_stream=True)
    settle(ours, theirs)
    long = [(b"x-%d" % n, b"y" * 1000) for n in range(40)]
    ours.connection.sender.headers(ours.heard[1].stream, [*RESPONSE, *long], end=True)
    settle(ours, theirs)
    assert theirs.headers[1] == [[*RESPONSE, *long]]
    assert any(isinstance(event, h2.events.StreamEnded) for event in theirs.events)
