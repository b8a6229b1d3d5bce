"""The demo server as its users meet it: over the wire, in both colours, and as a program."""

from __future__ import annotations

import re
import socket
import subprocess
import sys

import grpc
import numpy as np
import pytest
from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloManyTimesRequest, HelloRequest
from eas_grpc_pb.greeter.v1.greeter_pb2_grpc import GreeterServiceStub
from eas_grpc_pb.tensor.v1 import tensor_pb2
from eas_grpc_pb.tensor.v1.tensor_pb2 import PredictRequest, Tensor
from eas_grpc_pb.tensor.v1.tensor_pb2_grpc import TensorServiceStub
from support.reference_tensors import to_array, to_tensor
from support.serving import COLOURS, AsyncRunner, bearer, dial, failure

from server_demo import app, digits

TOKEN = bearer("demo-token")
OURS = "eas_grpc_pb.greeter.v1.GreeterService"


@pytest.fixture(params=COLOURS, scope="module")
def channel(request):
    server = app.build().start() if request.param == "sync" else AsyncRunner(app.build_async)
    with dial(server) as opened:
        yield opened
    server.stop(0)
    if request.param == "aio":
        server.close()


class Spelt:
    """A channel on which the generated stub calls the service under another name."""

    def __init__(self, channel, name):
        self._channel, self._name = channel, name

    def __getattr__(self, shape):
        make = getattr(self._channel, shape)
        return lambda method, *a, **kw: make(method.replace(OURS, self._name), *a, **kw)


@pytest.fixture(params=[OURS, "helloworld.GreeterService", "GreeterService"])
def greeter(request, channel):
    return GreeterServiceStub(Spelt(channel, request.param))


def everybody(*names):
    return iter([HelloRequest(name=name) for name in names])


def test_the_four_shapes_greet_under_every_name(greeter):
    arguments = {"metadata": TOKEN, "timeout": 10}
    assert greeter.SayHello(HelloRequest(name="World"), **arguments).message == "Hello, World!"
    many = greeter.SayHelloManyTimes(HelloManyTimesRequest(name="World", count=2), **arguments)
    assert [answer.message for answer in many] == ["Hello, World!"] * 2
    assert greeter.SayHelloToAll(everybody("A", "B"), **arguments).message == "Hello, A and B!"
    assert [answer.message for answer in greeter.Chat(everybody("A", "B"), **arguments)] == [
        "Hello, A!",
        "Hello, B!",
    ]


def test_too_much_is_refused(channel):
    stub = GreeterServiceStub(channel)
    arguments = {"metadata": TOKEN, "timeout": 10}
    asked = HelloManyTimesRequest(count=1001)
    code, text = failure(lambda: list(stub.SayHelloManyTimes(asked, **arguments)))
    assert (code, "at most 1000" in text) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    code, text = failure(lambda: stub.SayHelloToAll(everybody(*["A"] * 1001), **arguments))
    assert (code, "more than 1000 names" in text) == (grpc.StatusCode.INVALID_ARGUMENT, True)
    assert stub.SayHelloToAll(everybody(*["A"] * 1000), **arguments).message.startswith("Hello, A, A")


def test_a_wrong_token_is_refused(channel):
    ask = HelloRequest(name="World")
    code, _ = failure(lambda: GreeterServiceStub(channel).SayHello(ask, metadata=bearer("x"), timeout=10))
    assert code is grpc.StatusCode.UNAUTHENTICATED


def predict(channel, model, *inputs, outputs=()):
    request = PredictRequest(model=model, inputs=inputs, outputs=outputs)
    return TensorServiceStub(channel).Predict(request, metadata=TOKEN, timeout=10)


def test_digits_are_read(channel):
    images, labels = digits.samples()
    answer = predict(channel, "digits", to_tensor("images", images))
    (scores,) = answer.outputs
    assert (answer.model, scores.name) == ("digits", "scores")
    np.testing.assert_allclose(to_array(scores), digits.scores(images), rtol=1e-5)
    assert (to_array(scores).argmax(axis=1) == labels).mean() >= 0.9


def test_echo_gives_the_inputs_back_and_outputs_choose(channel):
    first, second = to_tensor("a", np.arange(6).reshape(2, 3)), to_tensor("b", np.array(True))
    assert list(predict(channel, "echo", first, second).outputs) == [first, second]
    assert list(predict(channel, "echo", first, second, outputs=["b"]).outputs) == [second]
    assert list(predict(channel, "echo").outputs) == []


def test_a_batch_of_twenty_megabytes_is_echoed(channel):
    tensor = to_tensor("x", np.ones((20, 1024, 1024), np.uint8))
    request = PredictRequest(model="echo", inputs=[tensor])
    options = [("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(address_of(channel), options) as wide:
        answer = TensorServiceStub(wide).Predict(request, metadata=TOKEN, timeout=60)
    assert answer.outputs[0].data == tensor.data


def address_of(channel):
    return channel._channel.target().decode()


NAN = Tensor(name="x", dtype=tensor_pb2.DTYPE_FLOAT32, shape=[2], data=bytes(7))
REFUSALS = {
    "unknown model": (("resnet", ()), grpc.StatusCode.NOT_FOUND, "this server has digits, echo"),
    "broken tensor": (("echo", (NAN,)), grpc.StatusCode.INVALID_ARGUMENT, "has 7 bytes of data"),
    "no input": (
        ("digits", ()),
        grpc.StatusCode.INVALID_ARGUMENT,
        "input 'images' of model 'digits' is missing",
    ),
    "two of one name": (
        ("echo", (to_tensor("x", np.ones(1)), to_tensor("x", np.ones(1)))),
        grpc.StatusCode.INVALID_ARGUMENT,
        "two inputs are called 'x'",
    ),
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_a_bad_request_is_told_what_is_wrong(channel, reason):
    (model, inputs), code, text = REFUSALS[reason]
    answer, details = failure(lambda: predict(channel, model, *inputs))
    assert answer is code
    assert text in details


def run_demo(*arguments):
    command = [sys.executable, "-m", "server_demo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("flags", [(), ("--asyncio",)], ids=COLOURS)
def test_mistakes_on_the_command_line_are_one_line_and_status_two(flags):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        mistakes = {
            ("--host", "0.0.0.0"): "pass --public if you mean it",
            ("--port", port): f"cannot listen on 127.0.0.1:{port}: another program listens there already",
            ("--port", "70000"): "port=70000 must be",
            ("--token", " "): "the token is empty",
        }
        for arguments, text in mistakes.items():
            done = run_demo(*arguments, *flags)
            assert (done.returncode, done.stdout) == (2, "")
            assert re.fullmatch(f"server_demo: .*{re.escape(text)}.*\n", done.stderr)


def test_the_server_loads_nothing_that_only_training_or_clients_need():
    unwanted = {"sklearn", "scipy", "click", "urllib3", "aiohttp", "grpc_tools"}
    code = f"import sys, server_demo.app; print(*{unwanted} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
