"""What a function says about its inputs and its result, and which functions cannot be models."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Optional, TypeVar

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from eas_grpc.errors import ConfigError
from eas_grpc.serving._models._signature import read
from eas_grpc.tensors import TensorSpec

if TYPE_CHECKING:
    from nowhere import Unknown

T = TypeVar("T", bound=np.generic)


def dtype_of_input(annotation):
    def function(x):
        pass

    function.__annotations__ = {"x": annotation}
    (spec,) = read(function).inputs.values()
    assert spec.shape is None
    return spec.dtype


@pytest.mark.parametrize(
    ("annotation", "dtype"),
    [
        (NDArray[np.float32], "float32"),
        (NDArray[np.bool_], "bool"),
        (NDArray[np.longlong], "int64"),
        (NDArray[np.str_], "bytes"),
        (NDArray[np.object_], "bytes"),
        (NDArray[ml_dtypes.bfloat16], "bfloat16"),
        (np.ndarray[tuple[int, int], np.dtype[np.uint8]], "uint8"),
        (Optional[NDArray[np.int32]], "int32"),  # noqa: UP045 - another object than with the bar
        (NDArray[np.int32] | None, "int32"),
        (Annotated[NDArray[np.int8], "pixels"], "int8"),
        ("NDArray[np.float64]", "float64"),
        ("npt.NDArray[numpy.float16]", "float16"),
    ],
)
def test_an_annotation_fixes_the_dtype(annotation, dtype):
    assert dtype_of_input(annotation) == dtype


@pytest.mark.parametrize(
    "annotation",
    [
        np.ndarray,
        NDArray[Any],
        NDArray[np.floating],
        NDArray[np.generic],
        NDArray[T],
        NDArray[np.float32] | NDArray[np.float64],
        ArrayLike,
        Any,
        float,
        "Unknown",
        "NDArray[Unknown]",
        "not python",
    ],
)
def test_an_annotation_that_speaks_of_no_single_dtype_allows_any(annotation):
    assert dtype_of_input(annotation) is None


def test_a_dtype_that_no_tensor_has_is_refused_when_the_function_is_read():
    with pytest.raises(
        ConfigError, match="annotation of 'x' in function: no tensor format has the dtype datetime64"
    ):
        dtype_of_input(NDArray[np.datetime64])

    def late() -> NDArray[np.timedelta64]: ...

    with pytest.raises(ConfigError, match="annotation of the result of late"):
        read(late)


def test_a_name_for_type_checkers_alone_hides_no_other_annotation():
    def function(a: Unknown, b: NDArray[np.float32]) -> NDArray[np.int64]: ...

    found = read(function)
    assert found.inputs == {"a": TensorSpec(), "b": TensorSpec("float32")}
    assert found.result == TensorSpec("int64")


def test_parameters_are_inputs_and_defaults_make_them_optional():
    def function(images, *, mask: NDArray[np.bool_] | None = None, scale=1.0): ...

    found = read(function)
    assert list(found.inputs) == ["images", "mask", "scale"]
    assert found.optional == {"mask", "scale"}
    assert not found.any_names
    assert found.name == "function"


def test_keyword_arguments_are_inputs_of_any_names():
    def function(images, **others): ...

    found = read(function)
    assert (list(found.inputs), found.any_names) == (["images"], True)


def result_of(annotation):
    def function(): ...

    function.__annotations__ = {"return": annotation}
    return read(function).result


@pytest.mark.parametrize(
    ("annotation", "spec"),
    [
        (np.ndarray, TensorSpec()),
        (NDArray[np.float32], TensorSpec("float32")),
        (Iterator[NDArray[np.float32]], TensorSpec("float32")),
        ("AsyncIterator[NDArray[np.float32]]", TensorSpec("float32")),
        (dict[str, np.ndarray], None),
        (tuple[np.ndarray, np.ndarray], None),
        (None, None),
        (Any, None),
    ],
)
def test_the_annotation_of_the_result_tells_of_one_array(annotation, spec):
    assert AsyncIterator
    assert result_of(annotation) == spec


def plain(x): ...


def parts(x):
    yield x


async def awaited(x): ...


async def awaited_parts(x):
    yield x


class Callable_:
    def __call__(self, x): ...

    def method(self, x): ...

    async def awaited_method(self, x): ...


class Awaited:
    async def __call__(self, x): ...


@pytest.mark.parametrize(
    ("function", "partial", "asynchronous"),
    [
        (plain, False, False),
        (parts, True, False),
        (awaited, False, True),
        (awaited_parts, True, True),
        (Callable_(), False, False),
        (Callable_().method, False, False),
        (Callable_().awaited_method, False, True),
        (Awaited(), False, True),
        (functools.partial(parts), True, False),
        (functools.partial(functools.partial(awaited)), False, True),
    ],
)
def test_how_it_has_to_be_called_is_seen(function, partial, asynchronous):
    found = read(function)
    assert (found.partial, found.asynchronous) == (partial, asynchronous)
    assert list(found.inputs) == ["x"]


def test_a_decorated_function_keeps_the_inputs_of_the_one_inside():
    @functools.wraps(plain)
    async def around(*args, **kwargs): ...

    found = read(around)
    assert (list(found.inputs), found.asynchronous) == (["x"], True)


@pytest.mark.parametrize(
    ("function", "name"),
    [(plain, "plain"), (lambda x: x, ""), (functools.partial(plain), ""), (Callable_(), "")],
)
def test_only_a_function_with_a_name_of_its_own_names_the_model(function, name):
    assert read(function).name == name


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda x, /: x, "<lambda> takes 'x' by position"),
        (lambda *images: images, r"write a plain parameter, or \*\*images"),
        (7, "a model is a function from arrays to arrays, not int"),
        (dict, "Python cannot see what dict takes"),
    ],
)
def test_what_cannot_be_called_by_names_is_refused(function, text):
    with pytest.raises(ConfigError, match=text):
        read(function)
