"""The token check, over all four shapes and both colours."""

from __future__ import annotations

import queue

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.serving import (
    COLOURS,
    SHAPES,
    TOKEN,
    bearer,
    call,
    dial,
    failure,
    path,
    records,
    refused,
    running,
)

from eas_grpc.serving import ServerOptions

UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
OTHER = "another-token"
REFUSALS = {
    "no metadata": ([], "no token"),
    "http style": ([("authorization", TOKEN)], "does not start with 'Bearer '"),
    "another scheme": ([("authorization", f"Basic {TOKEN}")], "does not start with 'Bearer '"),
    "no token behind it": ([("authorization", "Bearer  ")], "'Bearer '"),
    "wrong token": (bearer(OTHER), "wrong token"),
    "start of the token": (bearer(TOKEN[:-1]), "wrong token"),
    "token and more": (bearer(TOKEN + "x"), "wrong token"),
    "two tokens": (bearer(OTHER) + bearer(), "send exactly one"),
}


@pytest.fixture(params=COLOURS)
def colour(request):
    return request.param


@pytest.fixture
def guarded(colour):
    with running(colour, options=ServerOptions(tokens=("first-token", TOKEN))) as server:
        yield server


@pytest.mark.parametrize("shape", SHAPES)
def test_a_call_with_one_of_the_tokens_is_served(guarded, shape):
    with dial(guarded) as channel:
        for token in (TOKEN, "first-token"):
            assert call(channel, shape, b"hi", metadata=bearer(token)) == b"hi"
        assert call(channel, shape, b"hi", metadata=[("authorization", f"bearer {TOKEN}")]) == b"hi"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reason", REFUSALS)
def test_a_call_without_a_token_is_refused_and_told_what_is_wrong_but_not_the_token(guarded, shape, reason):
    metadata, text = REFUSALS[reason]
    with dial(guarded) as channel:
        code, details = refused(channel, shape, b"hi", metadata=metadata)
    assert code is UNAUTHENTICATED
    assert text in details
    assert OTHER not in details
    assert TOKEN[:8] not in details


def test_without_a_token_an_unknown_method_looks_like_any_other(guarded):
    with dial(guarded) as channel:
        assert refused(channel, "unary_unary", b"", method="/no.Such/Method")[0] is UNAUTHENTICATED
        code, _ = refused(channel, "unary_unary", b"", method="/no.Such/Method", metadata=bearer())
        assert code is grpc.StatusCode.UNIMPLEMENTED


def test_health_answers_without_a_token_and_reflection_does_not(guarded):
    with dial(guarded) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        assert health.Check(health_pb2.HealthCheckRequest(), timeout=10).status == 1
        reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
        assert refused(channel, "stream_stream", b"", method=reflection)[0] is UNAUTHENTICATED


def test_open_methods_are_a_choice(colour):
    options = ServerOptions(tokens=(TOKEN,), open_methods=(path("unary_unary"),))
    with running(colour, options=options) as server, dial(server) as channel:
        assert call(channel, "unary_unary", b"hi") == b"hi"
        assert refused(channel, "stream_unary", b"hi")[0] is UNAUTHENTICATED
        health = health_pb2_grpc.HealthStub(channel)
        code, _ = failure(lambda: health.Check(health_pb2.HealthCheckRequest(), timeout=10))
        assert code is UNAUTHENTICATED


def test_a_refused_call_is_over_before_its_request_has_come(guarded):
    never: queue.Queue[bytes] = queue.Queue()
    with dial(guarded) as channel:
        # The path is of a unary method; the caller begins the call and sends nothing.
        made = channel.stream_unary(path("unary_unary"))
        code, _ = failure(lambda: made(iter(never.get, b""), timeout=10))
    never.put(b"")
    assert code is UNAUTHENTICATED


def test_the_log_of_refused_and_served_calls_holds_no_token(guarded):
    with records("eas_grpc") as log, dial(guarded) as channel:
        for metadata, _ in REFUSALS.values():
            refused(channel, "unary_unary", b"hi", metadata=metadata)
        call(channel, "unary_unary", b"hi", metadata=bearer())
        refused(channel, "unary_unary", b"raise:x", metadata=bearer())
        seen = [log.next() for _ in range(len(REFUSALS) + 3)]
    for record in seen:
        text = f"{record.getMessage()} {record.__dict__} {record.exc_text}"
        assert TOKEN[:8] not in text
        assert OTHER not in text
