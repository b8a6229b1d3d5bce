"""What a model takes and gives, and whether inputs fit. Pure; used before sending and after receiving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from eas_grpc.errors import ConfigError
from eas_grpc.tensors._arrays import Array
from eas_grpc.tensors._dtypes import element_named, element_of

__all__ = ["ModelSpec", "TensorSpec", "misfit"]

# How many tensors an error message names.
_SHOWN = 10


@dataclass(frozen=True)
class TensorSpec:
    """What one tensor has to be: a dtype by numpy's name (`bytes` for strings), and a shape.

    None is any: `TensorSpec("float32", (None, 784))` has any number of rows, `TensorSpec("float32")` any shape.
    Raises ConfigError.
    """

    dtype: str | None = None
    shape: tuple[int | None, ...] | None = None

    def __post_init__(self) -> None:
        if self.dtype is not None:
            element_named(self.dtype)
        for size in self.shape or ():
            if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 0):
                raise ConfigError(f"{size!r} is no dimension: write a size of 0 or more, or None for any")

    def __str__(self) -> str:
        """As an error message names it: `float32 of shape [N, 784]`."""
        dtype = "any dtype" if self.dtype is None else self.dtype
        return dtype if self.shape is None else f"{dtype} of shape {_shown(self.shape)}"

    def takes(self, array: Array) -> bool:
        """Whether an array is like that."""
        if self.dtype is not None and element_of(array.dtype).name != self.dtype:
            return False
        if self.shape is None:
            return True
        return len(self.shape) == array.ndim and all(
            wanted is None or wanted == size for wanted, size in zip(self.shape, array.shape, strict=True)
        )


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """What is known of a model. None for `inputs` or `outputs`: they may have any names.

    `optional` names inputs that may be left out. `platform` and `signature` are what a format calls so.
    """

    name: str
    inputs: Mapping[str, TensorSpec] | None = None
    outputs: Mapping[str, TensorSpec] | None = None
    optional: frozenset[str] = frozenset()
    versions: tuple[str, ...] = ()
    platform: str = ""
    signature: str = ""


def misfit(spec: ModelSpec, inputs: Mapping[str, Array]) -> str | None:
    """Why a model does not take these inputs: one sentence that names the input, what was expected and got."""
    if spec.inputs is None:
        return None
    for name, array in inputs.items():
        wanted = spec.inputs.get(name)
        if wanted is None:
            return (
                f"model {spec.name[:100]!r} has no input {name[:100]!r}: it takes {_listed(spec.inputs)},"
                f" and got {_names(inputs)}"
            )
        if not wanted.takes(array):
            return f"input {name[:100]!r} of model {spec.name[:100]!r} must be {wanted}; it is {described(array)}"
    for name, wanted in spec.inputs.items():
        if name not in inputs and name not in spec.optional:
            return (
                f"input {name[:100]!r} of model {spec.name[:100]!r} is missing: it must be {wanted};"
                f" the request has {_names(inputs)}"
            )
    return None


def described(array: Array) -> str:
    """Dtype and shape of an array, as an error message names them."""
    return f"{element_of(array.dtype).name} of shape {list(array.shape)}"


def _shown(shape: tuple[int | None, ...]) -> str:
    return f"[{', '.join('N' if size is None else str(size) for size in shape)}]"


def _listed(specs: Mapping[str, TensorSpec]) -> str:
    return _first([f"{name[:100]!r} ({spec})" for name, spec in islice(specs.items(), _SHOWN)], len(specs))


def _names(arrays: Mapping[str, Any]) -> str:
    return _first([repr(name[:100]) for name in islice(arrays, _SHOWN)], len(arrays))


def _first(shown: list[str], count: int) -> str:
    """A list for an error message, of which a peer may have sent a hundred thousand items."""
    more = f" and {count - len(shown)} more" if count > len(shown) else ""
    return f"{', '.join(shown)}{more}" or "none"
