"""The raw peer in the server's role sends what its script says, legal or not, and tells what it saw."""

from __future__ import annotations

import socket
from contextlib import contextmanager

import h2.connection
import h2.events
import pytest
from support.h2_peer import DATA, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, H2Peer

from reliability.h2_server import Peer, frame, message

HEAD = ["headers", [[":status", "200"], ["content-type", "application/grpc"]]]
TAIL = ["headers", [["grpc-status", "0"]], True]


@contextmanager
def served(*steps, max_streams=None):
    peer = Peer({"case": steps, "ok": [HEAD, TAIL]})
    with H2Peer(f"127.0.0.1:{peer.listen(max_streams)}") as client:
        yield client, peer


def test_a_frame_is_what_it_is_told_to_be():
    assert frame(0x42, 0xFF, 7, b"abc") == b"\0\0\x03\x42\xff\0\0\0\x07abc"


def test_a_message_may_lie_about_its_length():
    assert message(b"abc") == "\0\0\0\0\x03abc"
    assert message(b"abc", flag=1, length=10) == "\x01\0\0\0\x0aabc"


def test_a_legal_script():
    with served(HEAD, ["data", message(b"abc")], TAIL) as (client, peer):
        answer = client.answer(client.call("/x.Odd/case", b"request"))
    assert [each.kind for each in answer] == [HEADERS, DATA, HEADERS]
    assert answer[1].payload == b"\0\0\0\0\x03abc"
    assert peer.seen["/x.Odd/case"].requests == 1


def test_names_may_have_parts():
    peer = Peer({"a/b": [HEAD, TAIL]})
    assert peer.script("/x.Odd/a/b") == [HEAD, TAIL]


def test_frames_that_no_library_would_send():
    with served(["frame", DATA, 0, None, "early"], ["frame", 0x42, 1, 0, "what"], HEAD, TAIL) as (client, _):
        stream = client.call("/x.Odd/case", b"")
        client.answer(stream)
        kinds = [(each.kind, each.stream, each.payload) for each in client.frames]
    assert (DATA, stream, b"early") in kinds
    assert (0x42, 0, b"what") in kinds


def test_a_reset_and_a_goodbye_after_which_it_still_answers():
    with served(["rst", 7], ["goaway", 11]) as (client, _):
        stream = client.call("/x.Odd/case", b"")
        assert client.until(lambda each: each.kind == RST_STREAM).code == 7
        goodbye = client.until(lambda each: each.kind == GOAWAY)
        assert (goodbye.code, goodbye.last_stream) == (11, stream)
        assert client.answer(client.call("/x.Odd/ok", b""))


def test_pings_and_who_acknowledged_them():
    with served(["ping"], HEAD, ["ping"], TAIL) as (client, peer):
        client.answer(client.call("/x.Odd/case", b""))
        ping = client.until(lambda each: each.kind == PING)
        client.send(frame(PING, 1, 0, ping.payload))
        client.answer(client.call("/x.Odd/ok", b""))
    seen = peer.seen["/x.Odd/case"]
    assert (seen.pings, seen.acknowledged) == (2, 1)


@pytest.mark.parametrize(("step", "end"), [("close", "FIN"), ("abort", "RST")])
def test_endings_of_the_connection(step, end):
    with served(HEAD, [step]) as (client, _):
        client.call("/x.Odd/case", b"")
        assert client.until_end() == end


def test_more_calls_than_it_allows_end_the_connection():
    with served(HEAD, TAIL, max_streams=1) as (client, _):
        settings = client.until(lambda each: each.kind == SETTINGS and each.payload)
        assert (3).to_bytes(2, "big") + (1).to_bytes(4, "big") in settings.payload
        client.send(frame(SETTINGS, 1, 0))
        client.answer(client.call("/x.Odd/case", b""))
        client.call("/x.Odd/case", b"", end=False)
        client.call("/x.Odd/case", b"", end=False)
        assert client.until_end() == "FIN"


def test_h2_itself_understands_it():
    peer = Peer({"case": [HEAD, ["data", message(b"abc")], TAIL]})
    connection = h2.connection.H2Connection()
    connection.initiate_connection()
    headers = [(":method", "POST"), (":scheme", "http"), (":path", "/x.Odd/case"), (":authority", "x")]
    connection.send_headers(1, headers, end_stream=True)
    ended = False
    with socket.create_connection(("127.0.0.1", peer.listen()), timeout=10) as plain:
        while not ended:
            plain.sendall(connection.data_to_send())
            events = connection.receive_data(plain.recv(65_536))
            ended = any(isinstance(each, h2.events.StreamEnded) for each in events)
    assert ended
