"""`eas_grpc.rpc._policy`: what every call gets, decided once."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from eas_grpc.auth import Masked, bearer, token_source
from eas_grpc.calls import CallShape
from eas_grpc.deadline import UNSET
from eas_grpc.errors import ConfigError, Origin
from eas_grpc.options import StreamLimits
from eas_grpc.rpc._policy import CallPolicy, secret_in

SECRET = "c2VjcmV0LW9mLWEtc2VydmljZQ=="
METHOD = "/pkg.Service/Method"
LIMITS = StreamLimits(first_message=3, gap=4)

every_shape = pytest.mark.parametrize("shape", CallShape)


def policy(token: Any = None, **options: Any) -> CallPolicy:
    return CallPolicy(
        tokens=token_source(token),
        **{"deadline": 5.0, "stream_limits": LIMITS, "max_request": 1000, "warn_request": 500} | options,
    )


# ---- time


@every_shape
def test_one_response_has_the_default_deadline_and_a_stream_none(shape: CallShape) -> None:
    seconds, _ = policy().begin(shape, UNSET, None)
    assert seconds == (None if shape.many_responses else 5.0)


@every_shape
@pytest.mark.parametrize("timeout", [0.5, 60, None])
def test_the_callers_timeout_wins(shape: CallShape, timeout: float | None) -> None:
    assert policy().begin(shape, timeout, None)[0] == timeout


@every_shape
@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "5"])
def test_a_timeout_that_is_no_duration_is_refused(shape: CallShape, timeout: object) -> None:
    with pytest.raises(ConfigError, match="timeout"):
        policy().begin(shape, timeout, None)


@every_shape
@pytest.mark.parametrize("timeout", [UNSET, 5.0, None])
def test_the_limits_per_message_are_for_streams_without_a_timeout(shape: CallShape, timeout: object) -> None:
    expected = LIMITS if shape.many_responses and timeout is UNSET else None
    assert policy().limits(shape, timeout) is expected


# ---- metadata


@every_shape
@pytest.mark.parametrize("given", [None, (), []])
def test_without_token_and_metadata_nothing_is_sent(shape: CallShape, given: Any) -> None:
    assert policy().begin(shape, UNSET, given)[1] is None


@every_shape
def test_the_token_stands_first_and_the_callers_metadata_after_it(shape: CallShape) -> None:
    sent = policy(SECRET).begin(shape, UNSET, [("x-trace", "7")])[1]
    assert sent == (("authorization", f"Bearer {SECRET}"), ("x-trace", "7"))
    assert isinstance(sent[0][1], Masked)


@pytest.mark.parametrize("own", ["Basic abc", b"Basic abc", ""])
def test_an_authorization_of_the_callers_own_replaces_the_token(own: str | bytes) -> None:
    given = (("authorization", own),)
    assert policy(SECRET).begin(CallShape.UNARY_UNARY, UNSET, given)[1] == given


def test_the_source_is_asked_for_each_call() -> None:
    tokens = iter(["one", "two", "two"])
    rotating = policy(lambda: next(tokens))
    sent = [rotating.begin(CallShape.UNARY_UNARY, UNSET, None)[1] for _ in range(3)]
    assert sent == [(bearer("one"),), (bearer("two"),), (bearer("two"),)]


def test_the_source_is_not_asked_where_the_caller_brings_an_authorization() -> None:
    def never() -> str:
        raise AssertionError

    policy(never).begin(CallShape.UNARY_UNARY, UNSET, (("authorization", "Basic abc"),))


def test_broken_metadata_is_refused_without_its_value() -> None:
    with pytest.raises(ConfigError, match="line break") as caught:
        policy(SECRET).begin(CallShape.UNARY_UNARY, UNSET, (("x-trace", f"{SECRET}\n"),))
    assert SECRET not in str(caught.value)


# ---- the second chance


def test_another_token_is_a_second_chance_and_keeps_the_rest() -> None:
    tokens = iter(["old", "new"])
    rotating = policy(lambda: next(tokens))
    sent = rotating.begin(CallShape.UNARY_UNARY, UNSET, (("x-trace", "7"),))[1]
    assert rotating.second_chance(sent) == (bearer("new"), ("x-trace", "7"))


def test_calls_that_were_refused_together_ask_the_source_once() -> None:
    tokens = iter(["old", "old", "new"])
    rotating = policy(lambda: next(tokens))
    sent = [rotating.begin(CallShape.UNARY_UNARY, UNSET, (("x-trace", each),))[1] for each in "12"]
    assert [rotating.second_chance(each) for each in sent] == [
        (bearer("new"), ("x-trace", "1")),
        (bearer("new"), ("x-trace", "2")),
    ]


def test_a_source_that_fails_after_a_refusal_leaves_the_refusal() -> None:
    tokens = iter(["old"])
    rotating = policy(lambda: next(tokens))
    sent = rotating.begin(CallShape.UNARY_UNARY, UNSET, None)[1]
    assert rotating.second_chance(sent) is None


@pytest.mark.parametrize("sent", [None, (), (("authorization", "Basic abc"),), (("x-trace", "7"),)])
def test_what_the_caller_sent_gets_no_second_chance(sent: Any) -> None:
    assert policy(SECRET).second_chance(sent) is None


def test_the_same_token_gets_no_second_chance() -> None:
    fixed = policy(SECRET)
    assert fixed.second_chance(fixed.begin(CallShape.UNARY_UNARY, UNSET, None)[1]) is None


def test_without_a_token_there_is_no_second_chance() -> None:
    assert policy().second_chance((bearer(SECRET),)) is None


# ---- size


@pytest.mark.parametrize(("size", "refused"), [(0, False), (1000, False), (1001, True)])
def test_a_request_is_refused_above_the_limit(size: int, refused: bool) -> None:
    failure = policy(warn_request=None).oversize(size, METHOD)
    assert bool(failure) is refused
    if failure is not None:
        assert (failure.status, failure.origin) == ("RESOURCE_EXHAUSTED", Origin.CLIENT)
        assert "1,001 bytes" in failure.details
        for way_out in ("send less", "profile='direct'", "max_request="):
            assert way_out in failure.hint


def test_a_request_that_comes_close_is_warned_of_once_per_method(caplog: pytest.LogCaptureFixture) -> None:
    close = policy()
    for method in (METHOD, METHOD, "/other/Method"):
        assert close.oversize(501, method) is None
    assert close.oversize(500, "/third/Method") is None
    assert [(record.levelno, record.args[0]) for record in caplog.records] == [
        (logging.WARNING, METHOD),
        (logging.WARNING, "/other/Method"),
    ]
    assert "refused above 1,000" in caplog.text


@pytest.mark.parametrize(
    ("limit", "warn", "notable"),
    [(1000, 500, 500), (100, 500, 100), (1000, None, 1000), (None, 500, 500)],
)
def test_below_both_limits_a_request_needs_no_second_look(
    limit: int | None, warn: int | None, notable: int
) -> None:
    assert policy(max_request=limit, warn_request=warn).notable_request == notable


def test_without_limits_no_request_needs_a_second_look() -> None:
    unlimited = policy(max_request=None, warn_request=None)
    assert unlimited.notable_request > 2**40
    assert unlimited.oversize(2**40, METHOD) is None


# ---- what is masked


@pytest.mark.parametrize(
    ("metadata", "secret"),
    [
        (None, ""),
        ((), ""),
        ((("x-trace", SECRET),), ""),
        ((bearer(SECRET),), SECRET),
        ((("x-trace", "7"), bearer(SECRET)), SECRET),
        ((("authorization", SECRET),), SECRET),
        ((("authorization", f"Basic {SECRET}  "),), SECRET),
        ((("authorization", f"Basic {SECRET}".encode()),), SECRET),
        ((("authorization", ""),), ""),
        ((("authorization", "  "),), ""),
    ],
)
def test_the_secret_is_the_last_word_of_the_authorization(metadata: Any, secret: str) -> None:
    assert secret_in(metadata) == secret
