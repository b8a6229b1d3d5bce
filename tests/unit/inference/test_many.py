"""Many requests: what is decided about each, without a channel."""

from __future__ import annotations

import numpy as np
import pytest

from eas_grpc.errors import ConfigError
from eas_grpc.inference._errors import InferenceError
from eas_grpc.inference._many import Many, check_items, check_sent
from eas_grpc.inference._plan import Planner
from eas_grpc.inference._protocols import native, open_inference
from eas_grpc.tensors import Response
from eas_grpc.tensors import native as codec

ROWS = {"x": np.arange(8, dtype=np.float32).reshape(4, 2)}


def plan(**settings):
    return Planner(native(), **{"on_large": "send", "max_request": 60, "specs": None} | settings)


def many(planner, inputs=(), options=None, **settings):
    return Many(planner, planner.asked("echo", None), inputs, options or {}, **settings)


def echo(data):
    request = codec.decode_request(data)
    return codec.encode_response(Response(request.model, request.inputs))


@pytest.mark.parametrize("in_flight", [0, -1, 1.5, None, True, "8"])
def test_a_number_of_calls_that_is_none_is_refused(in_flight):
    with pytest.raises(ConfigError, match="in_flight"):
        many(plan(), in_flight=in_flight)


@pytest.mark.parametrize("inputs", [ROWS, 7, None])
def test_the_inputs_of_many_requests_are_an_iterable_of_mappings(inputs):
    with pytest.raises(ConfigError, match="inputs of many requests must be an iterable"):
        check_items(inputs)


def test_an_item_of_several_calls_is_done_with_the_last_answer():
    item = many(plan(on_large="split")).item(ROWS)
    sent = [payload() for _, payload in item.sends()]
    assert len(sent) > 1
    results = [item.took(echo(data)) for data in sent]
    assert results[:-1] == [None] * (len(sent) - 1)
    assert (results[-1]["x"] == ROWS["x"]).all()


def test_after_a_failure_nothing_more_is_sent_for_the_item_and_it_is_reported_once():
    run = many(plan(on_large="split"), return_errors=True)
    item = run.item(ROWS)
    sends = item.sends()
    next(sends)
    error = ValueError("first")
    assert run.failed(item, error) is error
    assert next(sends, None) is None
    assert run.failed(item, ValueError("second")) is None
    assert item.took(b"") is None


def test_what_is_wrong_with_an_item_is_raised_when_it_is_sent():
    ((_, payload),) = many(plan()).item({"x": "text"}).sends()
    with pytest.raises(ConfigError, match="'x' is a str"):
        payload()


def test_an_error_is_raised_unless_errors_are_wanted():
    run = many(plan())
    with pytest.raises(ValueError, match="why"):
        run.failed(run.item(ROWS), ValueError("why"))


def test_the_deadline_of_an_item_is_that_of_all_its_calls_and_begins_with_the_first():
    item = many(plan(), options={"timeout": 2.0}).item(ROWS)
    assert item.options(10.0)["timeout"] == 2.0
    assert item.options(11.5)["timeout"] == 0.5
    assert 0 < item.options(13.0)["timeout"] < 0.01  # over: the channel is to say so


def test_each_item_has_a_deadline_of_its_own():
    run = many(plan(), options={"timeout": 2.0})
    run.begin(0.0)
    assert run.item(ROWS).options(10.0)["timeout"] == 2.0
    assert run.item(ROWS).options(11.0)["timeout"] == 2.0


def test_one_deadline_for_everything_begins_with_the_first_result_asked_for():
    run = many(plan(), options={"timeout": 2.0}, one_deadline=True)
    run.begin(10.0)
    assert run.item(ROWS).options(11.0)["timeout"] == 1.0
    assert run.item(ROWS).options(11.5)["timeout"] == 0.5


def test_without_a_deadline_a_call_is_told_of_none():
    run = many(plan(), one_deadline=True)
    run.begin(10.0)
    assert run.item(ROWS).options(11.0) == {}


@pytest.mark.parametrize(("inputs", "total"), [([ROWS, ROWS], 2), (iter([ROWS, ROWS]), None)])
def test_progress_is_told_with_the_number_of_inputs_where_it_is_known(inputs, total):
    told = []
    run = many(plan(), inputs, on_progress=lambda *numbers: told.append(numbers))
    run.progress()
    run.progress()
    assert told == [(1, total), (2, total)]


def test_a_stream_that_ends_before_all_requests_were_sent_is_an_error():
    for protocol in (native, open_inference):
        planner = Planner(protocol(), on_large="send", max_request=None, specs=None)
        with pytest.raises(
            InferenceError, match=r"DATA_LOSS: .* after 2 answers before all requests were sent"
        ):
            check_sent(planner, 2, 2, all_sent=False)


def test_a_stream_of_ours_has_an_answer_for_each_request():
    check_sent(plan(), 3, 3, all_sent=True)
    with pytest.raises(InferenceError, match="DATA_LOSS: the stream ended after 2 answers to 3 requests"):
        check_sent(plan(), 2, 3, all_sent=True)


def test_an_open_inference_stream_may_have_any_number_of_answers():
    planner = Planner(open_inference(), on_large="send", max_request=None, specs=None)
    check_sent(planner, 0, 3, all_sent=True)
    check_sent(planner, 9, 3, all_sent=True)
