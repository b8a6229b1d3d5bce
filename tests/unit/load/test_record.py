"""What several processes measured becomes one, with nothing lost and nothing counted twice."""

from __future__ import annotations

import pickle

from hypothesis import given
from hypothesis import strategies as st

from eas_grpc.load._calls import Sink
from eas_grpc.load._record import OTHER_TEXTS, Record
from eas_grpc.rpc._status import AioRpcCallError, refusal

CALLS = st.lists(
    st.tuples(st.floats(min_value=0, max_value=9), st.floats(min_value=1e-6, max_value=5), st.booleans()),
    max_size=60,
)


def recorded(calls, open_loop: bool = True) -> Record:
    record = Record()
    sink = Sink(record, origin=100.0, since=100.0, until=110.0, window=1.0, open_loop=open_loop)
    for at, took, good in calls:
        due = 100.0 + at
        sink.began(due, due + took / 4)
        sink.sent(10)
        error = None if good else AioRpcCallError(refusal("UNAVAILABLE", "gone", "/s/m", ""))
        sink.ended(due, due + took / 4, due + took, error)
    return record


@given(st.lists(CALLS, min_size=1, max_size=4))
def test_merging_records_is_recording_everything_in_one(parts):
    # As they come from other processes.
    shipped = [pickle.loads(pickle.dumps(recorded(part))) for part in parts]
    merged, whole = Record.merged(shipped), recorded([call for part in parts for call in part])
    assert (merged.started, merged.ok, merged.failed) == (whole.started, whole.ok, whole.failed)
    assert merged.statuses == whole.statuses
    assert merged.errors == whole.errors
    assert (merged.sent, merged.bytes_sent, merged.in_time) == (whole.sent, whole.bytes_sent, whole.in_time)
    assert merged.latency.counts == whole.latency.counts
    assert merged.service.counts == whole.service.counts
    assert merged.lag.counts == whole.lag.counts
    assert {
        index: (window.started, window.ok, window.failed) for index, window in merged.windows.items()
    } == {index: (window.started, window.ok, window.failed) for index, window in whole.windows.items()}


@given(CALLS)
def test_every_call_is_in_the_statuses_and_in_the_latencies(calls):
    record = recorded(calls)
    assert record.started == len(calls) == record.ok + record.failed
    assert sum(record.statuses.values()) == record.latency.count == record.service.count == len(calls)


def test_latency_counts_from_when_a_call_was_due_and_service_time_from_its_start():
    record = recorded([(0.0, 4.0, True)])
    assert record.latency.most == 4.0
    assert record.service.most == 3.0
    assert record.lag.most == 1.0


def test_the_times_of_the_slowest_process_count_not_their_sum():
    records = [Record(seconds=1.0, cpu=0.5, thread=0.4), Record(seconds=2.0, cpu=0.9, thread=0.1)]
    merged = Record.merged(records)
    assert (merged.seconds, merged.cpu, merged.thread) == (2.0, 0.9, 0.4)


def test_after_many_texts_of_errors_the_others_are_counted_together():
    record = Record()
    for number in range(1000):
        record.count_error("INTERNAL", f"request {number} failed")
    assert len(record.errors) == 201
    assert sum(record.errors.values()) == 1000
    assert record.errors["INTERNAL", OTHER_TEXTS] == 800
