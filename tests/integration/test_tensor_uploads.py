"""PredictUpload: a request in pieces, whole or refused, never too much of it in memory."""

from __future__ import annotations

import queue
import threading

import grpc
import numpy as np
import pytest
from eas_grpc_pb.tensor.v1.tensor_pb2 import PredictRequest, UploadChunk
from support.reference_tensors import chunks, to_tensor
from support.serving import WAIT, failure, records
from support.tensor_models import FLAVOURS, MODELS, dark, echo, native, served

LIMIT = 4_000_000
IMAGE = to_tensor("x", np.arange(500_000, dtype=np.float32))
REQUEST = PredictRequest(model="echo", inputs=[IMAGE])


@pytest.fixture(params=FLAVOURS, scope="module")
def flavour(request):
    return request.param


@pytest.fixture(scope="module")
def stub(flavour):
    with served(flavour, *MODELS, max_upload_bytes=LIMIT) as (_, channel, _):
        yield native(channel)


def upload(stub, *pieces):
    return stub.PredictUpload(iter(pieces), timeout=WAIT)


@pytest.mark.parametrize("size", [1000, 60_000, 300_000, 3_000_000])
def test_pieces_of_any_size_are_one_request(stub, size):
    assert list(upload(stub, *chunks(REQUEST, size)).outputs) == [IMAGE]


def changed(piece, **fields):
    other = UploadChunk()
    other.CopyFrom(piece)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


FIRST, SECOND, *REST = chunks(REQUEST, 500_000)
LOST = grpc.StatusCode.DATA_LOSS
REFUSED = {
    "wrong checksum": ([FIRST, changed(SECOND, crc32=SECOND.crc32 ^ 1), *REST], LOST, "piece 2 has checksum"),
    "wrong order": ([FIRST, *REST, SECOND], LOST, "piece 2 has checksum"),
    "doubled": ([FIRST, FIRST], LOST, "which the first piece alone does"),
    "more than the total": (
        [changed(FIRST, total=10)],
        LOST,
        "more than the 10 bytes that the first one states",
    ),
    "less than the total": (
        [changed(FIRST, total=FIRST.total + 1), SECOND, *REST],
        LOST,
        "the upload ends after",
    ),
    "cut off": ([FIRST, SECOND], LOST, f"the upload ends after 1000000 of {FIRST.total} bytes"),
    "too large": (
        [UploadChunk(total=LIMIT + 1)],
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "the upload has 4000001 bytes, and this server takes 4000000",
    ),
    "nothing": ([], grpc.StatusCode.INVALID_ARGUMENT, "the upload has no pieces"),
    "no such model": (
        list(chunks(PredictRequest(model="no"), 9)),
        grpc.StatusCode.NOT_FOUND,
        "there is no model 'no'",
    ),
    "not a request": (
        [UploadChunk(total=1, data=b"\xff", crc32=0xFF000000)],
        grpc.StatusCode.INVALID_ARGUMENT,
        "is cut off",
    ),
    "the model says no": (
        list(chunks(PredictRequest(model="dark"), 9)),
        grpc.StatusCode.INVALID_ARGUMENT,
        "the image is too dark",
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_not_whole_or_too_large_is_refused(stub, reason):
    pieces, code, text = REFUSED[reason]
    found, details = failure(lambda: upload(stub, *pieces))
    assert (found, text in details) == (code, True), details


def test_bytes_that_are_no_piece_are_an_invalid_argument(flavour):
    with served(flavour, echo) as (_, channel, _):
        method = channel.stream_unary("/eas_grpc_pb.tensor.v1.TensorService/PredictUpload")
        code, _ = failure(lambda: method(iter([b"\x12\xff"]), timeout=WAIT))
        assert code is grpc.StatusCode.INVALID_ARGUMENT


def test_memory_is_promised_to_so_many_uploads_at_once(flavour):
    with served(flavour, echo, max_upload_bytes=LIMIT) as (_, channel, models):
        models._budget.take(LIMIT)
        models._budget.take(LIMIT)
        models._budget.take(LIMIT)
        models._budget.take(LIMIT - FIRST.total + 1)
        code, text = failure(lambda: upload(native(channel), FIRST, SECOND, *REST))
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "other uploads hold the memory" in text
        models._budget.give_back(1)
        for _ in range(2):  # an upload that is over holds nothing any more
            assert list(upload(native(channel), FIRST, SECOND, *REST).outputs) == [IMAGE]


@pytest.mark.parametrize("end", ["cancelled", "refused"])
def test_an_upload_that_does_not_come_to_its_end_gives_its_memory_back(flavour, end):
    with served(flavour, dark, max_upload_bytes=LIMIT) as (_, channel, models):
        pieces: queue.Queue = queue.Queue()
        pieces.put(FIRST)
        taken, take = threading.Event(), models._budget.take
        models._budget.take = lambda size: (take(size), taken.set())
        with records("eas_grpc.serving.access") as log:
            call = native(channel).PredictUpload.future(iter(pieces.get, None), timeout=WAIT)
            assert taken.wait(WAIT)
            if end == "refused":
                pieces.put(FIRST)
            else:
                call.cancel()
            # Older editions of grpc.aio take a caller who has gone for one who has sent everything.
            assert log.next().status in {"DATA_LOSS", *(["CANCELLED"] if end == "cancelled" else [])}
            pieces.put(None)
        for _ in range(4):
            take(LIMIT)
