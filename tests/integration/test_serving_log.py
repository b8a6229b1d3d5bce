"""The request log, and what a caller learns of an exception: nothing but where to look."""

from __future__ import annotations

import logging
import re

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.serving import (
    COLOURS,
    SECRET,
    SHAPES,
    Gate,
    call,
    dial,
    path,
    records,
    refused,
    running,
)

ACCESS = "eas_grpc.serving.access"


@pytest.fixture(params=COLOURS)
def colour(request):
    return request.param


@pytest.fixture
def access():
    with records(ACCESS) as log:
        yield log


@pytest.mark.parametrize("shape", SHAPES)
def test_each_call_leaves_one_record_with_its_fields(colour, access, shape):
    with running(colour) as server, dial(server) as channel:
        call(channel, shape, b"hi", b"ho")
        record = access.next()
    assert (record.method, record.status, record.levelno) == (path(shape), "OK", logging.INFO)
    assert re.fullmatch(r"ipv4:127\.0\.0\.1:\d+", record.peer)
    assert 0 < record.duration_seconds < 10
    assert record.getMessage().startswith(f"OK {path(shape)} from {record.peer} in ")
    assert access.arrived.empty()


@pytest.mark.parametrize("shape", SHAPES)
def test_an_aborted_call_keeps_its_status_and_text(colour, access, shape):
    with running(colour) as server, dial(server) as channel:
        answer = refused(channel, shape, b"abort:FAILED_PRECONDITION:not now")
        assert answer == (grpc.StatusCode.FAILED_PRECONDITION, "not now")
        assert access.next().status == "FAILED_PRECONDITION"


@pytest.mark.parametrize("shape", SHAPES)
def test_an_exception_tells_the_caller_an_id_and_the_log_the_traceback(colour, access, shape):
    with records("eas_grpc.serving") as log, running(colour) as server, dial(server) as channel:
        code, details = refused(channel, shape, b"raise:" + SECRET.encode())
        found = [log.next(), log.next()]
    assert code is grpc.StatusCode.UNKNOWN
    assert "RuntimeError" not in details
    assert SECRET not in details
    error_id = re.search(r"error id ([0-9a-f]{8})$", details).group(1)
    (failed,) = [r for r in found if r.name == "eas_grpc.serving"]
    assert error_id in failed.getMessage()
    assert SECRET in str(failed.exc_info[1])
    assert failed.exc_info[2] is not None
    assert access.next().status == "UNKNOWN"


@pytest.mark.parametrize("shape", SHAPES)
def test_a_status_set_before_an_exception_stays(colour, access, shape):
    with running(colour) as server, dial(server) as channel:
        answer = refused(channel, shape, b"code:NOT_FOUND:no such picture")
        assert answer == (grpc.StatusCode.NOT_FOUND, "no such picture")
        assert access.next().status == "NOT_FOUND"
        code, details = refused(channel, shape, b"code:NOT_FOUND:")
        assert code is grpc.StatusCode.NOT_FOUND
        assert SECRET not in details


@pytest.mark.parametrize("shape", SHAPES)
def test_a_call_that_its_caller_leaves_is_recorded_as_cancelled(colour, access, shape):
    gate = Gate()
    with running(colour, gate=gate) as server, dial(server) as channel:
        made = getattr(channel, shape)(path(shape))
        sent = iter([b"hold"]) if shape.startswith("stream") else b"hold"
        pending = made(sent) if shape.endswith("stream") else made.future(sent)
        gate.wait_entered()
        pending.cancel()
        assert access.next().status == "CANCELLED"


def test_a_stream_whose_reader_leaves_is_recorded_once(colour, access):
    with running(colour) as server, dial(server) as channel:
        responses = channel.stream_stream(path("stream_stream"))(iter([b"hi"] * 1000))
        next(responses)
        responses.cancel()
        assert access.next().status in {"CANCELLED", "OK"}
        call(channel, "unary_unary", b"next")
        assert access.next().method == path("unary_unary")


def test_an_unknown_method_is_recorded_and_cannot_break_the_line(colour, access):
    with running(colour) as server, dial(server) as channel:
        code, details = refused(channel, "unary_unary", b"", method="/no.Such/" + "x" * 500)
        assert (code, details) == (grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        record = access.next()
    assert record.status == "UNIMPLEMENTED"
    assert len(record.getMessage()) < 300


def test_probes_are_recorded_at_debug(colour, access):
    with running(colour) as server, dial(server) as channel:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        assert access.next().levelno == logging.DEBUG


def test_the_log_holds_no_metadata(colour, access):
    with running(colour) as server, dial(server) as channel:
        call(channel, "unary_unary", b"hi", metadata=[("x-private", "canary-value")])
        record = access.next()
    assert "canary-value" not in str(record.__dict__)
