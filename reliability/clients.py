"""Channels of the four kinds that every row compares, and one call over each.

`sync` and `aio` are ours; `raw` and `raw-aio` are bare grpcio as its own examples use it: token as metadata, deadline by
`timeout=`, stock settings; `raw-retry` and `raw-retry-aio` have core's retry policy too, five attempts on UNAVAILABLE.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc
import grpc.aio

import eas_grpc
from eas_grpc import aio
from eas_grpc.options import PROFILES, Keepalive
from reliability.ledger import SERVICE, method
from reliability.server import TOKEN

__all__ = ["KINDS", "OURS", "RAW", "collected", "collected_aio", "is_aio", "metadata", "open_channel"]

OURS, RAW = ("sync", "aio"), ("raw", "raw-aio")
KINDS = OURS + RAW

_RETRY = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}


def is_aio(kind: str) -> bool:
    """Whether the channel belongs to an event loop."""
    return kind.endswith("aio")


def open_channel(
    kind: str,
    address: str,
    *,
    token: Any = TOKEN,
    keepalive: tuple[float, float] | None = None,
    settings: dict[str, Any] | None = None,
    args: dict[str, Any] | None = None,
) -> Any:
    """A channel; `keepalive` is (time, timeout) in seconds, also without calls, on ours and on raw ones.

    `settings` are arguments of `connect` and do nothing to raw channels; `args` are channel arguments for both.
    """
    own = list((args or {}).items())
    if kind in OURS:
        more = dict(settings or {})
        if "exclude" in more:
            more["retry"] = eas_grpc.RetryPolicy(exclude=tuple(more.pop("exclude")))
        if keepalive:
            profile = PROFILES[more.pop("profile", "gateway")]
            pings = Keepalive(time=keepalive[0], timeout=keepalive[1], without_calls=True)
            more["profile"] = replace(profile, keepalive=pings)
        connect = aio.connect if is_aio(kind) else eas_grpc.connect
        return connect(address, token=token, options=own, **more)
    if keepalive:
        own += [
            ("grpc.keepalive_time_ms", round(keepalive[0] * 1000)),
            ("grpc.keepalive_timeout_ms", round(keepalive[1] * 1000)),
            ("grpc.keepalive_permit_without_calls", 1),
        ]
    if "retry" in kind:
        own.append(("grpc.service_config", json.dumps(_RETRY)))
    return (grpc.aio if is_aio(kind) else grpc).insecure_channel(address, options=own)


def metadata(kind: str, token: str = TOKEN) -> tuple[tuple[str, str], ...] | None:
    """What a caller of a bare channel has to send by hand; ours send it themselves."""
    return None if kind in OURS else (("authorization", f"Bearer {token}"),)


def collected(
    channel: Any,
    shape: str,
    messages: list[bytes],
    *,
    timeout: float | None,
    service: str = SERVICE,
    metadata: Any = None,
    wait_for_ready: bool | None = None,
) -> list[bytes]:
    """Makes one call over a blocking channel and returns its answers; raises what grpc raises."""
    call = getattr(channel, shape)(method(shape, service))
    sent: Any = iter(messages) if shape.startswith("stream") else messages[0]
    got = call(sent, timeout=timeout, metadata=metadata, wait_for_ready=wait_for_ready)
    return list(got) if shape.endswith("stream") else [got]


async def collected_aio(
    channel: Any,
    shape: str,
    messages: list[bytes],
    *,
    timeout: float | None,
    service: str = SERVICE,
    metadata: Any = None,
    wait_for_ready: bool | None = None,
) -> list[bytes]:
    """The same over a channel of grpc.aio."""
    call = getattr(channel, shape)(method(shape, service))
    sent: Any = _each(messages) if shape.startswith("stream") else messages[0]
    got = call(sent, timeout=timeout, metadata=metadata, wait_for_ready=wait_for_ready)
    return [answer async for answer in got] if shape.endswith("stream") else [await got]


async def _each(messages: list[bytes]) -> AsyncIterator[bytes]:
    for message in messages:
        yield message
