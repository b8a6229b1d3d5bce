"""`eas_grpc.tensors._parts`: a message as a list of parts, each array of which is copied once."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import tensors as make
from support.tensors import cases

from eas_grpc.tensors import as_array
from eas_grpc.tensors._parts import Strided, join, pieces, raw_part, size_of

MEGABYTES = 16
SIZE = MEGABYTES << 20


def little(array: np.ndarray) -> bytes:
    return array.astype(array.dtype.newbyteorder("<")).tobytes()


parts = st.lists(make.numeric_arrays() | st.binary(max_size=20), max_size=5)


def parts_of(values: list[np.ndarray | bytes]) -> tuple[list, bytes]:
    made = [value if isinstance(value, bytes) else raw_part(as_array(value)) for value in values]
    return made, b"".join(value if isinstance(value, bytes) else little(value) for value in values)


@cases(500)
@given(parts)
def test_parts_join_to_the_elements_row_major_and_little_endian(values) -> None:
    made, expected = parts_of(values)
    assert [size_of(part) for part in made] == [
        len(value) if isinstance(value, bytes) else value.nbytes for value in values
    ]
    assert join(made) == expected


@cases(500)
@given(parts, st.integers(1, 100))
def test_pieces_are_the_message_cut_into_equal_lengths(values, size) -> None:
    made, expected = parts_of(values)
    assert list(pieces(made, size)) == [
        expected[start : start + size] for start in range(0, len(expected), size)
    ]


def test_no_parts_are_no_bytes_and_no_pieces() -> None:
    assert join([]) == b""
    assert list(pieces([], 10)) == []
    assert list(pieces([b"", raw_part(np.zeros(0, ">f4"))], 10)) == []


def test_memory_that_lies_as_it_travels_is_a_part_itself() -> None:
    array = np.arange(6, dtype="<i4").reshape(2, 3)
    part = raw_part(array)
    assert isinstance(part, memoryview)
    assert np.shares_memory(np.asarray(part), array)
    assert isinstance(raw_part(array.T), Strided)
    assert isinstance(raw_part(array.astype(">i4")), Strided)


@pytest.fixture(scope="module")
def large() -> dict[str, np.ndarray]:
    """Arrays of the same size in memory that is not allocated for the test."""
    plain = np.arange(SIZE // 4, dtype="<f4")
    half = make.NUMERIC["bfloat16"]
    return {
        "contiguous": plain,
        "Fortran": plain.reshape(1024, -1).T,
        "strided": np.arange(SIZE // 2, dtype="<f4")[::2],
        "negative": plain[::-1],
        "big-endian": plain.astype(">f4"),
        "broadcast": np.broadcast_to(plain[:1024], (SIZE // 4096, 1024)),
        "bfloat16": plain.view(half),
        "strided bfloat16": plain.view(half)[::-1],
        "four-dimensional": plain.reshape(4, 64, 64, -1).transpose(3, 1, 0, 2),
    }


LAYOUTS = (
    "contiguous,Fortran,strided,negative,big-endian,broadcast,bfloat16,strided bfloat16,four-dimensional"
)


@pytest.mark.parametrize("layout", LAYOUTS.split(","))
def test_an_array_is_copied_once_whatever_its_layout(layout, large) -> None:
    array = large[layout]
    assert array.nbytes == SIZE
    tracemalloc.start()
    try:
        message = join([b"head", raw_part(array), b"tail"])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(message) == SIZE + 8
    assert message[4:-4] == little(array)
    assert SIZE <= peak < 1.05 * SIZE


@pytest.mark.parametrize("layout", ["contiguous", "strided", "big-endian"])
def test_pieces_are_made_one_at_a_time(layout, large) -> None:
    size = 1 << 20
    tracemalloc.start()
    try:
        count = sum(len(piece) for piece in pieces([b"head", raw_part(large[layout])], size))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == SIZE + 4
    assert peak < 4.5 * size


def test_pieces_smaller_than_an_element_come_out_whole() -> None:
    array = np.arange(4, dtype=">c16")
    assert b"".join(pieces([raw_part(array)], 3)) == little(array)
    assert {len(piece) for piece in pieces([raw_part(array)], 16)} == {16}
