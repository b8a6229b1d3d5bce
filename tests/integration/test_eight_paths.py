"""One policy on every path: four shapes, sync and aio, `connect()` and `interceptors()`: sixteen in all."""

from __future__ import annotations

import asyncio
import pickle
import threading
import time

import grpc
import pytest
from support.echo import EchoServer
from support.paths import PATHS, Path

import eas_grpc
from eas_grpc.errors import CallError, ConfigError, Origin

TOKEN = "ZGVtby10b2tlbg=="

every_path = pytest.mark.parametrize("path", PATHS, ids=str)
many_responses = pytest.mark.parametrize("path", [p for p in PATHS if p.many_responses], ids=str)
many_requests = pytest.mark.parametrize("path", [p for p in PATHS if p.many_requests], ids=str)
conversations = pytest.mark.parametrize("path", [p for p in PATHS if p.shape == "stream_stream"], ids=str)
one_request = pytest.mark.parametrize("path", [p for p in PATHS if not p.many_requests], ids=str)
connected = pytest.mark.parametrize("path", [p for p in PATHS if p.door == "connect"], ids=str)


@every_path
def test_the_answer_arrives(path: Path, echo: EchoServer) -> None:
    requests = [b"echo:a", b"echo:b"] if path.many_requests else [b"echo:a"]
    with path.client(echo.address) as client:
        answer = client.run(*requests)
    assert b",".join(answer) == (b"a,b" if path.many_requests else b"a")


@every_path
def test_the_token_is_sent_exactly_once(path: Path, echo: EchoServer) -> None:
    with path.client(echo.address, token=f" Bearer {TOKEN}\n") as client:
        client.run(b"echo:x", metadata=(("x-trace", "7"),))
    assert echo.last.values("authorization") == [f"Bearer {TOKEN}"]
    assert echo.last.values("x-trace") == ["7"]


@every_path
def test_a_callers_own_authorization_replaces_ours(path: Path, echo: EchoServer) -> None:
    with path.client(echo.address, token=TOKEN) as client:
        client.run(b"echo:x", metadata=(("authorization", "Basic abc"),))
    assert echo.last.values("authorization") == ["Basic abc"]


@every_path
def test_without_a_token_none_is_sent(path: Path, echo: EchoServer) -> None:
    with path.client(echo.address) as client:
        client.run(b"echo:x")
    assert echo.last.values("authorization") == []


@every_path
def test_one_response_has_the_default_deadline_and_a_stream_has_none(path: Path, echo: EchoServer) -> None:
    with path.client(echo.address, deadline=7.0) as client:
        client.run(b"echo:x")
    if path.many_responses:
        assert echo.last.remaining is None
    else:
        assert echo.last.remaining == pytest.approx(7.0, abs=1.0)


@every_path
def test_the_default_deadline_is_the_vendors_five_seconds(path: Path, echo: EchoServer) -> None:
    with path.client(echo.address) as client:
        client.run(b"echo:x")
    assert path.many_responses or echo.last.remaining == pytest.approx(5.0, abs=1.0)


@every_path
def test_a_timeout_of_the_call_wins(path: Path, echo: EchoServer) -> None:
    with path.client(echo.address, deadline=7.0) as client:
        client.run(b"echo:x", timeout=20.0)
    assert echo.last.remaining == pytest.approx(20.0, abs=1.0)


@connected
def test_a_timeout_of_none_is_no_deadline(path: Path, echo: EchoServer) -> None:
    with path.client(echo.address, deadline=7.0) as client:
        client.run(b"echo:x", timeout=None)
    assert echo.last.remaining is None


@every_path
@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), "5", True])
def test_a_timeout_that_is_no_duration_is_refused_unsent(
    path: Path, timeout: object, echo: EchoServer
) -> None:
    with path.client(echo.address) as client, pytest.raises((ConfigError, CallError), match="timeout"):
        client.run(b"echo:x", timeout=timeout)
    assert echo.calls == []


@every_path
def test_a_call_ends_at_its_deadline_with_a_hint(path: Path, echo: EchoServer) -> None:
    with path.client(echo.address, token=TOKEN) as client:
        started = time.monotonic()
        with pytest.raises(CallError) as caught:
            client.run(b"hold:", timeout=0.2)
        taken = time.monotonic() - started
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert caught.value.origin is Origin.CLIENT
    assert "timeout=" in caught.value.hint
    assert 0.19 < taken < 2


@every_path
def test_a_failure_is_grpcs_error_and_ours_and_says_who_said_so(path: Path, echo: EchoServer) -> None:
    with path.client(echo.address, token=TOKEN) as client, pytest.raises(grpc.RpcError) as caught:
        client.run(b"fail:NOT_FOUND:no such model")
    error = caught.value
    assert isinstance(error, CallError)
    assert isinstance(error, grpc.aio.AioRpcError) == (path.colour == "aio")
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert error.details() == "no such model"
    assert error.origin is Origin.SERVER
    assert f"/test.Echo/{path.shape}" in str(error)


@every_path
def test_a_failure_survives_pickling_with_its_metadata(path: Path, echo: EchoServer) -> None:
    with path.client(echo.address, token=TOKEN) as client, pytest.raises(CallError) as caught:
        client.run(b"fail:ABORTED:again")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert type(copy) is type(caught.value)
    assert copy.failure == caught.value.failure
    assert copy.code() is grpc.StatusCode.ABORTED
    assert (copy.hint, str(copy)) == (caught.value.hint, str(caught.value))


@every_path
def test_cancelling_ends_the_call_on_both_sides(path: Path, echo: EchoServer) -> None:
    with path.client(echo.address) as client:
        call = client.begin(b"hold:", timeout=20)
        until = time.monotonic() + 5
        while not echo.calls and time.monotonic() < until:
            pump(call)
        assert call.cancel()
        assert call.code() is grpc.StatusCode.CANCELLED
        assert echo.last.ended.wait(5)
        assert call.done()


@many_responses
def test_reading_on_after_cancelling_says_so(path: Path, echo: EchoServer) -> None:
    with path.client(echo.address) as client:
        call = client.begin(b"echo:a", b"hold:") if path.many_requests else client.begin(b"hold:")
        call.cancel()
        with pytest.raises((CallError, asyncio.CancelledError)) as caught:
            while True:
                call.next()
    # grpc.aio answers a local cancellation with asyncio's own exception, as everything in asyncio does.
    assert path.colour == "aio" or caught.value.code() is grpc.StatusCode.CANCELLED


@every_path
def test_metadata_status_and_time_left_can_be_read_from_the_call(path: Path, echo: EchoServer) -> None:
    with path.client(echo.address) as client:
        call = client.begin(b"echo:x", timeout=9.0)
        # grpc.aio's own wrapper around an intercepted call does not implement time_remaining().
        if (path.colour, path.door) != ("aio", "interceptors"):
            assert 0 < call.time_remaining() <= 9.0
        assert call.initial_metadata()["x-first"] == "yes"
        call.messages()
        assert call.trailing_metadata()["x-count"] == "1"
        assert call.code() is grpc.StatusCode.OK
        assert call.done()


@every_path
def test_a_done_callback_is_given_the_call_that_the_caller_holds(path: Path, echo: EchoServer) -> None:
    noted: list[object] = []
    with path.client(echo.address, token=TOKEN) as client:
        call = client.begin(b"echo:x")
        call.on_done(noted.append)
        call.messages()
        until = time.monotonic() + 5
        while not noted and time.monotonic() < until:
            pump(call)
    if path.door == "connect":
        assert noted == [call.call]
    else:
        assert len(noted) == 1


@conversations
def test_requests_are_read_only_as_the_call_needs_them(path: Path, echo: EchoServer) -> None:
    """A conversation: the second request exists only after the first answer."""
    answered = threading.Event()

    def blocking():
        yield b"echo:first"
        assert answered.wait(5)
        yield b"echo:second"

    async def awaiting():
        yield b"echo:first"
        while not answered.is_set():
            await asyncio.sleep(0.005)
        yield b"echo:second"

    with path.client(echo.address) as client:
        call = client.begin_with(blocking() if path.colour == "sync" else awaiting())
        assert call.next() == b"first"
        answered.set()
        assert call.next() == b"second"


@many_responses
def test_responses_are_read_only_when_asked_for(path: Path, echo: EchoServer) -> None:
    with path.client(echo.address) as client:
        call = client.begin(b"echo:a", b"echo:b") if path.many_requests else client.begin(b"echo:a")
        assert call.next() == b"a"
        assert not call.done() or path.shape == "unary_stream"


@every_path
def test_after_unauthenticated_a_new_token_gets_one_more_try(path: Path, echo: EchoServer) -> None:
    """Rotation: the first try sends the old token, the source has a new one by then. Streams of requests
    cannot be sent twice, so there the next call uses the new token."""
    tokens = iter(["old", "new", "new", "new"])
    with path.client(echo.address, token=lambda: next(tokens)) as client:
        if path.many_requests:
            with pytest.raises(CallError) as caught:
                client.run(b"need:new")
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
            assert client.run(b"need:new") == [b"welcome"]
        else:
            assert client.run(b"need:new") == [b"welcome"]
    assert [call.values("authorization") for call in echo.calls] == [["Bearer old"], ["Bearer new"]]


@every_path
def test_after_unauthenticated_the_same_token_is_not_tried_again(path: Path, echo: EchoServer) -> None:
    with path.client(echo.address, token=lambda: "old") as client, pytest.raises(CallError) as caught:
        client.run(b"need:new")
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert "details page" in caught.value.hint
    assert len(echo.calls) == 1


@one_request
def test_the_one_more_try_is_the_last(path: Path, echo: EchoServer) -> None:
    numbers = iter(range(10))
    with path.client(echo.address, token=lambda: f"t{next(numbers)}") as client, pytest.raises(CallError):
        client.run(b"need:other")
    assert len(echo.calls) == 2


@every_path
@pytest.mark.parametrize(
    ("pair", "fix"),
    [
        (("X-Trace", "7"), "write 'x-trace'"),
        (("x trace", "7"), "may hold only"),
        (("x-trace", "a\nb"), "line break"),
        (("x-trace", "é"), "ASCII"),
        (("x-raw-bin", "text"), "must be bytes"),
        (("grpc-timeout", "1S"), "reserved"),
    ],
)
def test_broken_metadata_is_refused_unsent_with_the_fix(
    path: Path, pair: tuple[str, str], fix: str, echo: EchoServer
) -> None:
    with path.client(echo.address) as client, pytest.raises(ConfigError, match=fix):
        client.run(b"echo:x", metadata=(pair,))
    assert echo.calls == []


@every_path
def test_a_request_above_the_gateways_limit_is_refused_unsent(path: Path, echo: EchoServer) -> None:
    with path.client(echo.address) as client, pytest.raises(CallError) as caught:
        client.run(b"size:" + bytes(1_000_000))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert caught.value.origin is Origin.CLIENT
    for way_out in ("send less", "profile='direct'", "max_request="):
        assert way_out in caught.value.hint
    assert all(not call.requests for call in echo.calls)


@every_path
def test_a_request_at_the_gateways_limit_is_sent(path: Path, echo: EchoServer) -> None:
    with path.client(echo.address) as client:
        assert client.run(b"size:" + bytes(1_000_000 - 5)) == [b"1000000"]


@every_path
@pytest.mark.parametrize("choice", [{"profile": "direct"}, {"max_request": None}])
def test_the_limit_can_be_lifted(path: Path, choice: dict[str, object], echo: EchoServer) -> None:
    with path.client(echo.address, **choice) as client:
        assert client.run(b"size:" + bytes(1_500_000)) == [b"1500005"]


@every_path
def test_a_large_request_is_warned_of_once(
    path: Path, echo: EchoServer, caplog: pytest.LogCaptureFixture
) -> None:
    with path.client(echo.address) as client:
        client.run(b"size:" + bytes(600_000))
        client.run(b"size:" + bytes(600_000))
    assert [record.name for record in caplog.records if record.name.startswith("eas_grpc")] == [
        "eas_grpc.rpc"
    ]
    assert "600,005 bytes" in caplog.text


@many_responses
def test_a_stream_whose_first_message_does_not_come_is_ended(path: Path, echo: EchoServer) -> None:
    limits = eas_grpc.StreamLimits(first_message=0.3, gap=20)
    with path.client(echo.address, stream_limits=limits) as client, pytest.raises(CallError) as caught:
        client.run(b"hold:")
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "no message came within 0.3 s" in caught.value.details()
    assert echo.last.ended.wait(5)


@conversations
def test_a_stream_that_falls_silent_is_ended(path: Path, echo: EchoServer) -> None:
    limits = eas_grpc.StreamLimits(first_message=20, gap=0.3)
    with path.client(echo.address, stream_limits=limits) as client:
        call = client.begin(b"echo:a", b"hold:")
        assert call.next() == b"a"
        with pytest.raises(CallError, match=r"within 0\.3 s"):
            call.next()


@many_responses
def test_the_limits_do_not_apply_where_the_call_has_a_timeout(path: Path, echo: EchoServer) -> None:
    limits = eas_grpc.StreamLimits(first_message=0.1, gap=0.1)
    with path.client(echo.address, stream_limits=limits) as client:
        assert client.run(b"sleep:0.4", timeout=5) == [b"slept"]


@many_responses
def test_a_stream_has_no_limits_where_they_are_turned_off(path: Path, echo: EchoServer) -> None:
    with path.client(echo.address, stream_limits=None) as client:
        assert client.run(b"sleep:0.2") == [b"slept"]


@pytest.mark.parametrize("path", [p for p in PATHS if p.colour == "sync"], ids=str)
def test_a_call_that_is_abandoned_ends_on_the_server_at_once(path: Path, echo: EchoServer) -> None:
    """As grpc's blocking calls do; grpc.aio's own tasks keep an abandoned call alive until its deadline."""
    with path.client(echo.address, token=TOKEN) as client:
        call = client.begin(b"hold:", timeout=20)
        until = time.monotonic() + 5
        while not echo.calls and time.monotonic() < until:
            pump(call)
        del call
        assert echo.last.ended.wait(5)


@many_requests
def test_an_error_of_the_request_iterator_is_what_the_caller_sees(path: Path, echo: EchoServer) -> None:
    def requests():
        yield b"echo:a"
        raise KeyError("row 7")

    with path.client(echo.address) as client, pytest.raises(CallError, match="row 7") as caught:
        client.begin_with(requests()).messages()
    assert isinstance(caught.value.__cause__, KeyError)
    # It may never have left; if it did, the server saw it end.
    assert all(call.ended.wait(5) for call in echo.calls)


def pump(call: object) -> None:
    """Lets an aio call's own loop run for a moment; a sync call runs by itself."""
    loop = getattr(call, "loop", None)
    if loop is None:
        time.sleep(0.005)
    else:
        loop.run_until_complete(asyncio.sleep(0.005))
