"""Our editions of other people's protos against the modules that those people publish, field by field."""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator

import grpc
import pytest
from interop.programs import HERE, ROOT, finish

pytestmark = pytest.mark.interop

OURS = {
    "open_inference": [
        "eas_grpc_pb.open_inference.v2.model_config_pb2",
        "eas_grpc_pb.open_inference.v2.open_inference_pb2",
    ],
    "tf_serving": [
        "eas_grpc_pb.tf_serving.v1.model_pb2",
        "eas_grpc_pb.tf_serving.v1.model_service_pb2",
        "eas_grpc_pb.tf_serving.v1.prediction_service_pb2",
        "eas_grpc_pb.tf_serving.v1.tensor_pb2",
        "eas_grpc_pb.tf_serving.v1.types_pb2",
    ],
}
# tensorflow-serving-api has the service and its messages, and imports those of TensorFlow, which tensorboard
# carries a copy of: nobody needs all of TensorFlow to be installed.
THEIRS = {
    "open_inference": ["tritonclient.grpc.model_config_pb2", "tritonclient.grpc.service_pb2"],
    "tf_serving": [
        "tensorboard.compat.proto.meta_graph_pb2",
        "tensorboard.compat.proto.tensor_pb2",
        "tensorboard.compat.proto.tensor_shape_pb2",
        "tensorboard.compat.proto.types_pb2",
        "tensorflow_serving.apis.get_model_metadata_pb2",
        "tensorflow_serving.apis.get_model_status_pb2",
        "tensorflow_serving.apis.model_pb2",
        "tensorflow_serving.apis.model_service_pb2",
        "tensorflow_serving.apis.predict_pb2",
        "tensorflow_serving.apis.prediction_service_pb2",
        "tensorflow_serving.apis.status_pb2",
        "ovmsclient.tfs_compat.protos.tensorflow.core.protobuf.error_codes_pb2",
    ],
}
# A value whose name asks nobody to use it.
LEFT_OUT = {("Code", "DO_NOT_USE_RESERVED_FOR_FUTURE_EXPANSION_USE_DEFAULT_IN_SWITCH_INSTEAD_")}


def dump(python: str, modules: list[str]) -> dict[str, dict]:
    done = finish(python, HERE / "peers/dump_schema.py", *modules, PYTHONPATH=str(ROOT / "generated"))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module", params=list(OURS))
def schemas(request, peers_python) -> tuple[dict[str, dict], dict[str, dict]]:
    """Ours and theirs."""
    return dump(sys.executable, OURS[request.param]), dump(peers_python, THEIRS[request.param])


def differences(ours: dict[str, dict], theirs: dict[str, dict]) -> Iterator[str]:
    """Whatever we declare has to be theirs, and what they have and we do not has to be reserved here."""
    for kind in ("messages", "enums", "methods"):
        for name, here in ours[kind].items():
            there = theirs[kind].get(name)
            if there is None:
                yield f"{kind}: {name} is not theirs"
                continue
            for part, value in here.items():
                if there.get(part) != value:
                    yield f"{name}.{part} is {value} here and {there.get(part)} there"
            for part in there.keys() - here.keys():
                if kind == "enums" and (name, part) not in LEFT_OUT:
                    yield f"{name}.{part} is missing"
                if kind == "messages" and there[part]["number"] not in ours["reserved"][name]:
                    yield f"{name}.{part} is neither here nor reserved"


def test_every_message_field_enum_and_method_is_declared_as_upstream_declares_it(schemas):
    assert list(differences(*schemas)) == []


def test_nothing_is_reserved_that_upstream_never_used(schemas):
    ours, theirs = schemas
    for name, numbers in ours["reserved"].items():
        used = {field["number"] for field in theirs["messages"][name].values()} | {*theirs["reserved"][name]}
        assert set(numbers) <= used, name


def test_the_comparison_sees_every_method_of_the_services_that_we_declare():
    from eas_grpc_pb.open_inference.v2 import open_inference_pb2
    from eas_grpc_pb.tf_serving.v1 import model_service_pb2, prediction_service_pb2

    declared = {
        f"{service.name}.{method.name}"
        for module in (open_inference_pb2, model_service_pb2, prediction_service_pb2)
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    compared = {name for modules in OURS.values() for name in dump(sys.executable, modules)["methods"]}
    assert compared == declared
    assert {"GRPCInferenceService.ModelInfer", "PredictionService.Predict"} < compared


def test_the_error_codes_of_tensorflow_are_those_of_grpc():
    from eas_grpc_pb.tf_serving.v1.model_service_pb2 import Code

    assert dict(Code.items()) == {code.name: code.value[0] for code in grpc.StatusCode}


@pytest.mark.parametrize(
    ("where", "change", "complaint"),
    [
        (("messages", "A", "x", "number"), 2, "A.x is"),
        (("messages", "A", "x", "type"), "TYPE_UINT32", "A.x is"),
        (("messages", "A", "x", "packed"), False, "A.x is"),
        (("messages", "A", "y"), {"number": 3}, "A.y is neither here nor reserved"),
        (("messages", "A"), {}, "A.x is"),
        (("messages",), {}, "messages: A is not theirs"),
        (("enums", "E", "ONE"), 2, "E.ONE is 1 here and 2 there"),
        (("enums", "E", "TWO"), 2, "E.TWO is missing"),
        (("methods", "S.M", "server_streaming"), True, "S.M.server_streaming is False here and True there"),
        (("methods",), {}, "methods: S.M is not theirs"),
    ],
)
def test_the_comparison_finds_what_it_is_for(where, change, complaint):
    ours = {
        "messages": {"A": {"x": {"number": 1, "type": "TYPE_INT32", "packed": True}}},
        "reserved": {"A": [7]},
        "enums": {"E": {"ONE": 1}},
        "methods": {"S.M": {"server_streaming": False}},
    }
    theirs = copy.deepcopy(ours)
    theirs["messages"]["A"]["left_out"] = {"number": 7}
    assert list(differences(ours, theirs)) == []
    place = theirs
    for name in where[:-1]:
        place = place[name]
    place[where[-1]] = change
    (found,) = differences(ours, theirs)
    assert found.startswith(complaint)
