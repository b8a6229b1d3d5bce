"""Fields by their dotted path: what a file or an array may be put into, and what is read out again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.call_schema import schema

from eas_grpc.errors import ConfigError
from eas_grpc.schema._payload_fields import check_readable, get, put_array, put_bytes

FIELDS = "acme.call.v1.Fields"
CAT = Path("cat.jpg")


@pytest.fixture
def message():
    return schema().message_class(FIELDS)()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("image", lambda m: m.image),
        ("part.data", lambda m: m.part.data),
        ("parts.0.data", lambda m: m.parts[0].data),
        ("chunks", lambda m: m.chunks[0]),
        ("files.cat", lambda m: m.files["cat"]),
        ("numbered.-3.data", lambda m: m.numbered[-3].data),
        ("maybe", lambda m: m.maybe.value),
        ("maybe.value", lambda m: m.maybe.value),
        ("left", lambda m: m.left),
        ("camelCase", lambda m: m.camelCase),
    ],
)
def test_the_bytes_of_a_file_go_into_any_field_of_bytes(message, path, value):
    put_bytes(message, path, b"\xff\0cat", CAT)
    assert value(message) == b"\xff\0cat"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("caption", lambda m: m.caption),
        ("part.label", lambda m: m.part.label),
        ("words", lambda m: m.words[0]),
        ("titles", lambda m: m.titles[0].value),
        ("flags.true", lambda m: m.flags[True]),
        ("note", lambda m: m.note),
        ("right", lambda m: m.right),
    ],
)
def test_text_goes_into_any_field_of_text(message, path, value):
    put_bytes(message, path, "Käse".encode(), CAT)
    assert value(message) == "Käse"


def test_a_list_gets_one_more_element_each_time(message):
    for content in (b"one", b"two"):
        put_bytes(message, "chunks", content, CAT)
    put_bytes(message, "parts.0.data", b"a", CAT)
    put_bytes(message, "parts.1.data", b"b", CAT)
    put_bytes(message, "parts.0.label", b"first", CAT)
    assert list(message.chunks) == [b"one", b"two"]
    assert [(part.data, part.label) for part in message.parts] == [(b"a", "first"), (b"b", "")]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("imag", "acme.call.v1.Fields has no field 'imag': did you mean 'image'?"),
        ("part.dat", "acme.call.v1.Part has no field 'dat' of 'part.dat': did you mean 'data'?"),
        ("zzzzzzz", "acme.call.v1.Fields has no field 'zzzzzzz': it has image, caption,"),
        ("count", "a file goes into a field of bytes or text, and 'count' is int32"),
        ("part", "a file goes into a field of bytes or text, and 'part' is acme.call.v1.Part"),
        ("colours", "and 'colours' is repeated acme.call.v1.Colour"),
        ("files", "a file goes into a field of bytes or text, and 'files' is a map"),
        ("caption.x", "'caption.x' leads nowhere: 'caption' is string, which has no fields"),
        ("files.a.b", "'files.a.b' leads nowhere: the values of 'files' have no fields"),
        (
            "parts.data",
            "'parts.data' needs a number after 'parts', which is a list: parts.0 is its first message",
        ),
        ("parts.7.data", "'parts.7.data' leads nowhere: 'parts' has 0 messages, so the next one is 0"),
        ("parts.0", "'parts.0' names a whole message: go on with one of its fields"),
        ("numbered.x.data", "'x' in 'numbered.x.data' is no key of that map, whose keys are of int32"),
        ("flags.yes", "'yes' in 'flags.yes' is no key of that map, whose keys are of bool"),
    ],
)
def test_a_path_that_cannot_be_meant_is_refused_with_what_could_be(message, path, said):
    with pytest.raises(ConfigError) as refused:
        put_bytes(message, path, b"x", CAT)
    assert said in str(refused.value)


def test_a_file_that_is_no_text_is_refused_for_a_field_of_text(message):
    with pytest.raises(ConfigError, match=r"'caption' is a field of text, and cat.jpg is not UTF-8"):
        put_bytes(message, "caption", b"\xff", CAT)


@pytest.mark.parametrize(
    ("path", "array"),
    [
        ("floats", np.array([[1.5, -2.0], [3.25, 0.0]], ">f4").T),
        ("doubles", np.arange(4, dtype="f4")),
        ("small", np.array([-1, 2, 3], "i2")),
        ("large", np.array([2**64 - 1], "u8")),
        ("switches", np.array([True, False])),
        ("colours", np.array([1, 0, 1], "u1")),
    ],
)
def test_an_array_fills_a_list_of_numbers_row_by_row(message, path, array):
    put_array(message, path, array)
    assert list(getattr(message, path)) == array.ravel().tolist()


def test_an_array_of_text_fills_lists_of_text_and_of_bytes(message):
    put_array(message, "words", np.array([["a", "bé"], ["", "d"]]))
    put_array(message, "chunks", np.array([b"x", b"yz"]))
    assert list(message.words) == ["a", "bé", "", "d"]
    assert list(message.chunks) == [b"x", b"yz"]


def test_a_field_of_bytes_takes_the_memory_of_an_array_row_by_row_and_little_endian(message):
    put_array(message, "part.data", np.array([[1, 2], [3, 4]], ">i2").T)
    assert message.part.data == np.array([1, 3, 2, 4], "<i2").tobytes()


@pytest.mark.parametrize(
    ("path", "array", "said"),
    [
        (
            "small",
            np.array([1.0]),
            "'small' is repeated int32, and the array is of float64: convert it with .astype()",
        ),
        ("small", np.array([2**31]), "an element does not fit 'small', repeated int32"),
        ("large", np.array([-1]), "an element does not fit 'large', repeated uint64"),
        ("switches", np.array([1]), "'switches' is repeated bool, and the array is of int64"),
        ("words", np.array([1]), "'words' is repeated string, and the array is of int64"),
        (
            "count",
            np.array([1]),
            "an array goes into a list of numbers or into a field of bytes, and 'count' is int32",
        ),
        ("files.a", np.array([1]), "'files.a' is in a map"),
        (
            "words",
            np.array([b"\xff"]),
            "'words' is a field of text, and an element of the array is not UTF-8",
        ),
        ("image", np.array([b"a"]), "'image' takes the memory of numbers, and the array is of bytes8"),
    ],
)
def test_an_array_that_does_not_fit_is_refused(message, path, array, said):
    with pytest.raises(ConfigError) as refused:
        put_array(message, path, array)
    assert said in str(refused.value)


def full_message():
    message = schema().message_class(FIELDS)(image=b"\x89", caption="é", chunks=[b"a", b"b"], right="r")
    message.parts.add(data=b"deep")
    message.files["k"] = b"v"
    message.numbered[-3].label = "n"
    message.flags[True] = "on"
    message.maybe.value = b"m"
    message.titles.add(value="t")
    return message


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("image", b"\x89"),
        ("caption", "é".encode()),
        ("chunks.1", b"b"),
        ("parts.0.data", b"deep"),
        ("parts.0.label", b""),
        ("files.k", b"v"),
        ("numbered.-3.label", b"n"),
        ("flags.true", b"on"),
        ("maybe", b"m"),
        ("titles.0", b"t"),
        ("right", b"r"),
    ],
)
def test_fields_of_bytes_and_text_are_read_out_again(path, content):
    message = full_message()
    check_readable(message.DESCRIPTOR, path)
    before = message.SerializeToString(deterministic=True)
    assert get(message, path) == content
    assert message.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("left", "the answer has nothing at 'left': 'left' is not set"),
        ("note", "'note' is not set"),
        ("part.data", "'part' is not set"),
        ("chunks.2", "the answer has nothing at 'chunks.2': its list has 2 elements"),
        ("files.q", "its map has no key 'q'"),
    ],
)
def test_what_an_answer_lacks_is_said(path, said):
    message = full_message()
    check_readable(message.DESCRIPTOR, path)
    with pytest.raises(ConfigError) as refused:
        get(message, path)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("imag", "did you mean 'image'?"),
        ("count", "a file takes a field of bytes or text, and 'count' is int32"),
        ("chunks", "'chunks' is repeated bytes: go on with the one that is meant, chunks.0"),
        ("parts.0", "'parts.0' is repeated acme.call.v1.Part"),
        ("image.x", "'image.x' leads nowhere: 'image' is bytes, which has no fields"),
        ("floats.0", "'floats.0' is repeated float"),
    ],
)
def test_a_path_that_no_answer_can_have_is_known_before_the_call(path, said):
    with pytest.raises(ConfigError) as refused:
        check_readable(schema().message_class(FIELDS).DESCRIPTOR, path)
    assert said in str(refused.value)
