"""The reader of compressed flags sees what lies on the wire, however it is cut."""

from __future__ import annotations

import h2.connection
import h2.events
import hpack
import pytest

from reliability.interop_flags import CALL_ID, Connection


def message(compressed, size):
    return bytes([compressed]) + size.to_bytes(4, "big") + bytes(size)


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def conversation(call="one"):
    """The bytes of a call with three requests and two answers, as h2 writes them."""
    client = h2.connection.H2Connection()
    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    client.initiate_connection()
    server.initiate_connection()
    headers = [(":method", "POST"), (":scheme", "http"), (":path", "/a/b"), (":authority", "x")]
    client.send_headers(1, [*headers, *([(CALL_ID, call)] if call else [])])
    client.send_data(1, message(1, 10) + message(0, 0))
    client.send_data(1, message(1, 9000), end_stream=True, pad_length=7)
    up = client.data_to_send()
    server.receive_data(up)
    server.send_headers(1, [(":status", "200")])
    server.send_data(1, message(0, 20))
    server.send_data(1, message(1, 3)[:2])
    server.send_data(1, message(1, 3)[2:])
    server.send_headers(1, [("grpc-status", "0")], end_stream=True)
    return up, server.data_to_send()


def pieces(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 2, 7, 1000, 1 << 20])
def test_flags_of_both_directions_are_read_however_the_bytes_are_cut(size):
    calls = {}
    connection = Connection(calls)
    up, down = conversation()
    for piece in pieces(up, size):
        connection.from_client(piece)
    assert calls == {"one": {"up": [True, False, True], "down": []}}
    for piece in pieces(down, size):
        connection.from_server(piece)
    assert calls["one"]["down"] == [False, True]


def test_a_call_without_an_id_is_not_followed():
    calls = {}
    connection = Connection(calls)
    up, down = conversation(call="")
    connection.from_client(up)
    connection.from_server(down)
    assert calls == {}


def raw(*frames):
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"".join(frames)


def test_headers_with_padding_priority_and_continuation_are_read():
    block = hpack.Encoder().encode([(CALL_ID, "split")])
    padded = bytes([3]) + bytes(5) + block[:4] + bytes(3)
    calls = {}
    Connection(calls).from_client(
        raw(frame(1, 0x28, 5, padded), frame(9, 0x4, 5, block[4:]), frame(0, 0, 5, message(1, 0)))
    )
    assert calls["split"]["up"] == [True]


def test_metadata_that_are_no_text_do_not_stop_it():
    block = hpack.Encoder().encode([(b"any-bin", b"\x00\xab\xff"), (CALL_ID.encode(), b"binary")])
    calls = {}
    Connection(calls).from_client(raw(frame(1, 0x4, 1, block)))
    assert list(calls) == ["binary"]


def test_a_further_attempt_of_a_call_begins_anew():
    encoder, calls = hpack.Encoder(), {}
    attempts = [
        frame(1, 0x4, stream, encoder.encode([(CALL_ID, "again")])) + frame(0, 0, stream, message(flag, 1))
        for stream, flag in ((1, 1), (3, 0))
    ]
    Connection(calls).from_client(raw(*attempts))
    assert calls["again"]["up"] == [False]
