"""`eas_grpc.tensors._values`: repeated fields of numbers, in every form that they travel in, and maps."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from eas_grpc_pb.open_inference.v2.open_inference_pb2 import InferTensorContents
from google.protobuf.message import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st
from support.tensor_messages import field, meaning, rewritten

from eas_grpc.errors import WireError
from eas_grpc.tensors._values import Numbers, collect, keys_of, map_entry, shaped, values_of, varints
from eas_grpc.tensors._wire import BYTES, VARINT, fields, varint

# InferTensorContents, whose fields are one of each kind of number.
KINDS = {
    "bool_contents": Numbers(1, np.dtype("?")),
    "int_contents": Numbers(2, np.dtype("<i4")),
    "int64_contents": Numbers(3, np.dtype("<i8")),
    "uint_contents": Numbers(4, np.dtype("<u4")),
    "uint64_contents": Numbers(5, np.dtype("<u8")),
    "fp32_contents": Numbers(6, np.dtype("<f4")),
    "fp64_contents": Numbers(7, np.dtype("<f8")),
}
KEYS = keys_of(KINDS.values())
INTEGERS = ["int_contents", "int64_contents", "uint_contents", "uint64_contents"]


def read(data: bytes, numbers: Numbers) -> np.ndarray[Any, Any]:
    values: dict[int, Any] = {}
    for found, first, second in fields(data, (0, len(data))):
        if found in KEYS:
            collect(values, KEYS[found], data, found, first, second)
    return values_of(values.get(numbers.number, []), numbers, numbers.dtype, "x")


@st.composite
def contents(draw: st.DrawFn) -> tuple[str, list[Any]]:
    """One of those fields, and what it holds."""
    name = draw(st.sampled_from(sorted(KINDS)))
    dtype = KINDS[name].dtype
    if dtype.kind == "b":
        return name, draw(st.lists(st.booleans()))
    if dtype.kind == "f":
        return name, draw(st.lists(st.floats(width=8 * dtype.itemsize, allow_nan=False)))
    limits = np.iinfo(dtype)
    # By the number of bits, so that every length of a varint comes up.
    any_length = st.integers(0, limits.bits).flatmap(lambda bits: st.integers(-(2**bits), 2**bits))
    return name, draw(st.lists(any_length.map(lambda number: min(max(number, limits.min), limits.max))))


@given(contents(), st.data())
def test_numbers_are_read_in_whatever_mixture_of_pieces_and_single_numbers_they_come(
    content: tuple[str, list[Any]], data: st.DataObject
) -> None:
    name, numbers = content
    message = InferTensorContents(**{name: numbers})
    other = data.draw(rewritten(InferTensorContents.DESCRIPTOR, message.SerializeToString()))
    assert meaning(InferTensorContents, other) == message
    array = read(other, KINDS[name])
    assert array.dtype == KINDS[name].dtype
    assert array.tolist() == numbers


@given(
    st.sampled_from(INTEGERS), st.lists(st.tuples(st.integers(1, 10), st.binary(min_size=10, max_size=10)))
)
def test_an_integer_is_cut_to_its_field_as_protobuf_does(name: str, octets: list[tuple[int, bytes]]) -> None:
    packed = b"".join(
        bytes(octet | 128 for octet in content[: size - 1]) + bytes([content[size - 1] & 127])
        for size, content in octets
    )
    number = KINDS[name].number
    one_piece = field(number, BYTES, packed)
    assert read(one_piece, KINDS[name]).tolist() == getattr(InferTensorContents.FromString(one_piece), name)
    as_bool = field(1, BYTES, packed)
    assert read(as_bool, KINDS["bool_contents"]).tolist() == list(
        InferTensorContents.FromString(as_bool).bool_contents
    )


@given(st.lists(st.integers(-(2**63), 2**64 - 1).map(lambda number: number >> number % 61)))
def test_an_array_becomes_the_same_varints_as_one_number_after_the_other(numbers: list[int]) -> None:
    for dtype in (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64):
        limits = np.iinfo(dtype)
        array = np.array([min(max(number, limits.min), limits.max) for number in numbers], dtype)
        expected = b"".join(varint(int(number)) for number in array)
        assert varints(array) == expected
        assert varints(array.astype(array.dtype.newbyteorder(">"))) == expected
        assert varints(np.repeat(array, 2)[::2]) == expected


@pytest.mark.parametrize("name", INTEGERS)
def test_more_numbers_than_are_worked_on_at_a_time_come_through_whole(name: str) -> None:
    dtype = KINDS[name].dtype
    random = np.random.default_rng(7)
    limits = np.iinfo(dtype)
    array = random.integers(limits.min, limits.max, 100_003, dtype, endpoint=True)
    array >>= random.integers(0, limits.bits, array.size).astype(dtype)
    message = InferTensorContents(**{name: array.tolist()}).SerializeToString()
    assert field(KINDS[name].number, BYTES, varints(array)) == message
    assert np.array_equal(read(message, KINDS[name]), array)


@given(
    st.sampled_from(sorted(KINDS)),
    st.lists(
        st.tuples(st.booleans(), st.lists(st.sampled_from([0, 1, 127, 128, 255]), max_size=24).map(bytes))
    ),
)
@example("int64_contents", [(True, b"\xff" * 10 + b"\x01")])
@example("int64_contents", [(True, b"\xff" * 9 + b"\x7f")])
@example("int64_contents", [(True, b"\x80"), (True, b"\x00")])
@example("fp32_contents", [(True, bytes(3)), (True, bytes(5))])
def test_of_any_bytes_it_reads_what_protobuf_reads(name: str, pieces: list[tuple[bool, bytes]]) -> None:
    numbers = KINDS[name]
    single = next(found & 7 for found in KEYS if found >> 3 == numbers.number and found & 7 != BYTES)
    data = b"".join(
        field(numbers.number, BYTES, content) if whole else varint(numbers.number << 3 | single) + content
        for whole, content in pieces
    )
    try:
        expected = getattr(InferTensorContents.FromString(data), name)
    except DecodeError:
        with pytest.raises(WireError):
            read(data, numbers)
    else:
        assert np.array_equal(read(data, numbers), np.array(expected, numbers.dtype), equal_nan=True)


def test_the_end_of_one_piece_is_no_beginning_for_the_next() -> None:
    cut = field(3, BYTES, b"\x01\x80") + field(3, BYTES, b"\x01")
    with pytest.raises(WireError, match="cut off at the end of a packed field, at offset 4"):
        read(cut, KINDS["int64_contents"])


def test_an_endless_integer_is_refused_wherever_it_lies() -> None:
    for before in (0, 1, 32_760, 32_768, 200_000):
        data = field(3, BYTES, b"\x01" * before + b"\x80" * 70_000 + b"\x01")
        with pytest.raises(WireError, match="longer than ten bytes"):
            read(data, KINDS["int64_contents"])


def test_floats_in_one_piece_are_a_view_of_the_message() -> None:
    data = field(6, BYTES, np.arange(3, dtype="<f4").tobytes())
    array = read(data, KINDS["fp32_contents"])
    assert np.shares_memory(array, np.frombuffer(data, np.uint8))
    assert not array.flags.writeable


@pytest.mark.parametrize(
    "piece",
    [varint(3 << 3 | VARINT) + b"\x7f", field(3, BYTES, b"\x7f"), field(3, BYTES, b"\x7f" * 5000)],
    ids=["number by number", "pieces of one number", "large pieces"],
)
def test_reading_needs_little_more_memory_than_the_numbers_and_the_message(piece: bytes) -> None:
    data = piece * (300_000 // len(piece))
    peaks = []
    for _ in range(3):  # threads that other tests have left may take memory in the meantime
        tracemalloc.start()
        array = read(data, KINDS["int64_contents"])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert min(peaks) < array.nbytes + 3 * len(data) + 3_000_000


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16"])
@given(number=st.integers(-(2**31), 2**31 - 1))
def test_a_value_that_a_small_integer_cannot_hold_is_refused(dtype: str, number: int) -> None:
    pieces = [memoryview(varint(number))]
    limits = np.iinfo(dtype)
    if limits.min <= number <= limits.max:
        assert values_of(pieces, KINDS["int_contents"], np.dtype(dtype), "x").tolist() == [number]
    else:
        with pytest.raises(WireError, match=f"'x' has a value that is no {dtype}"):
            values_of(pieces, KINDS["int_contents"], np.dtype(dtype), "x")


def test_half_of_a_complex_number_is_refused() -> None:
    pieces = [memoryview(bytes(12))]
    with pytest.raises(WireError, match="without the other half of its complex64"):
        values_of(pieces, KINDS["fp32_contents"], np.dtype("<c8"), "x")


@pytest.mark.parametrize("shape", [[3], [], [-2], [2, -1, -1], [2**40, 2**40], [1] * 65])
def test_values_that_do_not_fill_their_shape_are_refused(shape: list[int]) -> None:
    with pytest.raises(WireError, match="'x' has "):
        shaped(np.zeros(2), shape, "x")


def test_a_shape_that_no_array_can_have_is_refused_though_it_is_empty() -> None:
    with pytest.raises(WireError, match="'x' has a"):
        shaped(np.zeros(0), [0, 2**62, 2**62], "x")


def test_an_entry_of_a_map_may_lack_both_parts_and_have_its_message_in_pieces() -> None:
    name, content = map_entry(b"", 0, 0)
    assert (name, list(content)) == ("", [])
    pieces = [field(1, VARINT, b"\x05"), field(1, VARINT, b"\x06") + field(2, VARINT, b"\x07")]
    entry = field(2, BYTES, pieces[0]) + field(1, BYTES, b"old") + field(2, BYTES, pieces[1])
    entry += field(1, BYTES, b"new")
    name, content = map_entry(entry, 0, len(entry))
    assert name == "new"
    assert [(key >> 3, value) for key, value, _ in content] == [(1, 5), (1, 6), (2, 7)]
