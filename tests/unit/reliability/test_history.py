"""What a checker finds in a history and a ledger: calls lost, wrong, run twice, failed without a reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reliability.history import Call, judge, read_history
from reliability.ledger import (
    SHAPES,
    STREAM_LENGTH,
    Entry,
    answer,
    answers_are_right,
    parse,
    read_ledger,
    request,
)
from reliability.nemesis import KINDS, fingerprint, schedule


def call(name, code="OK", **more):
    return Call(
        **{
            "id": name,
            "shape": "unary_unary",
            "began": 0.0,
            "ended": 0.1,
            "timeout": 5.0,
            "code": code,
            **more,
        }
    )


def ran(name, attempt=1):
    return Entry("run", name, "unary_unary", attempt, 0.0)


def test_an_acknowledged_call_that_never_ran_is_lost():
    verdict = judge([call("a"), call("b")], [ran("a")])
    assert verdict.lost == ["b"]
    assert verdict.acknowledged == 2


def test_an_answer_to_something_else_is_wrong():
    assert judge([call("a", right=False)], [ran("a")]).wrong == ["a"]


def test_calls_that_ran_twice_are_told_apart_by_whether_they_may():
    calls = [call("a"), call("b", retried=False)]
    verdict = judge(calls, [ran("a"), ran("a", 2), ran("b"), ran("b", 2)])
    assert verdict.twice == ["a", "b"]
    assert verdict.twice_excluded == ["b"]


def test_failures_are_counted_by_shape_and_unknown_codes_need_an_explanation():
    calls = [call("a", "UNAVAILABLE"), call("b"), call("c", "INTERNAL", shape="stream_unary")]
    verdict = judge(calls, [ran("b")])
    assert verdict.failed_percent(["unary_unary"]) == 50
    assert verdict.failed_percent() == pytest.approx(200 / 3)
    assert list(verdict.unexplained) == ["INTERNAL: "]


def test_what_must_not_be_retried_counts_apart():
    verdict = judge([call("a", "UNAVAILABLE", retried=False), call("b")], [ran("b")])
    assert verdict.failed_percent() == 0
    assert (verdict.failed_excluded, verdict.excluded) == (1, 1)


def test_the_latest_call_is_measured_against_its_deadline():
    assert judge([call("a", ended=5.5), call("b")], [ran("a"), ran("b")]).most_over == 0.5


def test_both_files_are_read_as_they_were_written(tmp_path):
    history, ledger = tmp_path / "history", tmp_path / "ledger"
    history.write_text(f"{call('a')}\n{call('b', 'UNAVAILABLE')}\n")
    ledger.write_text(f"{ran('a')}\n{ran('b', 2)}\nrun c unary_un")
    assert list(read_history(history)) == [call("a"), call("b", "UNAVAILABLE")]
    assert list(read_ledger(ledger)) == [ran("a"), ran("b", 2)], "a line that a kill cut off is none"


@given(st.sampled_from(SHAPES), st.integers(0, 200), st.integers(1, 4))
def test_answers_are_right_only_if_each_request_is_in_them(shape, size, count):
    sent = [
        request("id", size=size, number=number)
        for number in range(count if shape.startswith("stream") else 1)
    ]
    fillers = [parse(each)[3] for each in sent]
    got = {
        "unary_unary": [answer("id", fillers[0])],
        "unary_stream": [answer("id", fillers[0])] * STREAM_LENGTH,
        "stream_unary": [answer("id", b"".join(fillers))],
        "stream_stream": [answer("id", each) for each in fillers],
    }[shape]
    assert answers_are_right(shape, "id", sent, got)
    assert not answers_are_right(shape, "other", sent, got)
    assert not answers_are_right(shape, "id", sent, got[:-1])
    assert not answers_are_right(shape, "id", sent, [*got[:-1], got[-1] + b"x"])


def test_a_schedule_is_decided_by_the_seed(tmp_path):
    import random

    first, again, other = (schedule(random.Random(seed), 200, 60) for seed in (1, 1, 2))
    assert first == again != other
    assert fingerprint(first) == fingerprint(again) != fingerprint(other)
    assert {each.kind for each in first} == set(KINDS)
    assert [each.at for each in first] == sorted(each.at for each in first)
    assert {each.kind for each in schedule(random.Random(1), 50, 60, only="kill")} == {"kill"}
