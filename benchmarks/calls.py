"""Client CPU and throughput of unary calls: bare stub, `connect()`, and two interceptors."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import grpc

import eas_grpc
from benchmarks.server import METHOD
from eas_grpc import aio

TOKEN = "bench-token"
METADATA = (("authorization", f"Bearer {TOKEN}"),)
PAYLOAD = b"x" * 100
CALLS = 400
IN_FLIGHT = (1, 16, 64)

# The limit for a call through connect(), in client CPU of the bare stub's.
LIMIT = 1.05


def cost(address: str, rounds: int) -> dict[str, Any]:
    """Client CPU per call, as ratios to the bare stub with metadata and timeout by hand."""
    found = {}
    sync = {name: looped(call) for name, call in sync_calls(address).items()}
    samples = measured(sync, rounds, time.process_time)
    for name in ("connect()", "intercept_channel, two interceptors"):
        found[f"client CPU, sync, {name}"] = ratio(samples, name)
    samples = asyncio.run(aio_cost(address, rounds))
    for name in ("connect()", "two interceptors"):
        found[f"client CPU, aio, {name}"] = ratio(samples, name)
    for name, figure in found.items():
        if "connect()" in name:
            figure["limit"] = LIMIT
    return found


def throughput(address: str, rounds: int) -> dict[str, Any]:
    """Calls per second with several in flight, as ratios to the bare stub (more is better)."""
    found = {}
    for many in IN_FLIGHT:
        with ThreadPoolExecutor(many) as pool:
            sync = {name: pooled(call, pool, many) for name, call in sync_calls(address).items()}
            samples = measured(sync, rounds, time.perf_counter)
        found[f"throughput, sync, {many} in flight, connect()"] = ratio(samples, "connect()", inverse=True)
        samples = asyncio.run(aio_throughput(address, rounds, many))
        found[f"throughput, aio, {many} in flight, connect()"] = ratio(samples, "connect()", inverse=True)
    return found


def sync_calls(address: str) -> dict[str, Callable[[], object]]:
    """One call by each way, blocking."""
    bare = grpc.insecure_channel(address).unary_unary(METHOD)
    ours = eas_grpc.connect(address, token=TOKEN).unary_unary(METHOD)
    intercepted = grpc.intercept_channel(
        grpc.insecure_channel(address), AddMetadata(), AddTimeout()
    ).unary_unary(METHOD)
    return {
        "bare": lambda: bare(PAYLOAD, timeout=5.0, metadata=METADATA),
        "connect()": lambda: ours(PAYLOAD),
        "intercept_channel, two interceptors": lambda: intercepted(PAYLOAD),
    }


def aio_calls(address: str) -> dict[str, Callable[[], Awaitable[object]]]:
    """One call by each way, for asyncio; to be called with a loop running."""
    bare = grpc.aio.insecure_channel(address).unary_unary(METHOD)
    ours = aio.connect(address, token=TOKEN).unary_unary(METHOD)
    intercepted = grpc.aio.insecure_channel(
        address, interceptors=[AddMetadataAio(), AddTimeoutAio()]
    ).unary_unary(METHOD)
    return {
        "bare": lambda: bare(PAYLOAD, timeout=5.0, metadata=METADATA),
        "connect()": lambda: ours(PAYLOAD),
        "two interceptors": lambda: intercepted(PAYLOAD),
    }


def looped(call: Callable[[], object]) -> Callable[[], None]:
    """CALLS calls, one after the other."""

    def run() -> None:
        for _ in range(CALLS):
            call()

    return run


def pooled(call: Callable[[], object], pool: ThreadPoolExecutor, many: int) -> Callable[[], None]:
    """CALLS calls on `many` threads."""

    def worker(_: int) -> None:
        for _ in range(CALLS // many):
            call()

    return lambda: list(pool.map(worker, range(many))) and None


def measured(
    variants: dict[str, Callable[[], object]], rounds: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """What each variant takes in each round, on `clock`; the order turns, so that none is always first."""
    for run in variants.values():
        run()
    samples: dict[str, list[float]] = {name: [] for name in variants}
    names = list(variants)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            began = clock()
            variants[name]()
            samples[name].append(clock() - began)
    return samples


async def aio_cost(address: str, rounds: int) -> dict[str, list[float]]:
    """Client CPU of CALLS calls, one after the other."""
    variants = aio_calls(address)

    async def run(call: Callable[[], Awaitable[object]]) -> None:
        for _ in range(CALLS):
            await call()

    return await aio_measured(variants, run, rounds, time.process_time)


async def aio_throughput(address: str, rounds: int, many: int) -> dict[str, list[float]]:
    """Time for CALLS calls in `many` tasks."""

    async def worker(call: Callable[[], Awaitable[object]]) -> None:
        for _ in range(CALLS // many):
            await call()

    async def run(call: Callable[[], Awaitable[object]]) -> None:
        await asyncio.gather(*(worker(call) for _ in range(many)))

    return await aio_measured(aio_calls(address), run, rounds, time.perf_counter)


async def aio_measured(
    variants: Any, run: Any, rounds: int, clock: Callable[[], float]
) -> dict[str, list[float]]:
    """What `measured` does, awaited."""
    for call in variants.values():
        await run(call)
    samples: dict[str, list[float]] = {name: [] for name in variants}
    names = list(variants)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            began = clock()
            await run(variants[name])
            samples[name].append(clock() - began)
    return samples


def ratio(samples: dict[str, list[float]], name: str, *, inverse: bool = False) -> dict[str, Any]:
    """Median and quartiles of one variant against the bare one of the same round."""
    pairs = zip(samples[name], samples["bare"], strict=True)
    ratios = [bare / ours if inverse else ours / bare for ours, bare in pairs]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {"ratio": middle, "quartiles": [low, high], "rounds": len(ratios)}


class _Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: Any
    credentials: Any = None
    wait_for_ready: Any = None
    compression: Any = None


class Details(_Details, grpc.ClientCallDetails):
    """A record of a call, as users' interceptors make it."""


class AddMetadata(grpc.UnaryUnaryClientInterceptor):
    """The usual hand-written interceptor for a token."""

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """Adds the token."""
        details = client_call_details
        return continuation(Details(details.method, details.timeout, METADATA), request)


class AddTimeout(grpc.UnaryUnaryClientInterceptor):
    """The usual hand-written interceptor for a deadline."""

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """Adds five seconds."""
        details = client_call_details
        return continuation(Details(details.method, 5.0, details.metadata), request)


class AddMetadataAio(grpc.aio.UnaryUnaryClientInterceptor):
    """The usual hand-written interceptor for a token."""

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """Adds the token."""
        client_call_details.metadata.add(*METADATA[0])
        return await continuation(client_call_details, request)


class AddTimeoutAio(grpc.aio.UnaryUnaryClientInterceptor):
    """The usual hand-written interceptor for a deadline."""

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """Adds five seconds."""
        return await continuation(client_call_details._replace(timeout=5.0), request)
