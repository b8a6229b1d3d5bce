"""When figures hold still, and when they are the generator's own."""

from __future__ import annotations

import pytest

from eas_grpc.load._limit import judge
from eas_grpc.load._stable import Figures, is_stable


def windows(*pairs) -> list[Figures]:
    return [Figures(float(number), p99, rate) for number, (p99, rate) in enumerate(pairs)]


def test_three_windows_that_agree_are_stable():
    assert is_stable(windows((0.5, 10), (0.100, 1000), (0.102, 990), (0.099, 1010)), 0.05)


@pytest.mark.parametrize(
    "last",
    [
        [(0.1, 1000), (0.1, 1000)],
        [(0.1, 1000), (0.1, 1000), (0.11, 1000)],
        [(0.1, 1000), (0.1, 1000), (0.1, 900)],
        [(0.1, 1000), (None, 0), (0.1, 1000)],
        [(None, 0), (None, 0), (None, 0)],
        [],
    ],
)
def test_too_few_windows_or_some_that_differ_are_not_stable(last):
    assert not is_stable(windows(*last), 0.05)


def verdict(**differs):
    usual = {
        "open_loop": True,
        "cores": 0.3,
        "lag_p99": 0.0005,
        "latency_p50": 0.02,
        "not_started": 0,
        "max_in_flight": 100,
        "pace": None,
        "rate": 500.0,
        "seconds": 10.0,
    }
    return judge(**(usual | differs))


def test_a_generator_with_time_left_is_not_the_limit():
    assert verdict() == verdict(open_loop=False)
    assert not verdict().limit
    assert verdict().why is None


def test_a_run_of_a_moment_tells_nothing_of_the_generator():
    assert not verdict(open_loop=False, cores=0.99, seconds=0.1).limit


def test_a_generator_that_uses_a_whole_core_is_the_limit():
    found = verdict(open_loop=False, cores=0.97)
    assert found.limit
    assert "0.97 of a core" in found.why
    assert "--processes" in found.why


def test_a_generator_that_starts_calls_late_is_the_limit():
    found = verdict(lag_p99=0.1, cores=0.8)
    assert found.limit
    assert "100.0 ms late" in found.why
    assert "lower rate" in found.why


def test_a_generator_that_is_late_and_idle_is_on_a_busy_machine():
    assert "other programs" in verdict(lag_p99=0.1, cores=0.2).why
    assert "other programs" not in verdict(lag_p99=0.1, cores=0.8).why


def test_lateness_that_the_latencies_hide_is_none():
    assert not verdict(lag_p99=0.04, latency_p50=0.5).limit


def test_calls_that_were_not_started_are_the_services_fault_if_the_generator_had_time():
    found = verdict(not_started=7)
    assert not found.limit
    assert "7 calls were not started because 100 were in flight" in found.why


def test_calls_that_a_busy_generator_did_not_start_are_its_own():
    found = verdict(not_started=7, cores=0.99)
    assert found.limit
    assert "7 calls were never started" in found.why


def test_a_closed_loop_at_the_cap_was_held_back():
    found = verdict(open_loop=False, pace=2000.0, rate=1999.0)
    assert found.limit
    assert "2000 calls a second" in found.why
    assert not verdict(open_loop=False, pace=2000.0, rate=1000.0).limit
