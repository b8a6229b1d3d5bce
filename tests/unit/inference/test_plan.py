"""What a client refuses, checks and remembers before it makes a call."""

from __future__ import annotations

import math

import numpy as np
import pytest

from eas_grpc.errors import ConfigError
from eas_grpc.inference._plan import Planner, said
from eas_grpc.inference._protocols import native, open_inference, tf_serving
from eas_grpc.tensors import ModelSpec, TensorSpec

DIGITS = ModelSpec(name="digits", inputs={"images": TensorSpec("float32", (None, 784))})
IMAGES = np.zeros((2, 784), np.float32)


def planner(protocol=native, **settings):
    return Planner(protocol(), **{"on_large": "send", "max_request": 1000, "specs": None} | settings)


def whole(plan, inputs, **more):
    return plan.request(plan.asked("digits", None, **more), inputs)


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, "5", True])
def test_a_deadline_that_is_none_is_refused(seconds):
    with pytest.raises(ConfigError, match="deadline"):
        said(seconds, None)


def test_what_the_caller_does_not_say_is_left_to_the_channel():
    assert said(None, None) == {}
    assert said(None, ()) == {}
    assert said(2, [("x-trace", "1")]) == {"timeout": 2.0, "metadata": (("x-trace", "1"),)}


def test_metadata_is_checked_at_once():
    with pytest.raises(ConfigError, match="'x-trace'"):
        said(None, [("X-Trace", "1")])
    with pytest.raises(ConfigError, match=r"write list\(metadata.items\(\)\)"):
        said(None, {"ab": "1"})


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"on_large": "splt"}, "on_large='splt' is unknown"),
        ({"max_request": 0}, "max_request=0 is no size"),
        ({"max_request": True}, "max_request=True is no size"),
        ({"max_request": "1 MB"}, "is no size"),
        (
            {"specs": {"digits": {"images": "float32"}}},
            r"specs\['digits'\] must be a tensors.ModelSpec, not dict",
        ),
    ],
)
def test_a_setting_that_cannot_work_is_refused(settings, why):
    with pytest.raises(ConfigError, match=why):
        planner(**settings)


@pytest.mark.parametrize("protocol", [open_inference, tf_serving])
def test_uploads_are_for_our_own_service(protocol):
    planner(on_large="upload")
    with pytest.raises(ConfigError, match=r"write one of 'send', 'split'$"):
        planner(protocol, on_large="upload")


@pytest.mark.parametrize(
    ("protocol", "places"),
    [
        (native, set()),
        (open_inference, {"version", "id", "parameters"}),
        (tf_serving, {"version", "signature"}),
    ],
)
def test_what_a_protocol_has_no_place_for_is_refused(protocol, places):
    given = {"version": "1", "id": "a", "signature": "s", "parameters": {"p": 1}}
    plan = planner(protocol)
    for name, value in given.items():
        if name in places:
            assert getattr(plan.asked("m", None, **{name: value}), name) == value
        else:
            with pytest.raises(ConfigError, match=f"has no place for {name}=: leave it out"):
                plan.asked("m", None, **{name: value})


@pytest.mark.parametrize("model", ["", None, b"digits", 7])
def test_a_model_is_named_by_a_text(model):
    with pytest.raises(ConfigError, match="model must be named by a text"):
        planner().asked(model, None)


@pytest.mark.parametrize("outputs", ["scores", [1], [b"scores"]])
def test_outputs_are_names(outputs):
    with pytest.raises(ConfigError, match="outputs= must be names"):
        planner().asked("digits", outputs)


def test_no_outputs_named_means_all():
    assert planner().asked("digits", None).outputs == ()
    assert planner().asked("digits", []).outputs == ()
    assert planner().asked("digits", iter(["a"])).outputs == ("a",)


@pytest.mark.parametrize("inputs", [IMAGES, [IMAGES], None, "images"])
def test_inputs_are_arrays_by_name(inputs):
    with pytest.raises(ConfigError, match=r"arrays by name, such as {'images': images}, not"):
        whole(planner(), inputs)


def test_the_name_of_an_input_is_a_text():
    with pytest.raises(ConfigError, match="name of an input must be a text, not 1"):
        whole(planner(), {1: IMAGES})


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ({"images": IMAGES.astype(np.float64)}, r"'images' .* float32 of shape \[N, 784\]; it is float64"),
        ({"images": IMAGES[:, :700]}, r"it is float32 of shape \[2, 700\]"),
        ({"image": IMAGES}, "has no input 'image': it takes 'images'"),
        ({}, "input 'images' of model 'digits' is missing"),
    ],
)
def test_inputs_that_do_not_fit_a_known_model_are_refused(inputs, why):
    with pytest.raises(ConfigError, match=why):
        whole(planner(specs={"digits": DIGITS}), inputs)


def test_a_model_that_is_not_known_takes_anything():
    plan = planner(specs={"others": DIGITS})
    assert whole(plan, {"x": np.zeros(1)}).inputs["x"].shape == (1,)


def test_a_description_is_remembered_until_it_is_forgotten():
    plan = planner(open_inference)
    plan.learn(("digits", "2", ""), {"": DIGITS})
    with pytest.raises(ConfigError, match=r"'images' .* missing"):
        whole(plan, {}, version="2")
    whole(plan, {})  # of another version nothing is known
    plan.forget("digits")
    whole(plan, {}, version="2")


def test_a_spec_given_by_hand_is_for_every_version_until_one_is_described():
    plan = planner(open_inference, specs={"digits": DIGITS})
    with pytest.raises(ConfigError, match="missing"):
        whole(plan, {}, version="2")
    plan.learn(("digits", "2", ""), {"": ModelSpec(name="digits")})
    whole(plan, {}, version="2")
    plan.forget("digits")
    whole(plan, {}, version="1")


def test_all_signatures_of_a_description_are_remembered():
    plan = planner(tf_serving)
    other = ModelSpec(name="digits", inputs={"pixels": TensorSpec()})
    assert plan.learn(("digits", "", ""), {"": DIGITS, "serving_default": DIGITS, "other": other}) is DIGITS
    whole(plan, {"images": IMAGES})
    with pytest.raises(ConfigError, match="'pixels'"):
        whole(plan, {"images": IMAGES}, signature="other")


@pytest.mark.parametrize(
    ("signature", "why"), [("", "no default signature"), ("nope", "no signature 'nope'")]
)
def test_a_signature_that_the_model_lacks_is_named_with_those_that_it_has(signature, why):
    with pytest.raises(ConfigError, match=f"{why}: write signature= with one of 'a', 'b'"):
        planner(tf_serving).learn(("digits", "", signature), {"b": DIGITS, "a": DIGITS})


def test_only_an_open_inference_server_is_asked_as_a_whole():
    assert planner(open_inference).ready(None, "")[0] == "server_ready"
    assert planner(open_inference).ready("m", "1") == ("model_ready", ("m", "1", ""))
    for protocol in (native, tf_serving):
        with pytest.raises(ConfigError, match=r"write ready\(model\)"):
            planner(protocol).ready(None, "")


LARGE = {"images": np.zeros((4, 784), np.float32)}


@pytest.mark.parametrize("protocol", [native, open_inference, tf_serving])
def test_a_request_that_fits_is_sent_whole_whatever_is_done_with_large_ones(protocol):
    for on_large in ("send", "split"):
        plan = planner(protocol, on_large=on_large, max_request=20_000)
        request = whole(plan, LARGE)
        job = plan.job(request)
        assert (job.method, job.rows, len(job.payloads)) == ("infer", None, 1)
        assert job.payloads[0]() == plan.payload(request) == protocol().encode(request)


@pytest.mark.parametrize("protocol", [native, open_inference, tf_serving])
def test_the_limit_itself_is_allowed_and_one_byte_more_is_split(protocol):
    size = len(protocol().encode(whole(planner(protocol), LARGE)))
    for limit, pieces in ((size, 1), (size - 1, 2), (None, 1)):
        plan = planner(protocol, on_large="split", max_request=limit)
        request = whole(plan, LARGE)
        assert len(plan.job(request).payloads) == pieces
        assert (plan.payload(request) is None) == (pieces > 1)


def test_a_request_that_cannot_be_split_says_its_size_the_limit_and_why():
    plan = planner(on_large="split")
    with pytest.raises(ConfigError, match=r"has 3,1\d\d bytes, above max_request=1,000, and .* a single row"):
        plan.job(whole(plan, {"images": IMAGES[:1]}))


@pytest.mark.parametrize(("limit", "most"), [(3000, 3000), (1_000_000, 512 * 1024)])
def test_the_chunks_of_an_upload_stay_below_the_limit_and_below_the_size_that_is_warned_of(limit, most):
    plan = planner(on_large="upload", max_request=limit)
    job = plan.job(whole(plan, {"images": np.zeros((500, 784), np.float32)}))
    assert job.method == "upload"
    sizes = [len(chunk) for chunk in job.payloads[0]()]
    assert sum(sizes) > 500 * 784 * 4
    assert max(sizes) <= most
