"""Services that leave, refuse, die, or never were, behind the gateway: what their callers hear."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc
import h2.errors
import h2.events
import h2.settings
import pytest
from support.http2_rig import RESPONSE, TRAILERS, Theirs
from support.processes import EchoProcess

from server_demo.gateway import Gateway, GatewayOptions, Service

OPTIONS = GatewayOptions(max_body_bytes=None, keepalive=30.0, rate_limit=0)
OK = b"\0\0\0\0\2ok"
HEAD = [*RESPONSE, (b"content-type", b"application/grpc")]
WAIT = 15.0


class Scripted:
    """One connection to a service that does what its test says."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self.theirs = Theirs(client=False)
        self.h2 = self.theirs.connection
        self._reader, self._writer = reader, writer

    async def until(self, kind: type[h2.events.Event]) -> h2.events.Event:
        """The next event of that kind; everything that is read is credited."""
        while True:
            while self.theirs.events:
                event = self.theirs.events.pop(0)
                if isinstance(event, kind):
                    return event
            self.flush()
            data = await self._reader.read(65_536)
            if not data:
                raise ConnectionError
            self.theirs.feed(data)
            for stream in tuple(self.theirs.unacknowledged):
                if stream in self.h2.streams:
                    self.theirs.acknowledge(stream)

    def flush(self) -> None:
        self._writer.write(self.h2.data_to_send())

    def answer(self, stream: int) -> None:
        self.h2.send_headers(stream, HEAD)
        self.h2.send_data(stream, OK)
        self.h2.send_headers(stream, TRAILERS, end_stream=True)
        self.flush()

    async def answer_all(self) -> None:
        while True:
            self.answer((await self.until(h2.events.StreamEnded)).stream_id)

    async def ended(self) -> None:
        with contextlib.suppress(ConnectionError):
            await self.until(h2.events.ConnectionTerminated)


@contextlib.asynccontextmanager
async def behind(
    script: Callable[[Scripted], Awaitable[object]],
) -> AsyncIterator[tuple[grpc.aio.Channel, list[Scripted]]]:
    """A channel to a gateway before a service whose every connection follows the script, and those connections."""
    connections: list[Scripted] = []
    tasks: set[asyncio.Task] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        peer = Scripted(len(connections), reader, writer)
        connections.append(peer)
        # Ends quietly also when the test does: a cancelled task would be reported by the stream's own callback.
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await script(peer)
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    gateway = Gateway(Service(name="s", grpc=address), options=OPTIONS)
    await asyncio.to_thread(gateway.start)
    try:
        # Without retries of its own, the client shows what the gateway does.
        async with grpc.aio.insecure_channel(
            gateway.address, options=[("grpc.enable_retries", 0)]
        ) as channel:
            yield channel, connections
    finally:
        await asyncio.to_thread(gateway.stop)
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def unary(channel: grpc.aio.Channel, body: bytes = b"x") -> Awaitable[bytes]:
    return channel.unary_unary("/s/unary")(body, timeout=WAIT)


async def refusal(call: Awaitable[bytes]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details()


async def test_a_call_that_met_a_goodbye_goes_over_another_connection():
    async def script(peer: Scripted) -> None:
        stream = (await peer.until(h2.events.StreamEnded)).stream_id
        if peer.number == 0:
            peer.h2.close_connection(last_stream_id=0)
            peer.flush()
        else:
            peer.answer(stream)
            await peer.answer_all()

    async with behind(script) as (channel, connections):
        assert [await unary(channel), await unary(channel)] == [b"ok", b"ok"]
        assert len(connections) == 2


async def test_a_call_that_was_refused_goes_over_another_connection_with_its_whole_body():
    bodies = []

    async def script(peer: Scripted) -> None:
        stream = (await peer.until(h2.events.StreamEnded)).stream_id
        bodies.append(peer.theirs.bodies[stream])
        if peer.number < 2:
            peer.h2.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)
            await peer.ended()
        else:
            peer.answer(stream)
            await peer.ended()

    async with behind(script) as (channel, _):
        assert await unary(channel, b"body" * 10_000) == b"ok"
    assert bodies == [bodies[0]] * 3
    assert len(bodies[0]) == 40_005


async def test_a_service_that_refuses_everything_is_asked_a_few_times():
    async def script(peer: Scripted) -> None:
        while True:
            stream = (await peer.until(h2.events.StreamEnded)).stream_id
            peer.h2.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)

    async with behind(script) as (channel, connections):
        code, details = await refusal(unary(channel))
        assert (code, details.rpartition(" ")[2]) == (grpc.StatusCode.UNAVAILABLE, "overflow")
        assert 1 < len(connections) <= 5


async def test_a_refused_call_whose_body_is_no_longer_known_fails():
    async def script(peer: Scripted) -> None:
        stream = (await peer.until(h2.events.StreamEnded)).stream_id
        peer.h2.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)
        await peer.ended()

    async with behind(script) as (channel, connections):
        assert (await refusal(unary(channel, b"x" * 100_000)))[0] is grpc.StatusCode.UNAVAILABLE
        assert len(connections) == 1


async def test_a_call_that_the_service_has_begun_is_never_made_twice():
    async def script(peer: Scripted) -> None:
        await peer.until(h2.events.StreamEnded)

    async with behind(script) as (channel, connections):
        assert (await refusal(unary(channel)))[0] is grpc.StatusCode.UNAVAILABLE
        assert len(connections) == 1


async def test_calls_under_way_outlive_a_goodbye_and_the_connection_ends_with_them():
    async def script(peer: Scripted) -> None:
        first = (await peer.until(h2.events.StreamEnded)).stream_id
        if peer.number == 0:
            peer.h2.send_headers(first, HEAD)
            # As by h2's own means, but without ending its side.
            peer._writer.write(peer.h2.data_to_send() + b"\0\0\x08\7\0\0\0\0\0" + b"\0\0\0\1" + b"\0\0\0\0")
            goodbye.set()
            await go_on.wait()
            peer.h2.send_data(first, OK)
            peer.h2.send_headers(first, TRAILERS, end_stream=True)
            await peer.ended()
            ended.set()
        else:
            peer.answer(first)
            await peer.ended()

    goodbye, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
    async with behind(script) as (channel, connections):
        old = asyncio.ensure_future(unary(channel))
        await asyncio.wait_for(goodbye.wait(), WAIT)
        assert await unary(channel) == b"ok"
        go_on.set()
        assert await old == b"ok"
        await asyncio.wait_for(ended.wait(), WAIT)
        assert len(connections) == 2


async def test_no_more_calls_are_sent_on_a_connection_than_the_service_takes():
    most = 0

    async def script(peer: Scripted) -> None:
        nonlocal most
        peer.h2.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 2})
        waiting = []
        while True:
            waiting.append((await peer.until(h2.events.StreamEnded)).stream_id)
            most = max(most, peer.h2.open_inbound_streams)
            if not gate.is_set():
                await asyncio.wait_for(gate.wait(), WAIT)
            while waiting:
                peer.answer(waiting.pop(0))

    gate = asyncio.Event()
    async with behind(script) as (channel, connections):
        calls = [asyncio.ensure_future(unary(channel)) for _ in range(9)]
        while len(connections) < 5:
            await asyncio.sleep(0)
        gate.set()
        assert await asyncio.gather(*calls) == [b"ok"] * 9
        assert most <= 2


async def test_a_service_that_takes_no_calls_is_not_asked_for_ever():
    async def script(peer: Scripted) -> None:
        peer.h2.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 0})
        await peer.ended()

    async with behind(script) as (channel, connections):
        assert (await refusal(unary(channel)))[0] is grpc.StatusCode.UNAVAILABLE
        assert len(connections) <= 5


async def test_what_speaks_another_protocol_is_no_service():
    async def script(peer: Scripted) -> None:
        peer._writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while await peer._reader.read(1000):
                pass

    async with behind(script) as (channel, _):
        code, details = await refusal(unary(channel))
        assert code is grpc.StatusCode.UNAVAILABLE
        assert "protocol error" in details


async def test_a_service_that_breaks_the_rules_in_its_answer_is_cut_off():
    async def script(peer: Scripted) -> None:
        while True:
            stream = (await peer.until(h2.events.StreamEnded)).stream_id
            peer.flush()
            # DATA before any head.
            peer._writer.write(b"\0\0\1\0\0" + stream.to_bytes(4, "big") + b"x")

    async with behind(script) as (channel, _):
        assert (await refusal(unary(channel)))[0] is grpc.StatusCode.UNAVAILABLE


async def test_a_service_that_makes_the_gateway_answer_and_never_reads_is_cut_off():
    async def script(peer: Scripted) -> None:
        await peer.until(h2.events.StreamEnded)
        pings = b"\0\0\x08\6\0\0\0\0\0" + b"12345678"
        while True:
            peer._writer.write(pings * 10_000)
            await peer._writer.drain()

    async with behind(script) as (channel, _):
        code, _ = await refusal(unary(channel))
        assert code is grpc.StatusCode.UNAVAILABLE


# Servers of grpcio in processes of their own.


def echo(channel: grpc.Channel, body: bytes) -> bytes:
    return channel.unary_unary("/test.Echo/unary_unary")(body, timeout=WAIT)


def dial(gateway: Gateway) -> grpc.Channel:
    return grpc.insecure_channel(gateway.address, options=[("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)])  # fmt: skip


def test_a_service_that_is_not_there_is_unavailable_and_is_found_when_it_comes():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (
        Gateway(Service(name="e", grpc=f"127.0.0.1:{port}"), options=OPTIONS) as gateway,
        dial(gateway) as channel,
    ):
        for _ in range(3):
            with pytest.raises(grpc.RpcError) as caught:
                echo(channel, b"echo:x")
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            assert "connection failure" in caught.value.details()
        with EchoProcess(port):
            assert echo(channel, b"echo:x") == b"x"


def test_a_service_that_dies_in_the_middle_fails_its_calls_and_the_next_one_is_found():
    with EchoProcess() as first:
        gateway = Gateway(Service(name="e", grpc=first.address), options=OPTIONS)
        with gateway, dial(gateway) as channel:
            assert echo(channel, b"echo:x") == b"x"
            held = [
                channel.unary_unary("/test.Echo/unary_unary").future(b"hold", timeout=WAIT) for _ in range(5)
            ]
            answers = channel.unary_stream("/test.Echo/unary_stream")(b"hold", timeout=WAIT)
            assert echo(channel, b"echo:y") == b"y"
            first.kill()
            codes = {each.exception().code() for each in held}
            assert codes == {grpc.StatusCode.UNAVAILABLE}
            assert answers.code() is grpc.StatusCode.UNAVAILABLE
            with EchoProcess(first.port):
                assert echo(channel, b"echo:z") == b"z"


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="a process cannot be stopped here")
def test_a_service_that_hangs_hangs_its_own_calls_alone():
    with EchoProcess() as hung, EchoProcess() as well:
        services = Service(name="hung", grpc=hung.address), Service(name="well", grpc=well.address)
        with Gateway(*services, options=OPTIONS) as gateway, dial(gateway) as channel:
            hung.freeze()
            held = channel.unary_unary("/test.Echo/unary_unary").future(b"x" * 10_000_000, timeout=WAIT)
            options = [("grpc.default_authority", "well.localhost"), ("grpc.use_local_subchannel_pool", 1)]
            with grpc.insecure_channel(gateway.address, options=options) as other:
                assert echo(other, b"echo:x") == b"x"
            hung.thaw()
            held.cancel()
