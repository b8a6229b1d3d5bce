"""What a run counts is what the server counted by itself: nothing lost, nothing twice."""

from __future__ import annotations

import pytest
from support.load_runs import SHAPES, loaded
from support.load_server import REFUSED, LoadServer, ask, descriptor_set

from eas_grpc.load import Requests, failures

TOKEN = "load-rig-token"


@pytest.fixture(scope="module")
def server():
    with LoadServer() as server:
        yield server


@pytest.fixture(scope="module")
def guarded():
    with LoadServer(token=TOKEN) as server:
        yield server


@pytest.fixture(autouse=True)
def from_zero(request):
    for name in ("server", "guarded"):
        if name in request.fixturenames:
            request.getfixturevalue(name).counters(reset=True)


def assert_agree(result, counters) -> None:
    calls = result["calls"]
    assert calls["started"] + calls["warmup"] == counters["arrived"]
    assert calls["finished"] == calls["ok"] + calls["failed"] == calls["started"]
    assert calls["in_flight_at_end"] == counters["in_flight"] == 0
    assert calls["scheduled"] == calls["started"] + calls["not_started"]
    statuses = dict(result["statuses"])
    for status, count in result["warmup"]["statuses"].items():
        statuses[status] = statuses.get(status, 0) + count
    assert statuses == counters["statuses"]
    assert result["latency"]["count"] == result["service_time"]["count"] == calls["finished"]
    assert sum(count for _, count in result["histogram"]) == calls["finished"]
    for name in ("started", "ok", "failed"):
        assert sum(window[name] for window in result["timeline"]) == calls[name]
    assert result["timeline"][-1]["in_flight"] == 0


@pytest.mark.parametrize("method", SHAPES)
@pytest.mark.parametrize(
    "how",
    [{"concurrency": 5}, {"rate": 300.0, "poisson": True}],
    ids=["closed", "open"],
)
def test_every_shape_agrees_with_the_servers_own_counts(server, method, how):
    messages = (ask(name="a", count=3), ask(name="b", count=3))
    result = loaded(server, method, messages=messages, seconds=0.3, warmup=0.1, channels=3, **how)
    counters = server.counters()
    assert_agree(result, counters)
    assert result["calls"]["ok"] == result["calls"]["started"] > 0
    assert len(counters["peers"]) == 3
    assert counters["names"]["a"] + counters["names"]["b"] == counters["asks"]


@pytest.mark.parametrize("method", ["Unary", "Both"])
def test_several_processes_agree_with_the_server_too(server, method):
    result = loaded(server, method, rate=200.0, seconds=0.5, processes=2, channels=2)
    counters = server.counters()
    assert_agree(result, counters)
    assert result["calls"]["scheduled"] == 100
    assert len(counters["peers"]) == 4


@pytest.mark.parametrize("how", [{"concurrency": 7}, {"rate": 1000.0}, {"concurrency": 9, "processes": 2}])
def test_so_many_requests_are_sent_as_were_asked_for(server, how):
    result = loaded(server, requests=101, **how)
    assert result["calls"]["ok"] == 101
    assert_agree(result, server.counters())
    assert result["rate"]["done"] > 0


def test_streams_count_their_messages_both_ways(server):
    messages = (ask(name="a"), ask(name="b"), ask(name="c"))
    result = loaded(server, "Both", messages=messages, requests=20, concurrency=2)
    counters = server.counters()
    assert result["messages"]["sent"] == counters["asks"] == 60
    assert result["messages"]["received"] == counters["answers"] == 60
    assert result["messages"]["bytes_sent"] == 20 * sum(map(len, messages))
    assert result["first_message"]["count"] == 20
    assert result["gap"]["count"] == 40


def test_a_stream_of_answers_is_measured_by_its_first_message_and_the_gaps_after(server):
    result = loaded(server, "Many", messages=(ask(count=5, gap=0.05),), requests=5, concurrency=5)
    assert result["gap"]["count"] == 20
    # The server's pause is between any two messages and not before the first.
    assert result["first_message"]["p50"] < result["gap"]["p50"]
    assert result["gap"]["mean"] > 0.03
    assert result["latency"]["min"] > 4 * 0.049


def test_calls_without_a_token_are_failures_and_counted_as_what_they_are(guarded):
    result = loaded(guarded, requests=50, concurrency=5)
    assert result["statuses"] == {"UNAUTHENTICATED": 50}
    assert result["errors"] == [{"status": "UNAUTHENTICATED", "details": "wrong token", "count": 50}]
    assert result["calls"]["failed"] == failures(result) == 50
    assert_agree(result, guarded.counters())


@pytest.mark.parametrize("processes", [1, 2])
def test_the_token_reaches_every_process_and_is_nowhere_in_the_result(guarded, processes):
    result = loaded(guarded, token=TOKEN, requests=20, concurrency=4, processes=processes)
    assert result["statuses"] == {"OK": 20}
    assert TOKEN not in repr(result)


@pytest.mark.parametrize("method", SHAPES)
def test_refused_calls_are_grouped_by_their_text_and_the_others_are_ok(method):
    with LoadServer(fail_every=4) as server:
        result = loaded(server, method, requests=40, concurrency=3)
        assert result["statuses"] == {"OK": 30, "RESOURCE_EXHAUSTED": 10}
        assert result["errors"] == [{"status": "RESOURCE_EXHAUSTED", "details": REFUSED, "count": 10}]
        assert_agree(result, server.counters())


def test_templates_give_each_call_a_number_of_its_own_over_all_processes(server):
    requests = Requests(templates=('{"name": "n{{n}}"}',), schema=descriptor_set().SerializeToString())
    result = loaded(server, requests_of=requests, requests=60, concurrency=4, processes=2)
    assert result["calls"]["ok"] == 60
    names = server.counters()["names"]
    assert len(names) == 60
    assert set(names.values()) == {1}


def test_metadata_goes_with_every_call(guarded):
    pairs = (("authorization", f"Bearer {TOKEN}"),)
    assert loaded(guarded, metadata=pairs, requests=5, concurrency=1)["statuses"] == {"OK": 5}


@pytest.mark.parametrize("retry", [False, True])
def test_retries_are_off_unless_they_are_asked_for(retry):
    """Every second attempt is refused: without retries that is seen, with them it costs the server more calls."""
    with LoadServer(fail_every=2, fail_status="UNAVAILABLE") as server:
        result = loaded(server, retry=retry, requests=10, concurrency=1)
        arrived = server.counters()["arrived"]
    if retry:
        assert result["statuses"] == {"OK": 10}
        assert arrived > 10
    else:
        assert result["statuses"] == {"OK": 5, "UNAVAILABLE": 5}
        assert arrived == 10
    assert result["plan"]["retry"] is retry
