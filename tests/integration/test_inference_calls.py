"""One call, over twelve ways: three protocols, both colours, our channel and a plain one."""

from __future__ import annotations

import math
import threading
from concurrent import futures

import grpc
import numpy as np
import pytest
from support.inference_paths import CLIENTS, PATHS, paths
from support.reference_services import ReferenceServer

import eas_grpc
from eas_grpc import aio, inference
from eas_grpc.errors import CallError, ConfigError, WireError

IMAGES = np.arange(12, dtype=np.float32).reshape(3, 4)


def do(text: str) -> np.ndarray:
    return np.array([text.encode()], object)


@pytest.fixture(scope="module")
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


def test_arrays_of_every_kind_come_back_as_they_were_sent(client):
    inputs = {
        "images": IMAGES,
        "scalar": np.array(7, np.int64),
        "empty": np.zeros((0, 3), np.uint8),
        "flags": np.array([[True], [False]]),
        "turned": np.asfortranarray(IMAGES)[::2, ::-1],
        "big": np.arange(3, dtype=">f8"),
        "texts": np.array([["a", "é"], ["", "b\0"]], object),
    }
    outputs = client.infer("echo", inputs)
    assert type(outputs) is dict
    assert list(outputs) == list(inputs) or set(outputs) == set(inputs)
    for name, array in inputs.items():
        expected = np.vectorize(str.encode, otypes=[object])(array) if array.dtype == object else array
        assert outputs[name].shape == array.shape
        assert outputs[name].dtype == (object if array.dtype == object else array.dtype.newbyteorder("<"))
        np.testing.assert_array_equal(outputs[name], expected)
        assert not outputs[name].flags.writeable


def test_only_the_outputs_that_are_named_come_back(client):
    assert list(client.infer("echo", {"a": IMAGES, "b": IMAGES}, outputs=["b"])) == ["b"]
    assert list(client.infer("echo", {"a": IMAGES, "b": IMAGES}, ["a"])) == ["a"]


def test_a_deadline_and_metadata_reach_the_service(client, server):
    client.infer("echo", {"x": IMAGES}, deadline=7, metadata=[("x-trace", "abc")])
    assert 6 < server.last.remaining < 8
    assert server.last.metadata["x-trace"] == "abc"


@pytest.mark.parametrize("path", [path for path in PATHS if path.door == "connect"], ids=str)
def test_without_a_deadline_a_channel_of_ours_uses_its_own(path, server):
    with path.client(server.address, channel={"deadline": 33.0}) as client:
        client.infer("echo", {"x": IMAGES})
    assert 32 < server.last.remaining < 34


@pytest.mark.parametrize("path", [path for path in PATHS if path.door == "plain"], ids=str)
def test_without_a_deadline_a_plain_channel_has_none(path, server):
    with path.client(server.address) as client:
        client.infer("echo", {"x": IMAGES})
    assert server.last.remaining is None


def test_what_cannot_work_is_refused_before_anything_is_sent(client, server):
    before = len(server.calls)
    for arguments, named in [
        ((7, {"x": IMAGES}), {}),
        (("echo", IMAGES), {}),
        (("echo", {"x": "text"}), {}),
        (("echo", {"x": np.array([object()])}), {}),
        (("echo", {"x": IMAGES}, "x"), {}),
        (("echo", {"x": IMAGES}, None, 0), {}),
        (("echo", {"x": IMAGES}), {"deadline": -1}),
        (("echo", {"x": IMAGES}), {"deadline": math.nan}),
        (("echo", {"x": IMAGES}), {"metadata": [("X-Trace", "1")]}),
    ]:
        with pytest.raises(ConfigError):
            client.infer(*arguments, **named)
    assert len(server.calls) == before


def test_a_failure_is_the_channels_own_error(client, path):
    with pytest.raises(grpc.RpcError) as caught:
        client.infer("echo", {"do": do("fail:INVALID_ARGUMENT:no such shape")})
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == "no such shape"
    assert isinstance(caught.value, CallError) == (path.door == "connect")
    if path.colour == "aio":
        assert isinstance(caught.value, grpc.aio.AioRpcError)


def test_a_call_that_takes_too_long_ends_at_its_deadline(client):
    with pytest.raises(grpc.RpcError) as caught:
        client.infer("echo", {"do": do("hold")}, deadline=0.1)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


class Garbage(grpc.GenericRpcHandler):
    def service(self, _):
        return grpc.unary_unary_rpc_method_handler(lambda _, __: b"\xff\xff\xff")


@pytest.fixture(scope="module")
def garbage():
    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[Garbage()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait()


def test_an_answer_that_is_no_message_is_a_wire_error(path, garbage):
    with path.client(garbage) as client:
        for ask in (lambda: client.infer("m", {"x": IMAGES}), lambda: client.describe("m")):
            with pytest.raises(WireError):
                ask()


def test_a_version_and_the_like_travel_where_the_protocol_has_a_place(server):
    for path in paths("open_inference"):
        with path.client(server.address) as client:
            client.infer("echo", {"x": IMAGES}, version="3", id="a7", parameters={"p": 2**63, "q": True})
        (request,) = server.last.requests
        assert (request.model_version, request.id) == ("3", "a7")
        assert request.parameters["p"].uint64_param == 2**63
        assert request.parameters["q"].bool_param is True
    for path in paths("tf_serving"):
        with path.client(server.address) as client:
            client.infer("echo", {"x": IMAGES}, version="3", signature="predict_images")
        (request,) = server.last.requests
        assert request.model_spec.version.value == 3
        assert request.model_spec.signature_name == "predict_images"
    for path in paths("native"):
        with (
            path.client(server.address) as client,
            pytest.raises(ConfigError, match="version=: leave it out"),
        ):
            client.infer("echo", {"x": IMAGES}, version="3")


@pytest.mark.parametrize("path", paths("open_inference"), ids=str)
def test_typed_values_travel_for_servers_that_take_no_raw_bytes(path, server):
    with path.client(server.address, typed=True) as client:
        outputs = client.infer("echo", {"x": IMAGES, "s": np.array([b"a", b"b"], object)})
    (request,) = server.last.requests
    assert not request.raw_input_contents
    assert list(request.inputs[0].contents.fp32_contents) == list(range(12))
    np.testing.assert_array_equal(outputs["x"], IMAGES)
    assert outputs["s"].tolist() == [b"a", b"b"]


@pytest.mark.parametrize("name", CLIENTS.values())
def test_a_channel_of_the_other_colour_is_refused_with_the_name_of_the_right_client(name):
    with (
        eas_grpc.connect("127.0.0.1:1") as blocking,
        pytest.raises(ConfigError, match="this is a blocking channel"),
    ):
        getattr(inference, f"Async{name}")(blocking)
    with pytest.raises(ConfigError, match="this is an asyncio channel"):
        getattr(inference, name)(aio.connect("127.0.0.1:1"))


def test_the_common_class_is_no_client(server):
    with (
        eas_grpc.connect(server.address) as channel,
        pytest.raises(ConfigError, match="such as TensorClient"),
    ):
        inference.InferenceClient(channel)
    with pytest.raises(ConfigError, match="such as TensorClient"):
        inference.AsyncInferenceClient(aio.connect(server.address))


@pytest.mark.parametrize("path", [path for path in PATHS if path.colour == "sync"], ids=str)
def test_a_blocking_client_is_shared_by_threads(path, server):
    with path.client(server.address) as client:
        results = {}

        def work(number: int) -> None:
            results[number] = [
                float(client.infer("echo", {"x": np.full(3, number)})["x"][0]) for _ in range(20)
            ]

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == {number: [float(number)] * 20 for number in range(8)}
