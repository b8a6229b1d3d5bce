"""Our own messages against protobuf's runtime, both ways; in CI more than ten thousand cases in this file alone."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from eas_grpc_pb.tensor.v1 import tensor_pb2 as pb
from hypothesis import example, given
from hypothesis import strategies as st
from support import tensor_oracle as oracle
from support import tensors as make
from support.disguise import Disguise, record, varint
from support.tensors import cases

from eas_grpc.errors import WireError
from eas_grpc.tensors import Request, Response, native


def ours_and_theirs(data: bytes, type_: type) -> tuple[object, object]:
    if type_ is pb.PredictRequest:
        return (
            oracle.by_us(data, native.decode_request),
            oracle.by_protobuf(data, type_, oracle.native_request),
        )
    return oracle.by_us(data, native.decode_response), oracle.by_protobuf(data, type_, oracle.native_response)


@cases(1500)
@given(make.requests)
def test_protobuf_reads_the_requests_that_we_write(request: Request) -> None:
    message = pb.PredictRequest.FromString(native.encode_request(request))
    assert oracle.native_request(message) == oracle.plain(request)


@cases(1000)
@given(make.responses)
def test_protobuf_reads_the_responses_that_we_write(response: Response) -> None:
    message = pb.PredictResponse.FromString(native.encode_response(response))
    assert oracle.native_response(message) == oracle.plain(response)


@cases(1000)
@given(make.requests)
def test_what_we_write_we_read(request: Request) -> None:
    assert oracle.plain(native.decode_request(native.encode_request(request))) == oracle.plain(request)


@cases(500)
@given(make.responses)
def test_what_we_answer_we_read(response: Response) -> None:
    assert oracle.plain(native.decode_response(native.encode_response(response))) == oracle.plain(response)


@cases(2500)
@given(make.disguised(make.pb_requests()))
def test_we_read_every_request_that_protobuf_reads(case: tuple[pb.PredictRequest, bytes]) -> None:
    message, data = case
    ours, theirs = ours_and_theirs(data, pb.PredictRequest)
    assert theirs == oracle.native_request(message), "the disguise changed the message"
    assert ours == theirs


@cases(1000)
@given(make.disguised(make.pb_responses()))
def test_we_read_every_response_that_protobuf_reads(case: tuple[pb.PredictResponse, bytes]) -> None:
    message, data = case
    ours, theirs = ours_and_theirs(data, pb.PredictResponse)
    assert theirs == oracle.native_response(message), "the disguise changed the message"
    assert ours == theirs


@cases(1000)
@given(make.disguised(make.pb_requests()))
def test_what_we_read_we_can_write_again(case: tuple[pb.PredictRequest, bytes]) -> None:
    request = native.decode_request(case[1])
    assert oracle.plain(native.decode_request(native.encode_request(request))) == oracle.plain(request)


# Where releases of protobuf differ we do as the stricter; tests below show both.
NEW_OR_OLD = "field number 0 |longer than 5 bytes"


@cases(2500)
@given(make.damaged(make.pb_requests()))
def test_we_refuse_what_protobuf_refuses_and_nothing_else(data: bytes) -> None:
    ours, theirs = ours_and_theirs(data, pb.PredictRequest)
    if ours != theirs:
        with pytest.raises(WireError, match=NEW_OR_OLD):
            native.decode_request(data)


@cases(500)
@given(st.binary(max_size=40))
@example(b"")
def test_any_bytes_are_read_as_protobuf_reads_them_or_refused(data: bytes) -> None:
    ours, theirs = ours_and_theirs(data, pb.PredictResponse)
    if ours != theirs:
        with pytest.raises(WireError, match=NEW_OR_OLD):
            native.decode_response(data)


@pytest.mark.parametrize("name", sorted(make.NUMERIC))
def test_every_element_type_has_a_number_that_protobuf_knows_by_the_same_name(name: str) -> None:
    array = make.numbers(bytes(range(make.NUMERIC[name].itemsize)), make.NUMERIC[name], ())
    message = pb.PredictRequest.FromString(native.encode_request(Request("", {"x": array})))
    assert pb.DType.Name(message.inputs[0].dtype) == f"DTYPE_{name.upper()}"


def test_every_number_of_the_enumeration_can_be_read() -> None:
    for number in set(pb.DType.values()) - {pb.DTYPE_UNSPECIFIED}:
        tensor = pb.Tensor(dtype=number, shape=[0])
        message = pb.PredictRequest(inputs=[tensor])
        array = native.decode_request(message.SerializeToString()).inputs[""]
        assert array.shape == (0,)
        assert array.dtype.name == {"bytes": "object"}.get(
            oracle.element_name(number), oracle.element_name(number)
        )


# Corner cases of the wire, and whether upb, from protobuf 5.29 to 7, takes them for sound.
MODEL, TENSORS, UNKNOWN = 1, 2, 50
FILLER = b"\x00" * 8
CORNERS = {
    "a tenth byte with more than 64 bits": (varint(UNKNOWN << 3) + b"\xff" * 9 + b"\x7f", True),
    "an integer of eleven bytes": (varint(UNKNOWN << 3) + b"\x80" * 10 + b"\x00", False),
    "a key of five bytes": (varint(UNKNOWN << 3, 5) + b"\x00", True),
    "a key of six bytes": (varint(UNKNOWN << 3, 6) + b"\x00", False),
    "a key of 32 bits": (varint(0xFFFFFFF8) + b"\x00", True),
    "a key of 33 bits": (varint(0x1_0000_0000 + (UNKNOWN << 3)) + b"\x00", False),
    "a length of five bytes": (varint(MODEL << 3 | 2) + varint(1, 5) + b"m", True),
    "a length of 2 GiB": (varint(MODEL << 3 | 2) + varint(2**31) + FILLER, False),
    "a length of 4 GiB and one byte": (varint(MODEL << 3 | 2) + varint(2**32 + 1) + b"m", False),
    "a length of 64 bits": (varint(MODEL << 3 | 2) + varint(2**64 - 1) + FILLER, False),
    "field number 0": (b"\x00\x00", False),
    "field number 0 with a length": (b"\x02\x00", False),
    "a group of field number 0": (b"\x03\x04", False),
    "the end of no group": (varint(UNKNOWN << 3 | 4), False),
    "the end of a group in a tensor": (record(TENSORS, 2, varint(UNKNOWN << 3 | 4)), False),
    "the end of another group": (varint(UNKNOWN << 3 | 3) + varint(51 << 3 | 4), False),
    "a group without an end": (varint(UNKNOWN << 3 | 3), False),
    "a group that ends outside its tensor": (
        record(TENSORS, 2, varint(UNKNOWN << 3 | 3)) + varint(UNKNOWN << 3 | 4),
        False,
    ),
    "a group in the place of a tensor": (varint(TENSORS << 3 | 3) + varint(TENSORS << 3 | 4), True),
    "groups a hundred deep": (varint(UNKNOWN << 3 | 3) * 100 + varint(UNKNOWN << 3 | 4) * 100, True),
    "groups deeper than a hundred": (varint(UNKNOWN << 3 | 3) * 101 + varint(UNKNOWN << 3 | 4) * 101, False),
    "wire type 6": (varint(UNKNOWN << 3 | 6) + FILLER, False),
    "wire type 7": (varint(UNKNOWN << 3 | 7) + FILLER, False),
    "a number of 64 bits cut off": (varint(UNKNOWN << 3 | 1) + b"\x00" * 7, False),
    "a number of 32 bits cut off": (varint(UNKNOWN << 3 | 5) + b"\x00" * 3, False),
    "a model that is a number": (varint(MODEL << 3) + b"\x05", True),
    "UTF-8 of four bytes": (record(MODEL, 2, b"\xf0\x9f\x98\x80"), True),
    "a zero byte in text": (record(MODEL, 2, b"\x00"), True),
    "no UTF-8": (record(MODEL, 2, b"\xff"), False),
    "an overlong zero byte": (record(MODEL, 2, b"\xc0\x80"), False),
    "half a surrogate pair": (record(MODEL, 2, b"\xed\xa0\x80"), False),
    "a character above Unicode": (record(MODEL, 2, b"\xf4\x90\x80\x80"), False),
    "a character cut off": (record(MODEL, 2, b"\xe2\x82"), False),
    "no UTF-8 in an unknown field": (record(UNKNOWN, 2, b"\xff"), True),
}


@pytest.mark.parametrize("case", CORNERS)
def test_corners_of_the_wire_are_what_they_are_for_protobuf(case: str) -> None:
    data, sound = CORNERS[case]
    ours, theirs = ours_and_theirs(data, pb.PredictRequest)
    assert (theirs != oracle.REFUSED) is sound
    assert ours == theirs


TENSOR = pb.Tensor(name="t", dtype=pb.DTYPE_UINT8, shape=[2, 1], data=b"ab").SerializeToString()


@pytest.mark.parametrize("size", range(1, 12))
def test_a_dimension_may_take_up_to_ten_bytes_whatever_they_are(size: int) -> None:
    for extra in (record(3, 0, varint(1, size)), record(3, 2, varint(1, size))):
        data = record(TENSORS, 2, TENSOR + extra)
        ours, theirs = ours_and_theirs(data, pb.PredictRequest)
        assert (theirs != oracle.REFUSED) is (size <= 10)
        assert ours == theirs


def test_an_enumeration_keeps_its_low_32_bits() -> None:
    data = record(TENSORS, 2, TENSOR + record(2, 0, varint(2**32 + pb.DTYPE_INT8)))
    ours, theirs = ours_and_theirs(data, pb.PredictRequest)
    assert ours == theirs == ("", [("t", ("int8", (2, 1), b"ab"))], ())


def test_known_difference_we_refuse_field_number_0_in_a_group_too() -> None:
    """protobuf 7 skips it, 5.29 refused it, and the specification knows no such field."""
    data = varint(UNKNOWN << 3 | 3) + b"\x00\x00" + varint(UNKNOWN << 3 | 4)
    with pytest.raises(WireError, match="field number 0 at offset 2 does not exist"):
        native.decode_request(data)


@pytest.mark.parametrize("size", range(6, 11))
@pytest.mark.parametrize("number", [MODEL, UNKNOWN])
def test_known_difference_we_refuse_a_length_of_six_bytes(size: int, number: int) -> None:
    """protobuf 7 refuses it as well; 5.29 read up to ten."""
    with pytest.raises(WireError, match="longer than 5 bytes"):
        native.decode_request(varint(number << 3 | 2) + varint(1, size) + b"m")


def test_known_difference_we_count_the_depth_of_groups_from_the_message_that_they_are_in() -> None:
    """protobuf counts the messages around it as well, and so refuses the last group here. We have no recursion."""
    groups = varint(UNKNOWN << 3 | 3) * 100 + varint(UNKNOWN << 3 | 4) * 100
    data = record(TENSORS, 2, TENSOR + groups)
    ours, theirs = ours_and_theirs(data, pb.PredictRequest)
    assert theirs == oracle.REFUSED
    assert ours == ("", [("t", ("uint8", (2, 1), b"ab"))], ())


def test_known_difference_two_tensors_of_one_name_are_refused() -> None:
    data = record(TENSORS, 2, TENSOR) * 2
    assert len(pb.PredictRequest.FromString(data).inputs) == 2
    with pytest.raises(WireError, match="two inputs are called 't'"):
        native.decode_request(data)
    with pytest.raises(WireError, match="two outputs are called 't'"):
        native.decode_response(data)


def test_ci_runs_more_than_ten_thousand_of_these_cases() -> None:
    source = Path(__file__).read_text("utf-8")
    assert sum(map(int, re.findall(r"^@cases\((\d+)\)$", source, re.MULTILINE))) > 10_000
    assert cases(200).max_examples == (200 if os.environ.get("CI") else 10)


def test_a_disguise_without_tricks_is_what_protobuf_writes() -> None:
    message = pb.PredictRequest(
        model="m", inputs=[pb.Tensor(name="x", shape=[1, 2], data=b"ab")], outputs=["y"]
    )
    assert Disguise(None, ()).bytes_of(message) == message.SerializeToString()
