"""The six interop cases about many calls, and about much at once, each written once for every kind of client."""

from __future__ import annotations

import asyncio
import time
import uuid

from reliability.interop_calls import Calls, Talk
from reliability.interop_cell import BACKEND_IDLE, LARGE_DOWN, Cell, Failed, asking, equal, large, ok, zeros
from reliability.interop_server import HOLD, RELEASE
from reliability.pb import interop_pb2 as pb

__all__ = ["MANY"]

_CONCURRENT_SECONDS = 120.0

# Flow control: this much is offered to a server that does not read; all that lies between the two programs has to
# fit into half of it. Core itself lets 4 to 20 MiB go: its windows grow while nobody reads.
_MIB = 1024 * 1024
_PUSHED, _PUSHED_SIZE, _PUSHED_MOST = 768, 64 * 1024, 24 * _MIB
_STALL, _STALL_MOST = 0.2, 10.0


async def _timed(calls: Calls, slowest: float) -> str:
    """One iteration of a soak; what was wrong with it."""
    began = time.monotonic()
    try:
        ok(await calls.one("UnaryCall", large()), LARGE_DOWN)
    except Failed as error:
        return str(error)
    seconds = time.monotonic() - began
    return f"{seconds:.3f} s" if seconds > slowest else ""


def _none_failed(failures: list[str]) -> None:
    if any(failures):
        bad = [each for each in failures if each]
        raise Failed(f"{len(bad)} of {len(failures)} calls failed: {bad[0]}")


async def rpc_soak(cell: Cell) -> None:
    _none_failed([await _timed(cell.calls, cell.amounts.slowest) for _ in range(cell.amounts.soak)])


async def channel_soak(cell: Cell) -> None:
    failures = []
    for _ in range(cell.amounts.channels):
        async with cell.fresh() as calls:
            failures.append(await _timed(calls, cell.amounts.slowest))
    _none_failed(failures)


async def long_lived_channel(cell: Cell) -> None:
    failures = []
    async with cell.fresh() as calls:
        for _ in range(cell.amounts.long_lived):
            failures.append(await _timed(calls, cell.amounts.slowest))
            await asyncio.sleep(cell.amounts.pause)
    _none_failed(failures)


async def concurrent_large_unary(cell: Cell) -> None:
    count = cell.amounts.concurrent
    failures = []
    # Judged as they come and dropped: together they are large.
    async for answer in cell.calls.many("UnaryCall", large(), count, timeout=_CONCURRENT_SECONDS):
        try:
            ok(answer, LARGE_DOWN)
            failures.append("")
        except Failed as error:
            failures.append(str(error))
    equal("number of answers", len(failures), count)
    _none_failed(failures)


async def flow_control_pushback(cell: Cell) -> None:
    """A server that does not read stops the writer, and what lies between the two is bounded."""
    name = uuid.uuid4().hex
    # A connection of its own, behind a gateway as well: earlier traffic makes the windows of one larger.
    await asyncio.sleep(2 * BACKEND_IDLE)
    async with cell.fresh() as calls:
        talk = calls.talk("FullDuplexCall", metadata=((HOLD, name),))
        talk.say(*[asking(_PUSHED_SIZE, 1)] * _PUSHED)
        talk.close()
        taken = await _stalled(talk)
        released = await cell.calls.one("EmptyCall", pb.Empty(), metadata=((RELEASE, name),))
        equal("status of the release", released.code, "OK")
        answers = 0
        while await talk.hear() is not None:
            answers += 1
        equal("status", (await talk.end()).code, "OK")
    cell.figures["unread"] = taken * _PUSHED_SIZE / _MIB
    equal("answers", answers, _PUSHED)
    equal("messages taken in the end", talk.taken, _PUSHED)
    if taken * _PUSHED_SIZE > _PUSHED_MOST:
        raise Failed(
            f"{cell.figures['unread']:.0f} MiB were taken from the writer while the server did not read"
        )


async def _stalled(talk: Talk) -> int:
    """How many messages were taken when no more were for a while."""
    until = time.monotonic() + _STALL_MOST
    taken, since = talk.taken, time.monotonic()
    while time.monotonic() < min(until, since + _STALL):
        await asyncio.sleep(0.01)
        # Nothing yet is a connection being made.
        if talk.taken != taken or not taken:
            taken, since = talk.taken, time.monotonic()
    return taken


async def _names(calls: Calls, count: int) -> list[str]:
    names = []
    for _ in range(count):
        answer = await calls.one(
            "UnaryCall", pb.SimpleRequest(response_size=1, payload=zeros(1), fill_server_id=True)
        )
        ok(answer, 1)
        names.append(answer.messages[0].server_id)
    return names


async def pick_first_unary(cell: Cell) -> None:
    async with cell.fresh(many=True) as calls:
        names = set(await _names(calls, cell.amounts.picks))
    equal("number of servers called", (len(names), "" in names), (1, False))
    # That there was a choice: with the other policy the same name leads to all of them.
    async with cell.fresh(many=True, spread=True) as calls:
        for _ in range(50):
            found = set(await _names(calls, 4))
            if len(found) == cell.servers:
                return
            await asyncio.sleep(0.02)
    raise Failed(f"with round_robin {len(found)} of {cell.servers} servers were called")


MANY = (
    rpc_soak,
    channel_soak,
    long_lived_channel,
    concurrent_large_unary,
    flow_control_pushback,
    pick_first_unary,
)
