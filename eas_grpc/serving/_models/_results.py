"""What a function gave back, as arrays by name; an error here is the author's and goes to the log. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from eas_grpc.errors import ConfigError
from eas_grpc.serving._models._refusals import BadInput
from eas_grpc.tensors import ModelSpec, as_array
from eas_grpc.tensors._arrays import Array
from eas_grpc.tensors._specs import described

__all__ = ["ONLY", "chosen", "joined", "named", "unknown_output"]

# What the one result of a function is called that does not say so itself.
ONLY = "output"


def named(spec: ModelSpec, result: object) -> dict[str, Array]:
    """The outputs in a result: one array, a mapping by name, or a tuple in the order of the spec.

    Raises ConfigError when they are no arrays or not those of the spec.
    """
    outputs = {name: as_array(value, name) for name, value in _by_name(spec, result).items()}
    if spec.outputs is None:
        return outputs
    if outputs.keys() != spec.outputs.keys():
        raise ConfigError(
            f"model {spec.name!r} returned the outputs {_listed(outputs)} and is declared to have"
            f" {_listed(spec.outputs)}"
        )
    for name, array in outputs.items():
        if not spec.outputs[name].takes(array):
            raise ConfigError(
                f"output {name!r} of model {spec.name!r} is declared as {spec.outputs[name]};"
                f" it is {described(array)}"
            )
    return outputs


def _by_name(spec: ModelSpec, result: object) -> Mapping[str, Any]:
    if isinstance(result, Mapping):
        return result
    names = (ONLY,) if spec.outputs is None else tuple(spec.outputs)
    if isinstance(result, tuple):
        if spec.outputs is None or len(result) != len(names):
            raise ConfigError(
                f"model {spec.name!r} returned a tuple of {len(result)}: name as many in"
                " @serving.model(outputs={...}), or return a dict by name"
            )
        return dict(zip(names, result, strict=True))
    if len(names) != 1:
        raise ConfigError(
            f"model {spec.name!r} returned one {type(result).__name__} for its outputs {_listed(names)}:"
            " return a dict by name, or a tuple in this order"
        )
    return {names[0]: result}


def unknown_output(spec: ModelSpec, wanted: Sequence[str]) -> BadInput | None:
    """The refusal of an output that the model is known not to have, before it is run for nothing."""
    if spec.outputs is not None:
        for name in wanted:
            if name not in spec.outputs:
                return _no_output(spec, name, spec.outputs)
    return None


def chosen(spec: ModelSpec, outputs: dict[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
    """The `wanted` outputs in that order, all of them when none is named. Raises BadInput."""
    if not wanted:
        return outputs
    for name in wanted:
        if name not in outputs:
            raise _no_output(spec, name, outputs)
    return {name: outputs[name] for name in wanted}


def joined(spec: ModelSpec, parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """The whole result: its parts behind one another along the first axis, scalars as one element each.

    Raises ConfigError when they do not fit together.
    """
    if not parts:
        return {}
    names = parts[0].keys()
    for part in parts:
        if part.keys() != names:
            raise ConfigError(
                f"model {spec.name!r} yielded the outputs {_listed(part)} after {_listed(names)}: every part"
                " has the same"
            )
    try:
        return {name: _one_array([np.atleast_1d(part[name]) for part in parts]) for name in names}
    except ValueError as error:
        raise ConfigError(f"the parts that model {spec.name!r} yielded cannot be joined: {error}") from None


def _one_array(arrays: list[Array]) -> Array:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _no_output(spec: ModelSpec, name: str, outputs: Mapping[str, object]) -> BadInput:
    return BadInput(
        f"model {spec.name[:100]!r} has no output {name[:100]!r} for these inputs; it gives {_listed(outputs)}"
    )


def _listed(names: Any) -> str:
    return ", ".join(repr(name) for name in names) or "none"
