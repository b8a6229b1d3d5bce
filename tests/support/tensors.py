"""Strategies: arrays of every element type, shape and layout; requests; messages written in unusual ways."""

from __future__ import annotations

import os
import random
from typing import Any

import hypothesis
import ml_dtypes
import numpy as np
from eas_grpc_pb.tensor.v1 import tensor_pb2 as pb
from google.protobuf.message import Message
from hypothesis import strategies as st

from eas_grpc.tensors import Request, Response
from support.disguise import TRICKS, Disguise

CI = bool(os.environ.get("CI"))


def cases(number: int) -> hypothesis.settings:
    """So many examples in CI, a twentieth elsewhere: at most a few seconds for each test."""
    return hypothesis.settings(max_examples=number if CI else max(number // 20, 10))


PLAIN = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64 complex128"
EXTENDED = (
    "bfloat16 float8_e3m4 float8_e4m3 float8_e4m3b11fnuz float8_e4m3fn float8_e4m3fnuz float8_e5m2"
    " float8_e5m2fnuz float8_e8m0fnu int4 uint4"
)
NUMERIC = {name: np.dtype(getattr(ml_dtypes, name, None) or name) for name in f"{PLAIN} {EXTENDED}".split()}

LAYOUTS = ("C", "F", "strided", "negative", "broadcast", "big-endian", "read-only", "unaligned", "matrix")
STRINGS = ("bytes", "text", "mixed", "S", "U", "StringDType")

names = st.text(max_size=12)
shapes = st.one_of(
    st.lists(st.integers(0, 4), max_size=4).map(tuple),
    st.lists(st.integers(1, 2), min_size=5, max_size=7).map(tuple),
    st.sampled_from([(), (0,), (1,), (0, 2**40), (2**40, 0), (1,) * 32, (17,), (3, 0, 5), (2, 3, 4)]),
)


def laid_out(array: np.ndarray, layout: str) -> np.ndarray:
    """The same elements (but for `broadcast`, which repeats the first ones) elsewhere in memory."""
    if layout == "F":
        return np.array(array, order="F")
    if layout == "strided" and array.size and 0 < array.ndim <= 4:
        room = np.zeros([2 * size + 1 for size in array.shape], array.dtype)
        view = room[tuple(slice(1, None, 2) for _ in array.shape)]
        view[...] = array
        return view
    if layout == "negative":
        return np.asarray(np.flip(np.array(np.flip(array), order="C")))
    if layout == "broadcast" and array.ndim and array.shape[0]:
        return np.broadcast_to(array[:1], array.shape)
    if layout == "big-endian" and array.dtype.kind not in "OT":
        return array.astype(array.dtype.newbyteorder(">"))
    if layout == "read-only":
        array = array.copy()
        array.flags.writeable = False
    if layout == "unaligned" and array.dtype.kind not in "OT":
        moved = np.ndarray(array.shape, array.dtype, bytearray(array.nbytes + 1), 1)
        moved[...] = array
        return moved
    if layout == "matrix" and array.ndim == 2 and array.dtype.kind not in "OT":
        return array.view(np.matrix)
    return array


def numbers(data: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray:
    """The array of these bytes, made valid: a boolean is 0 or 1, a number of four bits has no more."""
    raw = np.frombuffer(data, np.uint8).copy()
    if dtype.name in {"bool", "int4", "uint4"}:
        raw &= 1 if dtype.name == "bool" else 15
    return raw.view(dtype).reshape(shape)


def count_of(shape: tuple[int, ...]) -> int:
    """How many elements a shape has."""
    return int(np.prod(shape, dtype=object))


@st.composite
def numeric_arrays(draw: st.DrawFn) -> np.ndarray:
    """Arrays of numbers: every dtype, shape and layout, and any bits."""
    dtype = NUMERIC[draw(st.sampled_from(sorted(NUMERIC)))]
    shape = draw(shapes)
    size = count_of(shape) * dtype.itemsize
    # Repeated, since long data is slow to make.
    data = draw(st.binary(min_size=1, max_size=64))
    data = (data * (size // len(data) + 1))[:size]
    return laid_out(numbers(data, dtype, shape), draw(st.sampled_from(LAYOUTS)))


@st.composite
def string_arrays(draw: st.DrawFn) -> np.ndarray:
    """Arrays of byte strings or text, in every way that numpy has of holding them."""
    kind = draw(st.sampled_from(STRINGS))
    shape = draw(shapes.filter(lambda shape: count_of(shape) <= 30))
    item = {"bytes": st.binary(max_size=6), "S": st.binary(max_size=6)}.get(kind, st.text(max_size=6))
    if kind == "mixed":
        item = item | st.binary(max_size=6) | st.sampled_from([np.bytes_(b"a\0"), np.str_("b"), b"", ""])
    size = count_of(shape)
    array = np.empty(size, object)
    array[:] = draw(st.lists(item, min_size=size, max_size=size))
    array = array.reshape(shape)
    if kind in "SU":
        array = array.astype(kind)
    elif kind == "StringDType" and hasattr(np.dtypes, "StringDType"):
        array = array.astype(np.dtypes.StringDType())
    return laid_out(array, draw(st.sampled_from(LAYOUTS)))


arrays = st.one_of(numeric_arrays(), numeric_arrays(), string_arrays())
tensors = st.dictionaries(names, arrays, max_size=4)
# By position, since hypothesis would make up the rest of the fields by their types.
requests = st.tuples(names, tensors, st.lists(names, max_size=3).map(tuple)).map(
    lambda fields: Request(*fields)
)
responses = st.tuples(names, tensors).map(lambda fields: Response(*fields))


@st.composite
def pb_tensors(draw: st.DrawFn, name: str) -> pb.Tensor:
    """Tensors as protobuf has them: mostly sound."""
    array = np.asarray(draw(arrays))
    tensor = pb.Tensor(name=name, shape=array.shape)
    if array.dtype.kind in "SUOT":
        tensor.dtype = pb.DTYPE_BYTES
        items = array.reshape(-1).tolist()
        tensor.items.extend(item.encode() if isinstance(item, str) else bytes(item) for item in items)
    else:
        tensor.dtype = pb.DType.Value(f"DTYPE_{array.dtype.name.upper()}")
        tensor.data = array.astype(array.dtype.newbyteorder("<")).tobytes()
    return tensor


@st.composite
def pb_requests(draw: st.DrawFn) -> pb.PredictRequest:
    """Sound requests as protobuf has them."""
    inputs = [draw(pb_tensors(name)) for name in draw(st.lists(names, max_size=3, unique=True))]
    return pb.PredictRequest(
        model=draw(names),
        inputs=inputs,
        outputs=draw(st.lists(names, max_size=3)),
        padding=draw(st.binary(max_size=3)),
    )


@st.composite
def pb_responses(draw: st.DrawFn) -> pb.PredictResponse:
    """Sound responses as protobuf has them."""
    outputs = [draw(pb_tensors(name)) for name in draw(st.lists(names, max_size=3, unique=True))]
    return pb.PredictResponse(model=draw(names), outputs=outputs)


@st.composite
def disguises(draw: st.DrawFn) -> Disguise:
    """Ways of writing a message; a failure shrinks to the tricks that it takes."""
    tricks = draw(st.sets(st.sampled_from(TRICKS)))
    return Disguise(random.Random(draw(st.integers(0, 2**32))), tricks)


@st.composite
def disguised(draw: st.DrawFn, messages: st.SearchStrategy[Message]) -> tuple[Message, bytes]:
    """A message and bytes that say the same."""
    message = draw(messages)
    return message, draw(disguises()).bytes_of(message)


@st.composite
def damaged(draw: st.DrawFn, messages: st.SearchStrategy[Message]) -> bytes:
    """A message of which a few bytes were changed, lost or added."""
    data = bytearray(draw(disguised(messages))[1])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        what = draw(st.sampled_from(["change", "cut", "add", "drop"]))
        if what == "change" and at < len(data):
            data[at] = draw(st.integers(0, 255))
        elif what == "cut":
            del data[at:]
        elif what == "add":
            data[at:at] = draw(st.binary(min_size=1, max_size=3))
        elif what == "drop":
            del data[at : at + 1]
    return bytes(data)
