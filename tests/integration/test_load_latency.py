"""Latencies against a server whose delays are known, and one that stands still for a second."""

from __future__ import annotations

import time

import numpy as np
import pytest
from support.load_runs import job, loaded
from support.load_server import LoadServer

from eas_grpc.load import failures, run

# Far above what a busy machine adds.
LEAST, MOST = 0.1, 0.5


@pytest.mark.parametrize("how", [{"rate": 200.0, "poisson": True}, {"concurrency": 30}])
def test_a_known_distribution_of_delays_comes_out_again(how):
    with LoadServer(delays=[LEAST, MOST]) as server:
        result = loaded(server, seconds=1.5, warmup=0.2, **how)
    latency, width = result["latency"], MOST - LEAST
    assert latency["count"] > 100
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        assert latency[name] == pytest.approx(LEAST + share * width, abs=0.25 * width)
    assert latency["min"] >= 0.99 * LEAST
    assert latency["mean"] == pytest.approx((LEAST + MOST) / 2, abs=0.15 * width)
    # An even distribution is not a narrow one.
    assert latency["stdev"] == pytest.approx(width / np.sqrt(12), rel=0.4)


@pytest.fixture(scope="module")
def stalls():
    """The same server, standing still for a second, under both kinds of load."""
    found = {}
    for name, how, when in (
        ("open", {"rate": 200.0, "seconds": 3.0}, 150),
        ("closed", {"concurrency": 1, "seconds": 2.0}, 60),
    ):
        with LoadServer(delays=[0.002, 0.004], stall_at=when) as server:
            result = loaded(server, deadline=30.0, **how)
            found[name] = result, server.counters()
    return found


def test_a_stall_of_a_second_is_seen_in_full_when_calls_are_due_whatever_happens(stalls):
    result, counters = stalls["open"]
    stalled = counters["stalled"]
    assert stalled >= 1.0
    assert result["latency"]["max"] >= 0.99 * stalled
    assert result["latency"]["p99.9"] >= 0.9 * stalled
    # 200 calls were due in that second and waited for its rest, half of them for more than half of it. What then had
    # piled up takes a busy machine its time too.
    waited = sum(count for upper, count in result["histogram"] if upper > 0.5 * stalled)
    assert 0.8 * 100 <= waited <= 300
    assert result["latency"]["p90"] > 0.4 * stalled
    assert failures(result) == 0
    assert result["calls"]["started"] == counters["arrived"] == 600


def test_a_closed_loop_hides_the_same_stall_in_a_single_call(stalls):
    result, counters = stalls["closed"]
    assert counters["stalled"] >= 1.0
    assert result["latency"]["max"] >= 0.99 * counters["stalled"]
    waited = sum(count for upper, count in result["histogram"] if upper > 0.5)
    assert waited == 1
    assert result["latency"]["p95"] < 0.3
    assert result["service_time"] == result["latency"]


def test_the_timeline_has_the_second_in_which_nothing_ended(stalls):
    result, _ = stalls["open"]
    silent = [window for window in result["timeline"] if window["ok"] == 0]
    assert 2 <= len(silent) <= 4
    assert all(window["started"] > 0 for window in silent)
    assert max(window["in_flight"] for window in result["timeline"]) == pytest.approx(200, rel=0.25)


def test_calls_in_flight_at_the_end_are_waited_for_and_no_errors():
    with LoadServer(delays=[0.8, 0.8]) as server:
        result = loaded(server, rate=50.0, seconds=0.5)
        assert result["statuses"] == {"OK": 25}
        assert server.counters()["in_flight"] == 0
    assert result["calls"]["in_flight_at_end"] == 0
    # None of them had ended while calls were started.
    assert result["rate"]["done"] == 0


def test_waiting_for_the_end_is_bounded_by_the_deadline():
    with LoadServer(delays=[30.0, 30.0]) as server:
        began = time.monotonic()
        result = loaded(server, rate=20.0, seconds=0.5, deadline=0.5)
        assert time.monotonic() - began < 5
    assert result["statuses"] == {"DEADLINE_EXCEEDED": 10}
    assert result["calls"]["in_flight_at_end"] == 0


def test_calls_beyond_the_most_in_flight_are_counted_as_not_started():
    with LoadServer(delays=[1.5, 1.5]) as server:
        result = loaded(server, rate=100.0, seconds=1.0, max_in_flight=20)
        arrived = server.counters()["arrived"]
    calls = result["calls"]
    assert (calls["scheduled"], calls["started"], calls["not_started"]) == (100, 20, 80)
    assert arrived == 20
    assert failures(result) == 80
    assert not result["generator"]["limit"]
    assert "80 calls were not started because 20 were in flight" in result["generator"]["why"]


def test_a_rate_that_no_process_reaches_is_said_to_be_the_generators_limit():
    with LoadServer() as server:
        result = run(job(server, rate=60_000.0, seconds=1.0, max_in_flight=300))
        arrived = server.counters()["arrived"]
    calls = result["calls"]
    assert result["generator"]["limit"]
    assert "ms late or more" in result["generator"]["why"]
    assert f"{calls['not_started']} calls were never started" in result["generator"]["why"]
    assert calls["scheduled"] == 60_000 == calls["started"] + calls["not_started"]
    assert calls["started"] == arrived


def test_the_warm_up_is_sent_and_not_measured():
    with LoadServer(stall_at=3, stall=0.5) as server:
        result = loaded(server, rate=100.0, seconds=0.5, warmup=1.0)
        assert server.counters()["arrived"] == 150
    assert result["calls"]["warmup"] == 100
    assert result["calls"]["ok"] == 50
    assert result["latency"]["max"] < 0.4
