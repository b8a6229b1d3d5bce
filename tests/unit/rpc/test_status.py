"""`eas_grpc.rpc._status`: grpc's errors become ours, as the class that each colour's callers catch."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import grpc
import grpc.aio
import pytest

from eas_grpc.errors import CallError, ConfigError, EasError, Origin
from eas_grpc.rpc._status import (
    AioMisuseError,
    AioRpcCallError,
    RpcCallError,
    aio_error,
    debug_text,
    refusal,
    sync_error,
)

SECRET = "c2VjcmV0LW9mLWEtc2VydmljZQ=="
FAILURE = refusal("RESOURCE_EXHAUSTED", "too large", "/pkg.Service/Method", "send less")


class Foreign(grpc.RpcError):
    """An error as any interceptor may make it: the methods, and nothing of grpc's own classes."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.ABORTED

    def details(self) -> str | None:
        return f"refused {SECRET}"

    def initial_metadata(self) -> Any:
        return None

    def trailing_metadata(self) -> Any:
        return [("x-sent", SECRET), ("x-raw-bin", SECRET.encode())]


def aio_foreign() -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(
        grpc.StatusCode.ABORTED,
        grpc.aio.Metadata(),
        grpc.aio.Metadata(("x-sent", SECRET), ("x-raw-bin", SECRET.encode())),
        f"refused {SECRET}",
        f"core: {SECRET}",
    )


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (lambda: sync_error(Foreign(), "/a.B/C", SECRET), RpcCallError),
        (lambda: aio_error(aio_foreign(), "/a.B/C", SECRET), AioRpcCallError),
    ],
)
def test_an_error_of_grpcs_becomes_ours_without_the_token(made: Any, kind: type[CallError]) -> None:
    error = made()
    assert type(error) is kind
    assert error.code() is grpc.StatusCode.ABORTED
    assert error.details() == "refused ***"
    assert error.failure.method == "/a.B/C"
    assert error.failure.trailing_metadata == (("x-sent", "***"), ("x-raw-bin", b"***"))
    assert [tuple(pair) for pair in error.trailing_metadata()] == [("x-sent", "***"), ("x-raw-bin", b"***")]
    assert SECRET not in f"{error!r} {error} {error.debug_error_string()}"


@pytest.mark.parametrize(("convert", "kind"), [(sync_error, RpcCallError), (aio_error, AioRpcCallError)])
def test_an_error_of_ours_stays_the_object_it_is(convert: Any, kind: Any) -> None:
    error = kind(FAILURE)
    assert convert(error, "/other/Method", "") is error


@pytest.mark.parametrize(
    ("kind", "bases"),
    [
        (RpcCallError, (EasError, CallError, grpc.RpcError, grpc.Call, grpc.Future)),
        (AioRpcCallError, (EasError, CallError, grpc.RpcError, grpc.aio.AioRpcError)),
        (AioMisuseError, (ConfigError, ValueError, CallError, grpc.aio.AioRpcError)),
    ],
)
def test_code_written_for_grpc_catches_it(kind: type[CallError], bases: tuple[type, ...]) -> None:
    for base in bases:
        assert issubclass(kind, base)


@pytest.mark.parametrize("kind", [RpcCallError, AioRpcCallError])
def test_it_survives_pickling_and_copying_as_the_same_class(kind: type[CallError]) -> None:
    error = kind(FAILURE)
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is kind
        assert twin.failure == FAILURE
        assert (str(twin), repr(twin)) == (str(error), repr(error))


@pytest.mark.parametrize("kind", [RpcCallError, AioRpcCallError])
def test_it_prints_the_failure_with_its_hint(kind: type[CallError]) -> None:
    assert str(kind(FAILURE)) == str(FAILURE)
    assert "hint: send less" in str(kind(FAILURE))
    assert repr(kind(FAILURE)).startswith(kind.__name__)


def test_a_refusal_is_this_sides() -> None:
    assert FAILURE.origin is Origin.CLIENT
    assert FAILURE.http_status is None


def test_the_blocking_error_is_also_a_finished_call_and_future() -> None:
    error = RpcCallError(FAILURE)
    noted: list[object] = []
    error.add_done_callback(noted.append)
    assert noted == [error]
    assert error.exception() is error
    assert error.done()
    assert not any((error.running(), error.is_active(), error.cancel(), error.add_callback(lambda: None)))
    assert error.time_remaining() is None
    with pytest.raises(RpcCallError) as caught:
        error.result()
    assert caught.value is error
    assert error.traceback() is error.__traceback__ is not None


@pytest.mark.parametrize(
    ("status", "origin", "cancelled"),
    [
        ("CANCELLED", Origin.CLIENT, True),
        ("CANCELLED", Origin.SERVER, False),
        ("ABORTED", Origin.CLIENT, False),
    ],
)
def test_only_a_cancellation_of_this_side_counts_as_cancelled(
    status: str, origin: Origin, cancelled: bool
) -> None:
    import dataclasses

    failure = dataclasses.replace(FAILURE, status=status, origin=origin)
    assert RpcCallError(failure).cancelled() is cancelled


@pytest.mark.parametrize("status", [status.name for status in grpc.StatusCode])
def test_every_status_can_be_read_as_grpcs_enum(status: str) -> None:
    failure = refusal(status, "", "", "")
    assert RpcCallError(failure).code() is AioRpcCallError(failure).code() is grpc.StatusCode[status]


class State:
    def __init__(self, text: str | None) -> None:
        self.debug_error_string = text


class Waiting:
    """As grpc's own call: asked for a text that is not there, it would wait for ever."""

    def __init__(self, text: str | None) -> None:
        self._state = State(text)

    def debug_error_string(self) -> str:
        assert self._state.debug_error_string is not None, "waits for ever"
        return self._state.debug_error_string


@pytest.mark.parametrize(
    ("call", "text"),
    [(Waiting(None), ""), (Waiting("core"), "core"), (Waiting(""), ""), (Foreign(), ""), (object(), "")],
)
def test_the_debug_text_is_never_waited_for(call: object, text: str) -> None:
    assert debug_text(call) == text
