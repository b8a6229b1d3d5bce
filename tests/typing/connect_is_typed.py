"""Type-checked, never run: what mypy and pyright must know about the doors of eas_grpc, for both colours.

Each `type: ignore` stands on a mistake that must be found; mypy reports an ignore that nothing needs.
"""

from __future__ import annotations

from pathlib import Path

import grpc
import grpc.aio
from eas_grpc_pb.greeter.v1 import greeter_pb2, greeter_pb2_grpc
from typing_extensions import assert_type

import eas_grpc
from eas_grpc import aio
from eas_grpc.errors import CallError, CallFailure, Origin
from eas_grpc.options import PROFILES


def sync_channel() -> None:
    channel = eas_grpc.connect("127.0.0.1:50080", token="t")
    assert_type(channel, grpc.Channel)
    with eas_grpc.connect() as opened:
        assert_type(opened, grpc.Channel)
        stub = greeter_pb2_grpc.GreeterServiceStub(opened)
        reply = stub.SayHello(greeter_pb2.HelloRequest(name="World"), timeout=1.0)
        assert_type(reply, greeter_pb2.HelloResponse)
        for one in stub.SayHelloManyTimes(greeter_pb2.HelloManyTimesRequest()):
            assert_type(one, greeter_pb2.HelloResponse)


async def aio_channel() -> None:
    channel = aio.connect("127.0.0.1:50080", token="t")
    assert_type(channel, grpc.aio.Channel)
    async with aio.connect() as opened:
        stub = greeter_pb2_grpc.GreeterServiceStub(opened)
        reply = await stub.SayHello(greeter_pb2.HelloRequest(name="World"), timeout=1.0)
        assert_type(reply, greeter_pb2.HelloResponse)
        async for one in stub.SayHelloManyTimes(greeter_pb2.HelloManyTimesRequest()):
            assert_type(one, greeter_pb2.HelloResponse)
    assert_type(eas_grpc.aio.connect(), grpc.aio.Channel)


def every_parameter(credentials: grpc.ChannelCredentials) -> None:
    eas_grpc.connect(
        eas_grpc.Endpoint.parse("host:80"),
        token=Path("token"),
        deadline=None,
        profile=PROFILES["direct"],
        retry=None,
        stream_limits=None,
        max_request=None,
        max_response=None,
        proxy=True,
        credentials=credentials,
        interceptors=(),
        options=[("grpc.lb_policy_name", "round_robin")],
    )
    aio.connect(token=lambda: "t", deadline=2, profile="direct", retry=eas_grpc.RetryPolicy(attempts=2))


def interceptors_of_both_colours(bare: grpc.Channel) -> None:
    assert_type(grpc.intercept_channel(bare, *eas_grpc.interceptors(token="t")), grpc.Channel)
    channel = grpc.aio.insecure_channel("127.0.0.1:50080", interceptors=aio.interceptors(token="t"))
    assert_type(channel, grpc.aio.Channel)


def errors(error: CallError) -> None:
    assert_type(error.failure, CallFailure)
    assert_type(error.origin, Origin)
    assert_type(error.hint, str)
    assert_type(eas_grpc.errors.CallError, type[CallError])


def sync_mistakes() -> None:
    eas_grpc.connect("host", "token")  # type: ignore[call-arg]
    eas_grpc.connect("host", tokn="t")  # type: ignore[call-arg]
    eas_grpc.connect("host", token=b"t")  # type: ignore[arg-type]
    eas_grpc.connect("host", token=lambda: 1)  # type: ignore[arg-type]
    eas_grpc.connect("host", deadline="5s")  # type: ignore[arg-type]
    eas_grpc.connect("host", profile=1)  # type: ignore[arg-type]
    eas_grpc.connect("host", retry=3)  # type: ignore[arg-type]
    eas_grpc.connect("host", stream_limits=30.0)  # type: ignore[arg-type]
    eas_grpc.connect("host", max_request="1 MB")  # type: ignore[arg-type]
    eas_grpc.connect("host", proxy="http://proxy")  # type: ignore[arg-type]
    eas_grpc.connect("host", options={"grpc.lb_policy_name": "round_robin"})  # type: ignore[dict-item]
    eas_grpc.connect(80)  # type: ignore[arg-type]
    eas_grpc.RetryPolicy(3)  # type: ignore[call-arg]
    eas_grpc.conect("host")  # type: ignore[attr-defined]


async def aio_mistakes() -> None:
    aio.connect("host", tokn="t")  # type: ignore[call-arg]
    aio.connect("host", deadline="5s")  # type: ignore[arg-type]
    aio.connect("host", profile=None)  # type: ignore[arg-type]
    await aio.connect("host")  # type: ignore[misc]
    with aio.connect("host"):  # type: ignore[attr-defined]
        pass
    async with eas_grpc.connect("host"):  # type: ignore[attr-defined]
        pass
    stub = greeter_pb2_grpc.GreeterServiceStub(eas_grpc.connect("host"))
    await stub.SayHello(greeter_pb2.HelloRequest())  # type: ignore[misc]
    grpc.intercept_channel(eas_grpc.connect("host"), *aio.interceptors())  # type: ignore[arg-type]
