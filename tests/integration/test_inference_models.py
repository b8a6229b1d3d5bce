"""What services say about models, and inputs checked by it before they are sent."""

from __future__ import annotations

import grpc
import numpy as np
import pytest
from support.inference_paths import PATHS, paths
from support.reference_services import ReferenceServer

from eas_grpc.errors import ConfigError
from eas_grpc.inference import ServerMetadata, VersionStatus
from eas_grpc.tensors import ModelSpec, TensorSpec

IMAGES = np.zeros((2, 784), np.float32)
DIGITS = ModelSpec(name="digits", inputs={"images": TensorSpec("float32", (None, 784))})


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


def test_a_model_is_described_whatever_the_protocol(client, path):
    spec = client.describe("digits")
    assert spec.name == "digits"
    assert spec.inputs["images"] == TensorSpec("float32", (None, 784))
    assert "scores" in spec.outputs
    if path.protocol == "open_inference":
        assert (spec.versions, spec.platform) == (("1", "2"), "reference")
    if path.protocol == "tf_serving":
        assert (spec.versions, spec.signature) == (("7",), "serving_default")
        assert spec.optional == {"temperature"}


def test_a_model_that_does_not_exist_is_the_channels_error(client):
    with pytest.raises(grpc.RpcError) as caught:
        client.describe("missing")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_once_described_a_models_inputs_are_checked_until_it_is_forgotten(client, server):
    wrong = {"images": IMAGES.astype(np.float64)}
    client.infer("digits", wrong)
    client.describe("digits")
    client.infer("digits", {"images": IMAGES})
    before = len(server.calls)
    with pytest.raises(ConfigError, match=r"'images' of model 'digits' must be float32 of shape \[N, 784\]"):
        client.infer("digits", wrong)
    with pytest.raises(ConfigError, match="'images'"):
        next(client.infer_many("digits", [wrong]))
    with pytest.raises(ConfigError, match="has no input 'image'"):
        client.infer("digits", {"image": IMAGES})
    assert len(server.calls) == before
    client.forget("digits")
    client.infer("digits", wrong)


def test_a_spec_given_by_hand_is_checked_without_asking(path, server):
    with path.client(server.address, specs={"digits": DIGITS}) as client:
        with pytest.raises(ConfigError, match="'images' of model 'digits' is missing"):
            client.infer("digits", {})
        assert server.calls == []
        client.infer("digits", {"images": IMAGES})


def test_ready_says_whether_a_model_is_there(client):
    assert client.ready("echo") is True
    assert client.ready("missing") is False


def test_readiness_that_cannot_be_asked_for_is_the_channels_error(path):
    with path.client("127.0.0.1:1") as client, pytest.raises(grpc.RpcError) as caught:
        client.ready("echo", deadline=0.2)
    assert caught.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


@pytest.mark.parametrize("path", paths("native", "tf_serving"), ids=str)
def test_a_server_is_asked_for_readiness_as_a_whole_by_open_inference_alone(client):
    with pytest.raises(ConfigError, match=r"write ready\(model\)"):
        client.ready()


@pytest.mark.parametrize("path", paths("open_inference"), ids=str)
def test_an_open_inference_server_tells_about_itself(client, server):
    assert client.live() is True
    assert client.ready() is False
    server.gate.set()
    assert client.ready() is True
    assert client.ready("loading") is False
    assert client.server_metadata() == ServerMetadata("reference", "1", ("a", "b"))
    assert client.model_config("digits").name == "digits"


@pytest.mark.parametrize("path", paths("tf_serving"), ids=str)
def test_tensorflow_serving_tells_how_far_it_is_with_each_version(client):
    assert client.model_status("digits") == [
        VersionStatus("2", "AVAILABLE", ""),
        VersionStatus("1", "END", "out of memory"),
    ]
    assert client.ready("loading") is False


@pytest.mark.parametrize("path", paths("tf_serving"), ids=str)
def test_a_signature_is_described_by_name(client):
    with pytest.raises(
        ConfigError, match="no signature 'predict': write signature= with one of 'predict_images'"
    ):
        client.describe("unusual", signature="predict")
    assert client.describe("unusual", signature="predict_images").signature == "predict_images"
    assert client.describe("unusual").signature == "predict_images"
    for named in ({}, {"signature": "predict_images"}):
        with pytest.raises(ConfigError, match="'images'"):
            client.infer("unusual", {}, **named)


@pytest.mark.parametrize("path", paths("native", "open_inference"), ids=str)
def test_only_tensorflow_has_signatures(client):
    with pytest.raises(ConfigError, match="no place for signature="):
        client.describe("digits", signature="predict_images")


def test_questions_have_the_deadline_that_they_are_given(client, server):
    client.describe("digits", deadline=9)
    assert 7 < server.last.remaining < 11
    client.ready("digits", deadline=20)
    assert 17 < server.last.remaining < 23
