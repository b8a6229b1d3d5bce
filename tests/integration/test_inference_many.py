"""Many requests at once, over twelve ways: bounded, in order, and gone when nobody wants them any more."""

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
from eas_grpc.errors import ConfigError

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


@pytest.fixture(params=PATHS, ids=str)
def path(request):
    return request.param


@pytest.fixture
def client(path, server):
    with path.client(server.address) as made:
        yield made


def test_results_come_in_the_order_of_the_inputs_and_no_more_calls_than_allowed_run_at_once(client, server):
    results = client.infer_many("echo", (item(number) for number in range(40)), in_flight=5)
    assert [number_in(outputs) for outputs in results] == list(range(40))
    assert 1 <= server.most_under_way <= 5


def test_inputs_are_taken_as_room_for_them_comes(client):
    taken, given = [], []

    def inputs():
        for number in range(30):
            taken.append(number)
            yield item(number)

    results = client.infer_many("echo", inputs(), in_flight=3)
    assert taken == []
    for outputs in results:
        given.append(number_in(outputs))
        assert len(taken) - len(given) <= 3
    assert given == list(range(30))


def test_as_many_calls_as_allowed_are_under_way_together(client, server):
    started = []

    def open_when_all_have_started():
        started.extend(server.started.get(timeout=WAIT) for _ in range(4))
        server.gate.set()

    opener = threading.Thread(target=open_when_all_have_started)
    opener.start()
    results = list(client.infer_many("echo", [do("gate") for _ in range(4)], in_flight=4))
    opener.join()
    assert len(results) == len(started) == 4


def test_an_array_may_be_filled_anew_for_each_item(client):
    array = np.zeros(1, np.int64)

    def inputs():
        for number in range(20):
            array[0] = number
            yield {"x": array}

    for run in (client.infer_many, client.infer_stream):
        assert [number_in(outputs) for outputs in run("echo", inputs())] == list(range(20))


@pytest.mark.parametrize(("make", "total"), [(list, 3), (iter, None)])
def test_progress_is_told_result_by_result(client, make, total):
    told = []
    inputs = make([item(number) for number in range(3)])
    for count, _ in enumerate(client.infer_many("echo", inputs, on_progress=lambda *n: told.append(n)), 1):
        assert told[-1] == (count, total)
    assert len(told) == 3


def test_the_first_failure_is_raised_after_the_results_before_it_and_the_rest_is_cancelled(client, server):
    inputs = [item(0), do("fail:INVALID_ARGUMENT:bad"), do("hold"), do("hold")]
    results = client.infer_many("echo", inputs, in_flight=4)
    assert number_in(next(results)) == 0
    with pytest.raises(grpc.RpcError) as caught:
        next(results)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert list(results) == []
    for seen in server.calls:
        assert seen.ended.wait(WAIT)


def test_errors_take_their_places_where_that_is_wanted(client):
    inputs = [
        item(0),
        do("fail:INVALID_ARGUMENT:bad"),
        {"x": "no array"},
        item(3),
        "no mapping",
        do("fail:INTERNAL:worse"),
        item(6),
    ]
    results = list(client.infer_many("echo", inputs, in_flight=3, return_errors=True))
    assert [number_in(results[place]) for place in (0, 3, 6)] == [0, 3, 6]
    assert results[1].details() == "bad"
    assert isinstance(results[2], ConfigError) and isinstance(results[4], ConfigError)
    assert results[5].details() == "worse"
    assert len(results) == 7


def test_what_the_iterable_raises_is_raised_and_ends_the_rest(client, server):
    def inputs():
        yield do("hold")
        raise KeyError("no more images")

    with pytest.raises(KeyError, match="no more images"):
        list(client.infer_many("echo", inputs(), return_errors=True))
    for seen in server.calls:
        assert seen.ended.wait(WAIT)


def test_each_item_has_the_whole_deadline(client, server):
    results = client.infer_many(
        "echo", [item(0), do("hold"), item(2)], None, 1, in_flight=1, return_errors=True
    )
    first, late, last = results
    assert late.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert (number_in(first), number_in(last)) == (0, 2)
    assert server.last.remaining > 0.5


def test_settings_that_cannot_work_are_refused_at_once(client, server):
    for named in ({"in_flight": 0}, {"deadline": 0}, {"outputs": "x"}, {"metadata": [("X", "1")]}):
        with pytest.raises(ConfigError):
            client.infer_many("echo", [item(0)], **named)
    with pytest.raises(ConfigError, match=r"write \[inputs\] for one"):
        client.infer_many("echo", item(0))
    assert server.calls == []


def test_no_inputs_give_no_results(client):
    assert list(client.infer_many("echo", [])) == []


def client_threads() -> set[threading.Thread]:
    """Those that a client may have started; the server's workers are not among them."""
    return {each for each in threading.enumerate() if not each.name.startswith("ThreadPoolExecutor")}


@pytest.mark.parametrize("path", [path for path in PATHS if path.colour == "sync"], ids=str)
def test_leaving_the_loop_cancels_what_is_under_way_and_leaves_no_thread(path, server):
    with path.client(server.address) as client:
        client.infer("echo", item(0))
        before = client_threads()
        for outputs in client.infer_many("echo", [item(0), *(do("hold") for _ in range(9))], in_flight=5):
            assert number_in(outputs) == 0
            break
        gc.collect()
        for seen in server.calls:
            assert seen.ended.wait(WAIT)
        for thread in client_threads() - before:
            thread.join(WAIT)
            assert not thread.is_alive()
    assert len(server.calls) <= 7


@pytest.mark.parametrize("path", [path for path in PATHS if path.colour == "aio"], ids=str)
def test_leaving_the_loop_cancels_what_is_under_way_and_leaves_no_task(path, server):
    name = {
        "native": "AsyncTensorClient",
        "open_inference": "AsyncOpenInferenceClient",
        "tf_serving": "AsyncTFServingClient",
    }[path.protocol]

    async def main() -> set[asyncio.Task]:
        channel = (
            aio.connect(server.address)
            if path.door == "connect"
            else grpc.aio.insecure_channel(server.address)
        )
        async with channel:
            client = getattr(inference, name)(channel)
            await client.infer("echo", item(0))
            before = asyncio.all_tasks()

            async def inputs():
                yield item(0)
                for _ in range(9):
                    yield do("hold")

            async for outputs in client.infer_many("echo", inputs(), in_flight=5):
                assert number_in(outputs) == 0
                break
            for seen in server.calls:
                assert await asyncio.to_thread(seen.ended.wait, WAIT)
            left = asyncio.all_tasks() - before
            if left:
                await asyncio.wait(left, timeout=WAIT)
            return asyncio.all_tasks() - before

    assert asyncio.run(main()) == set()
    assert len(server.calls) <= 7


def test_one_call_at_a_time_lets_each_of_the_inputs_depend_on_the_result_before_it(client):
    known = [0]

    def inputs():
        yield item(0)
        while known[-1] < 5:
            yield item(known[-1] + 1)

    for outputs in client.infer_many("echo", inputs(), in_flight=1):
        known += [number_in(outputs)]
    assert known == [0, 0, 1, 2, 3, 4, 5]


class TestAsyncIterables:
    """Inputs that come over time, which only asyncio has."""

    @pytest.fixture(params=["AsyncTensorClient", "AsyncOpenInferenceClient", "AsyncTFServingClient"])
    async def client(self, request, server):
        async with aio.connect(server.address) as channel:
            yield getattr(inference, request.param)(channel)

    async def test_results_come_while_further_inputs_are_waited_for(self, client):
        queue: asyncio.Queue[int] = asyncio.Queue()
        queue.put_nowait(0)

        async def inputs():
            while (number := await queue.get()) < 5:
                yield item(number)

        seen = []
        async for outputs in client.infer_many("echo", inputs(), in_flight=4):
            seen.append(number_in(outputs))
            queue.put_nowait(seen[-1] + 1)
        assert seen == [0, 1, 2, 3, 4]

    async def test_what_the_iterable_raises_is_raised(self, client):
        async def inputs():
            yield item(0)
            raise KeyError("no more images")

        with pytest.raises(KeyError, match="no more images"):
            async for _ in client.infer_many("echo", inputs()):
                pass

    async def test_a_cancelled_caller_cancels_the_calls(self, client, server):
        async def caller():
            async for _ in client.infer_many("echo", [do("hold") for _ in range(3)]):
                pass

        task = asyncio.create_task(caller())
        for _ in range(3):
            seen = await asyncio.to_thread(server.started.get, timeout=WAIT)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(seen.ended.wait, WAIT)


@pytest.mark.parametrize("path", paths("tf_serving"), ids=str)
def test_tensorflow_has_no_streams_so_infer_stream_makes_single_calls(path, server):
    with path.client(server.address) as client:
        results = client.infer_stream(
            "echo", iter([item(0), do("fail:INTERNAL:bad"), item(2)]), deadline=20, return_errors=True
        )
        first, error, last = results
    assert (number_in(first), error.details(), number_in(last)) == (0, "bad", 2)
    assert [seen.method for seen in server.calls] == ["predict"] * 3
    assert all(15 < seen.remaining < 25 for seen in server.calls)


@pytest.mark.parametrize("path", paths("tf_serving"), ids=str)
def test_the_deadline_of_such_a_stream_is_for_the_whole_of_it(path, server):
    with path.client(server.address) as client:
        results = client.infer_stream("echo", [item(0), *(do("hold") for _ in range(9))], deadline=0.3)
        next(results)
        with pytest.raises(grpc.RpcError) as caught:
            next(results)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
