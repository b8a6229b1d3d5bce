"""The demo's pure parts: greetings, arrays, models, digits, and where it may listen."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloManyTimesRequest
from eas_grpc_pb.tensor.v1 import tensor_pb2
from eas_grpc_pb.tensor.v1.tensor_pb2 import Tensor

from eas_grpc.errors import ConfigError
from server_demo import app, digits, greeter, models
from server_demo.arrays import BadTensor, to_array, to_tensor

DEMO = Path(app.__file__).parent


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (("World",), "Hello, World!"),
        (("A", "B"), "Hello, A and B!"),
        (("A", "", "B", "C"), "Hello, A, B and C!"),
        (("",), "Hello!"),
        ((), "Hello!"),
        (("世界",), "Hello, 世界!"),
    ],
)
def test_people_are_greeted_by_name(names, text):
    assert greeter.greeting(*names) == text


def test_many_times_is_three_unless_said_and_has_limits():
    assert greeter.many_times(HelloManyTimesRequest()) == (3, 0)
    assert greeter.many_times(HelloManyTimesRequest(count=1000, interval_ms=60_000)) == (1000, 60)
    for values in ({"count": 1001}, {"interval_ms": 60_001}):
        with pytest.raises(greeter.BadGreeting, match="at most"):
            greeter.many_times(HelloManyTimesRequest(**values))


DTYPES = [
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
]
SHAPES = [(), (0,), (3,), (2, 0, 5), (2, 3, 4)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_dtype_and_shape_comes_back_as_it_was(dtype, shape):
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    for given in (array, array.astype(array.dtype.newbyteorder(">")), array.copy(order="F")):
        tensor = to_tensor("x", given)
        assert tensor_pb2.DType.Name(tensor.dtype) == f"DTYPE_{dtype.upper()}"
        back = to_array(tensor)
        assert back.shape == shape
        assert back.dtype == dtype
        np.testing.assert_array_equal(back, array)
        assert not back.flags.writeable


F32 = tensor_pb2.DTYPE_FLOAT32
BAD_TENSORS = [
    ({"data": b""}, "'x' has dtype 0: use one of DTYPE_BOOL"),
    ({"dtype": 99}, "has dtype 99"),
    ({"dtype": F32, "shape": [-1]}, "no dimension may be negative"),
    ({"dtype": F32, "shape": [2], "data": bytes(7)}, "has 7 bytes of data, but float32 of shape [2] needs 8"),
    ({"dtype": F32, "shape": [2], "data": bytes(12)}, "has 12 bytes"),
    ({"dtype": F32, "data": b""}, "float32 of shape [] needs 4"),
    ({"dtype": F32, "shape": [2**40, 2**40]}, "needs 4835703278458516698824704"),
    ({"dtype": F32, "shape": [1] * 33, "data": bytes(4)}, "33 dimensions: at most 32"),
    ({"dtype": F32, "shape": [0, 2**62, 2**62]}, "too large"),
    ({"dtype": tensor_pb2.DTYPE_BOOL, "shape": [2], "data": b"\1\2"}, "a byte other than 0 and 1"),
]


@pytest.mark.parametrize(("fields", "text"), BAD_TENSORS, ids=[text for _, text in BAD_TENSORS])
def test_a_tensor_that_contradicts_itself_is_refused(fields, text):
    with pytest.raises(BadTensor, match=re.escape(text)):
        to_array(Tensor(name="x", **fields))


def test_echo_gives_back_what_is_wanted():
    inputs = {"a": np.ones(2), "b": np.zeros(3)}
    assert list(models.run("echo", inputs)) == ["a", "b"]
    assert list(models.run("echo", inputs, ["b"])) == ["b"]
    assert models.run("echo", {}) == {}


def image(value=0.0, dtype=np.float32, shape=(1, 784)):
    return np.full(shape, value, dtype)


REFUSALS = [
    ("nothing", {}, (), models.UnknownModel, "no model 'nothing'; this server has digits, echo"),
    ("", {}, (), models.UnknownModel, "no model ''"),
    ("echo", {"a": image()}, ["b"], models.BadInput, "no output 'b' for these inputs; it gives 'a'"),
    ("digits", {}, (), models.BadInput, "takes one input, 'images'; the request has none"),
    ("digits", {"image": image()}, (), models.BadInput, "the request has 'image'"),
    ("digits", {"images": image(), "x": image()}, (), models.BadInput, "has 'images', 'x'"),
    ("digits", {"images": image(dtype=np.float64)}, (), models.BadInput, "must be float32; it is float64"),
    ("digits", {"images": image(shape=(784,))}, (), models.BadInput, "it is [784]"),
    ("digits", {"images": image(shape=(1, 28, 28))}, (), models.BadInput, "it is [1, 28, 28]"),
    ("digits", {"images": image(255)}, (), models.BadInput, "values from 0 to 1"),
    ("digits", {"images": image(-0.1)}, (), models.BadInput, "values from 0 to 1"),
    ("digits", {"images": image(np.nan)}, (), models.BadInput, "values from 0 to 1"),
    ("digits", {"images": image()}, ["labels"], models.BadInput, "it gives 'scores'"),
]


@pytest.mark.parametrize(("model", "inputs", "wanted", "kind", "text"), REFUSALS)
def test_a_model_says_what_it_wants(model, inputs, wanted, kind, text):
    with pytest.raises(kind, match=re.escape(text)):
        models.run(model, inputs, wanted)


def test_scores_are_probabilities_one_row_per_image():
    images, _ = digits.samples()
    for batch in (images[:0], images[:1], images, np.ones((1, 784), np.float32)):
        scores = models.run("digits", {"images": batch})["scores"]
        assert scores.shape == (len(batch), 10)
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)


def test_the_samples_are_read_as_the_readme_says():
    images, labels = digits.samples()
    assert images.shape == (50, 784)
    assert set(labels) == set(range(10))
    right = int((digits.scores(images).argmax(axis=1) == labels).sum())
    assert f"the network reads {right} of them right" in (DEMO / "README.md").read_text()
    assert right >= 45


def test_the_held_out_accuracy_is_the_one_in_the_readme():
    pytest.importorskip("sklearn", reason="scikit-learn is in the dependency group `train`")
    from server_demo import train_digits

    _, images, _, labels = train_digits.split()
    accuracy = train_digits.accuracy(images, labels)
    right = round(accuracy * len(labels))
    text = f"Held-out accuracy: {accuracy:.4f} ({right} of {len(labels)})"
    assert text in (DEMO / "README.md").read_text()
    assert accuracy > 0.95


def test_the_samples_are_held_out_images():
    pytest.importorskip("sklearn", reason="scikit-learn is in the dependency group `train`")
    from server_demo import train_digits

    _, images, _, labels = train_digits.split()
    sampled, digits_of_samples = digits.samples()
    np.testing.assert_allclose(sampled, images[:50], atol=1e-6)
    np.testing.assert_array_equal(digits_of_samples, labels[:50])


def test_the_stored_files_are_small():
    assert digits.WEIGHTS.stat().st_size + digits.SAMPLES.stat().st_size < 200_000


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost"])
def test_this_machine_is_no_public_place(host):
    app.check_host(host, public=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])
def test_a_public_place_has_to_be_meant(host):
    with pytest.raises(ConfigError, match="pass --public"):
        app.check_host(host, public=False)
    app.check_host(host, public=True)


def test_the_command_line_becomes_arguments():
    assert app.parse([]) == {
        "host": "127.0.0.1",
        "port": 50080,
        "token": "demo-token",
        "public": False,
        "use_asyncio": False,
    }
    assert app.parse(["--no-token", "--asyncio", "--port", "0"])["token"] is None
