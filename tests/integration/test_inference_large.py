"""Requests that are larger than the gateway takes: sent all the same, split, or uploaded."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import grpc
import numpy as np
import pytest
from support.inference_paths import PATHS, paths
from support.reference_services import ReferenceServer

from eas_grpc.errors import ConfigError, Origin
from eas_grpc.inference import InferenceError
from eas_grpc.options import PROFILES

LIMIT = 1_000_000
# 3.2 MB
LARGE = np.arange(800_000, dtype=np.float32).reshape(200, 4000)


@pytest.fixture
def server():
    with ReferenceServer() as running:
        yield running


@pytest.fixture(params=PATHS, ids=str)
def path(request):
    return request.param


@pytest.fixture
def splitting(path, server):
    with path.client(server.address, on_large="split") as client:
        yield client


@pytest.mark.parametrize("path", [path for path in PATHS if path.door == "connect"], ids=str)
def test_a_channel_of_ours_refuses_a_large_request_with_its_own_text(path, server):
    with path.client(server.address) as client:
        for ask in (
            lambda: client.infer("echo", {"x": LARGE}),
            lambda: list(client.infer_many("echo", [{"x": LARGE}])),
            lambda: list(client.infer_stream("echo", [{"x": LARGE}])),
        ):
            with pytest.raises(grpc.RpcError, match="bytes, the gateway takes 1,000,000; nothing was sent"):
                ask()
    assert not any(seen.requests for seen in server.calls)


@pytest.mark.parametrize("path", [path for path in PATHS if path.door == "plain"], ids=str)
def test_a_plain_channel_sends_a_large_request(path, server):
    with path.client(server.address) as client:
        np.testing.assert_array_equal(client.infer("echo", {"x": LARGE})["x"], LARGE)
    assert len(server.calls) == 1


def test_a_large_request_is_split_and_its_outputs_joined(splitting, server):
    ids = np.array([f"row {row}".encode() for row in range(200)], object)
    outputs = splitting.infer("echo", {"x": LARGE[::-1], "id": ids}, outputs=["x", "id"])
    np.testing.assert_array_equal(outputs["x"], LARGE[::-1])
    np.testing.assert_array_equal(outputs["id"], ids)
    assert len(server.calls) == 4  # as few as 3.2 MB allow
    assert all(max(seen.sizes) <= LIMIT for seen in server.calls)


def test_a_request_that_fits_is_not_split(splitting, server):
    splitting.infer("echo", {"x": LARGE[:60]})
    assert len(server.calls) == 1


def test_a_request_that_cannot_be_split_is_refused_with_the_reason(splitting, server):
    with pytest.raises(
        ConfigError, match=r"has 3,200,\d+ bytes, above max_request=1,000,000, .* a single row"
    ):
        splitting.infer("echo", {"x": LARGE[None]})
    with pytest.raises(ConfigError, match="first dimension of input 'x' is 200, that of 'y' is 1"):
        splitting.infer("echo", {"x": LARGE, "y": np.zeros(1)})
    with pytest.raises(ConfigError, match="row 0 alone"):
        splitting.infer("echo", {"x": LARGE.reshape(2, -1)})
    assert server.calls == []


def test_outputs_that_are_not_by_row_cannot_be_joined(splitting):
    with pytest.raises(InferenceError, match=r"output 'total' has shape \[1\] for 50 rows sent") as caught:
        splitting.infer("sum", {"x": LARGE})
    assert caught.value.origin is Origin.CLIENT
    assert "on_large='send'" in caught.value.hint


def test_the_deadline_is_for_all_pieces_together(splitting, server):
    hold = np.full((200, 1), b"hold", object)
    with pytest.raises(grpc.RpcError) as caught:
        splitting.infer("echo", {"x": LARGE, "do": hold}, deadline=0.3)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_failure_of_one_piece_is_that_of_the_request_and_ends_the_others(splitting, server):
    verbs = np.full(200, b"hold", object)
    verbs[:50] = b"fail:INTERNAL:first piece"
    with pytest.raises(grpc.RpcError) as caught:
        splitting.infer("echo", {"x": LARGE, "do": verbs})
    assert caught.value.details() == "first piece"
    for seen in server.calls:
        assert seen.ended.wait(10)


def test_many_large_requests_are_split_one_by_one(splitting, server):
    items = [{"x": LARGE}, {"x": LARGE[:3]}, {"x": LARGE[0]}, {"x": LARGE + 1}, {"x": LARGE[None]}]
    results = list(splitting.infer_many("echo", items, in_flight=3, return_errors=True))
    for inputs, outputs in zip(items[:4], results[:4], strict=True):
        np.testing.assert_array_equal(outputs["x"], inputs["x"])
    assert isinstance(results[4], ConfigError)
    assert len(server.calls) == 4 + 1 + 1 + 4
    assert server.most_under_way <= 3


def test_a_smaller_limit_makes_more_pieces(path, server):
    with path.client(server.address, on_large="split", max_request=200_000) as client:
        np.testing.assert_array_equal(client.infer("echo", {"x": LARGE})["x"], LARGE)
    assert 16 <= len(server.calls) <= 18
    assert all(max(seen.sizes) <= 200_000 for seen in server.calls)


@pytest.mark.parametrize("path", paths("native"), ids=str)
@pytest.mark.parametrize(
    "array",
    [LARGE, LARGE.T, np.asfortranarray(LARGE), LARGE.astype(">f8")[::3, ::-2], LARGE[None]],
    ids=["plain", "turned", "fortran", "big-endian", "one row"],
)
def test_a_large_request_is_uploaded_in_chunks_whatever_its_layout(path, array, server):
    with path.client(server.address, on_large="upload") as client:
        np.testing.assert_array_equal(client.infer("echo", {"x": array}, ["x"])["x"], array)
        client.infer("echo", {"x": LARGE[:3]})
    uploaded, whole = server.calls
    assert uploaded.method == "upload"
    assert max(uploaded.sizes) <= 512 * 1024
    assert len(uploaded.sizes) == -(-array.nbytes // (512 * 1024 - 64))
    assert whole.method == "predict"


@pytest.mark.parametrize("path", paths("native"), ids=str)
def test_an_upload_has_a_deadline_and_metadata_and_fails_as_a_call_does(path, server):
    with path.client(server.address, on_large="upload") as client:
        with pytest.raises(grpc.RpcError) as caught:
            client.infer(
                "echo",
                {"x": LARGE, "do": np.array([b"fail:INTERNAL:why"], object)},
                deadline=20,
                metadata=[("x-trace", "1")],
            )
        assert caught.value.details() == "why"
        assert server.last.metadata["x-trace"] == "1"
        assert 10 < server.last.remaining < 25
        items = [{"x": LARGE}, {"x": LARGE[:1]}, {"x": LARGE + 1}]
        for inputs, outputs in zip(items, client.infer_many("echo", items), strict=True):
            np.testing.assert_array_equal(outputs["x"], inputs["x"])


MEMORY = """
    import asyncio, tracemalloc
    import numpy as np
    import eas_grpc
    from eas_grpc import aio, inference

    address, colour, layout = {arguments!r}
    array = np.ones((4000, 2000), np.float32)  # 32 MB
    array = array if layout == "plain" else array.T
    settings = {{"on_large": "upload"}}

    def measured(client_call):
        tracemalloc.start()
        client_call()
        return tracemalloc.get_traced_memory()[1]

    def blocking():
        with eas_grpc.connect(address) as channel:
            client = inference.TensorClient(channel, **settings)
            client.infer("sum", {{"x": array[:10]}})
            return measured(lambda: client.infer("sum", {{"x": array}}, deadline=50))

    async def on_loop():
        async with aio.connect(address) as channel:
            client = inference.AsyncTensorClient(channel, **settings)
            await client.infer("sum", {{"x": array[:10]}})
            tracemalloc.start()
            await client.infer("sum", {{"x": array}}, deadline=50)
            return tracemalloc.get_traced_memory()[1]

    print(blocking() if colour == "sync" else asyncio.run(on_loop()))
"""


@pytest.fixture(scope="module")
def process():
    """The reference server in a process of its own, so that its memory does not count."""
    with subprocess.Popen(
        [sys.executable, "-m", "support.reference_services"],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        yield running.stdout.readline().split()[-1]
        running.stdin.close()
        running.wait(10)


@pytest.mark.parametrize("colour", ["sync", "aio"])
@pytest.mark.parametrize("layout", ["plain", "turned"])
def test_an_upload_of_32_mb_takes_the_memory_of_the_replay_buffer_and_a_few_chunks(process, colour, layout):
    program = textwrap.dedent(MEMORY).format(arguments=(process, colour, layout))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    room = PROFILES["gateway"].replay_buffer_bytes
    assert int(done.stdout) < room + 6 * 512 * 1024
