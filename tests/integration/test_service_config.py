"""The service config that a retry policy becomes, judged by grpc: a config that it refuses fails every call."""

from __future__ import annotations

import grpc
import pytest
from support.echo import EchoServer, method
from support.h2_answers import Http2

import eas_grpc
from eas_grpc import RetryPolicy
from eas_grpc.errors import CallError, Origin


@pytest.mark.parametrize(
    "policy",
    [
        None,
        RetryPolicy(),
        RetryPolicy(attempts=2),
        RetryPolicy(attempts=5),
        RetryPolicy(initial_backoff=0.001, max_backoff=0.001),
        RetryPolicy(initial_backoff=0.123456, max_backoff=99.987654),
        RetryPolicy(multiplier=1),
        RetryPolicy(multiplier=1e9),
        RetryPolicy(exclude=("a.B", "a.B/C", "d.E/F", "G", "/h.I")),
        RetryPolicy(exclude=("test.Echo",)),
        # Its service declares nothing; `grpc.health.v1` is loaded by others.
        RetryPolicy(exclude=("grpc.health.v1.Health", "grpc.health.v1.Health/Check")),
    ],
)
def test_grpc_takes_the_config(policy: RetryPolicy | None, echo: EchoServer) -> None:
    with eas_grpc.connect(echo.address, retry=policy) as channel:
        assert channel.unary_unary(method("unary_unary"))(b"echo:x") == b"x"


def test_a_config_of_the_callers_own_that_grpc_refuses_is_blamed_on_this_side(echo: EchoServer) -> None:
    options = [("grpc.service_config", '{"methodConfig": 5}')]
    with eas_grpc.connect(echo.address, options=options) as channel, pytest.raises(CallError) as caught:
        channel.unary_unary(method("unary_unary"))(b"echo:x")
    assert caught.value.origin is Origin.CLIENT
    assert "options= or retry=" in caught.value.hint


@pytest.mark.parametrize(
    ("policy", "attempts"),
    [
        (None, 1),
        (RetryPolicy(attempts=2, initial_backoff=0.01), 2),
        (RetryPolicy(attempts=4, initial_backoff=0.01, max_backoff=0.02), 4),
        (RetryPolicy(attempts=4, exclude=("test.Echo",)), 1),
        (RetryPolicy(attempts=4, exclude=("test.Echo/unary_unary",)), 1),
        (RetryPolicy(attempts=2, initial_backoff=0.01, exclude=("test.Echo/other", "other.Echo")), 2),
    ],
)
def test_unavailable_is_tried_as_often_as_the_policy_says(policy: RetryPolicy | None, attempts: int) -> None:
    headers = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "14")]
    with (
        Http2(headers) as server,
        eas_grpc.connect(server.address, retry=policy) as channel,
        pytest.raises(CallError) as caught,
    ):
        channel.unary_unary(method("unary_unary"))(b"echo:x")
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert server.answered == attempts
