"""What stands for a call where somebody's interceptor left only an iterator."""

from __future__ import annotations

import grpc
import pytest

from eas_grpc.errors import CallFailure
from eas_grpc.rpc._foreign import as_call
from eas_grpc.rpc._status import RpcCallError

FAILURE = CallFailure("NOT_FOUND", "no such model", trailing_metadata=(("x-id", "7"),))


def failing():
    yield b"a"
    raise RpcCallError(FAILURE)


def test_what_is_a_call_stays_itself() -> None:
    call = RpcCallError(FAILURE)
    assert as_call(call) is call


def test_while_the_iteration_goes_on_little_is_known() -> None:
    call = as_call(iter([b"a", b"b"]))
    assert iter(call) is call
    assert next(call) == b"a"
    assert (call.code(), call.details(), call.debug_error_string()) == (None, "", "")
    assert (call.initial_metadata(), call.trailing_metadata()) == ((), ())
    assert (call.is_active(), call.running(), call.done(), call.cancelled()) == (True, True, False, False)
    assert call.time_remaining() is None


def test_the_end_is_ok_and_calls_back_once() -> None:
    told: list[object] = []
    call = as_call(iter([b"a"]))
    assert call.add_callback(lambda: told.append("over"))
    call.add_done_callback(told.append)
    assert list(call) == [b"a"]
    assert told == ["over", call]
    assert call.code() is grpc.StatusCode.OK
    assert not call.add_callback(lambda: None)
    call.add_done_callback(told.append)
    assert told == ["over", call, call]


def test_an_error_of_grpcs_is_its_status_and_metadata() -> None:
    call = as_call(failing())
    with pytest.raises(grpc.RpcError):
        list(call)
    assert (call.code(), call.details()) == (grpc.StatusCode.NOT_FOUND, "no such model")
    assert dict(call.trailing_metadata()) == {"x-id": "7"}
    assert call.initial_metadata() == ()
    assert call.done()


def test_another_error_is_unknown() -> None:
    def broken():
        raise KeyError("x")
        yield

    call = as_call(broken())
    with pytest.raises(KeyError):
        next(call)
    assert call.code() is grpc.StatusCode.UNKNOWN
    assert call.details() == ""


def test_a_generator_can_be_cancelled_and_another_iterator_cannot() -> None:
    closed: list[str] = []

    def generating():
        try:
            yield b"a"
            yield b"b"
        finally:
            closed.append("closed")

    call = as_call(generating())
    next(call)
    assert call.cancel()
    assert (closed, call.done()) == (["closed"], True)
    assert not as_call(iter([b"a"])).cancel()


def test_dropping_it_ends_it() -> None:
    told: list[str] = []
    call = as_call(iter([b"a"]))
    call.add_callback(lambda: told.append("over"))
    del call
    assert told == ["over"]


def test_a_stream_has_no_result() -> None:
    with pytest.raises(TypeError, match="iterate over it"):
        as_call(iter([])).result()
