"""JSON values one after the other, in whatever pieces they come."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_grpc.cli._call_json import JsonValues
from eas_grpc.errors import ConfigError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def cut(data: bytes, size: int) -> list[str]:
    values = JsonValues("x")
    found = []
    for start in range(0, len(data), size):
        found += values.feed(data[start : start + size])
    return found + values.finish()


@given(st.lists(JSON, max_size=6), st.sampled_from([None, 2]), st.booleans(), st.integers(1, 40))
def test_values_come_out_as_they_went_in_whatever_the_pieces(values, indent, ascii_only, size):
    text = "\n".join(json.dumps(each, indent=indent, ensure_ascii=ascii_only) for each in values)
    data = text.encode("utf-8", "replace")
    expected = [
        json.loads(json.dumps(each, ensure_ascii=ascii_only).encode("utf-8", "replace")) for each in values
    ]
    assert [json.loads(each) for each in cut(data, size)] == expected


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", []),
        (" \n\t ", []),
        ("{}{}", ["{}", "{}"]),
        ('{"a":1}[2]"three"4 true', ['{"a":1}', "[2]", '"three"', "4", "true"]),
        ('"a""b"', ['"a"', '"b"']),
        ('{"a": "}{\\"]"}', ['{"a": "}{\\"]"}']),
        ('"\\\\"{}', ['"\\\\"', "{}"]),
        ("\ufeff{}", ["{}"]),
        ('{"a": ', ['{"a":']),
        ('{"a": "b', ['{"a": "b']),
        ("}", ["}"]),
        ("{}]", ["{}", "]"]),
        ("nope", ["nope"]),
    ],
)
def test_what_is_broken_is_handed_on_as_it_is(text, values):
    for size in (1, 3, 100):
        assert [each.strip() for each in cut(text.encode(), size)] == values


def test_a_value_is_there_as_soon_as_it_is_complete():
    values = JsonValues("x")
    assert values.feed(b'{"a": ') == []
    assert values.feed(b"1}") == ['{"a": 1}']
    assert values.feed(b'{"b": 2}\n{"c"') == ['{"b": 2}']
    assert values.feed(b": 3}") == ['{"c": 3}']
    assert values.feed(b"12") == []
    assert values.feed(b"3 ") == ["123"]
    assert values.finish() == []


def test_what_is_not_utf_8_is_said_with_its_place():
    with pytest.raises(ConfigError, match=r"names.json is not UTF-8"):
        JsonValues("names.json").feed(b'{"a": "\xff"}')
    values = JsonValues("names.json")
    values.feed(b'{"a": "\xc3')
    with pytest.raises(ConfigError, match=r"names.json is not UTF-8"):
        values.finish()
