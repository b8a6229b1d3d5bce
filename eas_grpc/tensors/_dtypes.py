"""The element types: one table of what each is called in every format. Pure.

Sources: tensor.proto here; "Open Inference Protocol", section "Tensor Data Types", with BF16 from Triton;
TensorFlow's DataType enumeration (types.proto).
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np

from eas_grpc.errors import ConfigError, WireError

__all__ = ["BYTES", "Element", "dtype_of", "element_named", "element_of"]


class Element(NamedTuple):
    """An element type: numpy's (or ml_dtypes') name for it, and the formats'; None where one lacks it."""

    name: str
    native: int
    open_inference: str | None
    tf: int | None


BYTES = Element("bytes", 26, "BYTES", 7)

ELEMENTS = (
    Element("bool", 1, "BOOL", 10),
    Element("int8", 2, "INT8", 6),
    Element("int16", 3, "INT16", 5),
    Element("int32", 4, "INT32", 3),
    Element("int64", 5, "INT64", 9),
    Element("uint8", 6, "UINT8", 4),
    Element("uint16", 7, "UINT16", 17),
    Element("uint32", 8, "UINT32", 22),
    Element("uint64", 9, "UINT64", 23),
    Element("float16", 10, "FP16", 19),
    Element("float32", 11, "FP32", 1),
    Element("float64", 12, "FP64", 2),
    Element("bfloat16", 13, "BF16", 14),
    Element("float8_e3m4", 14, None, None),
    Element("float8_e4m3", 15, None, None),
    Element("float8_e4m3b11fnuz", 16, None, 27),
    Element("float8_e4m3fn", 17, None, 25),
    Element("float8_e4m3fnuz", 18, None, 26),
    Element("float8_e5m2", 19, None, 24),
    Element("float8_e5m2fnuz", 20, None, 28),
    Element("float8_e8m0fnu", 21, None, None),
    Element("int4", 22, None, 29),
    Element("uint4", 23, None, 30),
    Element("complex64", 24, None, 8),
    Element("complex128", 25, None, 18),
    BYTES,
)

_BY_NAME = {element.name: element for element in ELEMENTS}
# Byte strings of one length, text, and arrays of Python objects or of numpy 2's StringDType.
_KINDS_OF_BYTES = frozenset("SUOT")


@lru_cache(maxsize=256)
def element_of(dtype: np.dtype[Any]) -> Element:
    """The element type of arrays of this dtype, in either byte order. Raises ConfigError when there is none."""
    if dtype.kind in _KINDS_OF_BYTES:
        return BYTES
    if dtype.names is None and dtype.subdtype is None and (found := _BY_NAME.get(dtype.name)):
        return found
    hint = " (.view('int64') gives its numbers)" if dtype.kind in "mM" else ""
    raise ConfigError(f"no tensor format has the dtype {dtype.name}: convert the array with .astype(){hint}")


def element_named(name: str) -> Element:
    """The element type of this name: numpy's or ml_dtypes', or `bytes`. Raises ConfigError."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    raise ConfigError(f"no tensor format has the dtype {name!r}: write one of {', '.join(_BY_NAME)}")


@cache
def dtype_of(element: Element) -> np.dtype[Any]:
    """The little-endian dtype of an element type that is not BYTES.

    Raises ConfigError when it is one of ml_dtypes' and that package is missing or too old.
    """
    try:
        return np.dtype(element.name).newbyteorder("<")
    except TypeError:
        pass
    try:
        import ml_dtypes

        extended: np.dtype[Any] = np.dtype(getattr(ml_dtypes, element.name))
    except (ImportError, AttributeError):
        raise ConfigError(
            f"a tensor of {element.name} needs the package ml_dtypes: pip install -U ml_dtypes"
        ) from None
    return extended


def unknown(dtype: object, name: str) -> WireError:
    """The error for an element type that the format has and this package does not, or that nobody has."""
    return WireError(f"tensor {name[:100]!r} has the unknown dtype {str(dtype)[:100]!r}")
