"""The eighteen cases of gRPC's interop test descriptions about single calls, each written once for every kind of client.

A case is a coroutine over a `Cell`; it raises Failed where something is not as the descriptions say.
"""

from __future__ import annotations

import random
import uuid

import grpc

from reliability.interop_calls import Answer
from reliability.interop_cell import LARGE_DOWN, LARGE_UP, Cell, asking, equal, large, ok, zeros
from reliability.interop_flags import CALL_ID
from reliability.interop_tap import flags_of
from reliability.pb import interop_pb2 as pb

__all__ = ["SINGLE", "VARIED"]

# Cases that cannot be run to the letter, and what was done instead.
VARIED = {
    "client_compressed_streaming": (
        "grpcio lets a client choose compression for a call but not for a message, so the message that is to go plain is "
        "random bytes, which core does not compress as it would gain nothing; flags and sum are asserted as described"
    )
}

_UP, _DOWN = (27_182, 8, 1_828, 45_904), (31_415, 9, 2_653, 58_979)
_INITIAL = ("x-grpc-test-echo-initial", "test_initial_metadata_value")
_TRAILING = ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab")
_SPECIAL = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
_YES, _NO = pb.BoolValue(value=True), pb.BoolValue(value=False)


def _call_id() -> tuple[str, str]:
    return (CALL_ID, uuid.uuid4().hex)


# One message each way.


async def empty_unary(cell: Cell) -> None:
    answer = await cell.calls.one("EmptyCall", pb.Empty())
    equal("status", answer.code, "OK")
    equal("bytes of the answer", answer.messages[0].SerializeToString(), b"")


async def large_unary(cell: Cell) -> None:
    ok(await cell.calls.one("UnaryCall", large()), LARGE_DOWN)


async def client_compressed_unary(cell: Cell) -> None:
    probe = await cell.calls.one("UnaryCall", large(expect_compressed=_YES), metadata=(_call_id(),))
    equal("status of the probe", probe.code, "INVALID_ARGUMENT")
    for expected, compression in ((_YES, grpc.Compression.Gzip), (_NO, grpc.Compression.NoCompression)):
        request = large(expect_compressed=expected)
        call = _call_id()
        answer = await cell.calls.one("UnaryCall", request, metadata=(call,), compression=compression)
        ok(answer, LARGE_DOWN)
        equal("flags", flags_of(cell.controls, call[1], "up"), [expected.value])


async def server_compressed_unary(cell: Cell) -> None:
    for wanted in (_YES, _NO):
        call = _call_id()
        ok(
            await cell.calls.one("UnaryCall", large(response_compressed=wanted), metadata=(call,)),
            LARGE_DOWN,
        )
        equal("flags", flags_of(cell.controls, call[1], "down"), [wanted.value])


# Streams.


async def client_streaming(cell: Cell) -> None:
    requests = [pb.StreamingInputCallRequest(payload=zeros(size)) for size in _UP]
    answer = await cell.calls.upload("StreamingInputCall", requests)
    equal("status", answer.code, "OK")
    equal("sum", answer.messages[0].aggregated_payload_size, sum(_UP))


async def client_compressed_streaming(cell: Cell) -> None:
    first = pb.StreamingInputCallRequest(expect_compressed=_YES, payload=zeros(27_182))
    probe = await cell.calls.upload("StreamingInputCall", [first], metadata=(_call_id(),))
    equal("status of the probe", probe.code, "INVALID_ARGUMENT")
    # See VARIED.
    noise = random.Random(cell.amounts.seed).randbytes(45_904)
    second = pb.StreamingInputCallRequest(expect_compressed=_NO, payload=pb.Payload(body=noise))
    call = _call_id()
    answer = await cell.calls.upload(
        "StreamingInputCall", [first, second], metadata=(call,), compression=grpc.Compression.Gzip
    )
    equal("status", (answer.code, answer.details), ("OK", ""))
    equal("sum", answer.messages[0].aggregated_payload_size, 73_086)
    equal("flags", flags_of(cell.controls, call[1], "up"), [True, False])


async def server_streaming(cell: Cell) -> None:
    ok(await cell.calls.download("StreamingOutputCall", asking(0, *_DOWN)), *_DOWN)


async def server_compressed_streaming(cell: Cell) -> None:
    parameters = [
        pb.ResponseParameters(compressed=_YES, size=31_415),
        pb.ResponseParameters(compressed=_NO, size=92_653),
    ]
    request = pb.StreamingOutputCallRequest(response_parameters=parameters)
    call = _call_id()
    ok(await cell.calls.download("StreamingOutputCall", request, metadata=(call,)), 31_415, 92_653)
    equal("flags", flags_of(cell.controls, call[1], "down"), [True, False])


async def ping_pong(cell: Cell) -> None:
    talk = cell.calls.talk("FullDuplexCall")
    for up, down in zip(_UP, _DOWN, strict=True):
        talk.say(asking(up, down))
        message = await talk.hear()
        equal("size", message and len(message.payload.body), down)
    talk.close()
    equal("message after the last", await talk.hear(), None)
    equal("status", (await talk.end()).code, "OK")


async def empty_stream(cell: Cell) -> None:
    talk = cell.calls.talk("FullDuplexCall")
    talk.close()
    equal("message", await talk.hear(), None)
    equal("status", (await talk.end()).code, "OK")


# Ends before the end.


async def timeout_on_sleeping_server(cell: Cell) -> None:
    talk = cell.calls.talk("FullDuplexCall", timeout=0.001)
    talk.say(asking(27_182))
    equal("message", await talk.hear(), None)
    answer = await talk.end()
    talk.close()
    equal("status", answer.code, "DEADLINE_EXCEEDED")


async def cancel_after_begin(cell: Cell) -> None:
    equal("status", (await cell.calls.upload_and_cancel("StreamingInputCall")).code, "CANCELLED")


async def cancel_after_first_response(cell: Cell) -> None:
    talk = cell.calls.talk("FullDuplexCall")
    talk.say(asking(27_182, 31_415))
    message = await talk.hear()
    equal("size", message and len(message.payload.body), 31_415)
    talk.cancel()
    equal("status", (await talk.end()).code, "CANCELLED")


# Metadata and status.


def _echoes(answer: Answer) -> None:
    equal("status", answer.code, "OK")
    equal("initial metadata", [pair for pair in answer.initial if pair[0] == _INITIAL[0]], [_INITIAL])
    equal("trailing metadata", [pair for pair in answer.trailing if pair[0] == _TRAILING[0]], [_TRAILING])


async def custom_metadata(cell: Cell) -> None:
    metadata = (_INITIAL, _TRAILING)
    _echoes(await cell.calls.one("UnaryCall", large(), metadata=metadata))
    talk = cell.calls.talk("FullDuplexCall", metadata=metadata)
    talk.say(asking(LARGE_UP, LARGE_DOWN))
    message = await talk.hear()
    equal("size", message and len(message.payload.body), LARGE_DOWN)
    talk.close()
    equal("message after the last", await talk.hear(), None)
    _echoes(await talk.end())


async def status_code_and_message(cell: Cell) -> None:
    status = pb.EchoStatus(code=2, message="test status message")
    answer = await cell.calls.one("UnaryCall", pb.SimpleRequest(response_status=status))
    equal("status", (answer.code, answer.details), ("UNKNOWN", status.message))
    talk = cell.calls.talk("FullDuplexCall")
    talk.say(asking(0, response_status=status))
    talk.close()
    equal("message", await talk.hear(), None)
    answer = await talk.end()
    equal("status of the stream", (answer.code, answer.details), ("UNKNOWN", status.message))


async def special_status_message(cell: Cell) -> None:
    status = pb.EchoStatus(code=2, message=_SPECIAL)
    answer = await cell.calls.one("UnaryCall", pb.SimpleRequest(response_status=status))
    equal("status", (answer.code, answer.details), ("UNKNOWN", _SPECIAL))


async def unimplemented_method(cell: Cell) -> None:
    equal("status", (await cell.calls.one("UnimplementedCall", pb.Empty())).code, "UNIMPLEMENTED")


async def unimplemented_service(cell: Cell) -> None:
    answer = await cell.calls.one("UnimplementedCall", pb.Empty(), "other")
    equal("status", answer.code, "UNIMPLEMENTED")


SINGLE = (
    empty_unary,
    large_unary,
    client_compressed_unary,
    server_compressed_unary,
    client_streaming,
    client_compressed_streaming,
    server_streaming,
    server_compressed_streaming,
    ping_pong,
    empty_stream,
    timeout_on_sleeping_server,
    cancel_after_begin,
    cancel_after_first_response,
    custom_metadata,
    status_code_and_message,
    special_status_message,
    unimplemented_method,
    unimplemented_service,
)
