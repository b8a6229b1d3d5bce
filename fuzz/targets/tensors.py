"""The readers of `eas_grpc.tensors`, judged by protobuf's runtime.

The first byte of an input chooses the format and the rest is read as a request and as a response. Only a result
and WireError are allowed; a result that protobuf's runtime does not confirm is a finding, and so is one that changes
when it is written and read again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from eas_grpc_pb.open_inference.v2 import open_inference_pb2
from eas_grpc_pb.tensor.v1 import tensor_pb2
from eas_grpc_pb.tf_serving.v1 import prediction_service_pb2 as tf_pb2
from google.protobuf.message import DecodeError
from mutations import mutated
from support import tensor_oracle as oracle
from tensor_messages import seeds

from eas_grpc.errors import ConfigError, WireError
from eas_grpc.tensors import _wire, native, open_inference, tf_serving

__all__ = ["MEGABYTES", "RATE", "check", "mutate", "seeds"]

RATE = 3500
MEGABYTES = 384


class Side(NamedTuple):
    """A message of a format: how it is read and written, and what protobuf calls it."""

    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]
    type: Any
    meaning: Callable[[Any], Any] | None


@cache
def formats() -> tuple[tuple[Side, Side], ...]:
    """Each format's request and response, in the order of the first byte."""
    # TensorFlow lets a message leave out values that repeat; each input would take as much memory as is allowed.
    tf_serving._MOST_LEFT_OUT = 2**20

    def pair(module: Any, request: Any, response: Any, meanings: tuple[Any, Any] = (None, None)) -> Any:
        return (
            Side(module.decode_request, module.encode_request, request, meanings[0]),
            Side(module.decode_response, module.encode_response, response, meanings[1]),
        )

    return (
        pair(
            native,
            tensor_pb2.PredictRequest,
            tensor_pb2.PredictResponse,
            (oracle.native_request, oracle.native_response),
        ),
        pair(open_inference, open_inference_pb2.ModelInferRequest, open_inference_pb2.ModelInferResponse),
        pair(tf_serving, tf_pb2.PredictRequest, tf_pb2.PredictResponse),
    )


def check(data: bytes) -> None:
    """Raises whatever a reader may not raise, and AssertionError for a wrong result."""
    if not data:
        return
    for side in formats()[data[0] % len(formats())]:
        check_side(side, data[1:])


def check_side(side: Side, data: bytes) -> None:
    """The same for one message."""
    try:
        parsed = side.type.FromString(data)
    except DecodeError:
        parsed = None
    try:
        message = side.decode(data)
    except WireError as error:
        assert len(str(error)) < 4000, f"{len(str(error))} characters of error message"
        stricter = any(part in str(error) for part in ("field number 0 ", "longer than 5 bytes"))
        if parsed is not None and side.meaning and not stricter:
            assert oracle.by_protobuf(data, side.type, side.meaning) == oracle.REFUSED, f"refused: {error}"
        return
    # Readers of the other formats skip some fields unread, so that protobuf may refuse what stands there.
    if parsed is None:
        assert not side.meaning or too_deep(side, data), "protobuf refuses what we read"
    elif side.meaning:
        assert oracle.by_protobuf(data, side.type, side.meaning) == oracle.plain(message)
    try:
        written = side.encode(message)
    except ConfigError:
        # An empty tensor may claim to be typed in a type that has no typed values.
        written = side.encode(message._replace(typed=False))
    side.type.FromString(written)
    again = side.decode(written)
    assert comparable(again) == comparable(message), f"it is {again} when written and read again"


def comparable(message: Any) -> list[tuple[str, object]]:
    """A Request or Response; whether its elements came typed does not change what they are."""
    fields = []
    for name, value in message._asdict().items():
        if name in {"inputs", "outputs"} and isinstance(value, Mapping):
            fields.append((name, repr(sorted((key, oracle.content(array)) for key, array in value.items()))))
        elif name == "parameters":
            fields.append((name, repr(sorted(value.items()))))
        elif name != "typed":
            fields.append((name, value))
    return fields


def too_deep(side: Side, data: bytes) -> bool:
    """Whether this is the one thing that we read and protobuf refuses: groups a hundred deep in an inner message."""
    deepest, _wire._DEEPEST_GROUP = _wire._DEEPEST_GROUP, 90
    try:
        side.decode(data)
    except WireError:
        return True
    finally:
        _wire._DEEPEST_GROUP = deepest
    return False


def mutate(data: bytes, size: int, seed: int, plain: Callable[[bytes, int], bytes]) -> bytes:
    """Another input like this one, of no more than `size` bytes: half of them by libFuzzer's own means."""
    rng = random.Random(seed)
    if len(data) > 1 and rng.random() < 0.5:
        sides = formats()[data[0] % len(formats())]
        changed = mutated(data[1:], rng.choice(sides).type, rng)
        if changed is not None and len(changed) < size:
            return data[:1] + changed
    return plain(data, size)
