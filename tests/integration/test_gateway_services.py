"""The services over HTTP that come with the gateway, above all the TensorFlow processor (eas-wire.md 4.1)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
from eas_grpc_pb.tf_predict.v1 import tf_predict_pb2 as tf
from hypothesis import given
from hypothesis import strategies as st
from support.gateway_clients import Answer, ask, port_of

from server_demo import digits, http_services
from server_demo.gateway import Gateway, GatewayOptions, Request, Service, demo

TOKEN = "dG9rZW4="
IMAGES, LABELS = digits.samples()


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with Gateway(options=GatewayOptions(rate_limit=0)) as running:
        demo.add_demo(running, [TOKEN])
        yield running


def asked(
    values: np.ndarray = IMAGES[:2],
    *,
    signature: str = "predict_images",
    shape: list[int] | None = None,
    dtype: int = tf.DT_FLOAT,
    name: str = "images",
    outputs: tuple[str, ...] = (),
) -> tf.PredictRequest:
    request = tf.PredictRequest(signature_name=signature, output_filter=outputs)
    array = request.inputs[name]
    array.dtype = dtype
    array.array_shape.dim[:] = values.shape if shape is None else shape
    array.float_val[:] = values.ravel()
    return request


def answer_to(request: tf.PredictRequest | bytes, **changes) -> tuple[int, str | tf.PredictResponse]:
    body = request if isinstance(request, bytes) else request.SerializeToString()
    response = http_services.digits(Request("POST", "/", body=body, **changes))
    if response.status != 200:
        assert response.content_type == "text/plain; charset=utf-8"
        return response.status, response.body.decode()
    return 200, tf.PredictResponse.FromString(response.body)


def scores(response: tf.PredictResponse) -> np.ndarray:
    assert list(response.outputs) == ["scores"]
    array = response.outputs["scores"]
    assert array.dtype == tf.DT_FLOAT
    return np.array(array.float_val, np.float32).reshape(array.array_shape.dim)


def test_get_gives_the_signature_as_the_vendors_page_shows_it(gateway):
    answer = ask(gateway.address, "GET", "/api/predict/digits", [("Authorization", TOKEN)])
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert json.loads(answer.body) == {
        "inputs": [{"name": "images", "shape": [-1, 784], "type": "DT_FLOAT"}],
        "outputs": [{"name": "scores", "shape": [-1, 10], "type": "DT_FLOAT"}],
        "signature_name": "predict_images",
    }


def test_post_gives_the_scores_of_every_image(gateway):
    # All 50 are below the gateway's 1 MB.
    body = asked(IMAGES).SerializeToString()
    answer = ask(gateway.address, "POST", "/api/predict/digits", [("Authorization", TOKEN)], body)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/octet-stream")
    found = scores(tf.PredictResponse.FromString(answer.body))
    assert np.array_equal(found, digits.scores(IMAGES))
    assert (found.argmax(axis=1) == LABELS).mean() > 0.9


def test_bytes_that_were_written_by_hand_are_understood():
    """One black image: what an SDK sends, not what our own messages make of it."""
    floats = b"\0" * 4 * 784
    shape = b"\x0a\x03\x01\x90\x06"  # dim, packed: 1, 784
    array = b"\x08\x01\x12" + bytes([len(shape)]) + shape + b"\x1a\xc0\x18" + floats
    size = len(array) + 8 + 3
    entry = b"\x0a\x06images\x12" + varint(len(array)) + array
    assert len(entry) == size
    _, response = answer_to(b"\x0a\x0epredict_images" + b"\x12" + varint(size) + entry)
    assert np.array_equal(scores(response), digits.scores(np.zeros((1, 784), np.float32)))
    assert response.SerializeToString()[:11] == b"\x0a" + bytes([60]) + b"\x0a\x06scores\x12"


def varint(number: int) -> bytes:
    return bytes([number & 0x7F | 0x80, number >> 7])


@pytest.mark.parametrize("signature", ["predict_images", "serving_default", ""])
def test_the_signature_has_three_names(signature):
    assert answer_to(asked(signature=signature))[0] == 200


@pytest.mark.parametrize("outputs", [(), ("scores",), ("scores", "scores")])
def test_the_output_filter_chooses_outputs_and_without_one_there_are_all(outputs):
    status, response = answer_to(asked(outputs=outputs))
    assert status == 200
    assert scores(response).shape == (2, 10)


def test_no_images_have_no_scores():
    assert scores(answer_to(asked(IMAGES[:0]))[1]).shape == (0, 10)


TWICE = asked()
TWICE.inputs["more"].CopyFrom(TWICE.inputs["images"])


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (b"\xff\xff", "no serialized PredictRequest"),
        (b"\x0a\x02\xff\xfe", "no serialized PredictRequest"),
        (b'{"inputs": []}', "no serialized PredictRequest"),
        (asked(signature="other"), "no signature 'other': this model has 'predict_images'"),
        (tf.PredictRequest(), "input 'images' of model 'digits' is missing"),
        (asked(name="pictures"), "no input 'pictures'"),
        (TWICE, "no input 'more'"),
        (asked(outputs=("classes",)), "no output 'classes'"),
        (asked(dtype=tf.DT_DOUBLE), "is DT_DOUBLE: this model takes DT_FLOAT"),
        (asked(dtype=0), "is DT_INVALID"),
        (asked(dtype=77), "unknown type 77"),
        (asked(shape=[2, 28, 28]), "[2, 28, 28]"),
        (asked(shape=[1568]), "[1568]"),
        (asked(shape=[3, 784]), "1568 values in float_val, which do not fill its array_shape [3, 784]"),
        (asked(shape=[-1, 784]), "do not fill its array_shape [-1, 784]"),
        (asked(shape=[-2, -784]), "do not fill"),
        (asked(IMAGES[:0], shape=[0, 2**62, 784]), "too large"),
        (asked(IMAGES[:0], shape=[1] * 100_000), "100000 dimensions"),
        (asked(shape=[]), "do not fill its array_shape []"),
        (asked(IMAGES * 255), "from 0 to 1"),
        (asked(np.full((1, 784), np.nan, np.float32)), "from 0 to 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_model_cannot_take_is_400_with_a_sentence(request_, said):
    status, text = answer_to(request_)
    assert status == 400
    assert said in text
    assert text.endswith("\n")
    assert text.count("\n") == 1
    assert len(text) < 400


@given(st.binary(max_size=60))
def test_no_bytes_lead_to_anything_but_an_answer_or_400(body):
    assert answer_to(body)[0] in {200, 400}


@given(st.integers(0, 3000), st.binary(min_size=1, max_size=8))
def test_a_damaged_request_is_answered_or_refused(at, put):
    body = asked(IMAGES[:1]).SerializeToString()
    assert answer_to(body[:at] + put + body[at + len(put) :])[0] in {200, 400}


@pytest.mark.parametrize("service", ["digits", "echo"])
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
def test_another_method_is_405_and_says_which_are_right(gateway, service, method):
    answer = ask(gateway.address, method, f"/api/predict/{service}", [("Authorization", TOKEN)])
    assert answer.status == 405
    assert "POST" in answer.headers["allow"].split(", ")


def test_the_echo_has_no_signature_and_says_what_to_do(gateway):
    assert ask(gateway.address, "GET", "/api/predict/echo", [("Authorization", TOKEN)]).status == 405


def test_a_request_above_the_gateways_limit_goes_to_an_instance(gateway):
    images = np.tile(IMAGES, (8, 1))
    body = asked(images).SerializeToString()
    assert len(body) > 1_000_000

    def post(address: str) -> Answer:
        return ask(address, "POST", "/api/predict/digits", [("Authorization", TOKEN)], body)

    assert post(gateway.address).status == 413
    (instance,) = gateway.instances("digits")
    answer = post(f"{instance.ip}:{instance.port}")
    assert scores(tf.PredictResponse.FromString(answer.body)).shape == (400, 10)


def test_a_compressed_request_is_read_when_the_service_is_configured_so(gateway):
    import zlib

    place = gateway.service("digits").http
    gateway.add(Service(name="packed", http=place, tokens=(TOKEN,), decompressor="zlib"))
    body = zlib.compress(asked(IMAGES[:1]).SerializeToString())
    answer = ask(gateway.address, "POST", "/api/predict/packed", [("Authorization", TOKEN)], body)
    assert scores(tf.PredictResponse.FromString(answer.body)).shape == (1, 10)


def test_the_numbers_are_those_of_the_vendor():
    """eas-wire.md 4.1, read from the vendor's SDKs."""
    fields = {
        message.name: {field.name: field.number for field in message.fields}
        for message in tf.DESCRIPTOR.message_types_by_name.values()
    }
    assert fields == {
        "ArrayShape": {"dim": 1},
        "ArrayProto": {
            "dtype": 1,
            "array_shape": 2,
            "float_val": 3,
            "double_val": 4,
            "int_val": 5,
            "string_val": 6,
            "int64_val": 7,
            "bool_val": 8,
        },
        "PredictRequest": {"signature_name": 1, "inputs": 2, "output_filter": 3},
        "PredictResponse": {"outputs": 1},
    }
    names = """INVALID FLOAT DOUBLE INT32 UINT8 INT16 INT8 STRING COMPLEX64 INT64 BOOL QINT8 QUINT8 QINT32 BFLOAT16
        QINT16 QUINT16 UINT16 COMPLEX128 HALF RESOURCE VARIANT"""
    assert dict(tf.ArrayDataType.items()) == {
        f"DT_{name}": number for number, name in enumerate(names.split())
    }


def test_an_instance_answers_on_its_own_port(gateway):
    for name in ("echo", "digits"):
        (instance,) = gateway.instances(name)
        assert instance.port != port_of(gateway.address)
        address = f"{instance.ip}:{instance.port}"
        assert ask(address, "POST", f"/api/predict/{name}", [("Authorization", TOKEN)], b"").status == (
            200 if name == "echo" else 400
        )
