"""Makes digits_weights.npz and digits_samples.npz: `python -m server_demo.train_digits`. Needs scikit-learn.

The data are scikit-learn's own 1,797 handwritten digits of 8 x 8 pixels (UCI "Optical Recognition of
Handwritten Digits", in the package), enlarged to the 28 x 28 of the vendor's MNIST sample. A quarter is held
out, split by a fixed seed; accuracy is measured on it with the weights as stored.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from server_demo import digits

_SEED = 20
_HIDDEN_UNITS = 64
_SAMPLES = 50


def split() -> tuple[Any, Any, Any, Any]:
    """Training images, held-out images (float32 [N, 784], 0 to 1), training labels, held-out labels."""
    small, labels = load_digits(return_X_y=True)
    # Each pixel becomes 3 x 3, which makes 24 x 24, and a border of two black ones makes 28 x 28.
    large = np.kron(small.reshape(-1, 8, 8) / 16, np.ones((1, 3, 3)))
    images = np.pad(large, ((0, 0), (2, 2), (2, 2))).reshape(-1, digits.PIXELS).astype(np.float32)
    # What the samples can hold is what the network learns from: steps of 1/255.
    images = np.round(images * 255).astype(np.float32) / np.float32(255)
    parts = train_test_split(images, labels, test_size=0.25, random_state=_SEED, stratify=labels)
    return parts[0], parts[1], parts[2], parts[3]


def accuracy(images: Any, labels: Any) -> float:
    """The share of images that the stored weights read right."""
    return float((digits.scores(images).argmax(axis=1) == labels).mean())


def main() -> None:
    """Trains, stores weights and samples, and prints the held-out accuracy."""
    train_images, held_images, train_labels, held_labels = split()
    network = MLPClassifier((_HIDDEN_UNITS,), alpha=1e-2, max_iter=300, random_state=_SEED)
    network.fit(train_images, train_labels)
    np.savez_compressed(
        digits.WEIGHTS,
        hidden_weights=network.coefs_[0].astype(np.float16),
        hidden_bias=network.intercepts_[0].astype(np.float16),
        output_weights=network.coefs_[1].astype(np.float16),
        output_bias=network.intercepts_[1].astype(np.float16),
    )
    # The first ones as they come, the mistaken ones included.
    np.savez_compressed(
        digits.SAMPLES,
        images=np.round(held_images[:_SAMPLES] * 255).astype(np.uint8),
        labels=held_labels[:_SAMPLES].astype(np.uint8),
    )
    print(f"held-out accuracy {accuracy(held_images, held_labels):.4f} on {len(held_labels)} images")
    print(f"weights {digits.WEIGHTS.stat().st_size} bytes, samples {digits.SAMPLES.stat().st_size} bytes")


if __name__ == "__main__":
    main()
