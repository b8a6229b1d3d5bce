"""What the shells do when things happen at the same time: on a channel that plays one order of events."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

import numpy as np
import pytest

from eas_grpc.inference import AsyncTensorClient, TensorClient
from eas_grpc.inference._errors import InferenceError

ITEM = {"x": np.zeros(1)}


class Call:
    """A call whose requests are read elsewhere and which then ends well, without an answer."""

    def __init__(self, requests, take):
        self._requests = requests
        self._take = take
        if not hasattr(requests, "__aiter__"):
            self._reader = threading.Thread(target=self._read)
            self._reader.start()

    def cancel(self):
        return False

    def _read(self):
        for _ in zip(range(self._take), self._requests, strict=False):
            pass

    def __iter__(self):
        self._reader.join()
        return iter(())

    async def __aiter__(self):
        with suppress(KeyError, StopAsyncIteration):
            for _ in range(self._take):
                await anext(self._requests)
        for nothing in ():
            yield nothing


class Channel:
    """Takes `take` requests of a stream; answers a single one at once, with itself."""

    def __init__(self, take=0):
        self._take = take

    def unary_unary(self, *_):
        return Answered

    def stream_stream(self, *_):
        return lambda requests: Call(requests, self._take)

    unary_stream = stream_unary = stream_stream


class Answered:
    """The future of a call that is over as soon as it is made."""

    @classmethod
    def future(cls, request):
        answered = cls()
        answered.result = lambda: request
        return answered

    def done(self):
        return True

    def cancel(self):
        return False


def inputs():
    yield ITEM
    raise KeyError("no more images")


def drained(colour, given, take):
    if colour == "sync":
        return list(TensorClient(Channel(take)).infer_stream("m", given))

    async def drain():
        return [each async for each in AsyncTensorClient(Channel(take)).infer_stream("m", given)]

    return asyncio.run(drain())


@pytest.mark.parametrize("colour", ["sync", "aio"])
def test_what_the_inputs_raise_is_told_even_if_the_stream_ends_well(colour):
    with pytest.raises(KeyError, match="no more images"):
        drained(colour, inputs(), 2)


@pytest.mark.parametrize("colour", ["sync", "aio"])
def test_a_stream_that_ends_while_requests_are_left_is_an_error(colour):
    with pytest.raises(InferenceError, match="before all requests were sent"):
        drained(colour, [ITEM] * 3, 2)


def test_a_result_that_is_there_is_handed_over_before_more_inputs_are_taken():
    taken = []

    def over_time():
        for number in range(9):
            taken.append(number)
            yield ITEM

    results = TensorClient(Channel()).infer_many("m", over_time(), in_flight=4)
    for given, _ in enumerate(results, 1):
        assert len(taken) == given
