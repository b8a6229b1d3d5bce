"""A request in pieces: what is cut is put together again, and nothing else is."""

from __future__ import annotations

import zlib
from contextlib import suppress

import numpy as np
import pytest
from eas_grpc_pb.tensor.v1.tensor_pb2 import PredictRequest, UploadChunk
from hypothesis import given
from hypothesis import strategies as st
from support.reference_tensors import chunks as reference_chunks
from support.reference_tensors import to_tensor

from eas_grpc.errors import WireError
from eas_grpc.tensors import Request, native
from eas_grpc.tensors.upload import Assembly, DamagedUpload, chunks

MESSAGE = bytes(range(256)) * 4


def admit(_size):
    pass


def assembled(*pieces, admit=admit):
    assembly = Assembly(admit)
    for piece in pieces:
        assembly.add(piece)
    return assembly.message()


def chunk(data=b"", *, total=0, before=b"", crc=None):
    return UploadChunk(
        total=total, data=data, crc32=zlib.crc32(before + data) if crc is None else crc
    ).SerializeToString()


def cut(size, message=MESSAGE):
    return [
        chunk(message[at : at + size], total=0 if at else len(message), before=message[:at])
        for at in range(0, len(message), size)
    ]


@given(st.lists(st.binary(max_size=40), min_size=1), st.integers(1, 50))
def test_what_is_cut_is_what_protobuf_would_cut_and_comes_together_again(parts, size):
    message = b"".join(parts)
    made = list(chunks(parts, size))
    assert made == (cut(size, message) or [b""])
    assert bytes(assembled(*made)) == message


@given(st.integers(1, 2000))
def test_a_request_travels_in_pieces_of_any_size(size):
    array = np.arange(100, dtype=np.float32)
    request = Request("echo", {"x": array, "y": array[::2]})
    made = list(chunks(native.request_parts(request), size))
    message = assembled(*made)
    assert message == native.encode_request(request)
    assert message.readonly
    np.testing.assert_array_equal(native.decode_request(message).inputs["y"], array[::2])


def test_pieces_that_protobuf_wrote_come_together_and_the_arrays_are_the_buffer():
    request = PredictRequest(model="echo", inputs=[to_tensor("x", np.arange(1000))])
    message = assembled(*(piece.SerializeToString() for piece in reference_chunks(request, 100)))
    array = native.decode_request(message).inputs["x"]
    np.testing.assert_array_equal(array, np.arange(1000))
    assert np.shares_memory(array, np.frombuffer(message, np.uint8))
    assert not array.flags.writeable


def test_the_fields_of_a_piece_may_come_in_any_order_and_unknown_ones_are_skipped():
    first, second = UploadChunk(total=4, data=b"abcd"), UploadChunk(crc32=zlib.crc32(b"abcd"))
    mixed = second.SerializeToString() + b"\x7a\x01x" + first.SerializeToString()
    assert bytes(assembled(mixed)) == b"abcd"


FIRST, SECOND, *REST = cut(400)
DAMAGED = {
    "changed": ([FIRST, SECOND[:200] + b"?" + SECOND[201:], *REST], "piece 2 has checksum"),
    "wrong checksum": ([chunk(MESSAGE, total=1024, crc=1)], "piece 1 has checksum 00000001 and the bytes"),
    "no checksum": ([UploadChunk(total=4, data=b"abcd").SerializeToString()], "has checksum 00000000"),
    "swapped": ([FIRST, *REST, SECOND], "piece 2 has checksum"),
    "from the middle": ([SECOND], "hold more than the 0 bytes"),
    "doubled": ([FIRST, FIRST], "piece 2 states a total of 1024 bytes, which the first piece alone does"),
    "missing at the end": ([FIRST, SECOND], "the upload ends after 800 of 1024 bytes"),
    "more than stated": (
        [chunk(b"abcd", total=3)],
        "hold more than the 3 bytes that the first one states: 4",
    ),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_pieces_that_are_not_what_was_sent_are_noticed(kind):
    pieces, text = DAMAGED[kind]
    with pytest.raises(DamagedUpload, match=text):
        assembled(*pieces)


@given(st.binary(max_size=60))
def test_bytes_that_are_no_piece_are_a_wire_error(data):
    with suppress(WireError):
        assembled(data)


def test_no_piece_at_all_is_no_upload():
    with pytest.raises(WireError, match="the upload has no pieces"):
        assembled()


def test_the_size_is_known_before_any_memory_is_taken():
    sizes = []

    def refuse(size):
        sizes.append(size)
        raise MemoryError

    with pytest.raises(MemoryError):
        assembled(chunk(b"x", total=2**63), admit=refuse)
    assert sizes == [2**63]
