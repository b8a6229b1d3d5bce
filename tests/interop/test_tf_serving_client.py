"""ovmsclient, a client of TensorFlow Serving, unmodified, from the Python package index, against the demo server."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from interop.programs import HERE, finish, serving

from server_demo import digits

pytestmark = pytest.mark.interop

DTYPES = [
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
]


@pytest.fixture(scope="module", params=[(), ("--asyncio",)], ids=["threads", "asyncio"])
def answers(request, peers_python) -> dict:
    """What each of its calls gave, on both kinds of server."""
    with serving(sys.executable, "-m", "server_demo", "--port", "0", "--no-token", *request.param) as address:
        done = finish(peers_python, HERE / "peers/tf_serving_calls.py", address, digits.SAMPLES)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_digits_model_gives_the_numbers_that_it_gives_here(answers):
    images, _ = digits.samples()
    assert np.array_equal(np.array(answers["digits"], np.float32), digits.scores(images))


def test_metadata_names_inputs_and_outputs(answers):
    assert answers["metadata"] == {
        "model_version": 1,
        "inputs": {"images": {"shape": [-1, 784], "dtype": "DT_FLOAT"}},
        "outputs": {"scores": {"shape": [-1, 10], "dtype": "DT_FLOAT"}},
    }


@pytest.mark.parametrize("which", ["status", "status of version 1"])
def test_the_only_version_is_available(answers, which):
    assert answers[which] == {"1": {"state": "AVAILABLE", "error_code": 0, "error_message": ""}}


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_echo_of_each_dtype_comes_back(answers, dtype):
    assert answers[f"echo {dtype}"] == [[0, 1, 0], [1, 0, 1]]


def test_booleans_and_byte_strings_come_back(answers):
    assert answers["echo bool"] == [[False, True, False], [True, False, True]]
    assert answers["echo bytes"] == ["", "ff01"]


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        ("wrong shape", ["images", "[N, 784]", "[50, 5]"]),
        ("wrong dtype", ["images", "float32", "float64"]),
        ("wrong name", ["pictures", "images"]),
    ],
)
def test_a_mistake_names_the_input_what_was_expected_and_what_came(answers, mistake, said):
    kind, text = answers[mistake]
    assert kind == "InvalidInputError"
    assert all(part in text for part in said), text


@pytest.mark.parametrize("missing", ["unknown model", "unknown version"])
def test_a_model_or_version_that_is_not_there_is_not_found(answers, missing):
    assert answers[missing][0] == "ModelNotFoundError"
