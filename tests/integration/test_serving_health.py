"""The standard health service: statuses, watching, and answering while everything else is busy."""

from __future__ import annotations

import time
from contextlib import ExitStack

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.serving import (
    COLOURS,
    SERVICE,
    WAIT,
    Gate,
    RawConnection,
    call,
    dial,
    failure,
    path,
    running,
)

from eas_grpc.errors import ConfigError
from eas_grpc.serving import ServerOptions

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
WATCH = "/grpc.health.v1.Health/Watch"
EVERYTHING = health_pb2.HealthCheckRequest(service="").SerializeToString()


@pytest.fixture(params=COLOURS)
def colour(request):
    return request.param


def check(channel, service=""):
    stub = health_pb2_grpc.HealthStub(channel)
    return stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=WAIT).status


def watch(channel, service=""):
    stub = health_pb2_grpc.HealthStub(channel)
    return stub.Watch(health_pb2.HealthCheckRequest(service=service), timeout=60)


def test_every_service_and_the_whole_server_have_a_status(colour):
    with running(colour) as server, dial(server) as channel:
        assert check(channel) == SERVING
        assert check(channel, SERVICE) == SERVING
        server.health.set(SERVICE, serving=False)
        assert check(channel, SERVICE) == NOT_SERVING
        assert check(channel) == SERVING
        assert server.health.status(SERVICE) == "NOT_SERVING"


def test_a_service_that_is_not_there_is_not_found(colour):
    with running(colour) as server, dial(server) as channel:
        assert failure(lambda: check(channel, "no.Such"))[0] is grpc.StatusCode.NOT_FOUND
        with pytest.raises(ConfigError, match=f"'no.Such'.*{SERVICE}"):
            server.health.set("no.Such", serving=False)


def test_a_watcher_sees_each_change(colour):
    with running(colour) as server, dial(server) as channel:
        statuses = watch(channel, SERVICE)
        assert next(statuses).status == SERVING
        server.health.set(SERVICE, serving=False)
        assert next(statuses).status == NOT_SERVING
        server.health.set(SERVICE, serving=True)
        assert next(statuses).status == SERVING
        statuses.cancel()


def test_a_watcher_of_an_unknown_service_is_told_so(colour):
    with running(colour) as server, dial(server) as channel:
        statuses = watch(channel, "no.Such")
        assert next(statuses).status == UNKNOWN
        statuses.cancel()


def test_a_stop_tells_watchers_and_does_not_wait_for_them(colour):
    with running(colour) as server, dial(server) as channel:
        statuses = watch(channel)
        assert next(statuses).status == SERVING
        begun = time.monotonic()
        server.stop(grace=30)
        assert time.monotonic() - begun < 15
        assert next(statuses).status == NOT_SERVING
        assert failure(lambda: next(statuses)) == (grpc.StatusCode.UNAVAILABLE, "the server is stopping")
        server.health.set(SERVICE, serving=True)
        assert server.health.status(SERVICE) == "NOT_SERVING"


def test_a_watcher_who_leaves_makes_room_for_the_next(colour):
    options = ServerOptions(max_workers=3, max_concurrent_streams=2)
    with running(colour, options=options) as server, ExitStack() as stack:
        for _ in range(20):
            channel = stack.enter_context(dial(server))
            # The place is free again only when the server has noticed.
            while True:
                statuses = watch(channel)
                try:
                    assert next(statuses).status == SERVING
                    break
                except grpc.RpcError as error:
                    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            statuses.cancel()


def test_watchers_are_limited_and_take_no_worker(colour):
    options = ServerOptions(max_workers=3, max_concurrent_streams=2, max_concurrent_rpcs=100)
    with running(colour, options=options) as server, ExitStack() as stack:
        channels = [stack.enter_context(dial(server)) for _ in range(10)]
        watchers = [watch(channel) for channel in channels]
        firsts = []
        for statuses in watchers:
            try:
                firsts.append(next(statuses).status)
            except grpc.RpcError as error:
                firsts.append(error.code())
        assert firsts.count(SERVING) == 2
        assert firsts.count(grpc.StatusCode.RESOURCE_EXHAUSTED) == 8
        assert call(channels[0], "unary_unary", b"hi") == b"hi"
        assert check(channels[0]) == SERVING


def test_a_busy_service_is_still_healthy(colour):
    gate = Gate()
    options = ServerOptions(max_workers=3, max_concurrent_streams=2)
    with running(colour, gate=gate, options=options) as server, ExitStack() as stack:
        # A call whose future nobody keeps is cancelled.
        channels = [stack.enter_context(dial(server)) for _ in range(3)]
        held = [channel.unary_unary(path("unary_unary")).future(b"hold") for channel in channels]
        gate.wait_entered(len(held))
        assert check(stack.enter_context(dial(server))) == SERVING


def test_a_watcher_that_never_reads_holds_up_nobody(colour):
    with running(colour) as server, dial(server) as channel, dial(server) as other:
        statuses = watch(other)
        assert next(statuses).status == SERVING
        # Setting 4 is the window that the server may fill before we read: nothing at all.
        with RawConnection(server.port, (4, 0)) as hostile:
            hostile.open(WATCH, EVERYTHING, end=True)
            while len(server.health._listeners) < 2:
                pass
            for serving in (False, True, False):
                server.health.set("", serving=serving)
                assert check(channel) == (SERVING if serving else NOT_SERVING)
                assert next(statuses).status == (SERVING if serving else NOT_SERVING)
            statuses.cancel()


def test_checks_that_are_never_finished_hold_up_no_other_check(colour):
    with running(colour) as server, dial(server) as channel, RawConnection(server.port) as hostile:
        for _ in range(100):
            hostile.open("/grpc.health.v1.Health/Check")
        hostile.wait_until_read()
        for _ in range(20):
            assert check(channel) == SERVING
