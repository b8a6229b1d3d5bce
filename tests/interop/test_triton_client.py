"""tritonclient, unmodified, from the Python package index, against the demo server."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from interop.programs import HERE, ROOT, TOKEN, finish, serving

from server_demo import digits

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module", params=[(), ("--asyncio",)], ids=["threads", "asyncio"])
def answers(request, peers_python) -> dict:
    """What each of its calls gave, on both kinds of server."""
    with serving(
        sys.executable, "-m", "server_demo", "--port", "0", "--token", TOKEN, *request.param
    ) as address:
        done = finish(peers_python, HERE / "peers/triton_calls.py", address, TOKEN, digits.SAMPLES)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_server_and_its_models_are_ready(answers):
    assert (answers["live"], answers["ready"], answers["model ready"]) == (True, True, True)
    assert (
        answers["unknown model ready"] is False or answers["unknown model ready"][0] == "StatusCode.NOT_FOUND"
    )


def test_the_server_says_what_it_is(answers):
    assert answers["server metadata"]["name"]
    assert answers["server metadata"]["version"]


def test_metadata_names_inputs_and_outputs(answers):
    metadata = answers["model metadata"]
    assert metadata["name"] == "digits"
    assert metadata["inputs"] == [{"name": "images", "datatype": "FP32", "shape": ["-1", "784"]}]
    assert metadata["outputs"] == [{"name": "scores", "datatype": "FP32", "shape": ["-1", "10"]}]


def test_the_config_names_inputs_and_outputs(answers):
    config = answers["model config"]["config"]
    assert config["name"] == "digits"
    assert [(each["name"], each["data_type"]) for each in config["input"]] == [("images", "TYPE_FP32")]
    assert [(each["name"], each["data_type"]) for each in config["output"]] == [("scores", "TYPE_FP32")]


def test_the_digits_model_gives_the_numbers_that_it_gives_here(answers):
    images, _ = digits.samples()
    assert np.array_equal(np.array(answers["digits"], np.float32), digits.scores(images))


@pytest.mark.parametrize(
    "dtype",
    [
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float16",
        "float32",
        "float64",
    ],
)
def test_an_echo_of_each_dtype_comes_back(answers, dtype):
    expected = [[0, 1, 0], [1, 0, 1]] if dtype == "bool" else [[0, 1, 2], [3, 4, 5]]
    assert answers[f"echo {dtype}"] == expected


def test_byte_strings_bfloat16_and_an_empty_tensor_come_back(answers):
    assert answers["echo BYTES"] == ["", "ff00", "Grüße".encode().hex()]
    assert answers["echo BF16"] == [1.5, -2.0, 3.0]
    assert answers["echo nothing"] == [0, 3]


@pytest.mark.parametrize("datatype", ["BOOL", "INT8", "INT64", "UINT32", "UINT64", "FP32", "FP64", "BYTES"])
def test_typed_contents_are_answered_in_kind(answers, datatype):
    assert answers[f"typed {datatype}"] == {"datatype": datatype, "raw": 0, "same": True}


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        ("wrong shape", ["images", "[N, 784]", "[50, 5]"]),
        ("wrong dtype", ["images", "float32", "float64"]),
        ("wrong name", ["pictures", "images"]),
    ],
)
def test_a_mistake_is_an_invalid_argument_that_names_the_input_what_was_expected_and_what_came(
    answers, mistake, said
):
    status, text = answers[mistake]
    assert status == "StatusCode.INVALID_ARGUMENT"
    assert all(part in text for part in said), text


def test_an_unknown_model_and_a_missing_token_have_their_own_statuses(answers):
    assert answers["unknown model"][0] == "StatusCode.NOT_FOUND"
    assert answers["no token"][0] == "StatusCode.UNAUTHENTICATED"


def test_the_id_and_the_choice_of_outputs_are_kept(answers):
    assert answers["request id"] == "seven"
    assert answers["asked output"] == ["b"]


def test_a_stream_goes_on_after_a_refused_request(answers):
    first, refused, last = answers["stream"]
    assert (first, last) == (["r0", [1, 10]], ["r2", [2, 10]])
    assert "images" in refused


def test_its_callbacks_and_its_asyncio_client_work(answers):
    assert answers["async"] == [50, 10]
    assert answers["aio"] == {"infer": [50, 10], "stream": [[1, 10], [3, 10]]}


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_our_modules_and_its_generated_ones_can_be_imported_in_one_process_in_either_order(
    first, peers_python
):
    ours = (
        "import eas_grpc.tensors.open_inference, eas_grpc_pb.open_inference.v2.open_inference_pb2 as ours,"
        " eas_grpc_pb.open_inference.v2.model_config_pb2, eas_grpc_pb.tensor.v1.tensor_pb2,"
        " eas_grpc_pb.tf_serving.v1.prediction_service_pb2\n"
    )
    theirs = "import tritonclient.grpc, tritonclient.grpc.service_pb2 as theirs\n"
    program = (ours + theirs if first == "ours" else theirs + ours) + (
        "data = theirs.ModelInferRequest(model_name='m', raw_input_contents=[b'12']).SerializeToString()\n"
        "assert ours.ModelInferRequest.FromString(data).model_name == 'm'\n"
    )
    done = finish(peers_python, "-c", program, PYTHONPATH=f"{ROOT}:{ROOT / 'generated'}")
    assert done.returncode == 0, done.stderr
