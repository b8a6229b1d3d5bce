"""Percentiles, bursts, and who was cut off."""

from __future__ import annotations

import pytest

from reliability.deadline_figures import cut_off, percentile, share_in_densest, spread
from reliability.deadline_overload import Outcome, good_per_second


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([5.0], 0.99, 5.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        (range(1, 101), 0.99, 99),
        (range(1, 1001), 0.99, 990),
        ([1.0, 2.0], 1.0, 2.0),
    ],
)
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values, share, expected):
    assert percentile(values, share) == expected


def test_a_percentile_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.99)


def test_the_spread_is_from_the_first_to_the_last():
    assert spread([3.0, 1.0, 2.5]) == 2.0
    assert spread([]) == 0.0


def test_the_densest_window_may_begin_anywhere():
    # On a grid of 100 ms, two and two; from 0.05 on, all four.
    assert share_in_densest([0.06, 0.09, 0.11, 0.14, 1.0], 0.1) == 0.8


def test_events_that_are_far_apart_are_one_to_a_window():
    assert share_in_densest([3.0, 1.0, 2.0, 0.0], 0.1) == 0.25
    assert share_in_densest([], 0.1) == 0.0


def test_only_calls_that_began_on_the_server_can_be_cut_off():
    outcomes = [("done", "OK"), ("cut", "UNAVAILABLE"), ("refused", "UNAVAILABLE")]
    assert cut_off(["done", "cut"], outcomes) == ["cut"]


def test_good_answers_count_when_they_come_and_refusals_never():
    outcomes = [
        Outcome(0.0, 0.4, "OK"),
        Outcome(0.3, 0.6, "200"),
        Outcome(0.5, 0.7, "OK"),
        Outcome(0.5, 0.8, "RESOURCE_EXHAUSTED"),
        Outcome(0.9, 1.5, "OK"),
    ]
    assert good_per_second(outcomes, 0.5, 1.5) == 2.0
