"""A small network that reads digits, from weights that train_digits.py made. Needs numpy alone."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PIXELS = 784

_HERE = Path(__file__).parent
WEIGHTS = _HERE / "digits_weights.npz"
SAMPLES = _HERE / "digits_samples.npz"

Float32 = NDArray[np.float32]


def scores(images: Float32) -> Float32:
    """The probability of each digit: float32 [N, 784] with values from 0 to 1 in, float32 [N, 10] out."""
    hidden_weights, hidden_bias, output_weights, output_bias = _weights()
    return forward(images, hidden_weights, hidden_bias, output_weights, output_bias)


def forward(
    images: Float32,
    hidden_weights: Float32,
    hidden_bias: Float32,
    output_weights: Float32,
    output_bias: Float32,
) -> Float32:
    """One hidden layer with rectified units, then a softmax."""
    hidden = np.maximum(images @ hidden_weights + hidden_bias, 0)
    logits = hidden @ output_weights + output_bias
    # Softmax does not change when a constant is subtracted, and exp() of at most 0 cannot overflow.
    raised = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), dtype=np.float32)


def samples() -> tuple[Float32, NDArray[np.int64]]:
    """Images that the network was not trained on, float32 [50, 784] from 0 to 1, and their digits, [50]."""
    with np.load(SAMPLES, allow_pickle=False) as stored:
        images: Float32 = np.divide(stored["images"], 255, dtype=np.float32)
        labels: NDArray[np.int64] = stored["labels"].astype(np.int64)
        return images, labels


@cache
def _weights() -> tuple[Any, Any, Any, Any]:
    with np.load(WEIGHTS, allow_pickle=False) as stored:
        # Stored as float16, which halves the file and costs no accuracy.
        arrays = [
            np.asarray(stored[name], dtype=np.float32)
            for name in ("hidden_weights", "hidden_bias", "output_weights", "output_bias")
        ]
    return arrays[0], arrays[1], arrays[2], arrays[3]
