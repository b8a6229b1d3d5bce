"""The doctor's side of HTTP/2, with the library h2 as the other side and as the judge of what is sent."""

from __future__ import annotations

import logging

import h2.config
import h2.connection
import h2.events
import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_grpc.doctor._frames import Conversation, frame

TOKEN = "unit-token-of-the-doctor-90cd"


class Peer:
    """A server of the library h2, fed by hand."""

    def __init__(self) -> None:
        self.http2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        )
        self.http2.initiate_connection()
        self.events: list[h2.events.Event] = []

    def exchange(self, talk: Conversation) -> None:
        """Carries bytes both ways until neither side has any."""
        while True:
            there, back = talk.outgoing(), self.http2.data_to_send()
            if not there and not back:
                return
            if there:
                self.events += self.http2.receive_data(there)
            if back:
                talk.receive(back)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def talking():
    talk, peer = Conversation(), Peer()
    peer.exchange(talk)
    assert talk.greeted
    return talk, peer


def ask(talk: Conversation, message: bytes = b"", headers=()) -> None:
    talk.ask("/a.B/C", "host:80", "http", headers, message)


@pytest.mark.parametrize("size", [0, 1, 16_379, 16_380, 40_000])
def test_a_request_arrives_whole_whatever_its_size(talking, size):
    talk, peer = talking
    ask(talk, b"x" * size, [("authorization", f"Bearer {TOKEN}".encode()), ("long", b"y" * 300)])
    peer.exchange(talk)
    (request,) = peer.of(h2.events.RequestReceived)
    headers = dict(request.headers)
    assert headers[":path"] == "/a.B/C"
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["long"] == "y" * 300
    body = b"".join(event.data for event in peer.of(h2.events.DataReceived))
    assert body == b"\x00" + size.to_bytes(4, "big") + b"x" * size
    assert peer.of(h2.events.StreamEnded)


def test_the_token_is_never_indexed_and_never_logged(talking, caplog):
    talk, peer = talking
    ask(talk, headers=[("authorization", TOKEN.encode())])
    sent = talk.outgoing()
    decoder = hpack.Decoder()
    size = int.from_bytes(sent[:3], "big")
    fields = decoder.decode(sent[9 : 9 + size])
    assert next(field for field in fields if field[0] == "authorization") == ("authorization", TOKEN)
    assert len(decoder.header_table.dynamic_entries) == 0
    peer.http2.receive_data(sent)
    peer.http2.send_headers(1, [(":status", "200"), ("echo", TOKEN)], end_stream=True)
    with caplog.at_level(logging.DEBUG, "eas_grpc"):
        talk.receive(peer.http2.data_to_send())
    assert talk.answer().header("echo") == TOKEN
    assert TOKEN not in caplog.text


def test_headers_body_and_trailers_are_read(talking):
    talk, peer = talking
    ask(talk)
    peer.exchange(talk)
    peer.http2.send_headers(1, [(":status", "200"), ("content-type", "application/grpc"), ("x", "\u00e9")])
    peer.http2.send_data(1, b"\x00\x00\x00\x00\x00", pad_length=7)
    peer.http2.send_headers(1, [("grpc-status", "12"), ("grpc-message", "no")], end_stream=True)
    peer.exchange(talk)
    answer = talk.answer()
    assert talk.answered
    assert (answer.status, answer.grpc_status, answer.header("grpc-message")) == (200, 12, "no")
    assert answer.body == bytes(5)
    assert answer.header("x") == "\u00e9"


def test_a_second_request_on_the_same_connection_has_its_own_answer(talking):
    talk, peer = talking
    for stream, status in ((1, "404"), (3, "200")):
        ask(talk)
        peer.exchange(talk)
        peer.http2.send_headers(stream, [(":status", status)], end_stream=True)
        peer.exchange(talk)
        assert talk.answered and talk.answer().status == int(status)


def test_an_informational_answer_is_not_the_answer(talking):
    talk, peer = talking
    ask(talk)
    peer.exchange(talk)
    peer.http2.send_headers(1, [(":status", "103")])
    peer.exchange(talk)
    assert not talk.answered and talk.answer().status is None


def test_pings_are_answered_and_counted(talking):
    talk, peer = talking
    peer.http2.ping(b"12345678")
    talk.ping()
    peer.exchange(talk)
    assert [event.ping_data for event in peer.of(h2.events.PingAckReceived)] == [b"12345678"]
    assert talk.pongs == 1


def test_a_reset_and_a_goaway_are_read_with_their_codes(talking):
    talk, peer = talking
    ask(talk)
    peer.exchange(talk)
    peer.http2.reset_stream(1, error_code=7)
    peer.exchange(talk)
    peer.http2.close_connection(error_code=11, additional_data=b"too_many_pings")
    peer.exchange(talk)
    answer = talk.answer()
    assert (answer.reset, answer.goaway) == (7, (11, b"too_many_pings"))


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        frame(0, 0, 1, b"x"),
        frame(4, 0, 0) + frame(1, 4, 1, b"\xff" * 9),
        frame(4, 0, 0) + frame(1, 0, 1) + frame(0, 0, 1),
        frame(4, 0, 0) + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",
    ],
)
def test_what_is_no_http2_is_noticed_and_its_first_bytes_are_kept(data):
    talk = Conversation()
    ask(talk)
    talk.receive(data)
    assert talk.broken
    assert talk.first() == data[:512]


def test_a_header_block_without_end_is_given_up():
    talk = Conversation()
    ask(talk)
    talk.receive(frame(4, 0, 0) + frame(1, 0, 1))
    for _ in range(5):
        talk.receive(frame(9, 0, 1, b"\x00" * 16_000))
    assert talk.broken


def test_an_endless_body_is_cut_and_counts_as_an_answer(talking):
    talk, peer = talking
    ask(talk)
    peer.exchange(talk)
    peer.http2.send_headers(1, [(":status", "500")])
    for _ in range(4):
        peer.http2.send_data(1, b"x" * 16_000)
    peer.exchange(talk)
    assert talk.answered
    assert len(talk.answer().body) == 32_768


@given(st.lists(st.binary(max_size=200), max_size=6), st.integers(0, 255), st.integers(0, 3))
def test_no_bytes_raise_anything(pieces, kind, stream):
    talk = Conversation()
    ask(talk)
    talk.receive(frame(4, 0, 0))
    for piece in pieces:
        talk.receive(frame(kind, piece[0] if piece else 0, stream, piece))
        talk.receive(piece)
    talk.answer()


def test_bytes_that_come_one_by_one_mean_the_same(talking):
    talk, peer = talking
    ask(talk)
    peer.exchange(talk)
    peer.http2.send_headers(1, [(":status", "503")])
    peer.http2.send_data(1, b"no healthy upstream", end_stream=True)
    for byte in peer.http2.data_to_send():
        talk.receive(bytes((byte,)))
    assert (talk.answer().status, talk.answer().body) == (503, b"no healthy upstream")
