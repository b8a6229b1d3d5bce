"""How a run goes on, and how it ends: stable, step by step, stopped, refused."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
import time

import pytest
from support.load_runs import job, loaded
from support.load_server import LoadServer, ask

from eas_grpc.endpoint import Endpoint
from eas_grpc.errors import CallError, ConfigError, Origin
from eas_grpc.load import Ramp, failures, run


@pytest.fixture(scope="module")
def server():
    with LoadServer(delays=[0.01, 0.02]) as server:
        yield server


@pytest.fixture(autouse=True)
def from_zero(server):
    server.counters(reset=True)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_until_stable_ends_when_three_windows_agree(server, processes):
    plan = {
        "seconds": 20.0,
        "until_stable": True,
        "stable_within": 1.0,
        "window": 0.2,
        "processes": processes,
    }
    began = time.monotonic()
    result = loaded(server, rate=200.0, **plan)
    assert time.monotonic() - began < 15
    stable = result["stable"]
    assert stable["asked"]
    assert stable["reached"] == pytest.approx(0.2 * len(stable["windows"]))
    last = [window["p99"] for window in stable["windows"][-3:]]
    assert len(last) == 3
    assert max(last) - min(last) <= sum(last) / 3
    assert result["calls"]["finished"] == server.counters()["arrived"]


def test_a_run_that_never_is_stable_ends_all_the_same_and_says_so(server):
    result = loaded(server, rate=50.0, seconds=1.0, until_stable=True, stable_within=1e-9, window=0.2)
    assert result["stable"]["asked"]
    assert result["stable"]["reached"] is False
    assert result["seconds"] == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    ("how", "asked"),
    [
        ({"rate": 1.0, "ramp": Ramp(50, 150, 50)}, [(50.0, None), (100.0, None), (150.0, None)]),
        ({"concurrency": 1, "ramp": Ramp(1, 3, 1)}, [(None, 1), (None, 2), (None, 3)]),
    ],
    ids=["rate", "concurrency"],
)
def test_each_step_of_a_ramp_has_its_own_figures(server, how, asked):
    result = loaded(server, seconds=0.4, warmup=0.1, **how)
    steps = result["steps"]
    assert [(step["plan"]["rate"], step["plan"]["concurrency"]) for step in steps] == asked
    counts = [step["calls"]["ok"] for step in steps]
    if how.get("rate"):
        assert counts == [20, 40, 60]
    else:
        # More callers make more calls of a service that takes its time.
        assert counts[0] < counts[2]
    assert result["calls"]["ok"] == sum(counts) == result["latency"]["count"]
    assert result["seconds"] == pytest.approx(sum(step["seconds"] for step in steps))
    arrived = sum(step["calls"]["started"] + step["calls"]["warmup"] for step in steps)
    assert arrived == server.counters()["arrived"]
    assert sum(window["ok"] for window in result["timeline"]) == result["calls"]["ok"]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_that_is_stopped_reports_what_it_measured(server, processes):
    stop = threading.Event()
    seen = []

    def progress(now) -> None:
        seen.append(now)
        stop.set()

    result = run(
        job(server, rate=100.0, seconds=60.0, window=0.2, processes=processes), progress=progress, stop=stop
    )
    assert result["interrupted"]
    assert 0.2 <= result["seconds"] < 20
    assert result["calls"]["ok"] == result["calls"]["started"] == server.counters()["arrived"] > 0
    assert result["calls"]["in_flight_at_end"] == 0
    assert 0 < seen[0].rate <= 100
    assert seen[0].failed == 0


@pytest.mark.parametrize("processes", [1, 2])
def test_a_second_interrupt_does_not_wait_for_calls_under_way(processes):
    before = signal.getsignal(signal.SIGINT)
    told = []

    def twice(now) -> None:
        told.append(now)
        if len(told) > 1:
            return
        signal.raise_signal(signal.SIGINT)
        asyncio.get_running_loop().call_later(0.2, signal.raise_signal, signal.SIGINT)

    with LoadServer(delays=[50.0, 50.0]) as server:
        began = time.monotonic()
        slow = job(server, rate=40.0, seconds=60.0, deadline=50.0, window=0.2, processes=processes)
        result = run(slow, progress=twice)
        assert time.monotonic() - began < 10
    calls = result["calls"]
    assert result["interrupted"]
    assert calls["in_flight_at_end"] == calls["started"] > 0
    assert failures(result) == calls["started"]
    assert result["statuses"] == {}
    assert signal.getsignal(signal.SIGINT) is before


def test_progress_is_told_for_all_processes_together(server):
    seen = []
    result = run(job(server, rate=100.0, seconds=0.8, window=0.4, processes=2), progress=seen.append)
    assert [round(each.at, 3) for each in seen[:2]] == [0.4, 0.8]
    timeline = result["timeline"][:2]
    assert [round(each.rate * 0.4) for each in seen[:2]] == [window["ok"] for window in timeline]
    assert [each.in_flight for each in seen[:2]] == [window["in_flight"] for window in timeline]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_service_that_is_not_there_is_a_call_that_found_no_connection(server, processes):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = Endpoint.parse(f"127.0.0.1:{closed.getsockname()[1]}")
        lost = job(server, rate=1.0, seconds=1.0, processes=processes)
        began = time.monotonic()
        with pytest.raises(CallError) as caught:
            run(type(lost)(**{**vars(lost), "endpoint": nowhere}))
    assert time.monotonic() - began < 10
    assert caught.value.failure.status == "UNAVAILABLE"
    assert caught.value.origin is Origin.CLIENT


def test_a_service_that_goes_away_is_counted_and_does_not_end_the_run():
    with LoadServer() as server:

        def kill(_) -> None:
            server.kill()

        result = run(job(server, rate=100.0, seconds=1.0, window=0.3, deadline=2.0), progress=kill)
    calls = result["calls"]
    assert calls["ok"] > 0
    assert calls["failed"] > 0
    assert calls["ok"] + calls["failed"] == calls["started"] == 100
    assert set(result["statuses"]) <= {"OK", "UNAVAILABLE"}


def test_a_request_that_is_larger_than_may_be_sent_is_a_failure_like_any(server):
    result = loaded(
        server,
        messages=(ask(name="x" * 5000), ask(name="y")),
        requests=10,
        concurrency=1,
        words={"max_request": 1000},
    )
    assert result["statuses"] == {"OK": 5, "RESOURCE_EXHAUSTED": 5}
    assert server.counters()["arrived"] == 5


def test_an_error_that_is_no_call_ends_the_run(server):
    with pytest.raises(ConfigError):
        loaded(server, metadata=(("Not A Key", "x"),), requests=3, concurrency=1)


def test_a_closed_loop_keeps_to_its_pace(server):
    result = loaded(server, concurrency=20, seconds=1.0, pace=100.0)
    assert 10 < result["calls"]["started"] <= 101
    assert result["calls"]["finished"] == server.counters()["arrived"]
