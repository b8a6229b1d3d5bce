"""Calls whose requests stream, over connections that break: nothing is left out, and the true status comes out.

Core's own retry can leave the last request of such a call out and say OK; grpc.aio can say INTERNAL, or that the call was
cancelled, for any status. Both need many calls to be seen, and were: see `eas_grpc.rpc._replay` and `_aio_truth`.
"""

from __future__ import annotations

import asyncio
import threading
import time

import grpc
import pytest
from support.echo import SHAPES, EchoServer
from support.h2_answers import Http2
from support.paths import Path
from support.relay import Relay

import eas_grpc
from eas_grpc import RetryPolicy, aio

STREAMS = [
    Path(shape, colour, "connect")
    for shape, (many, _) in SHAPES.items()
    if many
    for colour in ("sync", "aio")
]
QUICK = RetryPolicy(initial_backoff=0.01, max_backoff=0.05)
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
CALLS = 60


@pytest.fixture(params=STREAMS, ids=str)
def path(request):
    return request.param


def numbered(count):
    return [b"echo:%d" % number for number in range(count)]


def whole(path, count):
    texts = [b"%d" % number for number in range(count)]
    return texts if path.many_responses else [b",".join(texts)]


def test_a_stream_that_breaks_half_way_is_sent_again_as_a_whole(path):
    with EchoServer() as server, Relay(server.port) as relay:
        # The answers are held back, so that the call has not begun to be answered when it breaks.
        broken = threading.Event()

        def requests():
            yield from numbered(2)
            if not broken.is_set():
                broken.set()
                _until(lambda: server.calls and len(server.last.requests) == 2)
                relay.close(reset=True)
            yield b"echo:2"

        with path.client(relay.address, retry=QUICK) as client:
            assert client.run(b"echo:warm") == [b"warm"]
            relay.silence(up=False)
            handle = client.begin_with(requests())
            assert handle.messages() == whole(path, 3)
            assert handle.code() is grpc.StatusCode.OK
        assert [each.requests for each in server.calls][-1] == numbered(3)
        assert len(server.calls) == 3


def test_a_future_is_done_once_and_after_its_last_attempt():
    noted = []
    with EchoServer() as server, Relay(server.port) as relay:
        path = Path("stream_unary", "sync", "connect")
        with path.client(relay.address, retry=QUICK) as client:
            assert client.run(b"echo:warm") == [b"warm"]
            relay.silence(up=False)
            call = client.begin(*numbered(3)).call
            call.add_done_callback(noted.append)
            _until(lambda: len(server.calls) == 2)
            relay.close(reset=True)
            _until(call.done)
            assert call.result() == b"0,1,2"
            _until(lambda: noted)
    assert noted == [call]


def test_a_call_that_is_cancelled_between_two_attempts_makes_no_further_one():
    patient = RetryPolicy(initial_backoff=30, max_backoff=30)
    with EchoServer() as server, Relay(server.port) as relay:
        path = Path("stream_unary", "sync", "connect")
        with path.client(relay.address, retry=patient) as client:
            assert client.run(b"echo:warm") == [b"warm"]
            relay.silence(up=False)
            call = client.begin(*numbered(3)).call
            _until(lambda: len(server.calls) == 2)
            relay.close(reset=True)
            assert not call.done()
            call.cancel()
            with pytest.raises(grpc.FutureCancelledError):
                call.result(timeout=20)
            assert call.done()
        assert len(server.calls) == 2


def between_attempts(relay, server, channel, **options):
    """A call whose first attempt has failed, and whose next one comes in half a minute."""
    call = channel.stream_unary("/test.Echo/stream_unary")
    assert call(iter([b"echo:warm"])) == b"warm"
    relay.silence(up=False)
    future = call.future(iter(numbered(3)), **options)
    _until(lambda: len(server.calls) == 2)
    relay.close(reset=True)
    _until(lambda: future._inner.done())
    return future


PATIENT = RetryPolicy(initial_backoff=30, max_backoff=30)


def test_the_pause_between_two_attempts_costs_nobody_more_than_their_own_patience():
    with (
        EchoServer() as server,
        Relay(server.port) as relay,
        eas_grpc.connect(relay.address, retry=PATIENT, deadline=60) as channel,
    ):
        future = between_attempts(relay, server, channel)
        began = time.monotonic()
        with pytest.raises(grpc.FutureTimeoutError):
            future.result(timeout=0.1)
        assert time.monotonic() - began < 10
        assert not future.done()
        assert future.cancel()
        assert future.cancelled()
        assert future.code() is grpc.StatusCode.CANCELLED


def test_a_channel_that_is_closed_between_two_attempts_ends_the_call_with_its_last_status():
    noted = []
    quick = RetryPolicy(initial_backoff=0.3, max_backoff=0.3)
    with EchoServer() as server, Relay(server.port) as relay:
        channel = eas_grpc.connect(relay.address, retry=quick)
        future = between_attempts(relay, server, channel)
        future.add_done_callback(noted.append)
        channel.close()
        _until(lambda: noted)
        assert future.code() is UNAVAILABLE


async def test_an_asyncio_caller_who_gives_up_between_two_attempts_ends_the_call():
    quick = RetryPolicy(initial_backoff=0.3, max_backoff=0.3)
    with EchoServer() as server, Relay(server.port) as relay:
        async with aio.connect(relay.address, retry=quick) as channel:
            call = channel.stream_unary("/test.Echo/stream_unary")
            assert await call([b"echo:warm"]) == b"warm"
            relay.silence(up=False)
            begun = call(numbered(3))
            while len(server.calls) < 2:
                await asyncio.sleep(0.005)
            relay.close(reset=True)
            while not begun._inner.done():
                await asyncio.sleep(0.005)
            assert not begun.done()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(begun, 0.05)
            await asyncio.sleep(0.6)
            assert begun.cancelled()
            assert len(server.calls) == 2


async def test_answered_calls_keep_the_retries_of_a_channel_alive():
    with EchoServer() as server:
        with eas_grpc.connect(server.address) as channel:
            throttle = channel._policy._replays._throttle
            throttle._tokens = 600.0
            call = channel.stream_unary("/test.Echo/stream_unary")
            for _ in range(5):
                done = threading.Event()
                call.future(iter([b"echo:1"])).add_done_callback(lambda _, done=done: done.set())
                assert done.wait(20)
                assert call(iter([b"echo:1"])) == b"1"
            assert throttle._tokens == pytest.approx(601)
        async with aio.connect(server.address) as channel:
            throttle = channel._policy._replays._throttle
            throttle._tokens = 600.0
            for _ in range(10):
                await channel.stream_unary("/test.Echo/stream_unary")([b"echo:1"])
            assert throttle._tokens == pytest.approx(601)


async def test_a_closed_channel_makes_no_stream_either():
    with EchoServer() as server:
        channel = eas_grpc.connect(server.address)
        call = channel.stream_unary("/test.Echo/stream_unary")
        channel.close()
        with pytest.raises(ValueError, match="closed"):
            call(iter([b"echo:1"]))
        channel = aio.connect(server.address)
        assert await channel.unary_unary("/test.Echo/unary_unary")(b"echo:1") == b"1"
        await channel.close()
        with pytest.raises(grpc.aio.UsageError):
            await channel.stream_unary("/test.Echo/stream_unary")([b"echo:1"])


def test_requests_beyond_the_replay_buffer_are_sent_once(path):
    big = b"echo:" + bytes(3_000_000)
    small = eas_grpc.options.PROFILES["direct"]
    profile = eas_grpc.Profile(**{**vars(small), "replay_buffer_bytes": 1_000_000})
    with EchoServer() as server, Relay(server.port) as relay:
        with path.client(relay.address, retry=QUICK, profile=profile) as client:
            assert client.run(b"echo:warm") == [b"warm"]
            relay.silence(up=False)
            handle, codes = client.begin(big), []
            waiting = threading.Thread(target=lambda: codes.append(handle.code()))
            waiting.start()
            _until(lambda: len(server.calls) == 2 and server.last.requests)
            relay.close(reset=True)
            waiting.join(20)
            assert codes == [UNAVAILABLE]
        assert len(server.calls) == 2


@pytest.mark.parametrize("colour", ["sync", "aio"])
def test_a_stream_that_has_begun_to_be_answered_is_not_sent_again(colour):
    path = Path("stream_stream", colour, "connect")
    with (
        EchoServer() as server,
        Relay(server.port) as relay,
        path.client(relay.address, retry=QUICK) as client,
    ):
        handle = client.begin(b"echo:1", b"hold")
        assert handle.next() == b"1"
        relay.close(reset=True)
        with pytest.raises(grpc.RpcError) as raised:
            handle.next()
        assert raised.value.code() is UNAVAILABLE
        assert len(server.calls) == 1


@pytest.mark.parametrize("shape", ["stream_unary", "stream_stream"])
async def test_a_stream_of_requests_that_is_refused_early_says_why(shape):
    """Without `_aio_truth` about every second one of these is INTERNAL or CANCELLED."""
    with EchoServer() as server:
        async with aio.connect(server.address) as channel:
            call = getattr(channel, shape)("/test.Echo/not_there")
            codes = set()
            for _ in range(CALLS):
                codes.add(await call([b"echo:1"] * 3).code())
    assert codes == {grpc.StatusCode.UNIMPLEMENTED}


@pytest.mark.parametrize(
    "path", [Path(s, c, "connect") for s in ("unary_unary", "stream_unary") for c in ("sync", "aio")], ids=str
)
def test_ok_without_a_message_is_an_error(path):
    headers = [(":status", "200"), ("content-type", "application/grpc")]
    with (
        Http2(headers, trailers=[("grpc-status", "0")]) as server,
        path.client(server.address) as client,
    ):
        with pytest.raises(grpc.RpcError) as raised:
            client.run(b"echo:1")
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert raised.value.details() == "the service answered OK without a message"
        with pytest.raises(grpc.RpcError):
            client.begin(b"echo:1").messages()


@pytest.mark.parametrize("path", [Path(s, c, "connect") for s in SHAPES for c in ("sync", "aio")], ids=str)
def test_compression_is_done_where_it_is_asked_for(path):
    size = 300_000
    with EchoServer() as server, Relay(server.port) as relay, path.client(relay.address) as client:
        client.run(b"size:warm")
        sent = relay.last.bytes_up
        request = b"size:" + bytes(size)
        assert client.run(request, compression=grpc.Compression.Gzip) == [str(len(request)).encode()]
        assert relay.last.bytes_up - sent < size / 10
        sent = relay.last.bytes_up
        client.run(request)
        assert relay.last.bytes_up - sent > size


def test_calls_whose_requests_stream_share_a_connection_of_their_own():
    with EchoServer() as server, Relay(server.port) as relay, eas_grpc.connect(relay.address) as channel:
        for connections in (1, 2):
            for shape, (many, responses) in SHAPES.items():
                if connections == 1 and many:
                    continue
                call = getattr(channel, shape)(f"/test.Echo/{shape}")
                answer = call(iter([b"echo:1"]) if many else b"echo:1")
                assert (list(answer) if responses else [answer]) == [b"1"]
            assert relay.accepted == connections


def test_core_sends_no_stream_again_of_its_own_accord(path):
    # After a GOAWAY that leaves a call out core would, whatever the policy: that is how requests get lost.
    excluded = RetryPolicy(exclude=("test.Echo",))
    with Http2([], goaway=(0, b"leave")) as server, path.client(server.address, retry=excluded) as client:
        with pytest.raises(grpc.RpcError) as caught:
            client.run(b"echo:1")
        assert caught.value.code() is UNAVAILABLE
        assert server.answered == 1


def _until(true, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)
