"""A gateway in front of the greeter and of an echo over HTTP, for tests that put faults on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloManyTimesRequest, HelloRequest
from eas_grpc_pb.greeter.v1.greeter_pb2_grpc import add_GreeterServiceServicer_to_server

from server_demo import http_services
from server_demo.gateway import Gateway, GatewayOptions, Record, Service
from server_demo.greeter import Greeter
from support.h2_peer import H2Peer

TOKEN = "t"
GREETER = "/eas_grpc_pb.greeter.v1.GreeterService"
SAY_HELLO, MANY_TIMES, CHAT = f"{GREETER}/SayHello", f"{GREETER}/SayHelloManyTimes", f"{GREETER}/Chat"
ECHO = "/api/predict/echo"
WORLD = HelloRequest(name="World").SerializeToString()
HELLO_WORLD = "Hello, World!"

# Every wait ends here; a test that comes to it has failed.
PATIENCE_SECONDS = 20.0


@contextmanager
def greeter_gateway(**settings: object) -> Iterator[Gateway]:
    """Service `echo` answers gRPC as the greeter and HTTP with the body; `other` is the same under another name."""
    with Gateway(options=GatewayOptions(rate_limit=0, max_body_bytes=None), **settings) as gateway:
        grpc = gateway.serve_grpc(lambda server: add_GreeterServiceServicer_to_server(Greeter(), server))
        http = gateway.serve_http(http_services.echo)
        for name in ("echo", "other"):
            gateway.add(Service(name=name, grpc=grpc, http=http, tokens=(TOKEN,)))
        yield gateway


def many(count: int, *, interval_ms: int = 0) -> bytes:
    """A request for so many greetings."""
    return HelloManyTimesRequest(name="World", count=count, interval_ms=interval_ms).SerializeToString()


def eventually(condition: Callable[[], object]) -> None:
    """Looks again and again until it is so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.005)


def last_call(gateway: Gateway) -> Record:
    return gateway.calls()[-1]


def record(gateway: Gateway, number: int) -> Record:
    return next(each for each in gateway.calls() if each.number == number)


def answered(peer: H2Peer) -> bool:
    """Whether a further call on the same connection is answered in full."""
    *_, last = peer.answer(peer.call(SAY_HELLO, WORLD))
    return last.headers.get("grpc-status") == "0"


def await_stream(gateway: Gateway) -> None:
    """Waits until a call runs whose answer has begun."""
    eventually(lambda: any(each.status is None and each.response_bytes for each in gateway.calls()))
