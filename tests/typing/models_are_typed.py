"""A function that was made a model keeps its type. Checked by mypy and pyright, never run."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_type

from eas_grpc import serving
from eas_grpc.tensors import TensorSpec


@serving.model
def plain(images: NDArray[np.float32], scale: float = 1.0) -> NDArray[np.float32]:
    return images * np.float32(scale)


@serving.model(name="digits", outputs={"scores": TensorSpec("float32", (None, 10))})
def named(images: NDArray[np.float32]) -> list[int]:
    return [len(images)]


def calls(images: NDArray[np.float32]) -> None:
    assert_type(plain(images, scale=2.0), NDArray[np.float32])
    assert_type(named(images), list[int])
    assert_type(plain.run({"images": images}), dict[str, NDArray[Any]])
    plain(images, size=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    plain("images")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def registering(server: Any) -> None:
    models = serving.Models(plain, named, len, max_upload_bytes=1024)
    models.register(server)
    serving.Server(models.register)
    serving.AsyncServer(models.register_async)
