"""Header blocks against the hpack library, and frames against the RFC's numbers."""

from __future__ import annotations

import logging

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.http2_rig import frames_of

from server_demo.gateway import _frames as f
from server_demo.gateway._frames import HeaderReader, Http2Error

LIMIT = 64 * 1024

NAMES = st.sampled_from([b":path", b"te", b"x", b"authorization", b"a-bin", b"long" * 40])
VALUES = st.one_of(
    st.sampled_from([b"", b"/", b"trailers", b"Bearer t"]), st.binary(max_size=200), st.just(b"v" * 5000)
)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=8)


@given(HEADERS)
def test_what_is_written_is_what_hpack_reads(headers):
    assert hpack.Decoder().decode(f.header_block(headers), raw=True) == headers


@given(HEADERS, st.integers(1, 300), st.booleans())
def test_a_block_in_pieces_is_the_block(headers, largest, end):
    block = f.header_block(headers)
    frames = frames_of(f.header_frames(5, block, end=end, largest=largest))
    assert b"".join(payload for _, _, _, payload in frames) == block
    assert all(stream == 5 and len(payload) <= largest for _, _, stream, payload in frames)
    assert [kind for kind, *_ in frames] == [f.HEADERS] + [f.CONTINUATION] * (len(frames) - 1)
    assert [bool(flags & f.END_HEADERS) for _, flags, *_ in frames] == [False] * (len(frames) - 1) + [True]
    assert bool(frames[0][1] & f.END_STREAM) == end


# A block of every kind of instruction that RFC 7541 knows, of few values so that they meet again.
SIZE_UPDATES = st.lists(st.sampled_from([0, 40, 100, 4096]), max_size=2).map(
    lambda sizes: b"".join(_integer(size, 5, 0x20) for size in sizes)
)
LITERALS = st.tuples(
    st.sampled_from([0x00, 0x10, 0x40]),
    st.sampled_from([b"a", b"bb"]),
    st.sampled_from([b"", b"1", b"2" * 60]),
).map(lambda it: bytes((it[0], len(it[1]))) + it[1] + bytes((len(it[2]),)) + it[2])
INDEXED = st.sampled_from([2, 8, 62, 63, 64]).map(lambda index: bytes((0x80 | index,)))
NAMED = st.tuples(st.sampled_from([0x40, 0x00]), st.sampled_from([1, 62])).map(
    lambda it: _integer(it[1], 6 if it[0] else 4, it[0]) + b"\x01n"
)
BLOCKS = st.tuples(SIZE_UPDATES, st.lists(st.one_of(LITERALS, INDEXED, NAMED), max_size=4)).map(
    lambda it: it[0] + b"".join(it[1])
)


def _integer(value: int, bits: int, first: int) -> bytes:
    most = 2**bits - 1
    if value < most:
        return bytes((first | value,))
    value, out = value - most, bytearray((first | most,))
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))


@given(st.lists(BLOCKS, min_size=1, max_size=4), st.lists(st.integers(0, 3), max_size=40))
def test_remembered_blocks_say_what_they_would_say_unremembered(blocks, order):
    reader, plain = HeaderReader(LIMIT, list), hpack.Decoder(max_header_list_size=LIMIT)
    for index in order:
        block = blocks[index % len(blocks)]
        try:
            wanted = plain.decode(block, raw=True)
        except hpack.HPACKError:
            with pytest.raises(Http2Error):
                reader.read(block)
            return
        assert reader.read(block) == wanted


@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from([(b"a", b"1"), (b"b", b"2" * 50), (b"c", b"3")]), max_size=5), st.booleans(),
                  st.none() | st.sampled_from([0, 64, 100, 4096])),
        max_size=60,
    )
)  # fmt: skip
def test_an_encoder_with_a_table_is_understood_whatever_it_does(calls):
    reader, encoder = HeaderReader(LIMIT, list), hpack.Encoder()
    for headers, huffman, size in calls:
        if size is not None:
            encoder.header_table_size = size
        assert reader.read(encoder.encode(headers, huffman=huffman)) == headers


def test_more_blocks_than_are_remembered_are_read_as_well():
    reader = HeaderReader(LIMIT, list)
    for _ in range(3):
        for n in range(1000):
            assert reader.read(f.header_block([(b"x", b"%d" % n)])) == [(b"x", b"%d" % n)]
    assert len(reader._known) <= 64


@given(st.binary(max_size=200))
def test_what_is_no_block_ends_the_connection_and_nothing_else(garbage):
    try:
        HeaderReader(LIMIT, list).read(garbage)
    except Http2Error as error:
        assert error.code in {f.COMPRESSION_ERROR, f.ENHANCE_YOUR_CALM}


@pytest.mark.parametrize(
    ("block", "code"),
    [
        (b"\xff" + b"\xff" * 50, f.COMPRESSION_ERROR),
        (b"\xff\xff\xff\xff\xff\x0f", f.COMPRESSION_ERROR),
        (b"\x80", f.COMPRESSION_ERROR),
        (b"\x3f\xe2\x1f", f.COMPRESSION_ERROR),
        (b"\x82\x20", f.COMPRESSION_ERROR),
        (b"\x40\x01a\x7f\xa1\x1e" + b"x" * 4000 + b"\xbe" * 20, f.ENHANCE_YOUR_CALM),
        (b"\0\0\0" * 3000, f.ENHANCE_YOUR_CALM),
    ],
    ids=[
        "endless index",
        "giant index",
        "index 0",
        "table above 4096",
        "late size update",
        "bomb",
        "many empty",
    ],
)
def test_abuse_of_header_compression_is_told_by_its_code(block, code):
    with pytest.raises(Http2Error) as caught:
        HeaderReader(LIMIT, list).read(block)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"\0" * 5, f.FRAME_SIZE_ERROR),
        (b"\0\2\0\0\0\2", f.PROTOCOL_ERROR),
        (b"\0\4\x80\0\0\0", f.FLOW_CONTROL_ERROR),
        (b"\0\5\0\0\x3f\xff", f.PROTOCOL_ERROR),
        (b"\0\5\1\0\0\0", f.PROTOCOL_ERROR),
    ],
)
def test_settings_out_of_range_are_refused_with_the_code_of_the_rfc(payload, code):
    with pytest.raises(Http2Error) as caught:
        f.settings_in(payload)
    assert caught.value.code == code


def test_settings_are_read_in_order_and_unknown_ones_pass():
    pairs = [(f.INITIAL_WINDOW_SIZE, 2**31 - 1), (0xABCD, 2**32 - 1), (f.MAX_FRAME_SIZE, 2**24 - 1)]
    ((kind, flags, stream, payload),) = frames_of(f.settings_frame(pairs))
    assert (kind, flags, stream) == (f.SETTINGS, 0, 0)
    assert f.settings_in(payload) == pairs


@given(st.binary(max_size=300), st.integers(0, 255))
def test_padding_is_taken_off(body, size):
    assert f.unpadded(bytes((size,)) + body + b"\0" * size, f.PADDED) == body
    assert f.unpadded(body, 0) == body


@pytest.mark.parametrize("payload", [b"", b"\1", b"\5abcd"])
def test_more_padding_than_there_is_room_for_is_refused(payload):
    with pytest.raises(Http2Error) as caught:
        f.unpadded(payload, f.PADDED)
    assert caught.value.code == f.PROTOCOL_ERROR


def test_no_header_reaches_the_log_at_any_level(caplog):
    with caplog.at_level(logging.DEBUG):
        block = hpack.Encoder().encode([(b"authorization", b"Bearer canary")])
        HeaderReader(LIMIT, list).read(block)
    assert not caplog.records
