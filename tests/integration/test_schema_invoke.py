"""One call as a row of events: all four shapes, failures, and calls that are given up."""

from __future__ import annotations

import threading
from concurrent import futures
from contextlib import contextmanager

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.wrappers_pb2 import StringValue
from support.echo import EchoServer
from unit.schema.kinds import kinds

import eas_grpc
from eas_grpc.deadline import UNSET
from eas_grpc.errors import ConfigError, WireError
from eas_grpc.schema import Ended, Headers, Received, from_files, invoke, status_details
from server_demo import app

TOKEN = "canary-0123456789abcdef"
SHAPES = {"SayHello": 1, "SayHelloManyTimes": 3, "SayHelloToAll": 1, "Chat": 2}


@pytest.fixture(scope="module")
def server():
    with app.build(token=TOKEN) as server:
        yield server


@pytest.fixture(params=["ours", "grpc"])
def channel(request, server):
    if request.param == "ours":
        with eas_grpc.connect(server.address, token=TOKEN) as channel:
            yield channel
    else:
        with grpc.insecure_channel(server.address) as channel:
            yield channel


def greeter():
    from eas_grpc.schema import from_module

    return from_module("eas_grpc_pb.greeter.v1.greeter_pb2")


METADATA = [("authorization", f"Bearer {TOKEN}")]


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_begins_with_headers_and_ends_well(channel, name):
    schema = greeter()
    method = schema.method(name)
    data = {"name": "Ada"} | ({"count": 3} if name == "SayHelloManyTimes" else {})
    request = schema.parse(method.request, data, where="x").SerializeToString()
    requests = [request] * (2 if method.client_streaming else 1)
    events = list(invoke(channel, method, iter(requests), timeout=10, metadata=METADATA[: _plain(channel)]))
    assert isinstance(events[0], Headers)
    received = [each for each in events if isinstance(each, Received)]
    assert len(received) == SHAPES[name]
    assert all("Ada" in each.message.message and each.data for each in received)
    assert isinstance(events[-1], Ended)
    assert (events[-1].status, events[-1].failure) == ("OK", None)
    times = [each.at for each in events]
    assert times == sorted(times)
    assert times[0] > 0


def _plain(channel) -> int:
    """A channel of ours sends the token itself."""
    return 0 if "eas_grpc" in type(channel).__module__ else 1


def test_a_refused_call_is_an_event(server):
    schema = greeter()
    method = schema.method("SayHello")
    with eas_grpc.connect(server.address, token="another-0123456789") as channel:
        (end,) = invoke(channel, method, iter([b""]), timeout=10)
    assert isinstance(end, Ended)
    assert end.status == "UNAUTHENTICATED"
    assert end.failure is not None
    assert "token" in end.failure.hint


def test_a_refused_call_on_a_plain_channel_is_an_event_too(server):
    method = greeter().method("Chat")
    with grpc.insecure_channel(server.address) as channel:
        (end,) = invoke(channel, method, iter([b""]), timeout=10)
    assert end.failure is not None
    assert (end.status, end.failure.status, end.failure.method) == ("UNAUTHENTICATED",) * 2 + (method.path,)


def test_nothing_that_listens_is_an_event_too():
    from support.processes import reserved_port

    with reserved_port() as port, eas_grpc.connect(f"127.0.0.1:{port}", retry=None) as channel:
        (end,) = invoke(channel, greeter().method("SayHello"), iter([b""]), timeout=5)
    assert end.status == "UNAVAILABLE"


@pytest.mark.parametrize("requests", [[], [b"", b""]], ids=["none", "two"])
def test_one_request_is_one_request(server, requests):
    with (
        eas_grpc.connect(server.address, token=TOKEN) as channel,
        pytest.raises(ConfigError, match="takes one request"),
    ):
        list(invoke(channel, greeter().method("SayHello"), iter(requests), timeout=5))


@contextmanager
def kinds_server(behaviour, **words):
    """Answers kinds.Kinds/Both as `behaviour(requests, context)` says, in bytes."""
    handler = grpc.stream_stream_rpc_method_handler(behaviour)
    server = grpc.server(futures.ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("kinds.Kinds", {"Both": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with eas_grpc.connect(f"127.0.0.1:{port}", **words) as channel:
            yield channel
    finally:
        server.stop(0).wait(10)


def test_a_stream_that_says_nothing_ends_with_the_channels_own_limit():
    ended = threading.Event()

    def silent(requests, context):
        context.add_callback(ended.set)
        ended.wait(30)
        yield from ()

    limits = eas_grpc.StreamLimits(first_message=0.2)
    with kinds_server(silent, stream_limits=limits) as channel:
        (end,) = invoke(channel, kinds().method("Both"), iter([b""]), timeout=UNSET)
    assert end.status == "DEADLINE_EXCEEDED"


def test_closing_the_events_cancels_the_call():
    ended = threading.Event()

    def forever(requests, context):
        context.add_callback(ended.set)
        while not ended.wait(0.01):
            yield b""

    with kinds_server(forever) as channel:
        events = invoke(channel, kinds().method("Both"), iter([b""]), timeout=30)
        assert isinstance(next(events), Headers)
        assert isinstance(next(events), Received)
        events.close()
        assert ended.wait(10)


def test_answers_come_as_they_arrive_and_not_at_the_end():
    def echo(requests, context):
        yield from requests

    sent: list[int] = []
    more = threading.Semaphore(1)

    def requests():
        for count in range(3):
            more.acquire()
            sent.append(count)
            yield kinds().message_class("kinds.Every")(one_int32=count).SerializeToString()

    seen = []
    with kinds_server(echo) as channel:
        for event in invoke(channel, kinds().method("Both"), requests(), timeout=10):
            if isinstance(event, Received):
                seen.append((event.message.one_int32, len(sent)))
                more.release()
    assert seen == [(0, 1), (1, 2), (2, 3)]


def test_an_answer_of_another_type_is_said_and_ends_the_call():
    def other(requests, context):
        yield b"\xff\xff"

    with kinds_server(other) as channel, pytest.raises(WireError, match=r"is no kinds\.Every"):
        list(invoke(channel, kinds().method("Both"), iter([b""]), timeout=10))


def test_what_came_before_a_failure_is_kept_and_the_details_are_decoded():
    schema = kinds()
    every = schema.message_class("kinds.Every")(one_string="inside")
    from google.rpc import error_details_pb2, status_pb2

    status = status_pb2.Status(code=9, message="no stock")
    for each in (
        error_details_pb2.ErrorInfo(reason="EMPTY", domain="shop", metadata={"item": "tea"}),
        error_details_pb2.BadRequest(
            field_violations=[
                error_details_pb2.BadRequest.FieldViolation(field="item", description="no such")
            ]
        ),
        error_details_pb2.RetryInfo(),
        error_details_pb2.Help(links=[error_details_pb2.Help.Link(description="d", url="u")]),
        error_details_pb2.QuotaFailure(violations=[error_details_pb2.QuotaFailure.Violation(subject="s")]),
        StringValue(value="text"),
        every,
    ):
        status.details.append(
            AnyMessage(
                type_url=f"type.googleapis.com/{each.DESCRIPTOR.full_name}", value=each.SerializeToString()
            )
        )
    status.details.append(AnyMessage(type_url="type.googleapis.com/no.Such", value=b"\x01"))

    def failing(requests, context):
        yield b""
        context.set_trailing_metadata(
            [("grpc-status-details-bin", status.SerializeToString()), ("why", "stock")]
        )
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no stock")

    with kinds_server(failing) as channel:
        events = list(invoke(channel, schema.method("Both"), iter([b""]), timeout=10))
    assert [type(each).__name__ for each in events] == ["Headers", "Received", "Ended"]
    end = events[-1]
    assert (end.status, end.details) == ("FAILED_PRECONDITION", "no stock")
    assert ("why", "stock") in end.trailers
    expected = [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "EMPTY",
            "domain": "shop",
            "metadata": {"item": "tea"},
        },
        {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": "item", "description": "no such"}],
        },
        {"@type": "type.googleapis.com/google.rpc.RetryInfo"},
        {"@type": "type.googleapis.com/google.rpc.Help", "links": [{"description": "d", "url": "u"}]},
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"subject": "s"}]},
        {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": "text"},
    ]
    unknown = {"@type": "type.googleapis.com/no.Such", "@value": "AQ=="}
    known = {"@type": "type.googleapis.com/kinds.Every", "oneString": "inside"}
    assert status_details(end.trailers, schema) == [*expected, known, unknown]
    assert status_details(end.trailers, None)[-2]["@value"]


@pytest.mark.parametrize("value", [b"\xff\xff", "text", b""])
def test_details_that_are_none_are_left_out(value):
    assert status_details([("grpc-status-details-bin", value)], None) == []


def test_our_own_definitions_of_googles_details_are_googles():
    from google.protobuf.descriptor_pb2 import DescriptorProto
    from google.rpc import error_details_pb2, status_pb2

    from eas_grpc.schema._status import _DETAILS, _known

    for name in _DETAILS:
        theirs, module = DescriptorProto(), status_pb2 if name == "Status" else error_details_pb2
        found = module.DESCRIPTOR
        message = found.message_types_by_name[name.partition(".")[0]]
        for part in name.split(".")[1:]:
            message = message.nested_types_by_name[part]
        message.CopyToProto(theirs)
        ours = {
            each.name: (each.number, each.type)
            for each in _known().FindMessageTypeByName(f"google.rpc.{name}").fields
        }
        assert ours.items() <= {each.name: (each.number, each.type) for each in theirs.field}.items()


def test_the_echo_of_bytes_needs_no_schema_of_its_own(echo: EchoServer):
    files = {
        "echo.proto": 'syntax = "proto3"; package test; import "google/protobuf/wrappers.proto";'
        " service Echo { rpc unary_unary(google.protobuf.BytesValue) returns (google.protobuf.BytesValue); }"
    }
    from support.reflection_servers import files_of

    method = from_files(files_of(files).values(), origin="x").method("unary_unary")
    with eas_grpc.connect(echo.address) as channel:
        *_, end = invoke(channel, method, iter([b"fail:NOT_FOUND:nobody"]), timeout=10)
    assert (end.status, end.details) == ("NOT_FOUND", "nobody")
