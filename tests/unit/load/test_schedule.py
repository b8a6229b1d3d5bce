"""When calls are due: as plain numbers, before anything runs."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from eas_grpc.load._schedule import arrivals, evenly, poisson


def test_an_even_schedule_does_not_drift():
    assert next(islice(evenly(3.0), 3_000_000, None)) == 1_000_000.0


@pytest.mark.parametrize("parts", [2, 3, 5])
def test_the_parts_of_an_even_schedule_are_the_whole(parts):
    whole = list(arrivals(100.0, at_random=False, seed=1, until=2.0))
    shared = [
        arrivals(100.0, at_random=False, seed=1, until=2.0, part=part, parts=parts) for part in range(parts)
    ]
    assert sorted(due for part in shared for due in part) == whole
    assert len(whole) == 200


@pytest.mark.parametrize("parts", [1, 4])
def test_random_gaps_are_exponential_also_of_all_parts_together(parts):
    shared = [
        arrivals(1000.0, at_random=True, seed=7, until=20.0, part=part, parts=parts) for part in range(parts)
    ]
    gaps = np.diff(sorted(due for part in shared for due in part))
    assert len(gaps) == pytest.approx(20_000, rel=0.03)
    # Mean and deviation of an exponential distribution are the same; so are its quantiles known.
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)
    assert np.percentile(gaps, 90) == pytest.approx(np.log(10) / 1000, rel=0.05)


def test_the_same_seed_gives_the_same_times_and_another_one_others():
    first, again, other = (list(islice(poisson(10.0, seed=seed), 20)) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_the_parts_of_a_random_schedule_differ():
    first, second = (list(islice(poisson(10.0, seed=3, part=part, parts=2), 20)) for part in (0, 1))
    assert set(first).isdisjoint(second)


def test_nothing_is_due_at_the_end_or_later():
    assert list(arrivals(2.0, at_random=False, seed=1, until=1.0)) == [0.0, 0.5]
