"""Our Open Inference clients against MLServer, from the Python package index."""

from __future__ import annotations

import asyncio
import sys

import numpy as np
import pytest
from interop.programs import HERE, serving, unavailable

import eas_grpc
from eas_grpc import ConfigError, aio, inference

pytestmark = pytest.mark.interop

DTYPES = [bool, "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"]


@pytest.fixture(scope="module")
def address(peers_python) -> str:
    """Of an MLServer whose model `echo` gives back what it gets."""
    if sys.version_info >= (3, 13):
        unavailable("MLServer 1.7.1 needs a Python below 3.13")
    folder = HERE / "peers/mlserver"
    with serving(peers_python, folder / "serve.py", folder / "echo") as address:
        yield address


@pytest.fixture
def channel(address):
    with eas_grpc.connect(address) as channel:
        yield channel


def test_it_is_live_and_ready_and_says_what_it_is(channel):
    client = inference.OpenInferenceClient(channel)
    assert (client.live(), client.ready(), client.ready("echo")) == (True, True, True)
    assert client.server_metadata().name == "mlserver"


def test_metadata_is_read_and_inputs_are_checked_by_it(channel):
    client = inference.OpenInferenceClient(channel)
    spec = client.describe("echo")
    assert (spec.versions, spec.inputs["x"].dtype, spec.inputs["x"].shape) == (("1",), "float32", (None,))
    with pytest.raises(ConfigError, match=r"input 'x' .* must be float32 of shape \[N\]; it is int8"):
        client.infer("echo", {"x": np.arange(3, dtype=np.int8)})


@pytest.mark.parametrize("typed", [False, True], ids=["raw", "typed"])
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
def test_an_echo_of_each_dtype_comes_back(channel, dtype, typed):
    array = np.array([[0, 1, 2], [3, 4, 100]]).astype(dtype)
    outputs = inference.OpenInferenceClient(channel, typed=typed).infer("echo", {"x": array})
    assert outputs["x"].dtype == array.dtype
    assert np.array_equal(outputs["x"], array)


def test_float16_and_byte_strings_come_back(channel):
    client = inference.OpenInferenceClient(channel)
    half = np.arange(4, dtype=np.float16)
    assert np.array_equal(client.infer("echo", {"x": half})["x"], half)
    text = np.array([b"one", b"", "zw\u00f6lf".encode()], dtype=object)
    assert client.infer("echo", {"x": text})["x"].tolist() == text.tolist()


def test_many_calls_at_once_come_back_in_order(channel):
    client = inference.OpenInferenceClient(channel)
    rows = [np.full(5, number, np.float32) for number in range(40)]
    results = client.infer_many("echo", ({"x": row} for row in rows), in_flight=6)
    assert [result["x"][0] for result in results] == list(range(40))


def test_asyncio_calls_it_as_well(address):
    async def main() -> dict:
        async with aio.connect(address) as channel:
            client = inference.AsyncOpenInferenceClient(channel)
            assert await client.ready("echo")
            return await client.infer("echo", {"x": np.arange(3.0)})

    assert asyncio.run(main())["x"].tolist() == [0, 1, 2]


def test_what_it_does_not_have_is_said_by_its_status(channel):
    with pytest.raises(eas_grpc.CallError) as caught:
        inference.OpenInferenceClient(channel).model_config("echo")
    assert caught.value.failure.status == "UNIMPLEMENTED"
