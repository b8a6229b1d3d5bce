"""The demo's services over HTTP, which anybody may call: every body has an answer, and none of them is an error of ours."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from eas_grpc_pb.tf_predict.v1.tf_predict_pb2 import (
    DT_FLOAT,
    ArrayProto,
    ArrayShape,
    PredictRequest,
    PredictResponse,
)
from mutations import mutated

from server_demo.gateway._http_service import Request
from server_demo.http_services import digits, echo

RATE = 12000


def check(data: bytes) -> None:
    """200 and what was asked for, or 400 and a sentence."""
    answer = digits(Request("POST", "/", {}, {}, data))
    assert answer.status in {200, 400}
    if answer.status == 200:
        PredictResponse.FromString(answer.body)
    else:
        assert len(answer.body) < 2000
    assert echo(Request("POST", "/", {}, {}, data)).body == data


def mutate(data: bytes, size: int, seed: int, plain: Callable[[bytes, int], bytes]) -> bytes:
    """Half of the time a message that protobuf can read."""
    rng = random.Random(seed)
    if rng.random() < 0.5:
        changed = mutated(data, PredictRequest, rng)
        if changed is not None and len(changed) < size:
            return changed
    return plain(data, size)


def seeds() -> Iterator[bytes]:
    """Good ones, and arrays that are not what they say."""
    for shape, count in (
        ((1, 784), 784),
        ((0, 784), 0),
        ((2**31, 2**31), 1),
        ((-1, 784), 784),
        ((1,) * 40, 1),
    ):
        array = ArrayProto(dtype=DT_FLOAT, array_shape=ArrayShape(dim=shape), float_val=[0.5] * count)
        request = PredictRequest(
            signature_name="predict_images", inputs={"images": array}, output_filter=["scores"]
        )
        yield request.SerializeToString()
