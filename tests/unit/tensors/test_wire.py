"""`eas_grpc.tensors._wire`: the wire format itself, against an encoder that shares nothing with it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.disguise import Disguise, record
from support.disguise import varint as other_varint
from support.tensors import cases

from eas_grpc.errors import ConfigError, WireError
from eas_grpc.tensors import _wire as wire

integers = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 127, 128, 2**32, 2**63 - 1, 2**63, 2**64 - 1])


def listed(data: bytes | memoryview, *spans: tuple[int, int]) -> list[tuple[int, int, int]]:
    return list(wire.fields(data, *(spans or [(0, len(data))])))


@given(integers, st.integers(0, 10), st.binary(max_size=3), st.binary(max_size=3))
def test_an_integer_is_read_in_any_length_and_where_it_ends_is_told(number, width, before, after) -> None:
    encoded = other_varint(number, width)
    data = before + encoded + after
    assert wire.read_varint(data, len(before), len(data)) == (number, len(before) + len(encoded))
    assert wire.read_varint(memoryview(data), len(before), len(data))[0] == number


@given(st.integers(-(2**63), 2**64 - 1))
def test_an_integer_is_written_in_its_shortest_form(number) -> None:
    assert wire.varint(number) == other_varint(number)


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_signed_integer_comes_back(number) -> None:
    value, _ = wire.read_varint(wire.varint(number), 0, 10)
    assert wire.signed(value) == number


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=64))
def test_packed_integers_come_back(numbers) -> None:
    data = wire.packed_field(wire.key(3, wire.BYTES), numbers)
    assert [n for _, start, end in listed(data) for n in wire.dimensions(data, start, end)] == numbers


@given(integers, st.integers(1, 9))
def test_an_integer_that_is_cut_off_is_refused(number, length) -> None:
    data = other_varint(number, 10)
    with pytest.raises(WireError, match="cut off"):
        wire.read_varint(data, 0, length)


@pytest.mark.parametrize(("longest", "length"), [(10, 11), (5, 6), (5, 10)])
def test_an_integer_that_is_too_long_is_refused(longest, length) -> None:
    with pytest.raises(WireError, match=f"longer than {longest} bytes"):
        wire.read_varint(other_varint(0, length), 0, length, longest)


FIELDS = [
    (record(1, 0, b"\x96\x01"), (1 << 3, 150, 0)),
    (record(2, 1, b"12345678"), (2 << 3 | 1, 1, 9)),
    (record(3, 2, b"abc"), (3 << 3 | 2, 2, 5)),
    (record(4, 5, b"1234"), (4 << 3 | 5, 1, 5)),
    (record(16, 2, b""), (16 << 3 | 2, 3, 3)),
    (record(2**29 - 1, 0, b"\x00"), (2**29 - 1 << 3, 0, 0)),
]


@pytest.mark.parametrize(("data", "field"), FIELDS)
def test_a_field_is_its_key_and_its_value_or_where_its_content_lies(data, field) -> None:
    assert listed(data) == [field]
    assert listed(memoryview(data)) == [field]


@pytest.mark.parametrize(("data", "field"), FIELDS)
def test_a_field_that_is_cut_off_anywhere_is_refused(data, field) -> None:
    for length in range(1, len(data)):
        with pytest.raises(WireError):
            listed(data[:length])
        with pytest.raises(WireError):
            # What lies behind the message in the buffer is not its own.
            listed(data, (0, length))


def test_pieces_of_a_message_are_read_one_after_the_other_and_no_field_spans_two() -> None:
    data = b"".join(data for data, _ in FIELDS)
    middle = len(FIELDS[0][0])
    assert [key for key, _, _ in listed(data, (middle, len(data)), (0, middle))] == [
        field[0] for _, field in (*FIELDS[1:], FIELDS[0])
    ]
    with pytest.raises(WireError):
        listed(data, (0, 1), (1, len(data)))


@cases(500)
@given(st.integers(0, 2**32), st.integers(1, 2**29 - 1))
def test_groups_are_skipped_whatever_they_hold(seed, number) -> None:
    group = Disguise(random.Random(seed)).stray(number, 3)
    assert listed(group + record(1, 0, b"\x07")) == [(8, 7, 0)]
    for length in range(1, len(group)):
        with pytest.raises(WireError):
            listed(group[:length])


@pytest.mark.parametrize("depth", [1, 99, 100, 101, 1_000_000])
def test_groups_are_nested_a_hundred_deep_at_most(depth) -> None:
    data = record(9, 3, b"") * depth + record(9, 4, b"") * depth
    if depth <= 100:
        assert listed(data) == []
    else:
        with pytest.raises(WireError, match="nested deeper than 100 at offset"):
            listed(data)


@given(st.text())
def test_text_comes_back(content) -> None:
    data = wire.text_field(wire.key(1, wire.BYTES), content)
    assert [wire.text(data, start, end) for _, start, end in listed(data)] == ([content] if content else [])


@given(st.text(alphabet=st.characters(categories=["Cs"]), min_size=1))
def test_text_that_utf_8_cannot_hold_is_a_config_error(content) -> None:
    with pytest.raises(ConfigError, match="cannot travel"):
        wire.text_field(wire.key(1, wire.BYTES), content)


@pytest.mark.parametrize(
    ("read", "content", "value"),
    [(wire.float64, b"\x00\x00\x00\x00\x00\x00\xf8\x3f", 1.5)],
)
def test_fixed_numbers_are_little_endian(read, content, value) -> None:
    assert read(b"x" + content, 1) == value


def seconds(action: Callable[[], object]) -> float:
    begun = time.process_time()
    action()
    return time.process_time() - begun


@pytest.mark.parametrize(
    "unit",
    [
        record(9, 2, b""),
        record(9, 3, record(8, 3, b"") + record(8, 4, b"")) + record(9, 4, b""),
        record(9, 0, b"\x80\x00"),
    ],
    ids=["empty", "group", "overlong"],
)
def test_reading_a_thousand_times_as_much_takes_no_millions_of_times_as_long(unit) -> None:
    small, large = unit * 200, unit * 200_000
    once = min(seconds(lambda: listed(small)) for _ in range(5))
    # Linear is 1,000; quadratic would be 1,000,000.
    assert seconds(lambda: listed(large)) < 30_000 * once
