"""`eas_grpc.load._result`: which files are taken for the result of a run, and what is said of the others."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.load_results import empty, noisy, ramp, results, run

from eas_grpc.errors import ConfigError
from eas_grpc.load._result import check, read, spread_of

FULL = ramp() | {"errors": [{"status": "INTERNAL", "details": "oops", "count": 1}]}
for section in ("timeline", "histogram", "steps"):
    FULL[section] = FULL[section][:2]


def said(data):
    with pytest.raises(ConfigError) as raised:
        read(data, "old.json")
    message = str(raised.value)
    assert "\n" not in message
    assert message.startswith("old.json is ")
    return message


@given(results)
def test_what_a_run_may_find_is_read_back_as_it_was(result):
    assert read(json.dumps(result).encode(), "old.json") == result


@given(st.binary() | st.text().map(str.encode))
def test_other_bytes_are_refused_in_one_sentence(data):
    said(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not JSON: Expecting value at line 1, column 1"),
        (b'{"format": 1,', "not JSON"),
        (b"\xff\xfe{}", "not UTF-8 text"),
        (b"[]", "pass a file that `load --output json` wrote"),
        (b'{"summary": {}}', "pass a file that `load --output json` wrote"),
        (b'{"format": 2}', "of format 2, and this version of eas-grpc reads format 1"),
        (b'{"format": true}', "of format True"),
        (b'{"format": 1}', "plan is missing"),
        (b'{"format": 1, "plan": NaN}', "it says NaN, which is no number of JSON"),
        (b"[" * 100_000, "cannot be read as JSON"),
        (b"1" * 5000, "cannot be read as JSON"),
    ],
)
def test_a_foreign_or_broken_file_is_named_with_what_is_wrong(data, words):
    assert words in said(data)


def places(value, path=()):
    """The path of everything in a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (*path, key)
        yield from places(item, (*path, key))


# What may hold anything.
FREE = ("ramp", "reached", "windows")


def at(value, path):
    for key in path:
        value = value[key]
    return value


@pytest.mark.parametrize("path", [path for path in places(FULL) if path[-1] not in FREE], ids=str)
def test_a_wrong_value_in_any_place_is_found(path):
    broken = copy.deepcopy(FULL)
    at(broken, path[:-1])[path[-1]] = {"a": ["wrong"]}
    with pytest.raises(ConfigError):
        check(broken, "old.json")


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in places(FULL)
        if isinstance(path[-1], str)
        and path[-1] != "format"
        and "steps" not in path
        and "statuses" not in path[:-1]
    ],
    ids=str,
)
def test_a_field_that_is_missing_in_any_place_is_named(path):
    broken = copy.deepcopy(FULL)
    del at(broken, path[:-1])[path[-1]]
    with pytest.raises(ConfigError, match=str(path[-1])):
        check(broken, "old.json")


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("calls", "ok"), "many", "calls.ok is 'many', not a count"),
        (("calls", "ok"), -1, "calls.ok is -1, not a count"),
        (("calls", "ok"), True, "calls.ok is True, not a count"),
        (("timeline", 1, "p99"), "slow", "timeline[1].p99 is 'slow', not a number from 0 on"),
        (("histogram", 0), [1], "histogram[0] is [1], not a pair of seconds and calls"),
        (("steps", 1, "plan", "mode"), "half", 'steps[1].plan.mode is \'half\', not "closed" or "open"'),
        (("seconds",), 1e300, "seconds is 1e+300, not a number from 0 on"),
        (("address",), 7, "address is 7, not text"),
    ],
)
def test_the_place_of_a_wrong_value_is_in_the_sentence(path, value, words):
    broken = copy.deepcopy(FULL)
    at(broken, path[:-1])[path[-1]] = value
    assert words in said(json.dumps(broken).encode())


def test_fields_of_a_newer_version_are_let_through():
    newer = run(noisy(1, seconds=2)) | {"weather": "fine"}
    newer["generator"]["temperature"] = 60
    assert check(newer, "old.json") is newer


def test_a_distribution_without_calls_counts_as_none():
    nothing = dict.fromkeys(("mean", "min", "max", "stdev", "p50", "p90", "p95", "p99", "p99.9", "p99.99"))
    assert spread_of(None) is None
    assert spread_of({"count": 0, **nothing}) is None
    assert check(empty(latency={"count": 0, **nothing}), "x")["latency"]["p50"] is None
