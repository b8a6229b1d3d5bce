"""Requests in pieces: which rows go where, and answers joined again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from eas_grpc.errors import ConfigError
from eas_grpc.inference._errors import InferenceError
from eas_grpc.inference._plan import Planner
from eas_grpc.inference._protocols import native, open_inference, tf_serving
from eas_grpc.inference._split import common_rows, joined, ranges, rows_of
from eas_grpc.tensors._messages import Request, Response

PROTOCOLS = {"native": native, "open_inference": open_inference, "tf_serving": tf_serving}


def flat(weights):
    return lambda start, stop: 10 + sum(weights[start:stop])


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60), st.integers(60, 400))
def test_the_ranges_hold_every_row_once_in_order_and_none_is_too_large(weights, limit):
    found = ranges(len(weights), flat(weights), limit)
    assert [row for start, stop in found for row in range(start, stop)] == list(range(len(weights)))
    assert all(flat(weights)(*each) <= limit for each in found)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60), st.integers(60, 400))
def test_there_are_as_few_ranges_as_possible(weights, limit):
    fewest, size = 1, 10
    for weight in weights:
        if size + weight > limit:
            fewest, size = fewest + 1, 10
        size += weight
    assert len(ranges(len(weights), flat(weights), limit)) == fewest


@given(st.integers(1, 500), st.integers(1, 40))
def test_rows_of_one_size_are_spread_evenly(rows, fit):
    found = [stop - start for start, stop in ranges(rows, lambda start, stop: stop - start, fit)]
    assert len(found) == -(-rows // fit)
    assert max(found) - min(found) <= 1


def test_a_plan_asks_for_few_sizes():
    asked = []

    def size(start, stop):
        asked.append((start, stop))
        return (stop - start) * 100

    assert len(ranges(100_000, size, 100_000)) == 100
    assert len(asked) < 500


def test_a_row_that_is_too_large_alone_is_named():
    with pytest.raises(ConfigError, match="row 2 alone makes a request of 1,010 bytes, and 100 are allowed"):
        ranges(4, flat([1, 1, 1000, 1]), 100)


def test_rows_are_views():
    array = np.arange(12).reshape(6, 2)
    (part,) = rows_of({"x": array}, 2, 4).values()
    assert part.base is not None and np.shares_memory(part, array)
    assert part.tolist() == [[4, 5], [6, 7]]


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        (
            {"a": np.zeros((3, 1)), "b": np.zeros(4)},
            "the first dimension of input 'a' is 3, that of 'b' is 4",
        ),
        ({"a": np.zeros(3), "b": np.float32(1)}, "input 'b' is a scalar"),
        ({"a": np.zeros((1, 9))}, "a single row"),
        ({"a": np.zeros((0, 9))}, "no row"),
        ({}, "no inputs"),
    ],
)
def test_inputs_without_common_rows_are_refused_with_the_reason(inputs, why):
    with pytest.raises(ConfigError, match=why):
        common_rows({name: np.asarray(array) for name, array in inputs.items()})


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([{"y": np.zeros(2)}, {"y": np.zeros(2)}], r"output 'y' has shape \[2\] for 3 rows sent"),
        ([{"y": np.zeros(2)}, {"y": np.float64(1)}], r"output 'y' has shape \[\] for 3 rows sent"),
        ([{"y": np.zeros(2)}, {"z": np.zeros(3)}], r"\['y'\], another \['z'\]"),
        ([{"y": np.zeros((2, 1))}, {"y": np.zeros((3, 2))}], "in one and .* in another"),
        ([{"y": np.zeros(2)}, {"y": np.zeros(3, np.float32)}], "float64 .* in one and float32 .* in another"),
    ],
)
def test_answers_that_do_not_fit_the_pieces_are_refused_with_the_reason(answers, why):
    arrays = [{name: np.asarray(array) for name, array in answer.items()} for answer in answers]
    with pytest.raises(InferenceError, match=f"cannot be joined: .*{why}"):
        joined(arrays, [2, 3], "/a/b")


def test_joined_outputs_are_read_only():
    whole = joined([{"y": np.zeros(2)}, {"y": np.ones(3)}], [2, 3], "/a/b")["y"]
    assert whole.tolist() == [0, 0, 1, 1, 1]
    assert not whole.flags.writeable


DTYPES = st.sampled_from([np.bool_, np.int8, np.uint16, np.int32, np.float32, np.float64, ">f4", "<i8"])


@st.composite
def batches(draw):
    rows = draw(st.integers(2, 40))
    inputs = {}
    for name in draw(st.lists(st.sampled_from(["a", "b", "long name", "é"]), min_size=1, unique=True)):
        rest = tuple(draw(st.lists(st.integers(0, 4), max_size=2)))
        if draw(st.booleans()):
            items = draw(st.lists(st.binary(max_size=20), min_size=rows, max_size=rows))
            array = np.empty(rows, object)
            array[:] = items
        else:
            array = draw(hnp.arrays(draw(DTYPES), (rows, *rest)))
            if draw(st.booleans()):
                array = np.asfortranarray(array)[::-1]
        inputs[name] = array
    return inputs


def rows_in(inputs):
    return len(next(iter(inputs.values())))


@pytest.mark.parametrize("name", PROTOCOLS)
@given(batches(), st.integers(0, 200))
def test_each_piece_of_any_request_fits_and_an_echo_of_them_is_the_request(name, inputs, room):
    protocol = PROTOCOLS[name]()
    asked = Request("model", inputs, ("out",))
    rows = [
        protocol.encode(asked._replace(inputs=rows_of(inputs, row, row + 1)))
        for row in range(rows_in(inputs))
    ]
    limit = max(map(len, rows)) + room
    plan = Planner(protocol, on_large="split", max_request=limit, specs=None)
    job = plan.job(asked)
    sent = [payload() for payload in job.payloads]
    assert all(len(data) <= limit for data in sent)

    codec = __import__(f"eas_grpc.tensors.{name}", fromlist=["decode_request"])
    requests = [codec.decode_request(data) for data in sent]
    assert all(request.model == "model" and request.outputs == ("out",) for request in requests)
    echoes = [codec.encode_response(Response("model", request.inputs)) for request in requests]
    outputs = plan.answer(job, echoes)
    assert list(outputs) == list(inputs)
    for key, array in inputs.items():
        assert outputs[key].shape == array.shape
        np.testing.assert_array_equal(outputs[key], array)
