"""Models over the Open Inference Protocol and TensorFlow Serving, asked with protobuf's own messages."""

from __future__ import annotations

import grpc
import numpy as np
import pytest
from eas_grpc_pb.open_inference.v2 import open_inference_pb2 as oip
from eas_grpc_pb.tf_serving.v1 import model_service_pb2
from eas_grpc_pb.tf_serving.v1 import prediction_service_pb2 as tf
from eas_grpc_pb.tf_serving.v1.tensor_pb2 import TensorProto
from eas_grpc_pb.tf_serving.v1.types_pb2 import DT_DOUBLE, DT_FLOAT, DT_STRING
from support.serving import SECRET, WAIT, failure, records
from support.tensor_models import (
    FLAVOURS,
    MODELS,
    echo,
    model_service,
    open_inference,
    prediction,
    served,
)

import eas_grpc
from eas_grpc import serving
from eas_grpc.tensors import TensorSpec

INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
ROW = np.arange(3, dtype="<f4")


@serving.model(
    name="digits",
    signature="predict_images",
    inputs={"images": TensorSpec("float32", (None, 3))},
    outputs={"scores": TensorSpec("float32", (None, 3))},
)
def read_digits(images):
    return images


@pytest.fixture(params=FLAVOURS, scope="module")
def served_models(request):
    with served(request.param, *MODELS) as (server, channel, _):
        yield server, channel


@pytest.fixture(scope="module")
def stub(served_models):
    return open_inference(served_models[1])


def infer(model, **fields):
    return oip.ModelInferRequest(model_name=model, **fields)


def raw(model, array=ROW, datatype="FP32", **fields):
    tensor = {"name": "x", "datatype": datatype, "shape": array.shape}
    return infer(model, inputs=[tensor], raw_input_contents=[array.tobytes()], **fields)


def typed(model, **fields):
    contents = {"fp32_contents": ROW}
    return infer(
        model, inputs=[{"name": "x", "datatype": "FP32", "shape": [3], "contents": contents}], **fields
    )


def test_raw_elements_are_answered_raw(stub):
    answer = stub.ModelInfer(raw("double", id="7", model_version="1"), timeout=WAIT)
    assert answer == oip.ModelInferResponse(
        model_name="double",
        model_version="1",
        id="7",
        outputs=[{"name": "output", "datatype": "FP32", "shape": [3]}],
        raw_output_contents=[(ROW * 2).tobytes()],
    )


def test_typed_elements_are_answered_typed(stub):
    answer = stub.ModelInfer(typed("double"), timeout=WAIT)
    assert list(answer.outputs[0].contents.fp32_contents) == [0, 2, 4]
    assert not answer.raw_output_contents


def test_what_has_no_typed_form_is_answered_raw_even_so(stub):
    answer = stub.ModelInfer(typed("half"), timeout=WAIT)
    assert (answer.outputs[0].datatype, answer.raw_output_contents[0]) == (
        "FP16",
        ROW.astype("<f2").tobytes(),
    )


def test_strings_come_back(stub):
    request = infer("echo", inputs=[{"name": "s", "datatype": "BYTES", "shape": [1]}])
    request.raw_input_contents.append(b"\x03\0\0\0abc")
    assert stub.ModelInfer(request, timeout=WAIT).raw_output_contents == [b"\x03\0\0\0abc"]


def test_a_large_image_comes_back(stub):
    image = np.ones((3, 224, 224), "<f4")
    answer = stub.ModelInfer(raw("echo", image), timeout=WAIT)
    assert answer.raw_output_contents == [image.tobytes()]


OIP_REFUSALS = {
    "unknown model": (raw("resnet"), NOT_FOUND, "there is no model 'resnet'"),
    "unknown version": (raw("echo", model_version="3"), NOT_FOUND, "no version '3' of model 'echo'"),
    "dtype": (
        raw("double", ROW.astype("<f8"), "FP64"),
        INVALID,
        "must be float32; it is float64 of shape [3]",
    ),
    "missing": (infer("double"), INVALID, "input 'x' of model 'double' is missing"),
    "unknown output": (raw("echo", outputs=[{"name": "y"}]), INVALID, "has no output 'y'"),
    "contradiction": (raw("echo", ROW, "INT64"), INVALID, "has 12 bytes of data"),
    "no such dtype": (raw("echo", ROW, "FP128"), INVALID, "the unknown dtype 'FP128'"),
    "the model says no": (infer("dark"), INVALID, "the image is too dark"),
    "a dtype it cannot carry": (
        infer("tiny"),
        grpc.StatusCode.FAILED_PRECONDITION,
        "is float8_e3m4, which the Open Inference Protocol cannot carry",
    ),
}


@pytest.mark.parametrize("reason", OIP_REFUSALS)
def test_who_is_refused_learns_why_and_a_stream_goes_on(stub, reason):
    request, code, text = OIP_REFUSALS[reason]
    found, details = failure(lambda: stub.ModelInfer(request, timeout=WAIT))
    assert (found, text in details) == (code, True), details

    request.id = "the bad one"
    bad, good = stub.ModelStreamInfer(iter([request, raw("echo", id="2")]), timeout=WAIT)
    assert text in bad.error_message
    # What cannot be read has no id either.
    known = oip.ModelInferResponse(id="the bad one")
    assert bad.infer_response == (
        oip.ModelInferResponse() if "dtype '" in text or "bytes of" in text else known
    )
    assert (good.error_message, good.infer_response.id) == ("", "2")


def test_a_mistake_of_the_author_is_one_message_of_a_stream(stub):
    with records("eas_grpc.serving") as log:
        bad, good = stub.ModelStreamInfer(iter([infer("broken", id="1"), raw("echo")]), timeout=WAIT)
        record = log.next()
    assert "raised RuntimeError" in record.getMessage()
    assert (bad.infer_response.id, SECRET in str(bad)) == ("1", False)
    assert bad.error_message.rpartition(" ")[2] in record.getMessage()
    assert good.infer_response.raw_output_contents


def test_bytes_that_are_no_request_are_one_message_of_a_stream(served_models):
    method = served_models[1].stream_stream(
        "/inference.GRPCInferenceService/ModelStreamInfer", None, oip.ModelStreamInferResponse.FromString
    )
    bad, good = method(iter([b"\x0a\xff", raw("echo").SerializeToString()]), timeout=WAIT)
    assert bad.error_message
    assert good.infer_response.raw_output_contents


def counting(upto, *, refuse_at=None, final=False, request_id="c"):
    request = infer("count", id=request_id)
    for name, value in (("upto", upto), ("refuse_at", refuse_at)):
        if value is not None:
            request.inputs.add(name=name, datatype="INT64")
            request.raw_input_contents.append(np.array(value, "<i8").tobytes())
    if final:
        request.parameters["triton_enable_empty_final_response"].bool_param = True
    return request


def seen(answer):
    response = answer.infer_response
    content = response.raw_output_contents
    final = response.parameters["triton_final_response"].bool_param
    return np.frombuffer(content[0], "<i8").tolist() if content else None, response.id, final


def test_a_generator_answers_each_request_of_a_stream_several_times(stub):
    requests = [counting(2), counting(0), counting(1, request_id="d"), raw("echo", id="e")]
    *parts, whole = stub.ModelStreamInfer(iter(requests), timeout=WAIT)
    assert [seen(part) for part in parts] == [([0], "c", False), ([1], "c", False), ([0], "d", False)]
    assert whole.infer_response.parameters["triton_final_response"].bool_param
    answer = stub.ModelInfer(counting(2), timeout=WAIT)
    assert answer.raw_output_contents == [np.arange(2, dtype="<i8").tobytes()]


def test_who_asks_for_it_is_told_when_a_generator_is_done(stub):
    requests = [counting(1, final=True), counting(0, final=True)]
    answers = list(stub.ModelStreamInfer(iter(requests), timeout=WAIT))
    assert [seen(answer) for answer in answers] == [([0], "c", False), (None, "c", True), (None, "c", True)]
    assert answers[-1].infer_response.model_name == "count"


def test_a_generator_may_refuse_after_some_parts_and_the_stream_goes_on(stub):
    requests = [counting(5, refuse_at=1, final=True), raw("echo", id="e")]
    part, refused, other = stub.ModelStreamInfer(iter(requests), timeout=WAIT)
    assert seen(part) == ([0], "c", False)
    assert (refused.error_message, refused.infer_response.id) == ("no number beyond 1", "c")
    assert other.infer_response.id == "e"


def test_server_and_models_say_what_they_are(stub):
    assert stub.ServerLive(oip.ServerLiveRequest(), timeout=WAIT).live
    server = stub.ServerMetadata(oip.ServerMetadataRequest(), timeout=WAIT)
    assert (server.name, server.version) == ("eas-grpc", eas_grpc.__version__)
    model = stub.ModelMetadata(oip.ModelMetadataRequest(name="double", version="1"), timeout=WAIT)
    assert [(each.name, each.datatype) for each in (*model.inputs, *model.outputs)] == [
        ("x", "FP32"),
        ("output", "FP32"),
    ]
    config = stub.ModelConfig(oip.ModelConfigRequest(name="count"), timeout=WAIT).config
    assert [(each.name, each.optional) for each in config.input] == [("upto", False), ("refuse_at", True)]
    assert config.model_transaction_policy.decoupled
    for ask, request in (
        (stub.ModelMetadata, oip.ModelMetadataRequest(name="no")),
        (stub.ModelConfig, oip.ModelConfigRequest(name="echo", version="2")),
    ):
        assert failure(lambda ask=ask, request=request: ask(request, timeout=WAIT))[0] is NOT_FOUND


@pytest.mark.parametrize("flavour", FLAVOURS[:2])
@pytest.mark.parametrize("service", ["", "inference.GRPCInferenceService"])
def test_readiness_follows_the_health_of_the_server(flavour, service):
    with served(flavour, echo) as (server, channel, _):
        stub = open_inference(channel)

        def ready(model="echo", version=""):
            request = oip.ModelReadyRequest(name=model, version=version)
            return (
                stub.ServerReady(oip.ServerReadyRequest(), timeout=WAIT).ready,
                stub.ModelReady(request, timeout=WAIT).ready,
            )

        assert (ready(), ready("no"), ready("echo", "2")) == ((True, True), (True, False), (True, False))
        server.health.set(service, serving=False)
        assert ready() == (False, False)
        assert stub.ServerLive(oip.ServerLiveRequest(), timeout=WAIT).live
        server.health.set(service, serving=True)
        assert ready() == (True, True)


def predict(model, **fields):
    spec = {"name": model} | {key: fields.pop(key) for key in ("version", "signature_name") if key in fields}
    return tf.PredictRequest(model_spec=spec, **fields)


def content(array=ROW, dtype=DT_FLOAT):
    dims = [{"size": size} for size in array.shape]
    return TensorProto(dtype=dtype, tensor_shape={"dim": dims}, tensor_content=array.tobytes())


def test_tensorflow_content_is_answered_as_content(served_models):
    request = predict("double", inputs={"x": content()}, version={"value": 1})
    answer = prediction(served_models[1]).Predict(request, timeout=WAIT)
    spec = answer.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("double", 1, "serving_default")
    assert answer.outputs["output"].tensor_content == (ROW * 2).tobytes()


def test_tensorflow_values_are_answered_as_values(served_models):
    shape = {"dim": [{"size": 3}]}
    inputs = {
        "x": TensorProto(dtype=DT_FLOAT, tensor_shape=shape, float_val=ROW),
        "s": TensorProto(dtype=DT_STRING, tensor_shape={}, string_val=[b"abc"]),
    }
    request = predict("echo", inputs=inputs, output_filter=["x", "s"])
    answer = prediction(served_models[1]).Predict(request, timeout=WAIT)
    assert list(answer.outputs["x"].float_val) == [0, 1, 2]
    assert list(answer.outputs["s"].string_val) == [b"abc"]


TF_REFUSALS = {
    "unknown model": (predict("resnet"), NOT_FOUND, "there is no model 'resnet'"),
    "unknown version": (predict("echo", version={"value": 2}), NOT_FOUND, "no version '2' of model 'echo'"),
    "unknown signature": (
        predict("echo", signature_name="predict_images"),
        INVALID,
        "no signature 'predict_images'; its only one is 'serving_default'",
    ),
    "missing": (predict("double"), INVALID, "input 'x' of model 'double' is missing"),
    "contradiction": (
        predict("echo", inputs={"x": content(dtype=DT_DOUBLE)}),
        INVALID,
        "has 12 bytes of data",
    ),
    "unknown output": (predict("echo", output_filter=["y"]), INVALID, "has no output 'y'"),
    "the model says no": (predict("dark"), INVALID, "the image is too dark"),
    "a dtype it cannot carry": (
        predict("tiny"),
        grpc.StatusCode.FAILED_PRECONDITION,
        "which TensorFlow Serving cannot carry",
    ),
}


@pytest.mark.parametrize("reason", TF_REFUSALS)
def test_tensorflow_clients_learn_why_they_are_refused(served_models, reason):
    request, code, text = TF_REFUSALS[reason]
    found, details = failure(lambda: prediction(served_models[1]).Predict(request, timeout=WAIT))
    assert (found, text in details) == (code, True), details


@pytest.mark.parametrize("flavour", FLAVOURS[:2])
def test_a_signature_may_have_a_name_of_its_own(flavour):
    with served(flavour, read_digits) as (_, channel, _):
        stub = prediction(channel)
        for named in ("", "predict_images", "serving_default"):
            request = predict("digits", inputs={"images": content(ROW.reshape(1, 3))}, signature_name=named)
            answer = stub.Predict(request, timeout=WAIT)
            assert answer.model_spec.signature_name == "predict_images"
            assert list(answer.outputs) == ["scores"]
        request = tf.GetModelMetadataRequest(model_spec={"name": "digits"}, metadata_field=["signature_def"])
        packed = stub.GetModelMetadata(request, timeout=WAIT).metadata["signature_def"]
        found = tf.SignatureDefMap.FromString(packed.value).signature_def
        # Whoever looks for the default one finds it too.
        assert found["predict_images"] == found["serving_default"]
        assert [dim.size for dim in found["predict_images"].inputs["images"].tensor_shape.dim] == [-1, 3]
        request = model_service_pb2.GetModelStatusRequest(model_spec={"name": "digits"})
        (status,) = model_service(channel).GetModelStatus(request, timeout=WAIT).model_version_status
        assert (status.version, status.state) == (1, 30)
        request.model_spec.name = "no"
        code, _ = failure(lambda: model_service(channel).GetModelStatus(request, timeout=WAIT))
        assert code is NOT_FOUND
