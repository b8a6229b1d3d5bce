"""`eas_grpc.tensors._specs`: what a model takes, and the one sentence that says why it does not take this."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import tensors as make

from eas_grpc.errors import ConfigError
from eas_grpc.tensors import ModelSpec, TensorSpec
from eas_grpc.tensors._dtypes import ELEMENTS, dtype_of, element_named, element_of
from eas_grpc.tensors._specs import misfit

IMAGES = TensorSpec("float32", (None, 784))
DIGITS = ModelSpec(
    name="digits",
    inputs={"images": IMAGES, "threshold": TensorSpec("float64", ())},
    optional=frozenset({"threshold"}),
)
GOOD = np.zeros((2, 784), np.float32)


@pytest.mark.parametrize("name", sorted(make.NUMERIC))
def test_every_element_type_has_one_name_whatever_the_byte_order(name) -> None:
    dtype = make.NUMERIC[name]
    element = element_of(dtype)
    assert element.name == name
    assert element_of(dtype.newbyteorder(">")) is element
    assert element_named(name) is element
    assert dtype_of(element) == dtype.newbyteorder("<")
    assert TensorSpec(name).takes(np.zeros(1, dtype))


def test_no_two_element_types_share_a_name_or_a_number_in_any_format() -> None:
    for column in zip(*ELEMENTS, strict=True):
        given_ = [name for name in column if name is not None]
        assert len(set(given_)) == len(given_)


@pytest.mark.parametrize("dtype", ["S3", "U2", "O"])
def test_strings_of_every_kind_are_bytes(dtype) -> None:
    assert element_of(np.dtype(dtype)).name == "bytes"
    assert TensorSpec("bytes").takes(np.zeros(1, dtype))
    assert not TensorSpec("uint8").takes(np.zeros(1, dtype))


@pytest.mark.parametrize("name", ["float", "f4", "float128", "string", "str", "object", "", "Float32", "<f4"])
def test_a_name_that_no_format_has_is_a_config_error_that_lists_those_it_has(name) -> None:
    with pytest.raises(ConfigError, match=r"write one of bool, int8, .*float32.*, bytes$"):
        TensorSpec(name)


@pytest.mark.parametrize("size", [-1, -2, 1.0, "3", True, np.float32(2)])
def test_a_dimension_is_a_count_or_none(size) -> None:
    with pytest.raises(ConfigError, match="is no dimension: write a size of 0 or more, or None for any"):
        TensorSpec("float32", (2, size))


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (TensorSpec(), "any dtype"),
        (TensorSpec("bytes"), "bytes"),
        (TensorSpec("float32", ()), "float32 of shape []"),
        (TensorSpec(None, (0,)), "any dtype of shape [0]"),
        (IMAGES, "float32 of shape [N, 784]"),
    ],
)
def test_a_spec_reads_as_an_error_message_says_it(spec, text) -> None:
    assert str(spec) == text


shapes = st.lists(st.integers(0, 3), max_size=4)


@given(shapes, st.data())
def test_a_spec_takes_the_shapes_that_agree_in_every_dimension_that_it_fixes(shape, data) -> None:
    wanted = tuple(data.draw(st.sampled_from([None, size])) for size in shape)
    spec = TensorSpec("int8", wanted)
    assert spec.takes(np.zeros(shape, np.int8))
    assert not spec.takes(np.zeros([*shape, 1], np.int8))
    assert not spec.takes(np.zeros(shape, np.int16))
    for at, size in enumerate(wanted):
        other = [*shape[:at], shape[at] + 1, *shape[at + 1 :]]
        assert spec.takes(np.zeros(other, np.int8)) is (size is None)
    assert TensorSpec("int8").takes(np.zeros(shape, np.int8))
    assert TensorSpec().takes(np.zeros(shape, "S1"))


def test_inputs_that_fit_are_taken() -> None:
    assert misfit(DIGITS, {"images": GOOD}) is None
    assert misfit(DIGITS, {"threshold": np.array(0.5), "images": GOOD}) is None
    assert misfit(ModelSpec(name="any"), {"x": GOOD}) is None
    assert misfit(ModelSpec(name="none", inputs={}), {}) is None


WANTED = "must be float32 of shape [N, 784]"
TAKES = "'images' (float32 of shape [N, 784]), 'threshold' (float64 of shape [])"


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({"image": GOOD}, f"model 'digits' has no input 'image': it takes {TAKES}, and got 'image'"),
        (
            {"images": GOOD.astype(np.float64)},
            f"input 'images' of model 'digits' {WANTED}; it is float64 of shape [2, 784]",
        ),
        ({"images": GOOD[0]}, f"input 'images' of model 'digits' {WANTED}; it is float32 of shape [784]"),
        (
            {"threshold": np.array(0.5)},
            f"input 'images' of model 'digits' is missing: it {WANTED}; the request has 'threshold'",
        ),
        ({}, f"input 'images' of model 'digits' is missing: it {WANTED}; the request has none"),
    ],
)
def test_a_misfit_names_the_input_what_was_expected_and_what_came(inputs, sentence) -> None:
    assert misfit(DIGITS, inputs) == sentence


def test_a_misfit_stays_short_whatever_the_peer_sent() -> None:
    inputs = {f"{at}-" + "n" * 100_000: GOOD for at in range(100)}
    many = ModelSpec(name="m" * 100_000, inputs={f"{at}-" + "i" * 100_000: IMAGES for at in range(100)})
    unknown = misfit(DIGITS, inputs)
    assert "'0-nnn" in unknown
    assert unknown.endswith(" and 90 more")
    for sentence in (unknown, misfit(DIGITS, {**inputs, "images": GOOD}), misfit(many, inputs)):
        assert len(sentence) < 4000
    missing = misfit(ModelSpec(name="m", inputs={"x": IMAGES, **dict.fromkeys(inputs, TensorSpec())}), inputs)
    assert "'x' of model 'm' is missing" in missing
    assert len(missing) < 2000


def test_a_misfit_of_many_dimensions_stays_short() -> None:
    deep = np.zeros([1] * 32, np.int8)
    assert len(misfit(DIGITS, {"images": deep})) < 300
