"""What callers hand over, as numpy arrays; and arrays on the bytes of a message. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eas_grpc.errors import ConfigError, WireError
from eas_grpc.tensors._dtypes import element_of
from eas_grpc.tensors._wire import MOST_DIMENSIONS, Buffer

__all__ = ["Array", "array_at", "as_array", "byte_items", "bytes_array"]

Array = NDArray[Any]

# numpy's own limit, which was 32 before version 2.
_MOST_ELEMENTS = 2**63 - 1
_ON_CPU = frozenset((1, 3, 11, 13))  # kDLCPU, and host memory that CUDA, ROCm or CUDA managed


def as_array(value: object, name: str = "array") -> Array:
    """`value` as a numpy array, without a copy.

    Takes numpy arrays and scalars, whatever has the buffer protocol (array.array, bytearray, memoryview, mmap)
    or `__dlpack__` (torch, jax, cupy, pyarrow, ...), and else `__array__` (pandas). Raises ConfigError, which
    names the tensor, for anything else, for memory on a device, and for a dtype that no format has.
    """
    array = _converted(value, name)
    if isinstance(array, np.ma.MaskedArray):
        raise ConfigError(f"{name!r} is a masked array, and a mask does not travel: pass .filled(value)")
    try:
        element_of(array.dtype)
    except ConfigError as error:
        raise ConfigError(f"{name!r}: {error}") from None
    # As the plain class: np.matrix, for one, keeps two dimensions whatever it is asked for.
    return np.asarray(array)


def _converted(value: object, name: str) -> Array:
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, np.generic):
        return np.asarray(value)
    if isinstance(value, bytes | str):
        raise ConfigError(
            f"{name!r} is a {type(value).__name__}: write np.array(value, dtype=object) for one string,"
            " np.frombuffer(value, dtype) for the bytes of numbers"
        )
    if hasattr(value, "__dlpack__"):
        return _from_dlpack(value, name)
    try:
        return np.asarray(memoryview(value))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        pass
    if hasattr(value, "__array__"):
        return np.asarray(value)
    hint = "write np.asarray(value, dtype=np.float32), with the dtype that the model wants"
    raise ConfigError(f"{name!r} is a {type(value).__name__}, which is not an array: {hint}")


def _from_dlpack(value: Any, name: str) -> Array:
    try:
        kind = int(value.__dlpack_device__()[0])
    except Exception:
        kind = 1
    if kind not in _ON_CPU:
        device = getattr(value, "device", f"of DLPack type {kind}")
        raise ConfigError(f"{name!r} lies on the device {device}: move it first, with .cpu() or its like")
    try:
        return np.from_dlpack(value)
    except Exception as error:
        raise ConfigError(f"{name!r} cannot be read by DLPack ({error}): pass it as a numpy array") from None


def array_at(
    data: Buffer, start: int, end: int, dtype: np.dtype[Any], shape: Sequence[int], name: str
) -> Array:
    """The array whose elements lie at these bytes: a read-only view that keeps the buffer alive.

    Raises WireError when length and shape disagree. Costs the same for any size, but for bool, whose bytes are
    looked at.
    """
    needed = element_count(shape, name) * dtype.itemsize
    if needed != end - start:
        raise WireError(
            f"tensor {name[:100]!r} has {end - start} bytes of data, but {dtype.name} of shape {shape[:32]}"
            f" needs {needed}"
        )
    # Of a memoryview, np.ndarray would keep what it shows and drop the view itself, whose life is what holds a
    # bytearray in its place and a mmap open.
    held: Any = np.frombuffer(data, np.uint8) if needed and isinstance(data, memoryview) else data
    try:
        array: Array = np.ndarray(shape, dtype, held, start) if needed else np.empty(shape, dtype)
    except ValueError as error:
        # An empty tensor may claim dimensions that no array can have.
        raise WireError(f"tensor {name[:100]!r} has a shape that no array can have: {error}") from None
    if dtype.kind == "b" and needed and int(array.view(np.uint8).max()) > 1:
        raise WireError(f"tensor {name[:100]!r} is of bool and holds a byte other than 0 and 1")
    if array.flags.writeable:
        array.flags.writeable = False
    return array


def element_count(shape: Sequence[int], name: str) -> int:
    """How many elements a shape has. Raises WireError for a shape that no array can have."""
    if len(shape) > MOST_DIMENSIONS:  # their product would take minutes to work out
        raise WireError(f"tensor {name[:100]!r} has {len(shape)} dimensions: the most is {MOST_DIMENSIONS}")
    if any(size < 0 for size in shape):
        raise WireError(f"tensor {name[:100]!r} has shape {shape[:32]}: no dimension may be negative")
    count = math.prod(shape)
    if count > _MOST_ELEMENTS:
        raise WireError(f"tensor {name[:100]!r} has shape {shape[:32]}: no array has so many elements")
    return count


def byte_items(array: Array, name: str) -> list[bytes]:
    """The elements of an array of bytes or text, row-major; text as UTF-8. Raises ConfigError for others."""
    items = array.ravel().tolist()
    for position, item in enumerate(items):
        if isinstance(item, str):
            try:
                items[position] = item.encode()
            except UnicodeEncodeError:
                raise ConfigError(f"element {position} of {name!r} is text that UTF-8 cannot hold") from None
        elif not isinstance(item, bytes):
            raise ConfigError(
                f"element {position} of {name!r} is a {type(item).__name__}: an array of objects may hold"
                " bytes and str alone"
            )
    return items


def bytes_array(items: list[bytes], shape: list[int], name: str) -> Array:
    """The array of objects that holds these byte strings. Raises WireError when their count does not fit."""
    count = element_count(shape, name)
    if count != len(items):
        raise WireError(
            f"tensor {name[:100]!r} has {len(items)} byte strings, but its shape {shape[:32]} needs {count}"
        )
    try:
        array = np.empty(shape, object)
    except ValueError as error:
        raise WireError(f"tensor {name[:100]!r} has a shape that no array can have: {error}") from None
    # By hand: numpy would take equally long byte strings for rows.
    flat = array.reshape(-1)
    for position, item in enumerate(items):
        flat[position] = item
    array.flags.writeable = False
    return array
