"""The demo's pure parts: greetings, models, digits, and where it may listen."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloManyTimesRequest

from eas_grpc.errors import ConfigError
from eas_grpc.serving import BadInput
from server_demo import app, digits, greeter
from server_demo.models import MODELS, echo, read_digits

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


def test_echo_gives_back_what_is_wanted():
    inputs = {"a": np.ones(2), "b": np.zeros(3)}
    assert list(echo.run(inputs)) == ["a", "b"]
    assert list(echo.run(inputs, ["b"])) == ["b"]
    assert echo.run({}) == {}


def image(value=0.0, dtype=np.float32, shape=(1, 784)):
    return np.full(shape, value, dtype)


REFUSALS = [
    ({}, (), "input 'images' of model 'digits' is missing: it must be float32 of shape [N, 784]"),
    ({"image": image()}, (), "has no input 'image': it takes 'images'"),
    ({"images": image(), "x": image()}, (), "and got 'images', 'x'"),
    ({"images": image(dtype=np.float64)}, (), "must be float32 of shape [N, 784]; it is float64"),
    ({"images": image(shape=(784,))}, (), "it is float32 of shape [784]"),
    ({"images": image(shape=(1, 28, 28))}, (), "it is float32 of shape [1, 28, 28]"),
    ({"images": image(255)}, (), "values from 0 to 1"),
    ({"images": image(-0.1)}, (), "values from 0 to 1"),
    ({"images": image(np.nan)}, (), "values from 0 to 1"),
    ({"images": image()}, ["labels"], "it gives 'scores'"),
]


@pytest.mark.parametrize(("inputs", "wanted", "text"), REFUSALS)
def test_digits_says_what_it_wants(inputs, wanted, text):
    with pytest.raises(BadInput, match=re.escape(text)):
        read_digits.run(inputs, wanted)


def test_the_models_are_those_that_the_design_names():
    assert MODELS.names == ("echo", "digits")
    assert (read_digits.spec.signature, echo.spec.signature) == ("predict_images", "serving_default")


def test_scores_are_probabilities_one_row_per_image():
    images, _ = digits.samples()
    for batch in (images[:0], images[:1], images, np.ones((1, 784), np.float32)):
        scores = read_digits.run({"images": batch})["scores"]
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
