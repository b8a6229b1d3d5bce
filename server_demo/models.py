"""The demo models, as functions from arrays to arrays. Knows no protocol."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from eas_grpc import serving
from eas_grpc.tensors import TensorSpec
from server_demo import digits

Array = NDArray[Any]


@serving.model
def echo(**inputs: Array) -> dict[str, Array]:
    """Each input under its own name."""
    return inputs


@serving.model(
    name="digits",
    signature="predict_images",
    inputs={"images": TensorSpec("float32", (None, digits.PIXELS))},
    outputs={"scores": TensorSpec("float32", (None, 10))},
)
def read_digits(images: digits.Float32) -> digits.Float32:
    """The probability of each digit, for images of 28 x 28 pixels, white digit on black, from 0 to 1."""
    # Written so that NaN, which compares as false, is refused too.
    if not bool(((images >= 0) & (images <= 1)).all()):
        raise serving.BadInput("'images' must hold values from 0 to 1; divide pixels of 0 to 255 by 255")
    return digits.scores(images)


MODELS = serving.Models(echo, read_digits)
