"""A client that is quiet, or has one call that is silent for long, with the keepalive of one of our profiles or of a bare channel."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import grpc

import eas_grpc
from eas_grpc import aio
from eas_grpc.options import PROFILES, Keepalive
from reliability.child import hear, say
from reliability.clients import collected, collected_aio, is_aio, metadata
from reliability.ledger import request
from reliability.server import TOKEN

__all__ = ["ping_for_a_while", "scaled"]

_FOREVER = 3600.0


def scaled(profile: str, factor: float) -> dict[str, Any]:
    """The keepalive of a profile with all times divided, as plain data."""
    pings = PROFILES[profile].keepalive
    return {
        "time": pings.time / factor,
        "timeout": pings.timeout / factor,
        "without_calls": pings.without_calls,
    }


def ping_for_a_while(kind: str, address: str, profile: str, keepalive: dict[str, Any], shape: str) -> str:
    """Makes one call, says `up`, and is `quiet` or in a silent `call` until told to stop; how the next call ends.

    The keepalive comes apart from the profile, since a test divides its times.
    """
    if is_aio(kind):
        return asyncio.run(_aio(address, profile, keepalive, shape))
    channel = _channel(kind, address, profile, keepalive)
    how = {"timeout": 5.0, "metadata": metadata(kind)}
    collected(channel, "unary_unary", [request("first")], **how)
    call: Any = None
    if shape == "call":
        call = channel.stream_stream("/eas.reliability.Ledger/stream_stream")(
            _open_requests(), timeout=_FOREVER, metadata=metadata(kind)
        )
        next(call)
    say("up")
    hear()
    # Only then: the code of a call that goes on would be waited for.
    if call is not None and not call.is_active():
        return f"the silent call ended with {call.code().name}"
    try:
        collected(channel, "unary_unary", [request("last")], **how)
    except grpc.RpcError as error:
        return f"the next call ended with {error.code().name}"
    return ""


async def _aio(address: str, profile: str, keepalive: dict[str, Any], shape: str) -> str:
    channel = _channel("aio", address, profile, keepalive)
    await collected_aio(channel, "unary_unary", [request("first")], timeout=5.0)
    call: Any = None
    if shape == "call":
        call = channel.stream_stream("/eas.reliability.Ledger/stream_stream")(timeout=_FOREVER)
        await call.write(request("silent"))
        await call.read()
    say("up")
    await asyncio.get_running_loop().run_in_executor(None, hear)
    if call is not None and call.done():
        return f"the silent call ended with {(await call.code()).name}"
    try:
        await collected_aio(channel, "unary_unary", [request("last")], timeout=5.0)
    except grpc.RpcError as error:
        return f"the next call ended with {error.code().name}"
    return ""


def _open_requests() -> Any:
    yield request("silent")
    time.sleep(_FOREVER)


def _channel(kind: str, address: str, profile: str, keepalive: dict[str, Any]) -> Any:
    if kind == "raw":
        args = [
            ("grpc.keepalive_time_ms", round(keepalive["time"] * 1000)),
            ("grpc.keepalive_timeout_ms", round(keepalive["timeout"] * 1000)),
            ("grpc.keepalive_permit_without_calls", int(keepalive["without_calls"])),
            ("grpc.http2.max_pings_without_data", 0),
        ]
        return grpc.insecure_channel(address, options=args)
    connect = aio.connect if is_aio(kind) else eas_grpc.connect
    return connect(address, token=TOKEN, profile=replace(PROFILES[profile], keepalive=Keepalive(**keepalive)))
