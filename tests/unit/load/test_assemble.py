"""The result, from records made by hand."""

from __future__ import annotations

import json

import pytest

from eas_grpc.calls import CallShape
from eas_grpc.endpoint import Endpoint
from eas_grpc.load import Job, Plan, Ramp, Requests, failures
from eas_grpc.load._assemble import Outcome, result
from eas_grpc.load._calls import Sink
from eas_grpc.load._record import Record
from eas_grpc.load._result import check
from eas_grpc.load._stable import Figures
from eas_grpc.rpc._status import AioRpcCallError, refusal


def job(**plan) -> Job:
    return Job(
        endpoint=Endpoint.parse("127.0.0.1:50080"),
        method="/pkg.S/M",
        shape=CallShape.UNARY_UNARY,
        requests=Requests(messages=(b"",)),
        plan=Plan(**({"seconds": 2.0} | plan)),
    )


def record(calls, *, seconds: float = 2.0, open_loop: bool = True, not_started: int = 0) -> Record:
    """Of (when it was due, how long it took, status)."""
    found = Record(seconds=seconds, not_started=not_started, cpu=0.5, thread=0.3)
    sink = Sink(found, origin=0.0, since=0.0, until=seconds, window=0.2, open_loop=open_loop)
    for due, took, status in calls:
        error = None if status == "OK" else AioRpcCallError(refusal(status, "why", "/pkg.S/M", ""))
        sink.began(due, due)
        sink.ended(due, due, due + took, error)
    return found


def made(job: Job, *outcomes: Outcome, interrupted: bool = False):
    found = result(job, outcomes, started="2026-01-01T00:00:00Z", interrupted=interrupted)
    return check(json.loads(json.dumps(found)), "the result")


def test_one_step_is_the_whole_result_and_can_be_read_again():
    one = job(rate=10.0)
    found = made(one, Outcome(one.plan, record([(0.0, 0.1, "OK"), (1.0, 0.5, "NOT_FOUND")]), record([])))
    assert found["calls"] == {
        "scheduled": 2,
        "started": 2,
        "finished": 2,
        "ok": 1,
        "failed": 1,
        "in_flight_at_end": 0,
        "not_started": 0,
        "warmup": 0,
    }
    assert found["errors"] == [{"status": "NOT_FOUND", "details": "why", "count": 1}]
    assert found["rate"] == {"asked": 10.0, "done": 1.0}
    assert (found["method"], found["shape"], found["address"]) == (
        "pkg.S/M",
        "unary_unary",
        "127.0.0.1:50080",
    )
    assert found["steps"] == []
    assert found["first_message"] is None


def test_calls_that_end_after_the_last_was_started_are_counted_but_not_in_the_rate():
    one = job(rate=10.0)
    found = made(one, Outcome(one.plan, record([(0.0, 0.1, "OK"), (1.9, 0.5, "OK")]), record([])))
    assert found["calls"]["ok"] == 2
    assert found["rate"]["done"] == 0.5


def test_the_timeline_knows_how_many_were_in_flight_at_each_end():
    one = job(rate=10.0, seconds=0.6, window=0.2)
    calls = [(0.1, 0.35, "OK"), (0.15, 0.01, "OK"), (0.3, 0.5, "OK")]
    found = made(one, Outcome(one.plan, record(calls, seconds=0.6), record([])))
    timeline = found["timeline"]
    assert [window["started"] for window in timeline] == [2, 1, 0, 0, 0]
    assert [window["ok"] for window in timeline] == [1, 0, 1, 0, 1]
    assert [window["in_flight"] for window in timeline] == [1, 2, 1, 1, 0]
    assert [window["at"] for window in timeline] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert timeline[1]["p50"] is None


def test_what_was_not_started_or_never_ended_is_a_failure_too():
    one = job(rate=10.0)
    lost = record([(0.0, 0.1, "OK"), (0.1, 0.1, "INTERNAL")], not_started=3)
    lost.window(0).started += 1
    found = made(one, Outcome(one.plan, lost, record([])))
    assert found["calls"]["scheduled"] == 6
    assert found["calls"]["in_flight_at_end"] == 1
    assert failures(found) == 5


def test_in_a_closed_loop_a_call_is_due_when_it_is_begun():
    one = job(concurrency=1)
    found = made(one, Outcome(one.plan, record([(0.0, 0.1, "OK")], open_loop=False), record([])))
    assert found["latency"] == found["service_time"]
    assert found["rate"]["asked"] is None


def test_a_ramp_has_its_steps_beside_the_whole():
    ramp = job(rate=10.0, ramp=Ramp(10, 20, 10))
    first, second = ramp.plan.steps()
    found = made(
        ramp,
        Outcome(first, record([(0.0, 0.1, "OK")]), record([(0.0, 0.1, "OK")])),
        Outcome(second, record([(0.0, 0.3, "OK"), (0.5, 0.3, "OK")]), record([])),
    )
    assert [step["rate"] for step in found["steps"]] == [
        {"asked": 10.0, "done": 0.5},
        {"asked": 20.0, "done": 1.0},
    ]
    assert found["rate"] == {"asked": None, "done": 0.75}
    assert found["seconds"] == 4.0
    assert found["latency"]["count"] == 3
    assert found["calls"]["warmup"] == 1
    # The second step's windows follow the first step's.
    assert [window["at"] for window in found["timeline"] if window["ok"]] == pytest.approx([0.0, 2.2, 2.8])


@pytest.mark.parametrize(
    ("stable", "reached"),
    [((True,), 0.6), ((False,), False), ((None,), None), ((True, True), True), ((True, False), False)],
)
def test_when_the_figures_held_still(stable, reached):
    asked = stable[0] is not None
    ramp = Ramp(10, 10 * len(stable), 10) if len(stable) > 1 else None
    one = job(rate=10.0, ramp=ramp, until_stable=asked, window=0.2)
    windows = [Figures(0.2 * number, 0.1, 10.0) for number in range(3)] if asked else []
    outcomes = [
        Outcome(step, record([]), record([]), windows, held)
        for step, held in zip(one.plan.steps(), stable, strict=True)
    ]
    found = made(one, *outcomes)
    assert found["stable"]["asked"] is asked
    assert found["stable"]["reached"] == (pytest.approx(reached) if isinstance(reached, float) else reached)
    assert len(found["stable"]["windows"]) == len(windows) * len(stable)


def test_nothing_measured_is_a_result_without_figures():
    one = job(rate=10.0)
    found = made(one, Outcome(one.plan, Record(), Record()), interrupted=True)
    assert found["latency"]["count"] == 0
    assert found["latency"]["p50"] is None
    assert found["rate"]["done"] == 0.0
    assert found["timeline"] == []
    assert found["interrupted"]
