"""Services over HTTP that come with the gateway."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

import numpy as np
from eas_grpc_pb.tf_predict.v1.tf_predict_pb2 import (
    DT_FLOAT,
    ArrayDataType,
    ArrayProto,
    ArrayShape,
    PredictRequest,
    PredictResponse,
)
from google.protobuf.message import DecodeError

from eas_grpc.serving import BadInput
from eas_grpc.tensors import TensorSpec
from server_demo.gateway._http_service import Request, Response
from server_demo.models import Array, read_digits

__all__ = ["digits", "echo"]

# Names of the one signature: its own, TensorFlow's for the usual one, and none.
_SIGNATURES = (read_digits.spec.signature, "serving_default", "")
_LONGEST_NAME = 100
# Of an array; more are refused before they are multiplied, which takes long for very many.
_MOST_DIMENSIONS = 8


def echo(request: Request) -> Response:
    """Answers a POST, to any path, with its body and content type; every other method with 405."""
    if request.method != "POST":
        return Response(405, b"POST something: it comes back.\n", headers={"allow": "POST"})
    return Response(
        body=request.body, content_type=request.headers.get("content-type", "application/octet-stream")
    )


def digits(request: Request) -> Response:
    """The digits model as EAS's TensorFlow processor serves one: serialized `tf_predict` messages, to any path.

    GET gives the signature as JSON; POST takes a PredictRequest and gives a PredictResponse. A request that the model
    cannot take is answered 400 with one sentence, every other method 405.
    """
    if request.method == "GET":
        return Response(body=_signature(), content_type="application/json")
    if request.method != "POST":
        text = b"GET the signature, or POST a serialized PredictRequest.\n"
        return Response(405, text, headers={"allow": "GET, POST"})
    try:
        answer = _predict(request.body)
    except BadInput as error:
        return Response(400, f"{error}\n".encode())
    return Response(body=answer.SerializeToString(), content_type="application/octet-stream")


def _predict(body: bytes) -> PredictResponse:
    asked = PredictRequest()
    try:
        asked.ParseFromString(body)
    except DecodeError:
        raise BadInput("the body is no serialized PredictRequest of tf_predict") from None
    if asked.signature_name not in _SIGNATURES:
        raise BadInput(
            f"there is no signature {asked.signature_name[:_LONGEST_NAME]!r}: this model has {_SIGNATURES[0]!r}"
        )
    inputs = {name: _array(name[:_LONGEST_NAME], value) for name, value in asked.inputs.items()}
    outputs = read_digits.run(inputs, tuple(dict.fromkeys(asked.output_filter)))
    return PredictResponse(outputs={name: _message(array) for name, array in outputs.items()})


def _array(name: str, value: ArrayProto) -> Array:
    if value.dtype != DT_FLOAT:
        known = value.dtype in ArrayDataType.values()
        given = ArrayDataType.Name(value.dtype) if known else f"of the unknown type {value.dtype}"
        raise BadInput(f"input {name!r} is {given}: this model takes DT_FLOAT, in float_val")
    shape = tuple(value.array_shape.dim)
    count = len(value.float_val)
    if len(shape) > _MOST_DIMENSIONS:
        raise BadInput(f"input {name!r} has {len(shape)} dimensions, which are too many")
    if min(shape, default=0) < 0 or math.prod(shape) != count:
        raise BadInput(
            f"input {name!r} has {count} values in float_val, which do not fill its array_shape {list(shape)}"
        )
    try:
        return np.array(value.float_val, dtype=np.float32).reshape(shape)
    except ValueError:
        raise BadInput(f"input {name!r} has the array_shape {list(shape)}, which is too large") from None


def _message(array: Array) -> ArrayProto:
    return ArrayProto(dtype=DT_FLOAT, array_shape=ArrayShape(dim=array.shape), float_val=array.ravel())


def _signature() -> bytes:
    spec = read_digits.spec
    value = {
        "inputs": _entries(spec.inputs or {}),
        "outputs": _entries(spec.outputs or {}),
        "signature_name": spec.signature,
    }
    return json.dumps(value, separators=(",", ":")).encode()


def _entries(specs: Mapping[str, TensorSpec]) -> list[dict[str, object]]:
    return [
        {
            "name": name,
            "shape": [-1 if size is None else size for size in spec.shape or ()],
            "type": "DT_FLOAT",
        }
        for name, spec in specs.items()
    ]
