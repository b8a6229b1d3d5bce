# ruff: noqa: N802, ARG002 - the names and the arguments are gRPC's
"""A gateway whose services fail in every way of EAS's table, and plain HTTP calls to it. Functions for a `Child`."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloResponse

from reliability.child import hear, say
from reliability.conformance_calls import KINDS
from reliability.conformance_tables import EAS, STATUSES, TOKEN, name_for
from server_demo import greeter, http_services
from server_demo.gateway import Gateway, Request, Response, Service

__all__ = ["http_calls", "serve"]

_SLOW, _KEEPALIVE, _WORK = 1.0, 0.1, 0.3


class _Sleepy(greeter.Greeter):
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def SayHello(self, request: Any, context: Any) -> HelloResponse:
        time.sleep(self._seconds)
        return super().SayHello(request, context)


class _Broken(greeter.Greeter):
    def SayHello(self, request: Any, context: Any) -> HelloResponse:
        raise RuntimeError("as it should")


def _broken(_: Request) -> Response:
    raise RuntimeError("as it should")


def _sleepy(seconds: float) -> Any:
    def answer(request: Request) -> Response:
        time.sleep(seconds)
        return http_services.echo(request)

    return answer


def serve() -> None:
    """Says `up` with the gateway's `port`, and serves until a word comes."""
    with Gateway() as gateway:
        for service in _services(gateway):
            gateway.add(service)
        gateway.faults.no_healthy_upstream(service="unhealthy")
        for status in STATUSES:
            gateway.faults.status(status, service=f"says-{status}")
        say("up", port=gateway.port)
        hear()


def _services(gateway: Gateway) -> list[Service]:
    def grpc(servicer: Any) -> str:
        return gateway.serve_grpc(lambda server: greeter.add_greeter(servicer, server))

    good = {"grpc": grpc(greeter.Greeter()), "http": gateway.serve_http(http_services.echo)}
    slow = {"grpc": grpc(_Sleepy(_SLOW)), "http": gateway.serve_http(_sleepy(_SLOW))}
    work = {"grpc": grpc(_Sleepy(_WORK)), "http": gateway.serve_http(_sleepy(_WORK))}
    broken = {"grpc": grpc(_Broken()), "http": gateway.serve_http(_broken)}
    with closing(socket.create_server(("127.0.0.1", 0))) as closed:
        nowhere = f"127.0.0.1:{closed.getsockname()[1]}"
    settings: dict[str, dict[str, Any]] = {
        "web": {"http": good["http"]},
        "rpc": {"grpc": good["grpc"]},
        "slow": {**slow, "keepalive": _KEEPALIVE},
        "rated": {**good, "rate_limit": 1},
        "busy": {**work, "worker_threads": 1, "max_queue_size": 0},
        "broken": broken,
        "gone": {"grpc": nowhere, "http": nowhere},
    }
    names = {name_for(row, kind): row.service for row in EAS for kind in (*KINDS, "http")}
    del names["missing"]
    return [
        Service(name=name, tokens=(TOKEN,), **settings.get(service, good)) for name, service in names.items()
    ]


def http_calls(port: int, calls: Sequence[dict[str, Any]]) -> list[list[int]]:
    """The statuses of each row's calls; `{"service", "token", "method", "size", "times", "parallel"}`."""

    def row(call: dict[str, Any]) -> list[int]:
        got = [_http_call(port, call) for _ in range(call.get("times", 1))]
        with ThreadPoolExecutor(8) as pool:
            many = [pool.submit(_http_call, port, call) for _ in range(call.get("parallel", 0))]
            return got + [each.result() for each in many]

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(row, calls))


def _http_call(port: int, call: dict[str, Any]) -> int:
    headers = {} if call["token"] is None else {"Authorization": call["token"]}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        body = b"x" * call.get("size", 5)
        connection.request(call.get("method", "POST"), f"/api/predict/{call['service']}", body, headers)
        return connection.getresponse().status
