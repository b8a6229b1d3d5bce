"""Channels of a load run: each with a connection of its own, which is there before the first call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio

from eas_grpc import aio
from eas_grpc.auth import Token
from eas_grpc.errors import CallError, CallFailure, Origin
from eas_grpc.load._job import Job
from eas_grpc.retry import RetryPolicy
from eas_grpc.rpc._credentials import credentials_from_files

__all__ = ["close", "dial", "multicallable"]

# Core would have channels to the same address share a connection; this argument has a flag's form only.
_OWN_CONNECTION = ("grpc.use_local_subchannel_pool", 1)
_PROBE = "/grpc.health.v1.Health/Check"


async def dial(job: Job, token: Token | None) -> list[Any]:
    """The channels, connected; the CallError of a call that finds no connection otherwise."""
    words = dict(job.words)
    if job.files is not None:
        words["credentials"] = credentials_from_files(*job.files)
    words["options"] = [*words.get("options", ()), _OWN_CONNECTION]
    channels = [
        aio.connect(
            job.endpoint,
            token=token,
            deadline=None,
            stream_limits=None,
            retry=RetryPolicy() if job.retry else None,
            **words,
        )
        for _ in range(job.plan.channels)
    ]
    try:
        await asyncio.gather(*(_connected(channel, job) for channel in channels))
    except BaseException:
        await close(channels)
        raise
    return channels


async def close(channels: list[Any]) -> None:
    """Ends their calls and connections."""
    await asyncio.gather(*(channel.close() for channel in channels))


def multicallable(channel: Any, job: Job) -> Callable[..., Any]:
    """What makes a call of the method; bytes go in and come out."""
    made: Callable[..., Any] = getattr(channel, job.shape.name.lower())(job.method)
    return made


async def _connected(channel: Any, job: Job) -> None:
    # Calls that stream their requests have a channel of their own there: see `PolicyAioChannel.plain`.
    inner = channel.plain() if job.shape.many_requests else channel.inner()
    until = time.monotonic() + job.plan.deadline
    state = inner.get_state(try_to_connect=True)
    while state is not grpc.ChannelConnectivity.READY:
        left = until - time.monotonic()
        if left <= 0 or state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            await _explained(channel, job)
            return
        try:
            await asyncio.wait_for(inner.wait_for_state_change(state), left)
        except asyncio.TimeoutError:
            continue
        state = inner.get_state(try_to_connect=True)


async def _explained(channel: Any, job: Job) -> None:
    """Raises what a call says for want of a connection; a server that answers it after all is a connection."""
    try:
        await channel.unary_unary(_PROBE)(b"", timeout=min(1.0, job.plan.deadline))
    except CallError as error:
        if error.failure.status == "DEADLINE_EXCEEDED":
            raise CallError(_no_connection(job)) from error
        if error.origin is Origin.CLIENT and error.failure.status == "UNAVAILABLE":
            raise


def _no_connection(job: Job) -> CallFailure:
    return CallFailure(
        status="UNAVAILABLE",
        details=f"no connection to {job.endpoint} within {job.plan.deadline:g} s",
        origin=Origin.CLIENT,
        hint="`eas-grpc doctor` finds out why",
    )
