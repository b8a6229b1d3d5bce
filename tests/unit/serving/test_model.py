"""A function as a model: what it takes, what it gives, and how mistakes on either side are told apart."""

from __future__ import annotations

import array
import asyncio
import re
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from eas_grpc.errors import ConfigError
from eas_grpc.serving import BadInput, Model, model
from eas_grpc.tensors import ModelSpec, TensorSpec

ROW = np.arange(3, dtype=np.float32)
F32 = TensorSpec("float32")
IMAGES = {"images": TensorSpec("float32", (None, 784))}


def run(made, inputs, wanted=()):
    """In both ways of running it."""
    given = asyncio.run(made.run_async(inputs, wanted))
    if not made.asynchronous:
        for name, value in made.run(inputs, wanted).items():
            np.testing.assert_array_equal(value, given[name])
    return given


@model
def double(x: NDArray[np.float32], times: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
    """Twice as much."""
    return x * np.float32(2 if times is None else times)


def test_a_decorated_function_stays_one():
    np.testing.assert_array_equal(double(ROW), ROW * 2)
    np.testing.assert_array_equal(double(x=ROW, times=3), ROW * 3)
    assert (double.__name__, double.__doc__) == ("double", "Twice as much.")
    assert repr(double) == "<Model 'double': x: float32, times: int64 -> output: float32>"


def test_its_spec_is_what_the_function_says():
    assert double.spec == ModelSpec(
        name="double",
        inputs={"x": F32, "times": TensorSpec("int64")},
        outputs={"output": F32},
        optional=frozenset({"times"}),
        versions=("1",),
        platform="eas-grpc",
        signature="serving_default",
    )


def test_what_is_said_explicitly_replaces_what_the_function_says():
    @model(name="digits", signature="predict_images", inputs=IMAGES, outputs={"scores": F32})
    def read_digits(images: NDArray[np.float64], debug=False): ...

    spec = read_digits.spec
    assert (spec.name, spec.signature) == ("digits", "predict_images")
    assert (spec.inputs, spec.outputs, spec.optional) == (IMAGES, {"scores": F32}, frozenset())


def test_a_function_of_any_names_may_be_given_some():
    assert Model(lambda **inputs: inputs, name="any").spec.inputs is None
    assert Model(lambda **inputs: inputs, name="some", inputs=IMAGES).spec.inputs == IMAGES


MISTAKES = [
    (lambda: Model(lambda x: x), "needs a name: @serving.model(name='digits')"),
    (lambda: Model(double, name=""), "needs a name"),
    (lambda: Model(lambda x: x, name="m", inputs={"y": F32}), "'y': ...}, which its function does not take"),
    (lambda: Model(lambda x, y: x, name="m", inputs={"x": F32}), "needs 'y', which inputs= does not name"),
    (lambda: Model(lambda x: x, name="m", inputs=["x"]), "inputs holds ['x']: write inputs={'images'"),
    (lambda: Model(lambda x: x, name="m", outputs={"x": np.float32}), "outputs holds 'x': write outputs="),
    (lambda: Model(lambda x: x, name="m", outputs={"": F32}), "outputs holds ''"),
]


@pytest.mark.parametrize(("make", "text"), MISTAKES, ids=[text for _, text in MISTAKES])
def test_a_mistake_is_found_when_the_model_is_made(make, text):
    with pytest.raises(ConfigError, match=re.escape(text)):
        make()


@model
def echo(**inputs):
    return inputs


@model
def named_and_more(scale: NDArray[np.float32], **more):
    return {name: value * scale for name, value in more.items()}


@model(outputs={"low": TensorSpec(), "high": TensorSpec()})
def pair(x):
    return x.min(), x.max()


@model
async def later(x: NDArray[np.float32]) -> NDArray[np.float32]:
    await asyncio.sleep(0)
    return x + 1


def values(outputs):
    return {name: value.tolist() for name, value in outputs.items()}


@pytest.mark.parametrize(
    ("made", "inputs", "wanted", "outputs"),
    [
        (double, {"x": ROW}, (), {"output": [0, 2, 4]}),
        (double, {"x": ROW, "times": np.int64(3)}, (), {"output": [0, 3, 6]}),
        (echo, {"b": ROW, "a": ROW[:1]}, (), {"b": [0, 1, 2], "a": [0]}),
        (echo, {"b": ROW, "a": ROW[:1]}, ("a",), {"a": [0]}),
        (echo, {}, (), {}),
        (named_and_more, {"scale": np.float32(2), "x": ROW}, (), {"x": [0, 2, 4]}),
        (pair, {"x": ROW}, (), {"low": 0, "high": 2}),
        (pair, {"x": ROW}, ("high", "low"), {"high": 2, "low": 0}),
        (later, {"x": ROW}, (), {"output": [1, 2, 3]}),
    ],
)
def test_results_become_outputs_by_name(made, inputs, wanted, outputs):
    inputs = {name: np.asarray(value) for name, value in inputs.items()}
    found = run(made, inputs, wanted)
    assert values(found) == outputs
    assert list(found) == list(outputs)


@pytest.mark.parametrize(
    ("value", "items"),
    [(np.float64(3.5), 3.5), (array.array("d", [3.5]), [3.5]), (memoryview(b"ab"), [97, 98])],
)
def test_a_result_may_be_whatever_is_an_array(value, items):
    assert values(Model(lambda: value, name="m").run({})) == {"output": items}


REFUSALS = [
    (double, {}, (), "input 'x' of model 'double' is missing: it must be float32; the request has none"),
    (double, {"x": ROW.astype(np.float64)}, (), "must be float32; it is float64 of shape [3]"),
    (double, {"x": ROW, "y": ROW}, (), "has no input 'y': it takes 'x' (float32), 'times' (int64)"),
    (double, {"x": ROW}, ("y",), "model 'double' has no output 'y' for these inputs; it gives 'output'"),
    (echo, {"a": ROW}, ("b",), "has no output 'b' for these inputs; it gives 'a'"),
    (named_and_more, {"x": ROW}, (), "input 'scale' of model 'named_and_more' is missing"),
    (named_and_more, {"scale": np.ones(1)}, (), "must be float32; it is float64"),
    (later, {}, (), "input 'x' of model 'later' is missing"),
    (
        Model(lambda images: images, name="m", inputs=IMAGES),
        {"images": ROW},
        (),
        "input 'images' of model 'm' must be float32 of shape [N, 784]; it is float32 of shape [3]",
    ),
]


@pytest.mark.parametrize(("made", "inputs", "wanted", "text"), REFUSALS, ids=[text for *_, text in REFUSALS])
def test_inputs_that_do_not_fit_are_the_callers_mistake(made, inputs, wanted, text):
    with pytest.raises(BadInput, match=re.escape(text)):
        run(made, inputs, wanted)


def test_a_model_that_is_known_not_to_have_an_output_is_not_run_for_it():
    def never():
        raise AssertionError("it was run")

    with pytest.raises(BadInput, match="has no output 'y'"):
        Model(never, name="m", outputs={"x": F32}).run({}, ("y",))


ONE = {"a": F32}
TWO = {"a": F32, "b": F32}
LIES = [
    (None, [1.0], "'output' is a list, which is not an array"),
    (None, None, "'output' is a NoneType"),
    (None, 3.5, "'output' is a float, which is not an array"),
    (None, (ROW, ROW), "returned a tuple of 2: name as many in @serving.model(outputs={...})"),
    (TWO, (ROW,), "returned a tuple of 1"),
    (TWO, ROW, "returned one ndarray for its outputs 'a', 'b': return a dict by name"),
    (ONE, {"b": ROW}, "returned the outputs 'b' and is declared to have 'a'"),
    (TWO, {"a": ROW}, "returned the outputs 'a' and is declared to have 'a', 'b'"),
    (
        ONE,
        ROW.astype(np.float64),
        "output 'a' of model 'm' is declared as float32; it is float64 of shape [3]",
    ),
    (None, {"x": np.zeros(1, "datetime64[s]")}, "no tensor format has the dtype datetime64[s]"),
]


@pytest.mark.parametrize(("outputs", "result", "text"), LIES, ids=[text for *_, text in LIES])
def test_a_result_that_is_not_as_declared_is_the_authors_mistake(outputs, result, text):
    with pytest.raises(ConfigError, match=re.escape(text)):
        run(Model(lambda: result, name="m", outputs=outputs), {})


def counting(count):
    closed.clear()
    try:
        for number in range(int(count)):
            yield np.arange(number, number + 2)
    finally:
        closed.append(True)


async def counting_later(count):
    for part in counting(count):
        await asyncio.sleep(0)
        yield part


closed: list[bool] = []


@pytest.mark.parametrize("function", [counting, counting_later])
@pytest.mark.parametrize(
    ("count", "whole"), [(3, {"output": [0, 1, 1, 2, 2, 3]}), (1, {"output": [0, 1]}), (0, {})]
)
def test_the_parts_of_a_generator_are_joined_for_who_wants_the_whole(function, count, whole):
    assert values(run(Model(function), {"count": np.asarray(count)})) == whole


@pytest.mark.parametrize("function", [counting, counting_later])
def test_who_wants_parts_gets_each(function):
    async def collect():
        return [values(part) async for part in Model(function).parts_async({"count": np.asarray(2)})]

    assert asyncio.run(collect()) == [{"output": [0, 1]}, {"output": [1, 2]}]


@pytest.mark.parametrize("made", [double, later])
def test_a_model_that_has_no_parts_gives_the_whole_as_one(made):
    async def collect():
        return [part async for part in made.parts_async({"x": ROW})]

    assert len(asyncio.run(collect())) == 1


def test_a_generator_that_nobody_listens_to_is_closed():
    parts = Model(counting).parts({"count": np.asarray(5)})
    next(parts)
    parts.close()
    assert closed == [True]


def test_scalars_become_one_element_each_however_many_there_are():
    def tokens(count):
        yield from range_of(count)

    def range_of(count):
        return (np.int64(number) for number in range(int(count)))

    for count in (1, 2):
        assert values(Model(tokens).run({"count": np.asarray(count)})) == {"output": list(range(count))}


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([np.zeros((1, 2)), np.zeros((1, 3))], "cannot be joined"),
        ([{"a": ROW}, {"b": ROW}], "yielded the outputs 'b' after 'a'"),
    ],
)
def test_parts_that_do_not_fit_together_are_the_authors_mistake(parts, text):
    def function():
        yield from parts

    with pytest.raises(ConfigError, match=text):
        Model(function).run({})


def test_a_coroutine_function_is_not_run_without_awaiting_it():
    with pytest.raises(ConfigError, match="model 'later' is `async def`: await run_async"):
        later.run({"x": ROW})


def test_serving_without_models_loads_no_numpy():
    program = (
        "import sys, eas_grpc.serving as s; s.Server, s.run; dir(s);"
        "assert not {'numpy', 'eas_grpc_pb'} & set(sys.modules); s.model; assert 'numpy' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
