"""What a function says about itself: its inputs by parameter, dtypes by annotation. Pure; calls nothing."""

from __future__ import annotations

import collections.abc
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from eas_grpc.errors import ConfigError
from eas_grpc.tensors import TensorSpec
from eas_grpc.tensors._dtypes import element_of

__all__ = ["Signature", "read"]

# The scalar types that stand for several dtypes: numpy would make one of them, with a warning.
_ABSTRACT = frozenset(
    {
        np.generic,
        np.number,
        np.integer,
        np.signedinteger,
        np.unsignedinteger,
        np.inexact,
        np.floating,
        np.complexfloating,
        np.flexible,
        np.character,
    }
)

# What annotations are made of; often imported for type checkers alone.
_USUAL_NAMES = {"np": np, "numpy": np, "npt": npt, "NDArray": npt.NDArray, "ArrayLike": npt.ArrayLike}

_SEVERAL = (
    collections.abc.Iterator,
    collections.abc.Iterable,
    collections.abc.Generator,
    collections.abc.AsyncIterator,
    collections.abc.AsyncIterable,
    collections.abc.AsyncGenerator,
)


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What a function takes and how it has to be called.

    `inputs` are the parameters that have a name of their own, `optional` those with a default; `any_names`:
    it takes inputs of other names too. `result` is what the annotation says of a single resulting array.
    `partial`: it yields parts of the result. `asynchronous`: it has to be awaited.
    """

    name: str
    inputs: Mapping[str, TensorSpec]
    optional: frozenset[str]
    any_names: bool
    result: TensorSpec | None
    partial: bool
    asynchronous: bool


def read(function: Callable[..., Any]) -> Signature:
    """Reads a function, method, partial or callable object.

    Raises ConfigError for what cannot be called by names, and for a dtype that no tensor has.
    """
    if not callable(function):
        raise ConfigError(f"a model is a function from arrays to arrays, not {type(function).__name__}")
    name = getattr(function, "__name__", "")
    shown = name or type(function).__name__
    try:
        found = _signature(function)
    except (TypeError, ValueError):
        raise ConfigError(
            f"Python cannot see what {shown} takes: wrap it, def predict(images): return {shown}(images)"
        ) from None
    body = _body(function)
    evaluate = _evaluator(body)
    inputs: dict[str, TensorSpec] = {}
    optional: set[str] = set()
    any_names = False
    for parameter in found.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            any_names = True
            continue
        if parameter.kind in {parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL}:
            raise ConfigError(
                f"{shown} takes {parameter.name!r} by position, and the inputs of a model come by name:"
                f" write a plain parameter, or **{parameter.name} for inputs of any names"
            )
        try:
            inputs[parameter.name] = _spec(evaluate(parameter.annotation)) or TensorSpec()
        except ConfigError as error:
            raise ConfigError(f"the annotation of {parameter.name!r} in {shown}: {error}") from None
        if parameter.default is not parameter.empty:
            optional.add(parameter.name)
    try:
        result = _spec(_one(evaluate(found.return_annotation)))
    except ConfigError as error:
        raise ConfigError(f"the annotation of the result of {shown}: {error}") from None
    return Signature(
        name=name if name.isidentifier() else "",
        inputs=inputs,
        optional=frozenset(optional),
        any_names=any_names,
        result=result,
        partial=inspect.isgeneratorfunction(body) or inspect.isasyncgenfunction(body),
        asynchronous=inspect.iscoroutinefunction(body) or inspect.isasyncgenfunction(body),
    )


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    if sys.version_info >= (3, 14):
        import annotationlib

        # The default evaluates them, and fails for a name that was imported for type checkers alone.
        return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)
    return inspect.signature(function)


def _body(function: Any) -> Any:
    """The function that runs when this is called."""
    while isinstance(function, functools.partial):
        function = function.func
    return function if inspect.isroutine(function) else type(function).__call__


def _evaluator(body: Any) -> Callable[[Any], Any]:
    names = _USUAL_NAMES | getattr(inspect.unwrap(body), "__globals__", {})

    def evaluate(annotation: Any) -> Any:
        text = getattr(annotation, "__forward_arg__", annotation)
        if not isinstance(text, str):
            return annotation
        try:
            # As typing.get_type_hints does, but one by one: a name that is missing in one says nothing of others.
            return eval(text, dict(names))  # noqa: S307 - the author's own source
        except Exception:
            return None

    return evaluate


def _one(annotation: Any) -> Any:
    """What is yielded, where an annotation speaks of several."""
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) in _SEVERAL else annotation


def _spec(annotation: Any) -> TensorSpec | None:
    """What an annotation says of an array; None when it speaks of something else."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is np.ndarray:
        return TensorSpec()
    if origin is np.ndarray:
        scalars = typing.get_args(args[-1])
        return TensorSpec(_dtype(scalars[0]) if scalars else None)
    if origin is typing.Annotated:
        return _spec(args[0])
    if origin in {typing.Union, types.UnionType}:
        members = [_spec(each) for each in args if each is not type(None)]
        return members[0] if len(members) == 1 else None
    return None


def _dtype(scalar: Any) -> str | None:
    if not isinstance(scalar, type) or not issubclass(scalar, np.generic) or scalar in _ABSTRACT:
        return None
    return element_of(np.dtype(scalar)).name
