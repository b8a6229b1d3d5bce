"""The demo models, as functions from named arrays to named arrays. Knows no protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from server_demo import digits
from server_demo.arrays import Array


class UnknownModel(LookupError):
    """There is no model of that name; the text lists those that there are."""


class BadInput(ValueError):
    """A model does not take these inputs, or does not have these outputs; the text says what it wants."""


def run(model: str, inputs: Mapping[str, Array], wanted: Sequence[str] = ()) -> dict[str, Array]:
    """The outputs of a model by name: the `wanted` ones in that order, all of them when none is named.

    `echo` gives each input back under its own name. `digits` takes `images`, float32 of shape [N, 784] with
    values from 0 to 1 (28 x 28 pixels, white digit on black), and gives `scores`, float32 of shape [N, 10]:
    the probability of each digit. Raises UnknownModel and BadInput.
    """
    if model not in _MODELS:
        raise UnknownModel(f"there is no model {model[:100]!r}; this server has {', '.join(sorted(_MODELS))}")
    outputs = _MODELS[model](inputs)
    if not wanted:
        return outputs
    for name in wanted:
        if name not in outputs:
            raise BadInput(
                f"model {model[:100]!r} has no output {name[:100]!r} for these inputs; it gives {_names(outputs)}"
            )
    return {name: outputs[name] for name in wanted}


def _echo(inputs: Mapping[str, Array]) -> dict[str, Array]:
    return dict(inputs)


def _digits(inputs: Mapping[str, Array]) -> dict[str, Array]:
    if set(inputs) != {"images"}:
        raise BadInput(f"model 'digits' takes one input, 'images'; the request has {_names(inputs)}")
    images = inputs["images"]
    if images.dtype != np.float32:
        raise BadInput(f"'images' must be float32; it is {images.dtype.name}")
    if images.ndim != 2 or images.shape[1] != digits.PIXELS:
        raise BadInput(
            f"'images' must have shape [N, {digits.PIXELS}], one image of 28 x 28 pixels per row;"
            f" it is {list(images.shape)}"
        )
    # Written so that NaN, which compares as false, is refused too.
    if not bool(((images >= 0) & (images <= 1)).all()):
        raise BadInput("'images' must hold values from 0 to 1; divide pixels of 0 to 255 by 255")
    return {"scores": digits.scores(images)}


_MODELS = {"digits": _digits, "echo": _echo}


def _names(arrays: Mapping[str, Array]) -> str:
    return ", ".join(repr(name) for name in sorted(arrays)) or "none"
