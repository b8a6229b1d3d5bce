"""What the three protocols say about models and in streams, judged by protobuf's own messages."""

from __future__ import annotations

import pickle

import grpc
import pytest
from eas_grpc_pb.open_inference.v2 import open_inference_pb2 as oip
from eas_grpc_pb.tensor.v1 import tensor_pb2
from eas_grpc_pb.tf_serving.v1 import model_service_pb2, prediction_service_pb2, types_pb2

from eas_grpc.errors import CallError, Origin, WireError
from eas_grpc.inference import InferenceError, VersionStatus
from eas_grpc.inference._errors import reported
from eas_grpc.inference._plan import Planner
from eas_grpc.inference._protocols import native, open_inference, tf_serving
from eas_grpc.tensors import TensorSpec

PROTOCOLS = [native, open_inference, tf_serving]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_methods_are_those_of_the_service_that_travels(protocol):
    made = protocol()
    for path in [path for _, path in made.methods.values()] + [each.path for each in made.questions.values()]:
        assert path.startswith(
            (
                "/eas_grpc_pb.tensor.v1.TensorService/",
                "/inference.GRPCInferenceService/",
                "/tensorflow.serving.PredictionService/",
                "/tensorflow.serving.ModelService/",
            )
        )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_answer_that_is_none_is_a_wire_error(protocol):
    for question in protocol().questions.values():
        with pytest.raises(WireError, match="the answer is not a "):
            question.decode(b"\xff\xff\xff")


def test_our_description_has_any_sizes_shapes_and_types():
    spec = (
        native()
        .questions["describe"]
        .decode(
            tensor_pb2.DescribeResponse(
                model="m",
                inputs=[
                    tensor_pb2.TensorSpec(name="a", dtype=tensor_pb2.DTYPE_BYTES, shape=[-1, 3]),
                    tensor_pb2.TensorSpec(name="b", any_shape=True),
                    tensor_pb2.TensorSpec(name="c", dtype=99, shape=[]),  # type: ignore[arg-type]
                ],
            ).SerializeToString()
        )[""]
    )
    assert spec.name == "m"
    assert spec.inputs == {
        "a": TensorSpec("bytes", (None, 3)),
        "b": TensorSpec(),
        "c": TensorSpec(None, ()),
    }
    assert spec.outputs == {}


def test_a_model_of_ours_that_takes_any_inputs_is_not_checked():
    answer = tensor_pb2.DescribeResponse(model="echo", any_inputs=True).SerializeToString()
    spec = native().questions["describe"].decode(answer)[""]
    assert spec.inputs is None and spec.outputs is None


def test_open_inference_metadata_that_says_nothing_checks_nothing():
    answer = oip.ModelMetadataResponse(name="m", versions=["1"], platform="p")
    spec = open_inference().questions["describe"].decode(answer.SerializeToString())[""]
    assert (spec.inputs, spec.outputs, spec.versions, spec.platform) == (None, None, ("1",), "p")


def test_open_inference_metadata_does_not_say_which_inputs_are_optional():
    answer = oip.ModelMetadataResponse(name="m")
    answer.inputs.add(name="a", datatype="BF16", shape=[-1, 2])
    answer.inputs.add(name="b", datatype="???")
    spec = open_inference().questions["describe"].decode(answer.SerializeToString())[""]
    assert spec.inputs == {"a": TensorSpec("bfloat16", (None, 2)), "b": TensorSpec()}
    assert spec.optional == {"a", "b"}


def described_by_tensorflow(*names):
    signatures = prediction_service_pb2.SignatureDefMap()
    for name in names:
        signature = signatures.signature_def[name]
        signature.inputs["x"].dtype = types_pb2.DT_STRING
        signature.inputs["x"].tensor_shape.dim.add(size=-1)
        signature.inputs["unknown"].dtype = types_pb2.DT_QINT8
        signature.inputs["unknown"].tensor_shape.unknown_rank = True
        signature.inputs["shapeless"].dtype = types_pb2.DT_HALF
    answer = prediction_service_pb2.GetModelMetadataResponse()
    answer.model_spec.name = "m"
    answer.metadata["signature_def"].value = signatures.SerializeToString()
    return tf_serving().questions["describe"].decode(answer.SerializeToString())


def test_each_signature_of_tensorflow_has_a_spec():
    found = described_by_tensorflow("serving_default", "other")
    assert found["other"].signature == "other"
    assert found["other"].inputs == {
        "x": TensorSpec("bytes", (None,)),
        "unknown": TensorSpec(),
        "shapeless": TensorSpec("float16"),
    }
    assert found["other"].outputs is None


@pytest.mark.parametrize(
    ("names", "usual"),
    [
        (["other", "serving_default", "third"], "serving_default"),
        (["other", "__saved_model_init_op"], "other"),
        (["other", "third"], None),
        ([], None),
    ],
)
def test_the_signature_that_needs_no_name_is_the_default_or_the_only_one(names, usual):
    found = described_by_tensorflow(*names)
    assert (found[""].signature if "" in found else None) == usual
    assert set(found) - {""} == set(names)


@pytest.mark.parametrize(
    ("version", "field"), [("", None), ("12", "version"), ("canary", "version_label"), ("²", "version_label")]
)
def test_a_version_of_tensorflow_is_a_number_or_a_label(version, field):
    for name, message in (
        ("model_status", model_service_pb2.GetModelStatusRequest),
        ("describe", prediction_service_pb2.GetModelMetadataRequest),
    ):
        request = message.FromString(tf_serving().questions[name].encode("m", version, ""))
        assert request.model_spec.name == "m"
        assert request.model_spec.WhichOneof("version_choice") == field


def test_states_are_told_by_name_and_unknown_ones_by_number():
    answer = model_service_pb2.GetModelStatusResponse()
    answer.model_version_status.add(version=3, state=30)
    answer.model_version_status.add(version=2, state=77)
    broken = answer.model_version_status.add(version=1, state=50)
    broken.status.error_message = "out of memory"
    questions = tf_serving().questions
    assert questions["model_status"].decode(answer.SerializeToString()) == (
        VersionStatus("3", "AVAILABLE", ""),
        VersionStatus("2", "77", ""),
        VersionStatus("1", "END", "out of memory"),
    )
    assert questions["model_ready"].decode(answer.SerializeToString()) is True
    assert questions["model_ready"].decode(b"") is False


def planner():
    return Planner(open_inference(), on_large="send", max_request=None, specs=None)


def response():
    answer = oip.ModelInferResponse(model_name="m", id="7")
    answer.outputs.add(name="y", datatype="INT8", shape=[2])
    answer.raw_output_contents.append(b"\1\2")
    return answer


@pytest.mark.parametrize("plain", [False, True])
def test_a_stream_may_have_tritons_messages_or_plain_responses_as_mlserver_sends_them(plain):
    message = response() if plain else oip.ModelStreamInferResponse(infer_response=response())
    outputs = planner().streamed(message.SerializeToString())
    assert {name: array.tolist() for name, array in outputs.items()} == {"y": [1, 2]}


def test_an_empty_answer_in_a_stream_has_no_outputs():
    assert planner().streamed(b"") == {}
    assert (
        planner().streamed(
            oip.ModelStreamInferResponse(infer_response=oip.ModelInferResponse()).SerializeToString()
        )
        == {}
    )


def test_an_error_in_a_stream_is_a_call_error_that_grpc_programs_understand():
    message = oip.ModelStreamInferResponse(error_message="no such shape", infer_response={"id": "7"})
    error = planner().streamed(message.SerializeToString())
    assert isinstance(error, (InferenceError, CallError, grpc.RpcError))
    assert error.code() is grpc.StatusCode.UNKNOWN
    assert error.details() == "no such shape"
    assert error.origin is Origin.SERVER
    assert error.initial_metadata() == error.trailing_metadata() == ()
    assert error.debug_error_string() == ""
    assert "/inference.GRPCInferenceService/ModelStreamInfer failed with UNKNOWN: no such shape" in str(error)


def test_the_error_survives_pickling():
    error = pickle.loads(pickle.dumps(reported("why", "/a/b")))
    assert isinstance(error, InferenceError)
    assert error.details() == "why"
