"""Models over TensorService, asked with protobuf's own messages and never with our encoder."""

from __future__ import annotations

import asyncio
from concurrent import futures

import grpc
import numpy as np
import pytest
from eas_grpc_pb.tensor.v1.tensor_pb2 import DTYPE_BYTES, DescribeRequest, PredictRequest, Tensor
from support.reference_tensors import to_array, to_tensor
from support.serving import SECRET, WAIT, dial, failure, records, running
from support.tensor_models import FLAVOURS, MODELS, Endless, Held, double, echo, native, served

from eas_grpc import serving
from eas_grpc.errors import ConfigError

INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND


@pytest.fixture(params=FLAVOURS, scope="module")
def stub(request):
    with served(request.param, *MODELS) as (_, channel, _):
        yield native(channel)


def ask(model, *inputs, outputs=()):
    return PredictRequest(model=model, inputs=inputs, outputs=outputs)


def predict(stub, model, *inputs, outputs=()):
    return stub.Predict(ask(model, *inputs, outputs=outputs), timeout=WAIT)


def number(name, value):
    return to_tensor(name, np.array(value))


ROW = to_tensor("x", np.arange(3, dtype=np.float32))
STRINGS = Tensor(name="s", dtype=DTYPE_BYTES, shape=[2], items=[b"a", "é".encode()])


def test_what_goes_in_comes_out(stub):
    inputs = [
        ROW,
        to_tensor("image", np.ones((3, 224, 224), np.float32)),
        to_tensor("", np.array(True)),
        STRINGS,
    ]
    answer = predict(stub, "echo", *inputs)
    assert (answer.model, list(answer.outputs)) == ("echo", inputs)
    assert list(predict(stub, "echo", *inputs, outputs=["s", "x"]).outputs) == [STRINGS, ROW]


def test_a_function_gets_arrays_by_name_and_its_result_is_the_output(stub):
    (output,) = predict(stub, "double", ROW).outputs
    assert (output.name, to_array(output).tolist()) == ("output", [0, 2, 4])


REFUSALS = {
    "unknown model": (ask("resnet"), NOT_FOUND, "there is no model 'resnet'; this server has broken, count"),
    "missing": (ask("double"), INVALID, "input 'x' of model 'double' is missing: it must be float32"),
    "dtype": (ask("double", number("x", 1.0)), INVALID, "must be float32; it is float64 of shape []"),
    "unknown input": (
        ask("double", ROW, number("y", 1)),
        INVALID,
        "has no input 'y': it takes 'x' (float32)",
    ),
    "unknown output": (ask("echo", ROW, outputs=["y"]), INVALID, "has no output 'y' for these inputs"),
    "two of a name": (ask("echo", ROW, ROW), INVALID, "two inputs are called 'x'"),
    "contradiction": (ask("echo", Tensor(name="x", dtype=11, shape=[2])), INVALID, "has 0 bytes of data"),
    "the model says no": (ask("dark"), INVALID, "the image is too dark"),
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_who_is_refused_learns_why(stub, reason):
    request, code, text = REFUSALS[reason]
    for answer in (
        lambda: stub.Predict(request, timeout=WAIT),
        lambda: list(stub.PredictPartial(request, timeout=WAIT)),
        lambda: list(stub.PredictStream(iter([request]), timeout=WAIT)),
    ):
        found, details = failure(answer)
        assert (found, text in details) == (code, True), details


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_bytes_that_are_no_request_are_an_invalid_argument(flavour):
    with served(flavour, echo) as (_, channel, _):
        method = channel.unary_unary("/eas_grpc_pb.tensor.v1.TensorService/Predict")
        code, text = failure(lambda: method(b"\x0a\xff", timeout=WAIT))
        assert (code, "cut off" in text or "are left" in text) == (INVALID, True)


@pytest.mark.parametrize(("model", "kind"), [("broken", "RuntimeError"), ("liar", "ConfigError")])
def test_a_mistake_of_the_author_is_logged_and_not_told(stub, model, kind):
    with records("eas_grpc.serving") as log:
        code, text = failure(lambda: predict(stub, model))
        record = log.next()
    assert (code, SECRET in text, "float" in text) == (grpc.StatusCode.UNKNOWN, False, False)
    assert f"raised {kind}" in record.getMessage()
    assert text.rpartition(" ")[2] in record.getMessage()


@pytest.mark.parametrize("size", [1, 100_000])
def test_a_model_that_raises_stop_iteration_is_answered_like_any_other_mistake(stub, size):
    code, _ = failure(lambda: predict(stub, "stopping", to_tensor("x", np.ones(size))))
    assert code is grpc.StatusCode.UNKNOWN


def numbers(answer):
    return to_array(answer.outputs[0]).tolist()


def test_the_parts_of_a_result_come_one_by_one_or_joined(stub):
    request = ask("count", number("upto", 3))
    assert [numbers(part) for part in stub.PredictPartial(request, timeout=WAIT)] == [[0], [1], [2]]
    assert numbers(stub.Predict(request, timeout=WAIT)) == [0, 1, 2]
    assert [numbers(each) for each in stub.PredictStream(iter([request] * 2), timeout=WAIT)] == [
        [0, 1, 2]
    ] * 2


def test_a_model_without_parts_answers_once(stub):
    assert [numbers(part) for part in stub.PredictPartial(ask("double", ROW), timeout=WAIT)] == [[0, 2, 4]]


def test_a_model_may_refuse_after_some_parts(stub):
    parts = stub.PredictPartial(ask("count", number("upto", 5), number("refuse_at", 2)), timeout=WAIT)
    assert [numbers(next(parts)), numbers(next(parts))] == [[0], [1]]
    assert failure(lambda: next(parts)) == (INVALID, "no number beyond 2")


def test_a_generator_with_nothing_to_say_gives_no_part_and_no_output(stub):
    request = ask("count", number("upto", 0))
    assert list(stub.PredictPartial(request, timeout=WAIT)) == []
    assert list(stub.Predict(request, timeout=WAIT).outputs) == []


def test_a_stream_is_answered_in_order_until_the_first_failure(stub):
    rows = [to_tensor("x", np.full(200_000 * (i % 2) + 1, i, np.float32)) for i in range(5)]
    requests = [*(ask("double", row) for row in rows), ask("dark"), ask("double", ROW)]
    answers = stub.PredictStream(iter(requests), timeout=WAIT)
    for i in range(5):
        assert numbers(next(answers))[-1] == i * 2
    assert failure(lambda: next(answers)) == (INVALID, "the image is too dark")


def test_a_model_describes_itself(stub):
    answer = stub.Describe(DescribeRequest(model="double"), timeout=WAIT)
    assert [(each.name, each.dtype, each.any_shape) for each in answer.inputs] == [("x", 11, True)]
    assert [each.name for each in answer.outputs] == ["output"]
    assert stub.Describe(DescribeRequest(model="echo"), timeout=WAIT).any_inputs
    assert failure(lambda: stub.Describe(DescribeRequest(model="x"), timeout=WAIT))[0] is NOT_FOUND


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_generator_whose_caller_has_gone_is_closed(flavour):
    model = Endless()
    with served(flavour, model.endless) as (_, channel, _):
        parts = native(channel).PredictPartial(ask("endless"), timeout=WAIT)
        next(parts)
        parts.cancel()
        assert model.closed.wait(WAIT)


@pytest.mark.parametrize("flavour", ["sync", "threads"])
def test_a_model_that_takes_its_time_holds_up_nobody(flavour):
    model = Held()
    with served(flavour, model.held, echo) as (_, channel, _):
        slow = native(channel).Predict.future(ask("held"), timeout=WAIT)
        assert model.entered.wait(WAIT)
        assert list(predict(native(channel), "echo", ROW).outputs) == [ROW]
        model.released.set()
        assert numbers(slow.result()) == [1]


async def later(x: np.ndarray) -> np.ndarray:
    return x


async def parts_later(x: np.ndarray):
    yield x


@pytest.mark.parametrize("function", [later, parts_later])
def test_a_coroutine_function_needs_the_asyncio_server(function):
    models = serving.Models(echo, function)
    with pytest.raises(
        ConfigError, match=f"Server cannot serve model '{function.__name__}': it is `async def`"
    ):
        serving.Server(models.register)


def test_each_register_is_for_one_colour():
    models = serving.Models(echo)
    with pytest.raises(ConfigError, match="use AsyncServer"):
        serving.Server(models.register_async)
    with pytest.raises(ConfigError, match="use Server"):
        serving.AsyncServer(models.register)


def test_the_same_models_may_be_on_several_servers():
    models = serving.Models(echo)
    with running("sync", models.register) as one, running("aio", models.register_async) as other:
        for server in (one, other):
            with dial(server) as channel:
                assert list(predict(native(channel), "echo", ROW).outputs) == [ROW]


def test_a_server_of_grpcs_own_can_have_them_too():
    server = grpc.server(futures.ThreadPoolExecutor(2))
    serving.Models(double).register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        assert numbers(predict(native(channel), "double", ROW)) == [0, 2, 4]
    server.stop(0).wait()


async def test_an_asyncio_server_of_grpcs_own_can_have_them_too():
    server = grpc.aio.server()
    serving.Models(double, later).register_async(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        answers = await asyncio.gather(
            *(native(channel).Predict(ask(name, ROW), timeout=WAIT) for name in ("double", "later"))
        )
    assert [numbers(answer) for answer in answers] == [[0, 2, 4], [0, 1, 2]]
    await server.stop(0)
