"""How many calls a second `eas_grpc.load` makes in one process, next to a closed loop of bare grpc.aio in the same run."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

import grpc.aio

from benchmarks.server import METHOD
from eas_grpc.calls import CallShape
from eas_grpc.endpoint import Endpoint
from eas_grpc.load import Job, Plan, Requests, run

PAYLOAD = b"x" * 100
CALLERS = 32
WARMUP, SECONDS = 0.2, 1.0
DEADLINE = 5.0

# The limit: so much of the bare loop's rate, or so many calls a second.
LEAST, ENOUGH = 0.9, 8000


def figures(address: str, rounds: int) -> dict[str, Any]:
    """The ratios of the rates, closed loop and open; more is better."""
    bare, closed, opened, cpu = [], [], [], []
    for number in range(rounds):
        if number % 2:
            reached, used = _bare(address)
            load, load_used = _load(address, concurrency=CALLERS)
        else:
            load, load_used = _load(address, concurrency=CALLERS)
            reached, used = _bare(address)
        bare.append(reached)
        closed.append(load)
        cpu.append(load_used / used)
        # A stock server refuses what piles up beyond a thousand calls, which a pause of the machine's would do.
        opened.append(_load(address, rate=0.5 * reached, max_in_flight=500)[0] / (0.5 * reached))
    rate = statistics.median(closed)
    found = {
        "load, closed loop, 32 callers, calls/s": _spread([a / b for a, b in zip(closed, bare, strict=True)]),
        "load, closed loop, 32 callers, client CPU": _spread(cpu),
        "load, open loop at half the bare rate, calls/s": _spread(opened),
    }
    first = found["load, closed loop, 32 callers, calls/s"]
    first["note"] = f"  ({rate:.0f}/s; bare {statistics.median(bare):.0f}/s)"
    if rate < ENOUGH:
        first["least"] = LEAST
    return found


def _spread(ratios: list[float]) -> dict[str, Any]:
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {"ratio": middle, "quartiles": [low, high], "rounds": len(ratios)}


def _load(address: str, **how: Any) -> tuple[float, float]:
    """Calls a second, and processor seconds per call."""
    job = Job(
        endpoint=Endpoint.parse(address),
        method=METHOD,
        shape=CallShape.UNARY_UNARY,
        requests=Requests(messages=(PAYLOAD,)),
        plan=Plan(seconds=SECONDS, warmup=WARMUP, deadline=DEADLINE, **how),
    )
    result = run(job)
    assert result["calls"]["failed"] == 0, result["errors"]
    return result["rate"]["done"], (result["generator"]["cpu"] or 0.0) / result["rate"]["done"]


def _bare(address: str) -> tuple[float, float]:
    """The same of the loop that anybody would write, which measures nothing."""
    return asyncio.run(_bare_loop(address))


async def _bare_loop(address: str) -> tuple[float, float]:
    async with grpc.aio.insecure_channel(address) as channel:
        await channel.channel_ready()
        call = channel.unary_unary(METHOD)
        done = 0

        async def caller(until: float) -> None:
            nonlocal done
            while time.monotonic() < until:
                await call(PAYLOAD, timeout=DEADLINE)
                done += 1

        for seconds in (WARMUP, SECONDS):
            done = 0
            began, cpu = time.monotonic(), time.process_time()
            await asyncio.gather(*(caller(began + seconds) for _ in range(CALLERS)))
            passed, used = time.monotonic() - began, time.process_time() - cpu
        return done / passed, used / done
