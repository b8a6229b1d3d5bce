"""The same tensors on every way to the same model, bit for bit (G6).

Each way is a protocol and a place: native, Open Inference and TensorFlow Serving over gRPC, through the gateway and
straight to grpcio's server; and over HTTP, the three formats through the gateway's `echo` and TensorFlow's through `digits`.
"""

from __future__ import annotations

import http.client
import random
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np
from eas_grpc_pb.tf_predict.v1 import tf_predict_pb2

import eas_grpc
from eas_grpc.inference import OpenInferenceClient, TensorClient, TFServingClient
from eas_grpc.tensors import native, open_inference, tf_serving
from eas_grpc.tensors._messages import Request
from reliability.demo_commands import TOKEN

__all__ = ["bits", "compare", "random_array"]

Arrays = Mapping[str, np.ndarray]
Way = Callable[[Arrays], Arrays]

_PIXELS = 784
_BATCH = 20
_SECONDS = 20.0
_MOST_KEPT = 5

PLAIN = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
REAL = ("float16", "float32", "float64", "bfloat16")
SMALL = (
    "float8_e4m3b11fnuz",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "int4",
    "uint4",
)
# Which element types each protocol has, by its own document.
OPEN_INFERENCE = (*PLAIN, *REAL, "bytes")
# Those that have a list of their own in InferTensorContents.
TYPED = (*PLAIN, "float32", "float64", "bytes")
TF_SERVING = (*OPEN_INFERENCE, *SMALL, "complex64", "complex128")
NATIVE = (*TF_SERVING, "float8_e3m4", "float8_e4m3", "float8_e8m0fnu")
_CODECS = {
    "native": (native, NATIVE),
    "open inference": (open_inference, OPEN_INFERENCE),
    "tf serving": (tf_serving, TF_SERVING),
}


def random_array(rng: random.Random, dtype: str) -> np.ndarray:
    """Any bits, so also NaN with every payload and -0.0; 0-d, empty, big-endian, strided, reversed, Fortran's order."""
    shape = tuple(rng.choice((0, 1, 1, 2, 3, 5)) for _ in range(rng.choice((0, 1, 1, 2, 3))))
    if dtype == "bytes":
        items = np.empty(shape, object)
        for at in np.ndindex(shape):
            items[at] = rng.randbytes(rng.choice((0, 1, 5)))
        return items
    # Twice as large where only every other element counts.
    step = rng.choice((1, 1, 2))
    room = tuple(size * step for size in shape)
    array = _filled(rng, dtype, room)
    array = np.asfortranarray(array) if rng.random() < 0.2 else array
    array = array[tuple(slice(None, None, step) for _ in shape)]
    if shape and rng.random() < 0.2:
        array = array[::-1]
    if array.dtype.itemsize > 1 and array.dtype.isbuiltin == 1 and rng.random() < 0.3:
        array = array.byteswap().view(array.dtype.newbyteorder(">"))
    return array


def _filled(rng: random.Random, name: str, shape: tuple[int, ...]) -> np.ndarray:
    dtype = np.dtype(getattr(ml_dtypes, name, name))
    count = int(np.prod(shape, dtype=np.int64))
    if name == "bool":
        return np.frombuffer(bytes(rng.randrange(2) for _ in range(count)), dtype).reshape(shape)
    if name in {"int4", "uint4"}:
        low = -8 if name == "int4" else 0
        return (
            np.array([rng.randrange(low, low + 16) for _ in range(count)], np.int8)
            .astype(dtype)
            .reshape(shape)
        )
    return np.frombuffer(rng.randbytes(count * dtype.itemsize), dtype).reshape(shape)


def bits(array: np.ndarray) -> tuple[str, tuple[int, ...], object]:
    """Element type, shape and content, comparable; no conversion is made on the way that could quieten a NaN."""
    if array.dtype.kind == "O":
        return "bytes", array.shape, tuple(bytes(item) for item in array.reshape(-1))
    little = array.byteswap() if array.dtype.byteorder == ">" else array
    return array.dtype.name, array.shape, np.ascontiguousarray(little).tobytes()


# In the client's process.


def compare(gateway: str, server: str, seed: str, count: int) -> dict[str, Any]:
    """So many random tensors on every way that has their type, and images for `digits`; how many came back different."""
    rng = random.Random(seed)
    tensors, images = 0, 0
    differing: list[str] = []
    calls = 0
    with ExitStack() as stack:
        echoes = _echoes(stack, gateway, server)
        digits = _digits(stack, gateway, server)
        while tensors + images < count:
            arrays = {f"t{number}": random_array(rng, rng.choice(NATIVE)) for number in range(_BATCH)}
            wanted = {name: bits(array) for name, array in arrays.items()}
            for way, (types, call) in echoes.items():
                sent = {name: array for name, array in arrays.items() if wanted[name][0] in types}
                if sent:
                    calls += 1
                    differing += _different(way, {name: wanted[name] for name in sent}, call(sent))
            tensors += len(arrays)
            image = np.array(
                [[rng.random() for _ in range(_PIXELS)] for _ in range(rng.randint(0, 2))], np.float32
            )
            image = image.reshape(-1, _PIXELS)
            answers = {way: bits(call({"images": image})["scores"]) for way, call in digits.items()}
            calls += len(answers)
            images += 1
            first = next(iter(answers.values()))
            differing += [
                f"digits by {way}: {answer[:2]}" for way, answer in answers.items() if answer != first
            ]
    return {
        "tensors": tensors,
        "images": images,
        "calls": calls,
        "ways": sorted(echoes) + [f"digits, {way}" for way in sorted(digits)],
        "differing": len(differing),
        "examples": differing[:_MOST_KEPT],
    }


def _different(way: str, wanted: Mapping[str, Any], came: Arrays) -> list[str]:
    """What is not as it was sent, in words."""
    found = {name: bits(array) for name, array in came.items()}
    return [
        f"{way}: {wanted.get(name)} came back as {found.get(name)}"[:500]
        for name in wanted.keys() | found.keys()
        if found.get(name) != wanted.get(name)
    ]


def _echoes(stack: ExitStack, gateway: str, server: str) -> dict[str, tuple[tuple[str, ...], Way]]:
    """The ways to a model that gives back what it is given, each with the element types that it has."""
    found: dict[str, tuple[tuple[str, ...], Way]] = {}
    for place, address in (("gateway", gateway), ("direct", server)):
        channel = stack.enter_context(eas_grpc.connect(address, token=TOKEN, deadline=_SECONDS))
        clients = {
            "native": (NATIVE, TensorClient(channel)),
            "open inference": (OPEN_INFERENCE, OpenInferenceClient(channel)),
            "open inference, typed": (TYPED, OpenInferenceClient(channel, typed=True)),
            "tf serving": (TF_SERVING, TFServingClient(channel)),
        }
        for name, (types, client) in clients.items():
            found[f"{name}, {place}"] = types, partial(client.infer, "echo")
    post = _poster(stack, gateway, "/api/predict/echo")
    for name, (codec, types) in _CODECS.items():
        found[f"{name}, HTTP"] = types, partial(_echo_by_http, post, codec)
    return found


def _echo_by_http(post: Callable[[bytes], bytes], codec: Any, arrays: Arrays) -> Arrays:
    inputs: Arrays = codec.decode_request(post(codec.encode_request(Request("echo", arrays)))).inputs
    return inputs


def _digits(stack: ExitStack, gateway: str, server: str) -> dict[str, Way]:
    """The ways to a model that computes."""
    found: dict[str, Way] = {}
    for place, address in (("gateway", gateway), ("direct", server)):
        channel = stack.enter_context(eas_grpc.connect(address, token=TOKEN, deadline=_SECONDS))
        for kind in (TensorClient, OpenInferenceClient, TFServingClient):
            found[f"{kind.__name__}, {place}"] = partial(kind(channel).infer, "digits")
    found["HTTP"] = partial(_digits_by_http, _poster(stack, gateway, "/api/predict/digits"))
    return found


def _digits_by_http(post: Callable[[bytes], bytes], arrays: Arrays) -> Arrays:
    array = arrays["images"]
    given = tf_predict_pb2.ArrayProto(
        dtype=tf_predict_pb2.DT_FLOAT,
        array_shape=tf_predict_pb2.ArrayShape(dim=array.shape),
        float_val=array.ravel(),
    )
    request = tf_predict_pb2.PredictRequest(signature_name="predict_images", inputs={"images": given})
    scores = tf_predict_pb2.PredictResponse.FromString(post(request.SerializeToString())).outputs["scores"]
    return {"scores": np.array(scores.float_val, np.float32).reshape(tuple(scores.array_shape.dim))}


def _poster(stack: ExitStack, address: str, path: str) -> Callable[[bytes], bytes]:
    """POSTs over one connection, which it opens again where the other side has closed it."""
    connection = http.client.HTTPConnection(address, timeout=_SECONDS)
    stack.callback(connection.close)

    def post(body: bytes) -> bytes:
        connection.request("POST", path, body, {"Authorization": TOKEN})
        answer = connection.getresponse()
        data = answer.read()
        assert answer.status == 200, f"{answer.status}: {data[:200]!r}"
        return data

    return post
