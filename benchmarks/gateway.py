"""What the gateway costs: a small call through it next to the same call without it, and how soon it is there."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc
from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloRequest
from eas_grpc_pb.greeter.v1.greeter_pb2_grpc import GreeterServiceStub

from benchmarks.tensors import quartiles, server

_TOKEN = "bench-token"
_CALLS = 30
_SERVE = ("eas_grpc.cli", "serve", "--port", "0", "--token", _TOKEN, "--rate-limit", "0")


def figures(rounds: int) -> dict[str, Any]:
    """Milliseconds that are added, each the median of rounds in which both ways take turns; and times to be ready."""
    with ExitStack() as stack:
        bare = stack.enter_context(
            server("server_demo", "--port", "0", "--token", _TOKEN, "--behind-gateway")
        )
        front = stack.enter_context(server(*_SERVE, "--upstream", f"bench={bare}"))
        whole = stack.enter_context(server(*_SERVE))
        ways = {
            name: stack.enter_context(_caller(place))
            for name, place in (("bare", bare), ("front", front), ("whole", whole))
        }
        samples: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds + 1):
            for name, call in ways.items():
                samples[name].append(_median(call))
    return {
        "a call through the gateway, server in another process: ms added": _added(samples, "front"),
        "a call to `eas-grpc serve`, gateway and server in one process: ms added": _added(samples, "whole"),
        "`eas-grpc serve` until it is ready, s": _ready(max(5, rounds // 3)),
    }


def _added(samples: dict[str, list[float]], name: str) -> dict[str, Any]:
    # The first round warms up.
    added = [
        (with_ - without) * 1000
        for with_, without in zip(samples[name][1:], samples["bare"][1:], strict=True)
    ]
    return quartiles(added) | {"limit": 0.5}


def _ready(rounds: int) -> dict[str, Any]:
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        with server(*_SERVE):
            seconds.append(time.perf_counter() - began)
    return quartiles(seconds) | {"limit": 0.5}


def _median(call: Callable[[], object]) -> float:
    seconds = []
    for _ in range(_CALLS):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


@contextmanager
def _caller(address: str) -> Iterator[Callable[[], object]]:
    with grpc.insecure_channel(address) as channel:
        say_hello = GreeterServiceStub(channel).SayHello
        metadata = (("authorization", f"Bearer {_TOKEN}"),)
        yield lambda: say_hello(HelloRequest(name="World"), metadata=metadata, timeout=5)
