"""The channel is a true `grpc.Channel`, or `grpc.aio.Channel`: everything that theirs offer, ours does too."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from support.echo import EchoServer, method
from support.processes import reserved_port

import eas_grpc
from eas_grpc import aio
from eas_grpc.errors import CallError, ConfigError
from server_demo import app

ECHO = {shape: method(shape) for shape in ("unary_unary", "unary_stream", "stream_unary", "stream_stream")}


@pytest.fixture
def channel(echo: EchoServer) -> Iterator[grpc.Channel]:
    with eas_grpc.connect(echo.address, token="t") as channel:
        yield channel


@pytest.fixture(scope="module")
def demo() -> Iterator[str]:
    with app.build(token="t") as server:
        yield server.address


def rotating(*tokens: str) -> Any:
    """A token source that gives these, and then the last one for ever."""
    left = list(tokens)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def test_they_are_grpcs_own_types(channel: grpc.Channel, echo: EchoServer) -> None:
    assert isinstance(channel, grpc.Channel)
    assert isinstance(aio.connect(echo.address), grpc.aio.Channel)
    assert isinstance(channel.unary_unary("/a.B/C"), grpc.UnaryUnaryMultiCallable)
    assert isinstance(channel.unary_stream("/a.B/C"), grpc.UnaryStreamMultiCallable)
    assert isinstance(channel.stream_unary("/a.B/C"), grpc.StreamUnaryMultiCallable)
    assert isinstance(channel.stream_stream("/a.B/C"), grpc.StreamStreamMultiCallable)


def test_its_repr_names_the_endpoint_and_no_token(channel: grpc.Channel, echo: EchoServer) -> None:
    assert repr(channel) == f"<eas_grpc channel to {echo.address}>"
    assert repr(aio.connect(echo.address, token="t")) == f"<eas_grpc asyncio channel to {echo.address}>"


@pytest.mark.parametrize("shape", ["unary_unary", "stream_unary"])
def test_with_call_gives_the_response_and_the_call(shape: str, channel: grpc.Channel) -> None:
    request = iter([b"echo:x"]) if shape == "stream_unary" else b"echo:x"
    response, call = getattr(channel, shape)(ECHO[shape]).with_call(request)
    assert response == b"x"
    assert dict(call.trailing_metadata())["x-count"] == "1"
    assert dict(call.initial_metadata())["x-first"] == "yes"
    assert call.code() is grpc.StatusCode.OK


@pytest.mark.parametrize("shape", ["unary_unary", "stream_unary"])
def test_with_call_raises_as_a_plain_call_does(shape: str, channel: grpc.Channel) -> None:
    request = iter([b"fail:NOT_FOUND:no"]) if shape == "stream_unary" else b"fail:NOT_FOUND:no"
    with pytest.raises(CallError) as caught:
        getattr(channel, shape)(ECHO[shape]).with_call(request)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("way", ["call", "with_call", "future"])
def test_every_way_of_a_unary_call_gets_the_one_more_try(way: str, echo: EchoServer) -> None:
    with eas_grpc.connect(echo.address, token=rotating("old", "new")) as channel:
        stub = channel.unary_unary(ECHO["unary_unary"])
        answer = {
            "call": lambda: stub(b"need:new"),
            "with_call": lambda: stub.with_call(b"need:new")[0],
            "future": lambda: stub.future(b"need:new").result(),
        }[way]()
    assert answer == b"welcome"
    assert [call.values("authorization") for call in echo.calls] == [["Bearer old"], ["Bearer new"]]


def test_a_future_that_is_tried_again_is_done_and_calls_back_only_then(echo: EchoServer) -> None:
    over, told = threading.Event(), []
    with eas_grpc.connect(echo.address, token=rotating("old", "new")) as channel:
        call = channel.unary_unary(ECHO["unary_unary"]).future(b"need:new")
        call.add_done_callback(lambda done: (told.append(done.code()), over.set()))
        assert over.wait(5)
        assert told == [grpc.StatusCode.OK]
        assert (call.done(), call.running(), call.result()) == (True, False, b"welcome")


@pytest.mark.parametrize("way", ["call", "future"])
def test_a_token_source_that_fails_at_the_second_try_leaves_the_services_answer(
    way: str, echo: EchoServer
) -> None:
    answers = iter(["old"])
    told = threading.Event()
    with eas_grpc.connect(echo.address, token=lambda: next(answers)) as channel:
        stub = channel.unary_unary(ECHO["unary_unary"])
        with pytest.raises(CallError) as caught:
            if way == "call":
                stub(b"need:new")
            else:
                call = stub.future(b"need:new")
                call.add_done_callback(lambda _: told.set())
                assert told.wait(5)
                call.result()
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_call_takes_no_more_arguments_than_grpcs(channel: grpc.Channel) -> None:
    with pytest.raises(TypeError, match="at most 6"):
        channel.unary_unary(ECHO["unary_unary"])(b"echo:x", 2, None, None, True, None, 7)


def test_a_future_waits_no_longer_than_it_is_told_to(channel: grpc.Channel) -> None:
    call = channel.unary_unary(ECHO["unary_unary"]).future(b"hold:")
    with pytest.raises(grpc.FutureTimeoutError):
        call.result(timeout=0.05)
    with pytest.raises(grpc.FutureTimeoutError):
        call.exception(timeout=0.05)
    assert (call.running(), call.done(), call.is_active()) == (True, False, True)
    assert call.cancel()
    assert call.cancelled()
    with pytest.raises(grpc.FutureCancelledError):
        call.result()


def test_a_future_holds_its_error_with_a_traceback(channel: grpc.Channel) -> None:
    call = channel.unary_unary(ECHO["unary_unary"]).future(b"fail:ABORTED:again")
    error = call.exception()
    assert isinstance(error, CallError)
    assert call.traceback() is not None
    assert (call.code(), call.details()) == (grpc.StatusCode.ABORTED, "again")
    assert "ABORTED" in call.debug_error_string() or "again" in call.debug_error_string()
    good = channel.unary_unary(ECHO["unary_unary"]).future(b"echo:x")
    assert (good.exception(), good.traceback()) == (None, None)


def test_a_callback_for_the_end_of_a_call_is_called_or_refused(channel: grpc.Channel) -> None:
    ended = threading.Event()
    call = channel.unary_stream(ECHO["unary_stream"])(b"hold:")
    assert call.add_callback(ended.set)
    call.cancel()
    assert ended.wait(5)
    assert not call.add_callback(ended.set)


@pytest.mark.parametrize("way", ["by position", "by name"])
def test_the_rarer_parameters_of_a_call_reach_grpc(way: str) -> None:
    """Nobody serves yet: a call that waits for a connection gets its answer, others fail at once."""
    with reserved_port() as port, eas_grpc.connect(f"127.0.0.1:{port}", token="t", retry=None) as channel:
        stub = channel.unary_unary(ECHO["unary_unary"])
        with pytest.raises(CallError, match="Connection refused"):
            stub(b"echo:x")
        given = (10.0, None, None, True, grpc.Compression.Gzip) if way == "by position" else ()
        named = (
            {} if given else {"timeout": 10.0, "wait_for_ready": True, "compression": grpc.Compression.Gzip}
        )
        call = stub.future(b"echo:x", *given, **named)
        with EchoServer(port=port):
            assert call.result() == b"x"


def test_somebody_elses_interceptor_around_the_channel_keeps_token_and_deadline(
    channel: grpc.Channel, echo: EchoServer
) -> None:
    class Tag(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation, client_call_details, request):
            return continuation(client_call_details, request)

    wrapped = grpc.intercept_channel(channel, Tag())
    assert wrapped.unary_unary(ECHO["unary_unary"])(b"echo:x") == b"x"
    assert echo.last.values("authorization") == ["Bearer t"]
    assert echo.last.remaining == pytest.approx(5.0, abs=1.0)
    with pytest.raises(grpc.RpcError) as caught:
        wrapped.unary_unary(ECHO["unary_unary"])(b"fail:NOT_FOUND:no")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.exception() is caught.value


def test_somebody_elses_interceptor_below_the_policy_sees_token_and_deadline(echo: EchoServer) -> None:
    seen = []

    class Look(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation, client_call_details, request):
            seen.append((client_call_details.timeout, [key for key, _ in client_call_details.metadata]))
            return continuation(client_call_details, request)

    with eas_grpc.connect(echo.address, token="t", interceptors=[Look()]) as channel:
        assert channel.unary_unary(ECHO["unary_unary"])(b"echo:x") == b"x"
    assert seen == [(5.0, ["authorization"])]


class Generating(grpc.UnaryStreamClientInterceptor, grpc.StreamStreamClientInterceptor):
    """Hands on a stream as a generator, as OpenTelemetry's interceptor does."""

    def intercept_unary_stream(self, continuation, client_call_details, request):
        yield from continuation(client_call_details, request)

    intercept_stream_stream = intercept_unary_stream


@pytest.mark.parametrize("where", ["above", "below", "under our interceptors"])
@pytest.mark.parametrize("shape", ["unary_stream", "stream_stream"])
def test_an_interceptor_that_makes_a_generator_of_a_stream_is_fine(
    where: str, shape: str, echo: EchoServer
) -> None:
    bare = grpc.insecure_channel(echo.address)
    channel = {
        "above": lambda: grpc.intercept_channel(eas_grpc.connect(echo.address, token="t"), Generating()),
        "below": lambda: eas_grpc.connect(echo.address, token="t", interceptors=[Generating()]),
        "under our interceptors": lambda: grpc.intercept_channel(
            grpc.intercept_channel(bare, Generating()), *eas_grpc.interceptors(token="t")
        ),
    }[where]()
    stub = getattr(channel, shape)(ECHO[shape])

    def sent(request: bytes) -> Any:
        return iter([request]) if shape == "stream_stream" else request

    assert list(stub(sent(b"echo:x"))) == [b"x"]
    with pytest.raises(grpc.RpcError) as caught:
        list(stub(sent(b"fail:NOT_FOUND:no")))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    channel.close()
    bare.close()


def test_a_mistake_in_one_call_is_also_the_rpc_error_that_callers_of_grpc_catch(
    channel: grpc.Channel,
) -> None:
    with pytest.raises(grpc.RpcError, match="leaves no time") as caught:
        channel.unary_unary(ECHO["unary_unary"])(b"echo:x", timeout=-0.5)
    assert isinstance(caught.value, ConfigError)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_channel_that_is_pickled_says_what_to_do_instead(channel: grpc.Channel, echo: EchoServer) -> None:
    for thing, door in ((channel, "eas_grpc.connect"), (aio.connect(echo.address), "eas_grpc.aio.connect")):
        with pytest.raises(TypeError, match=door):
            pickle.dumps(thing)


def test_health_and_reflection_clients_take_it(demo: str) -> None:
    with eas_grpc.connect(demo, token="t") as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        assert "helloworld.GreeterService" in ProtoReflectionDescriptorDatabase(channel).get_services()


def test_its_connectivity_can_be_watched(channel: grpc.Channel) -> None:
    before = set(threading.enumerate())
    states: list[grpc.ChannelConnectivity] = []
    channel.subscribe(states.append, try_to_connect=True)
    grpc.channel_ready_future(channel).result(5)
    channel.unsubscribe(states.append)
    channel.unary_unary(ECHO["unary_unary"])(b"echo:x")
    # grpc polls on a thread of its own, which raises if the channel is closed under it.
    for thread in set(threading.enumerate()) - before:
        thread.join(2)


def test_a_closed_channel_says_so(echo: EchoServer) -> None:
    channel = eas_grpc.connect(echo.address)
    stub = channel.unary_unary(ECHO["unary_unary"])
    channel.close()
    with pytest.raises(ValueError, match="closed channel"):
        stub(b"echo:x")


async def test_the_asyncio_channel_offers_what_grpc_aio_offers(echo: EchoServer) -> None:
    async with aio.connect(echo.address, token="t") as channel:
        assert channel.get_state(try_to_connect=True) is not grpc.ChannelConnectivity.SHUTDOWN
        await asyncio.wait_for(channel.channel_ready(), 5)
        assert channel.get_state() is grpc.ChannelConnectivity.READY
        changed = asyncio.ensure_future(channel.wait_for_state_change(grpc.ChannelConnectivity.READY))
        call = channel.unary_unary(ECHO["unary_unary"])(b"echo:x", wait_for_ready=True)
        await call.wait_for_connection()
        assert (await call, await call) == (b"x", b"x")
        assert await call.details() == ""
        changed.cancel()


async def test_requests_can_be_written_and_responses_read_one_by_one(echo: EchoServer) -> None:
    async with aio.connect(echo.address, token="t") as channel:
        call = channel.stream_stream(ECHO["stream_stream"])()
        for text in (b"a", b"b"):
            await call.write(b"echo:" + text)
            assert await call.read() == text
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK

        upload = channel.stream_unary(ECHO["stream_unary"])()
        await upload.write(b"echo:a")
        await upload.write(b"echo:b")
        await upload.done_writing()
        assert await upload == b"a,b"


async def test_a_written_request_that_is_too_large_is_refused_and_the_call_goes_on(echo: EchoServer) -> None:
    async with aio.connect(echo.address, token="t") as channel:
        call = channel.stream_unary(ECHO["stream_unary"])()
        with pytest.raises(CallError) as caught:
            await call.write(bytes(1_000_001))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await call.write(b"echo:a")
        await call.done_writing()
        assert await call == b"a"


@pytest.mark.parametrize("shape", ["stream_unary", "stream_stream"])
async def test_writing_and_compression_work_through_the_interceptors_too(
    shape: str, echo: EchoServer
) -> None:
    async with grpc.aio.insecure_channel(echo.address, interceptors=aio.interceptors(token="t")) as channel:
        call = getattr(channel, shape)(ECHO[shape])(compression=grpc.Compression.Gzip)
        await call.write(b"echo:a")
        await call.done_writing()
        answer = [message async for message in call] if shape == "stream_stream" else [await call]
    assert answer == [b"a"]
    assert echo.last.values("authorization") == ["Bearer t"]


async def test_what_an_interceptor_adds_to_one_call_is_not_in_the_next(echo: EchoServer) -> None:
    class Tag(grpc.aio.UnaryUnaryClientInterceptor):
        number = 0

        async def intercept_unary_unary(self, continuation, client_call_details, request):
            self.number += 1
            client_call_details.metadata.add("x-user", f"user{self.number}")
            return await continuation(client_call_details, request)

    async with aio.connect(echo.address, token="t", interceptors=[Tag()]) as channel:
        stub = channel.unary_unary(ECHO["unary_unary"])
        for _ in range(3):
            await stub(b"echo:x")
    assert [call.values("x-user") for call in echo.calls] == [["user1"], ["user2"], ["user3"]]


async def test_cancelling_the_task_that_awaits_ends_the_call_on_the_server(echo: EchoServer) -> None:
    async with aio.connect(echo.address, token="t") as channel:
        task = asyncio.ensure_future(call_and_wait(channel))
        while not echo.calls:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(echo.last.ended.wait, 5)


async def call_and_wait(channel: grpc.aio.Channel) -> bytes:
    return await channel.unary_unary(ECHO["unary_unary"])(b"hold:", timeout=30)


def test_an_asyncio_channel_made_at_import_time_serves_one_loop_after_the_other(echo: EchoServer) -> None:
    channel = aio.connect(echo.address, token="t")
    stub = channel.unary_unary(ECHO["unary_unary"])

    async def call() -> bytes:
        return await stub(b"echo:x")

    async def last_call() -> bytes:
        async with channel:
            return await stub(b"echo:x")

    assert asyncio.run(call()) == b"x"
    assert asyncio.run(last_call()) == b"x"


def test_an_asyncio_channel_in_two_open_loops_or_in_none_says_what_to_do(echo: EchoServer) -> None:
    channel = aio.connect(echo.address, token="t")
    stub = channel.unary_unary(ECHO["unary_unary"])
    with pytest.raises(ConfigError, match=r"asyncio\.run"):
        stub(b"echo:x")

    async def call() -> bytes:
        return await stub(b"echo:x")

    first = asyncio.new_event_loop()
    assert first.run_until_complete(call()) == b"x"
    with pytest.raises(ConfigError, match="one channel per loop"):
        asyncio.run(call())
    first.run_until_complete(channel.close())
    first.close()
