"""Streams of requests and answers, in both colours, over our channel and a plain one."""

from __future__ import annotations

import asyncio
import gc
import threading

import grpc
import numpy as np
import pytest
from support.inference_paths import PATHS, paths
from support.reference_services import ReferenceServer

from eas_grpc import aio, inference
from eas_grpc.errors import CallError, ConfigError, Origin
from eas_grpc.inference import InferenceError

WAIT = 10.0


def do(text: str) -> dict[str, np.ndarray]:
    return {"do": np.array([text.encode()], object)}


def item(number: int) -> dict[str, np.ndarray]:
    return {"x": np.array([number], np.int64)}


def number_in(outputs) -> int:
    return int(outputs["x"][0])


@pytest.fixture
def server():
    with ReferenceServer() as running:
        yield running


STREAMING = paths("native", "open_inference")


@pytest.fixture(params=STREAMING, ids=str)
def path(request):
    return request.param


@pytest.fixture
def client(path, server):
    with path.client(server.address) as made:
        yield made


def test_one_call_carries_all_requests_and_answers_in_order(client, server):
    results = client.infer_stream("echo", (item(number) for number in range(50)), ["x"])
    assert [number_in(outputs) for outputs in results] == list(range(50))
    assert len(server.calls) == 1
    assert len(server.last.requests) == 50


def test_a_stream_starts_with_the_first_answer_asked_for(client, server):
    taken = []

    def inputs():
        taken.append(1)
        yield item(0)

    results = client.infer_stream("echo", inputs())
    assert (taken, server.calls) == ([], [])
    assert number_in(next(results)) == 0
    assert list(results) == []


def test_a_request_may_depend_on_the_answer_before_it(path, server):
    answered = [asyncio.Event() if path.colour == "aio" else threading.Event() for _ in range(5)]
    seen = []

    async def over_time():
        for number in range(5):
            yield item(number)
            await answered[number].wait()

    def one_by_one():
        for number in range(5):
            yield item(number)
            assert answered[number].wait(WAIT)

    with path.client(server.address) as client:
        for outputs in client.infer_stream("echo", over_time() if path.colour == "aio" else one_by_one()):
            seen.append(number_in(outputs))
            answered[seen[-1]].set()
    assert seen == list(range(5))


def test_a_stream_has_the_deadline_and_metadata_that_it_is_given(client, server):
    list(client.infer_stream("echo", [item(0)], deadline=20, metadata=[("x-trace", "1")]))
    assert 10 < server.last.remaining < 25
    assert server.last.metadata["x-trace"] == "1"
    with pytest.raises(grpc.RpcError) as caught:
        list(client.infer_stream("echo", [do("hold")], deadline=0.1))
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_without_a_deadline_a_stream_has_none(client, server):
    list(client.infer_stream("echo", [item(0)]))
    assert server.last.remaining is None


@pytest.mark.parametrize("return_errors", [False, True])
def test_what_ends_the_stream_is_the_channels_own_error(client, path, return_errors):
    results = client.infer_stream("echo", [item(0), do("fail:INTERNAL:why")], return_errors=return_errors)
    assert number_in(next(results)) == 0
    with pytest.raises(grpc.RpcError) as caught:
        next(results)
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.INTERNAL, "why")
    assert isinstance(caught.value, CallError) == (path.door == "connect")


@pytest.mark.parametrize(
    ("inputs", "error", "why"),
    [
        (lambda: [{"x": "text"}], ConfigError, "'x' is a str"),
        (lambda: [item(0), "no mapping"], ConfigError, "arrays by name"),
        (lambda: (item(1 // number) for number in (1, 0)), ZeroDivisionError, "by zero"),
    ],
)
def test_what_is_wrong_with_the_inputs_is_raised_as_it_is(client, server, inputs, error, why):
    with pytest.raises(error, match=why):
        list(client.infer_stream("echo", inputs()))
    for seen in server.calls:
        assert seen.ended.wait(WAIT)


def test_settings_that_cannot_work_are_refused_at_once(client, server):
    for named in ({"deadline": 0}, {"outputs": "x"}, {"metadata": [("X", "1")]}, {"signature": "s"}):
        with pytest.raises(ConfigError):
            client.infer_stream("echo", [item(0)], **named)
    with pytest.raises(ConfigError, match=r"write \[inputs\] for one"):
        client.infer_stream("echo", item(0))
    assert server.calls == []


def test_leaving_the_loop_cancels_the_call(client, server):
    def endless():
        while True:
            yield item(0)

    results = client.infer_stream("echo", endless())
    assert number_in(next(results)) == 0
    results.close()
    assert server.last.ended.wait(WAIT)
    assert list(results) == []


@pytest.mark.parametrize("path", [path for path in STREAMING if path.colour == "sync"], ids=str)
def test_after_a_stream_that_was_left_no_thread_remains(path, server):
    with path.client(server.address) as client:
        client.infer("echo", item(0))
        before = set(threading.enumerate())
        for _ in client.infer_stream("echo", (item(number) for number in range(1000))):
            break
        gc.collect()
        assert server.last.ended.wait(WAIT)
        for thread in set(threading.enumerate()) - before:
            if not thread.name.startswith("ThreadPoolExecutor"):
                thread.join(WAIT)
                assert not thread.is_alive()


@pytest.mark.parametrize("name", ["AsyncTensorClient", "AsyncOpenInferenceClient"])
async def test_after_a_stream_that_was_left_no_task_remains(name, server):
    async with aio.connect(server.address) as channel:
        client = getattr(inference, name)(channel)
        await client.infer("echo", item(0))
        before = asyncio.all_tasks()

        async def inputs():
            for number in range(1000):
                yield item(number)

        async for _ in client.infer_stream("echo", inputs()):
            break
        assert await asyncio.to_thread(server.last.ended.wait, WAIT)
        if left := asyncio.all_tasks() - before:
            await asyncio.wait(left, timeout=WAIT)
        assert asyncio.all_tasks() == before


@pytest.mark.parametrize("path", paths("native"), ids=str)
def test_a_stream_of_ours_with_fewer_answers_than_requests_is_an_error(path, server):
    with path.client(server.address) as client:
        results = client.infer_stream("short", [item(number) for number in range(3)])
        assert [number_in(next(results)) for _ in range(2)] == [0, 1]
        with pytest.raises(InferenceError, match="DATA_LOSS: the stream ended after 2 answers") as caught:
            next(results)
    assert isinstance(caught.value, (CallError, grpc.RpcError))


@pytest.mark.parametrize("path", paths("open_inference"), ids=str)
class TestOpenInference:
    """A failed request is an answer too, and a request may have any number of answers."""

    def test_an_error_that_the_service_reports_is_raised_and_ends_the_stream(self, client, server):
        results = client.infer_stream("echo", [item(0), do("error:no such shape"), item(2)])
        assert number_in(next(results)) == 0
        with pytest.raises(InferenceError, match="no such shape") as caught:
            next(results)
        assert caught.value.origin is Origin.SERVER
        assert isinstance(caught.value, grpc.RpcError)
        assert list(results) == []
        assert server.last.ended.wait(WAIT)

    def test_an_error_takes_its_place_where_that_is_wanted_and_the_stream_goes_on(self, client):
        inputs = [item(0), do("error:no such shape"), item(2)]
        first, error, last = client.infer_stream("echo", inputs, return_errors=True)
        assert (number_in(first), number_in(last)) == (0, 2)
        assert isinstance(error, InferenceError)
        assert error.details() == "no such shape"

    def test_a_model_may_answer_twice_or_never(self, client):
        inputs = [do("twice") | item(0), do("never") | item(1), item(2)]
        assert [number_in(each) for each in client.infer_stream("echo", inputs)] == [0, 0, 2]

    def test_a_server_that_sends_plain_responses_as_mlserver_does_is_understood(self, client):
        results = client.infer_stream("mlserver", [item(0), item(1)], id="a")
        assert [number_in(each) for each in results] == [0, 1]

    def test_a_version_and_the_like_travel_with_each_request(self, client, server):
        list(client.infer_stream("echo", [item(0), item(1)], version="3", id="a", parameters={"p": 1.5}))
        for request in server.last.requests:
            assert (request.model_version, request.id) == ("3", "a")
            assert request.parameters["p"].double_param == 1.5


@pytest.mark.parametrize("path", paths("native"), ids=str)
class TestPartialResults:
    """One request whose answer comes in parts."""

    def test_the_parts_come_in_order(self, client, server):
        inputs = {"x": np.arange(5), "y": np.ones((5, 2))}
        parts = list(client.infer_partial("echo", inputs, ["x", "y"]))
        assert [int(part["x"][0]) for part in parts] == list(range(5))
        assert parts[0]["y"].shape == (1, 2)
        (request,) = server.last.requests
        assert list(request.outputs) == ["x", "y"]

    def test_a_deadline_and_metadata_travel(self, client, server):
        list(client.infer_partial("echo", item(0), deadline=20, metadata=[("x-trace", "1")]))
        assert 10 < server.last.remaining < 25
        assert server.last.metadata["x-trace"] == "1"

    def test_a_failure_is_the_channels_own_error(self, client):
        with pytest.raises(grpc.RpcError) as caught:
            list(client.infer_partial("echo", do("fail:INTERNAL:why")))
        assert caught.value.details() == "why"

    def test_what_cannot_work_is_refused_at_once(self, client, server):
        for inputs, named in (({"x": "text"}, {}), (item(0), {"deadline": 0}), (item(0), {"outputs": "x"})):
            with pytest.raises(ConfigError):
                client.infer_partial("echo", inputs, **named)
        assert server.calls == []

    def test_leaving_the_loop_cancels_the_call(self, client, server):
        parts = client.infer_partial("echo", {"x": np.zeros((100_000, 1))})
        next(parts)
        parts.close()
        assert server.last.ended.wait(WAIT)


def test_every_protocol_that_streams_is_tested_here():
    assert {path.protocol for path in PATHS} - {path.protocol for path in STREAMING} == {"tf_serving"}
