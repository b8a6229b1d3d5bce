"""`eas_grpc.calls`: the four shapes, and what a caller's metadata may look like."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_grpc.calls import CallShape, check_metadata, has_key
from eas_grpc.errors import ConfigError

SECRET = "c2VjcmV0LXZhbHVl"

keys = st.text(string.ascii_lowercase + string.digits + "_.-", min_size=1).filter(
    lambda key: key != "grpc" and not key.startswith("grpc-") and not key.endswith("-bin")
)
values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E))
pairs = st.one_of(
    st.tuples(keys, values),
    st.tuples(keys, values.map(str.encode)),
    st.tuples(keys.map(lambda key: f"{key}-bin"), st.binary()),
)


@pytest.mark.parametrize(
    ("shape", "requests", "responses"),
    [
        (CallShape.UNARY_UNARY, False, False),
        (CallShape.UNARY_STREAM, False, True),
        (CallShape.STREAM_UNARY, True, False),
        (CallShape.STREAM_STREAM, True, True),
    ],
)
def test_a_shape_says_on_which_side_there_are_many(shape: CallShape, requests: bool, responses: bool) -> None:
    assert (shape.many_requests, shape.many_responses) == (requests, responses)
    words = {False: "UNARY", True: "STREAM"}
    assert shape.name == f"{words[requests]}_{words[responses]}"


def test_there_are_four_shapes() -> None:
    assert len(CallShape) == 4


@given(st.lists(pairs))
def test_good_metadata_passes_unchanged_from_any_iterable(metadata: list[tuple[str, str | bytes]]) -> None:
    checked = check_metadata(metadata)
    assert checked == tuple(metadata)
    assert check_metadata(checked) == checked
    assert check_metadata(iter(metadata)) == checked
    assert check_metadata(list(pair) for pair in metadata) == checked


@given(st.lists(pairs), keys)
def test_a_key_is_found_if_one_of_the_pairs_has_it(metadata: list[tuple[str, str | bytes]], key: str) -> None:
    assert has_key(tuple(metadata), key) == (key in dict(metadata))


@pytest.mark.parametrize(
    ("pair", "fix"),
    [
        (("X-Trace", SECRET), "must be lower case: write 'x-trace'"),
        (("x trace", SECRET), "may hold only a-z, 0-9"),
        (("x-\u00e4", SECRET), "may hold only a-z, 0-9"),
        (("", SECRET), "may hold only a-z, 0-9"),
        (("x-trace\n", SECRET), "may hold only a-z, 0-9"),
        ((":path", SECRET), "may hold only a-z, 0-9"),
        ((5, SECRET), "key must be a str, not int"),
        ((b"x-trace", SECRET), "key must be a str, not bytes"),
        (("grpc-timeout", SECRET), "choose a name without 'grpc-'"),
        (("x-raw-bin", SECRET), "ends in '-bin', so its value must be bytes"),
        (("x-raw-bin", bytearray(SECRET.encode())), "ends in '-bin', so its value must be bytes"),
        (("x-raw", SECRET.encode() + b"\xff"), "name the key 'x-raw-bin'"),
        (("x-trace", 5), "must be a str, not int"),
        (("x-trace", None), "must be a str, not NoneType"),
        (("x-trace", f"{SECRET}\n"), "strip it, or send it as bytes under 'x-trace-bin'"),
        (("x-trace", f"{SECRET}\0"), "strip it, or send it as bytes under 'x-trace-bin'"),
        (("x-trace", f"{SECRET}\u00e4"), "strip it, or send it as bytes under 'x-trace-bin'"),
        (("x-trace", f"{SECRET}\t".encode()), "strip it, or send it as bytes under 'x-trace-bin'"),
        (SECRET, "sequence of (key, value) pairs"),
        (("x-trace", SECRET, SECRET), "sequence of (key, value) pairs"),
        ((), "sequence of (key, value) pairs"),
        (5, "sequence of (key, value) pairs"),
    ],
)
def test_a_broken_pair_is_refused_with_the_fix_and_without_its_value(pair: object, fix: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_metadata([("x-good", "1"), pair])
    assert fix in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_dict_is_refused_with_the_form_to_write() -> None:
    with pytest.raises(ConfigError, match=r"\(key, value\) pairs, such as"):
        check_metadata({"x-trace": SECRET})


@given(st.text(), st.one_of(st.text(), st.binary()))
def test_a_pair_is_taken_as_it_is_or_refused_and_never_repaired(key: str, value: str | bytes) -> None:
    try:
        assert check_metadata([(key, value)]) == ((key, value),)
    except ConfigError as error:
        assert "metadata key" in str(error)
