"""Percentiles from buckets, judged by numpy's from the numbers themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_grpc.load._histogram import PERCENTILES, Histogram

DURATIONS = st.lists(
    st.floats(min_value=1e-9, max_value=1e5, allow_nan=False, allow_infinity=False), min_size=1, max_size=300
)


def counted(durations) -> Histogram:
    histogram = Histogram()
    for seconds in durations:
        histogram.add(seconds)
    return histogram


@given(DURATIONS, st.sampled_from([0.1, 25.0, *PERCENTILES.values(), 100.0]))
def test_a_percentile_is_numpys_within_one_percent(durations, percent):
    exact = np.percentile(durations, percent, method="inverted_cdf")
    assert counted(durations).percentile(percent) == pytest.approx(exact, rel=0.01)


@given(DURATIONS)
def test_least_and_most_are_exact_and_no_percentile_is_outside_of_them(durations):
    summary = counted(durations).summary()
    assert (summary["min"], summary["max"]) == (min(durations), max(durations))
    figures = [summary[name] for name in PERCENTILES]
    assert figures == sorted(figures)
    assert summary["min"] <= figures[0]
    assert figures[-1] <= summary["max"]


@given(st.lists(DURATIONS, min_size=1, max_size=5))
def test_merged_is_the_same_as_counted_together(parts):
    merged = Histogram.merged(counted(part) for part in parts)
    whole = counted([seconds for part in parts for seconds in part])
    assert merged.counts == whole.counts
    assert (merged.count, merged.least, merged.most) == (whole.count, whole.least, whole.most)
    assert merged.total == pytest.approx(whole.total)


@given(DURATIONS)
def test_the_buckets_hold_every_duration_below_their_upper_end(durations):
    buckets = counted(durations).buckets()
    assert sum(count for _, count in buckets) == len(durations)
    uppers = [upper for upper, _ in buckets]
    assert uppers == sorted(uppers)
    seen = 0
    for upper, count in buckets:
        seen += count
        assert sum(seconds < upper for seconds in durations) == seen


def test_mean_and_deviation_are_those_of_the_numbers():
    durations = np.random.default_rng(1).gamma(2.0, 0.01, 5000)
    summary = counted(durations).summary()
    assert summary["mean"] == pytest.approx(durations.mean())
    assert summary["stdev"] == pytest.approx(durations.std())


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-12])
def test_what_no_clock_tells_apart_is_a_nanosecond(seconds):
    assert counted([seconds]).summary()["max"] == 1e-9


def test_nothing_counted_has_no_figures():
    summary = Histogram().summary()
    assert summary.pop("count") == 0
    assert set(summary.values()) == {None}


def test_the_last_but_one_of_a_thousand_is_the_tail_of_one_in_a_thousand():
    histogram = counted([0.001] * 999 + [1.0])
    assert histogram.percentile(99.9) == pytest.approx(0.001, rel=0.01)
    assert histogram.percentile(99.99) == 1.0


def test_it_stays_small_over_a_whole_day_of_different_durations():
    durations = np.exp(np.random.default_rng(1).uniform(math.log(1e-6), math.log(1e5), 100_000))
    assert len(counted(durations).counts) < 128 * 38
