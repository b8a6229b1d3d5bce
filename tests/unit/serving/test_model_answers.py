"""From the bytes of a request to a status or the bytes of an answer, without a server."""

from __future__ import annotations

import re
import sys
import threading
import urllib.parse
import zlib

import ml_dtypes
import numpy as np
import pytest
from eas_grpc_pb.open_inference.v2 import open_inference_pb2 as oip
from eas_grpc_pb.tensor.v1 import tensor_pb2
from eas_grpc_pb.tf_serving.v1 import model_service_pb2
from eas_grpc_pb.tf_serving.v1 import prediction_service_pb2 as tf
from hypothesis import given
from hypothesis import strategies as st
from support.reference_tensors import BadTensor, echoed

from eas_grpc.errors import ConfigError
from eas_grpc.serving import BadInput, Model, Models, model
from eas_grpc.serving._models import _native, _open_inference, _tf_serving
from eas_grpc.serving._models._answers import Catalog, read
from eas_grpc.serving._models._refusals import REFUSALS, Refused, verdict
from eas_grpc.serving._models._shell_aio import _threaded
from eas_grpc.serving._models._uploads import Budget, Upload
from eas_grpc.tensors import Request, TensorSpec, native, open_inference, tf_serving

FORMATS = {
    "native": (_native.FORMAT, native),
    "open inference": (_open_inference.FORMAT, open_inference),
    "tf serving": (_tf_serving.FORMAT, tf_serving),
}
ROW = np.arange(3, dtype=np.float32)


@model
def echo(**inputs):
    return inputs


def model_of(function, **options):
    return Model(function, **options)


def float8(like: str):
    return model_of(lambda: np.zeros(2, getattr(ml_dtypes, like)), name=like)


@model
def optional(x: np.ndarray, mask=None) -> np.ndarray:
    return x


MODELS = {"echo": echo, "optional": optional, "float8_e3m4": float8("float8_e3m4")}
CATALOG = Catalog(MODELS)


@pytest.mark.parametrize("name", FORMATS)
def test_each_protocol_answers_with_what_the_model_gives(name):
    format_, codec = FORMATS[name]
    request = Request("echo", {"x": ROW, "y": ROW[::2]}, ("y",))
    answer = codec.decode_response(CATALOG.job(format_, codec.encode_request(request)).answer())
    assert (answer.model, list(answer.outputs)) == ("echo", ["y"])
    np.testing.assert_array_equal(answer.outputs["y"], [0, 2])
    assert answer.version == ("" if name == "native" else "1")


def refusal(action):
    with pytest.raises(REFUSALS) as caught:
        action()
    return verdict(caught.value)


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.binary(max_size=60))
def test_no_bytes_at_all_get_past_the_reader_but_a_request(name, data):
    format_, _ = FORMATS[name]
    try:
        request = read(format_, data)
    except Refused as error:
        assert error.status == "INVALID_ARGUMENT"
    else:
        assert isinstance(request, Request)


@pytest.mark.parametrize("name", ["open inference", "tf serving"])
def test_a_dtype_that_the_protocol_lacks_is_refused_with_the_way_out(name):
    format_, codec = FORMATS[name]
    data = codec.encode_request(Request("float8_e3m4", {}))
    status, text = refusal(lambda: CATALOG.job(format_, data).answer())
    assert status == "FAILED_PRECONDITION"
    assert re.match(
        "output 'output' of model 'float8_e3m4' is float8_e3m4, which .* cannot carry: call eas_grpc_pb", text
    )


def test_objects_that_are_no_bytes_are_the_authors_mistake():
    catalog = Catalog({"m": model_of(lambda: np.array([1, "x"], object), name="m")})
    with pytest.raises(ConfigError, match="element 0 of 'output' is a int"):
        catalog.job(_native.FORMAT, native.encode_request(Request("m", {}))).answer()


def test_a_dtype_for_which_this_machine_lacks_the_package_is_no_mistake_of_the_caller(monkeypatch):
    from eas_grpc.tensors import _dtypes

    data = native.encode_request(Request("echo", {"x": np.zeros(1, ml_dtypes.float8_e3m4)}))
    _dtypes.dtype_of.cache_clear()
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    monkeypatch.setattr(_dtypes.np, "dtype", lambda *_: (_ for _ in ()).throw(TypeError))
    status, text = refusal(lambda: read(_native.FORMAT, data))
    monkeypatch.undo()
    _dtypes.dtype_of.cache_clear()
    assert status == "FAILED_PRECONDITION"
    assert "needs the package ml_dtypes" in text


TENSORS = st.builds(
    tensor_pb2.Tensor,
    name=st.sampled_from(["a", "b", ""]),
    dtype=st.integers(0, 12),
    shape=st.lists(st.integers(-1, 3), max_size=3),
    data=st.integers(0, 12).map(lambda size: bytes(range(size))),
)


@given(
    st.builds(
        tensor_pb2.PredictRequest,
        model=st.just("echo"),
        inputs=st.lists(TENSORS, max_size=3),
        outputs=st.lists(st.sampled_from(["a", "b"]), max_size=2),
    )
)
def test_the_reference_answers_the_same_and_refuses_the_same(request_):
    try:
        expected = echoed(request_)
    except BadTensor:
        with pytest.raises(REFUSALS):
            CATALOG.job(_native.FORMAT, request_.SerializeToString()).answer()
    else:
        data = CATALOG.job(_native.FORMAT, request_.SerializeToString()).answer()
        assert tensor_pb2.PredictResponse.FromString(data).outputs == expected.outputs


MISSING = [
    (("resnet",), "NOT_FOUND", "there is no model 'resnet'; this server has echo, float8_e3m4, optional"),
    (("",), "NOT_FOUND", "there is no model ''"),
    (("echo", "2"), "NOT_FOUND", "there is no version '2' of model 'echo'; this server has '1'"),
    (
        ("echo", "1", "predict"),
        "INVALID_ARGUMENT",
        "has no signature 'predict'; its only one is 'serving_default'",
    ),
]


@pytest.mark.parametrize(("asked", "status", "text"), MISSING)
def test_a_model_that_is_not_there_is_named(asked, status, text):
    found, details = refusal(lambda: CATALOG.model(*asked))
    assert (found, text in details) == (status, True)


@pytest.mark.parametrize("asked", [("echo",), ("echo", "1"), ("echo", "0"), ("echo", "", "serving_default")])
def test_a_model_is_found_by_what_is_said_of_it(asked):
    assert CATALOG.model(*asked) is echo


def test_a_refusal_is_never_longer_than_what_fits_into_the_trailers():
    status, text = verdict(BadInput("x" * 5000))
    assert (status, len(text)) == ("INVALID_ARGUMENT", 1003)
    assert verdict(Refused("NOT_FOUND", "short")) == ("NOT_FOUND", "short")


def test_models_are_told_apart_by_name():
    assert Models(echo, optional, lambda_named := model_of(lambda: ROW, name="x")).names == (
        "echo",
        "optional",
        lambda_named.name,
    )
    for arguments, text in [
        ((), "holds no model"),
        ((echo, echo), "two models are called 'echo'"),
        ((lambda x: x,), "needs a name"),
        ((3,), "not int"),
    ]:
        with pytest.raises(ConfigError, match=text):
            Models(*arguments)
    for size in (0, -1, True, 1.5, None):
        with pytest.raises(ConfigError, match="max_upload_bytes="):
            Models(echo, max_upload_bytes=size)


DESCRIBED = Catalog(
    {
        "any": model_of(lambda **x: x, name="any"),
        "some": model_of(
            lambda a, b=None: a,
            name="some",
            inputs={"a": TensorSpec("float32", (None, 784)), "b": TensorSpec()},
            outputs={"c": TensorSpec("bytes", ()), "d": TensorSpec("float8_e3m4")},
        ),
        "parts": model_of(lambda: (yield ROW), name="parts"),
    }
)


def described(name):
    data = _native.describe(DESCRIBED, tensor_pb2.DescribeRequest(model=name).SerializeToString())
    return tensor_pb2.DescribeResponse.FromString(data)


def test_describe_says_what_is_known_and_what_is_not():
    assert described("any") == tensor_pb2.DescribeResponse(model="any", any_inputs=True)
    assert described("some") == tensor_pb2.DescribeResponse(
        model="some",
        inputs=[
            {"name": "a", "dtype": "DTYPE_FLOAT32", "shape": [-1, 784]},
            {"name": "b", "any_shape": True, "optional": True},
        ],
        outputs=[
            {"name": "c", "dtype": "DTYPE_BYTES"},
            {"name": "d", "dtype": "DTYPE_FLOAT8_E3M4", "any_shape": True},
        ],
    )


def test_model_metadata_leaves_empty_what_is_not_known():
    def metadata(name):
        request = oip.ModelMetadataRequest(name=name).SerializeToString()
        return oip.ModelMetadataResponse.FromString(_open_inference.model_metadata(DESCRIBED, request))

    common = {"versions": ["1"], "platform": "eas-grpc"}
    assert metadata("any") == oip.ModelMetadataResponse(name="any", **common)
    assert metadata("some") == oip.ModelMetadataResponse(
        name="some",
        inputs=[{"name": "a", "datatype": "FP32", "shape": [-1, 784]}, {"name": "b"}],
        outputs=[{"name": "c", "datatype": "BYTES"}, {"name": "d"}],
        **common,
    )


def test_model_config_has_the_names_of_its_own_and_says_who_answers_in_parts():
    def config(name):
        request = oip.ModelConfigRequest(name=name).SerializeToString()
        return oip.ModelConfigResponse.FromString(_open_inference.model_config(DESCRIBED, request)).config

    some = config("some")
    assert [(each.name, each.data_type, list(each.dims), each.optional) for each in some.input] == [
        ("a", 11, [-1, 784], False),
        ("b", 0, [], True),
    ]
    assert [(each.name, each.data_type) for each in some.output] == [("c", 13), ("d", 0)]
    assert (some.max_batch_size, some.model_transaction_policy.decoupled) == (0, False)
    assert config("parts").model_transaction_policy.decoupled


def test_every_dtype_of_the_open_inference_protocol_has_its_name_in_the_config():
    from eas_grpc.tensors._dtypes import ELEMENTS

    for element in ELEMENTS:
        expected = element.open_inference is not None
        assert bool(_open_inference._data_type(TensorSpec(element.name))) == expected, element.name


def test_a_signature_says_what_is_known_and_marks_what_may_be_left_out():
    def signature(name):
        request = tf.GetModelMetadataRequest(model_spec={"name": name}, metadata_field=["signature_def"])
        data = _tf_serving.model_metadata(DESCRIBED, request.SerializeToString())
        answer = tf.GetModelMetadataResponse.FromString(data)
        assert (answer.model_spec.name, answer.model_spec.version.value) == (name, 1)
        packed = answer.metadata["signature_def"]
        assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
        return tf.SignatureDefMap.FromString(packed.value).signature_def["serving_default"]

    method = "tensorflow/serving/predict"
    assert signature("any") == tf.SignatureDef(method_name=method)
    some = signature("some")
    assert some.inputs["a"] == tf.TensorInfo(
        name="a", dtype="DT_FLOAT", tensor_shape={"dim": [{"size": -1}, {"size": 784}]}
    )
    assert some.inputs["b"] == tf.TensorInfo(name="b", tensor_shape={"unknown_rank": True})
    assert some.outputs["c"] == tf.TensorInfo(name="c", dtype="DT_STRING", tensor_shape={})
    assert some.outputs["d"].dtype == 0
    assert (list(some.defaults), some.method_name) == (["b"], method)


@pytest.mark.parametrize(
    ("fields", "text"),
    [([], "metadata_field is empty"), (["signature_def", "x"], "there is no metadata_field 'x'")],
)
def test_only_signatures_can_be_asked_for(fields, text):
    request = tf.GetModelMetadataRequest(model_spec={"name": "some"}, metadata_field=fields)
    status, details = refusal(lambda: _tf_serving.model_metadata(DESCRIBED, request.SerializeToString()))
    assert (status, text in details) == ("INVALID_ARGUMENT", True)


def test_a_status_is_given_for_a_version_that_is_there():
    def status(**version):
        request = model_service_pb2.GetModelStatusRequest(model_spec={"name": "any", **version})
        data = _tf_serving.model_status(DESCRIBED, request.SerializeToString())
        return model_service_pb2.GetModelStatusResponse.FromString(data).model_version_status

    # Version 0 is what clients send that mean any.
    for there in ({}, {"version": {"value": 1}}, {"version": {}}):
        (found,) = status(**there)
        assert (found.version, found.state, found.status.error_code) == (1, 30, 0)
    for missing in ({"version": {"value": 2}}, {"version_label": "stable"}):
        assert refusal(lambda missing=missing: status(**missing))[0] == "NOT_FOUND"


def test_bytes_that_are_no_control_message_are_an_invalid_argument():
    for answer in (
        lambda: _native.describe(DESCRIBED, b"\xff"),
        lambda: _open_inference.model_ready(DESCRIBED, lambda: True, b"\xff"),
        lambda: _tf_serving.model_status(DESCRIBED, b"\xff"),
    ):
        status, text = refusal(answer)
        assert (status, "the request is not a " in text) == ("INVALID_ARGUMENT", True)


async def test_a_generator_in_threads_is_closed_in_one_of_them_when_nobody_listens():
    closed_in = []

    def parts():
        try:
            while True:
                yield b"part"
        finally:
            closed_in.append(threading.current_thread())

    answers = _threaded(parts())
    assert await anext(answers) == b"part"
    await answers.aclose()
    assert closed_in
    assert closed_in != [threading.main_thread()]


def chunk(size, total=None):
    data = bytes(size)
    return tensor_pb2.UploadChunk(
        total=size if total is None else total, data=data, crc32=zlib.crc32(data)
    ).SerializeToString()


def test_uploads_share_a_budget_and_give_it_back():
    budget = Budget(100)
    assert "this server takes 100" in refusal(lambda: Upload(budget).add(chunk(101)))[1]
    held = [Upload(budget) for _ in range(4)]
    for upload in held:
        upload.add(chunk(100))
    late = Upload(budget)
    status, text = refusal(lambda: late.add(chunk(1)))
    assert (status, "try again later" in text) == ("RESOURCE_EXHAUSTED", True)
    with held[0]:
        pass
    with late:
        pass  # what it did not get it does not give back
    Upload(budget).add(chunk(100))
    assert refusal(lambda: Upload(budget).add(chunk(1)))[0] == "RESOURCE_EXHAUSTED"


def test_who_announces_an_upload_and_sends_nothing_keeps_nobody_out():
    budget = Budget(100)
    for _ in range(20):
        Upload(budget).add(chunk(0, total=100))
    Upload(budget).add(chunk(100))


def test_the_text_of_a_refusal_fits_into_trailers_whatever_its_letters_are():
    for letter in ("x", "\N{GRINNING FACE}"):
        _, text = verdict(BadInput(letter * 5000))
        assert len(urllib.parse.quote(text)) < 4096
        assert text.endswith(letter + "...")
