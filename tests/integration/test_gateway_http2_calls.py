"""gRPC's own clients and servers with the gateway between them: it must make no difference."""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import os
import queue
from collections.abc import Iterator

import grpc
import pytest
from support.serving import COLOURS, SERVICE, SHAPES, WAIT, Gate, call, failure, running

from eas_grpc.serving import ServerOptions
from server_demo.gateway import Gateway, GatewayOptions, Service

LARGE = 20 * 1024 * 1024
OPTIONS = GatewayOptions(max_body_bytes=None, keepalive=60.0, rate_limit=0)
# As few streams on a connection as serving has by default: the gateway has to open several.
SERVER = ServerOptions(max_concurrent_rpcs=1000)
SIZES = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def dial(address: str, *options: tuple[str, object]) -> grpc.Channel:
    return grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1), *SIZES, *options])


@pytest.fixture(scope="module", params=COLOURS)
def gate_and_gateway(request) -> Iterator[tuple[Gate, Gateway]]:
    gate = Gate()
    with (
        running(request.param, gate=gate, options=SERVER) as server,
        Gateway(Service(name="echo", grpc=server.address), options=OPTIONS) as gateway,
    ):
        yield gate, gateway


@pytest.fixture
def gateway(gate_and_gateway) -> Gateway:
    return gate_and_gateway[1]


@pytest.fixture
def channel(gateway) -> Iterator[grpc.Channel]:
    with dial(gateway.address) as channel:
        yield channel


def test_every_shape_is_answered(channel):
    requests = [b"a", b"b", b"c"]
    for shape in SHAPES:
        sent = requests if shape.startswith("stream") else requests[:1]
        assert call(channel, shape, *sent) == b",".join(sent)


def test_large_messages_pass_both_ways(channel):
    body = os.urandom(LARGE // 2).hex().encode()
    assert call(channel, "unary_unary", body) == body


def test_compressed_messages_pass_both_ways(channel):
    body = b"compressible " * 100_000
    made = channel.stream_stream(f"/{SERVICE}/stream_stream")
    answers = made(iter([body, body]), compression=grpc.Compression.Gzip, timeout=WAIT)
    assert list(answers) == [body, body]


def test_statuses_and_details_of_any_text_come_through(channel):
    for code, text in (("NOT_FOUND", "ü 100% \n new line ☃"), ("DATA_LOSS", ""), ("ABORTED", "%41 stays")):
        request = f"abort:{code}:{text}".encode()
        for shape in SHAPES:
            refused = failure(lambda shape=shape, request=request: call(channel, shape, request))
            assert refused == (grpc.StatusCode[code], text)


def test_ten_thousand_messages_go_there_and_back_one_by_one(channel):
    pending: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    answers = channel.stream_stream(f"/{SERVICE}/stream_stream")(iter(pending.get, None), timeout=60)
    for number in range(10_000):
        pending.put(b"%d" % number)
        assert next(answers) == b"%d" % number
    pending.put(None)
    assert list(answers) == []


def test_a_cancelled_call_is_cancelled_at_the_service(gate_and_gateway, channel):
    gate, _ = gate_and_gateway
    # More than the service works on at a time: each is let go when it is cancelled.
    for _ in range(SERVER.max_workers + 8):
        made = channel.unary_unary(f"/{SERVICE}/unary_unary").future(b"hold", timeout=WAIT)
        gate.wait_entered()
        made.cancel()
    assert call(channel, "unary_unary", b"next") == b"next"


def test_a_deadline_ends_the_call_at_the_client_and_the_service(gate_and_gateway, channel):
    gate, _ = gate_and_gateway
    refused = failure(lambda: call(channel, "unary_unary", b"hold", timeout=0.5))
    gate.wait_entered()
    assert refused[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    assert call(channel, "unary_unary", b"next") == b"next"


async def test_five_hundred_calls_at_a_time(gate_and_gateway):
    _, gateway = gate_and_gateway
    async with grpc.aio.insecure_channel(gateway.address) as channel:
        made = channel.unary_unary(f"/{SERVICE}/unary_unary")
        answers = await asyncio.gather(*(made(b"%d" % n, timeout=30) for n in range(500)))
    assert answers == [b"%d" % n for n in range(500)]


def test_a_reader_that_stops_does_not_stop_another_on_the_same_connection(channel, gateway):
    # The service streams more to one caller than all windows hold together.
    requests = [b"big:1000000"] * 40
    with dial(gateway.address) as slow:
        answers = slow.stream_stream(f"/{SERVICE}/stream_stream")(iter(requests), timeout=60)
        first = next(answers)
        for _ in range(50):
            assert call(channel, "unary_unary", b"quick") == b"quick"
        assert [len(first), *map(len, answers)] == [1_000_000] * 40


def test_callers_that_upload_to_a_service_that_does_not_read_do_not_stop_another(gate_and_gateway, channel):
    gate, gateway = gate_and_gateway
    with dial(gateway.address) as busy, dial(gateway.address) as other:
        stuck = [
            busy.stream_unary(f"/{SERVICE}/stream_unary").future(
                itertools.chain([b"hold"], [b"x" * 1_000_000] * 3), timeout=60
            )
            for _ in range(5)
        ]
        gate.wait_entered(5)
        for _ in range(20):
            assert call(other, "unary_unary", b"quick") == b"quick"
            assert call(busy, "unary_unary", b"quick") == b"quick"
        for each in stuck:
            each.cancel()


# What a service and a client tell each other besides messages.


class _Metadata(grpc.GenericRpcHandler):
    """Says back, in its headers and trailers, what metadata it was sent."""

    def service(self, details):
        def answer(request, context):
            sent = [pair for pair in context.invocation_metadata() if pair[0].startswith("x-")]
            context.send_initial_metadata(sent)
            context.set_trailing_metadata([*sent, ("x-trailing-bin", bytes(range(256)))])
            if request == b"fail":
                context.abort(grpc.StatusCode.INTERNAL, "as told")
            return repr(
                sorted((k, v) for k, v in context.invocation_metadata() if k != "user-agent")
            ).encode()

        def early(requests, context):
            next(requests)
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "enough")

        if details.method == "/m/early":
            return grpc.stream_unary_rpc_method_handler(early)
        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture(scope="module")
def plain() -> Iterator[tuple[str, str]]:
    """The address of a server of grpcio alone, and that of a gateway before it."""
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((_Metadata(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with Gateway(Service(name="m", grpc=f"127.0.0.1:{port}"), options=OPTIONS) as gateway:
        yield f"127.0.0.1:{port}", gateway.address
    server.stop(0).wait()


@pytest.mark.parametrize("request_", [b"fine", b"fail"])
def test_metadata_is_the_same_as_without_the_gateway(plain, request_):
    metadata = [
        ("x-text", "plain"), ("x-twice", "1"), ("x-twice", "2"), ("x-spaces", "a  b"), ("x-empty", ""),
        ("x-raw-bin", bytes(range(256))), ("x-empty-bin", b""), ("x-long", "l" * 5000),
    ]  # fmt: skip
    seen = []
    for address in plain:
        with dial(address, ("grpc.max_metadata_size", 64 * 1024)) as channel:
            answer, made = _with_call(channel, request_, metadata)
            seen.append(
                (
                    answer,
                    sorted(map(tuple, made.initial_metadata())),
                    sorted(map(tuple, made.trailing_metadata())),
                    made.code(),
                    made.details(),
                )
            )
    assert seen[0] == seen[1]
    assert ("x-trailing-bin", bytes(range(256))) in seen[1][2]


def _with_call(channel: grpc.Channel, request: bytes, metadata: list) -> tuple[object, grpc.Call]:
    try:
        return channel.unary_unary("/m/echo").with_call(request, metadata=metadata, timeout=WAIT)
    except grpc.RpcError as error:
        return None, error


def test_an_early_status_reaches_a_client_that_still_sends(plain):
    seen = []
    for address in plain:
        with dial(address) as channel:
            endless = itertools.repeat(b"x" * 100_000)
            seen.append(failure(lambda: channel.stream_unary("/m/early")(endless, timeout=WAIT)))
    assert seen == [(grpc.StatusCode.RESOURCE_EXHAUSTED, "enough")] * 2


def test_headers_above_the_limit_are_refused_by_status(plain):
    with dial(plain[1], ("grpc.max_metadata_size", 1024 * 1024)) as channel:
        metadata = [(f"x-{n}", "y" * 1000) for n in range(100)]
        refused = failure(lambda: channel.unary_unary("/m/echo")(b"", metadata=metadata, timeout=WAIT))
        assert refused[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert call(channel, "unary_unary", b"fine", method="/m/echo")


def test_threads_share_a_channel(channel):
    def some(thread: int) -> bool:
        return all(
            call(channel, "unary_unary", b"%d %d" % (thread, n)) == b"%d %d" % (thread, n) for n in range(25)
        )

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(some, range(8)))
