"""A client that cancels calls which the server is at, and tells when it did."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc

from reliability.clients import is_aio, metadata, open_channel
from reliability.ledger import method, request

__all__ = ["cancel_calls"]

_PATIENCE = 10.0


def cancel_calls(kind: str, address: str, ledger: str, calls: int) -> dict[str, float]:
    """Begins calls one after another, unary and streams in turn, and cancels each: when, by its id."""
    if is_aio(kind):
        return asyncio.run(_cancel_aio(kind, address, ledger, calls))
    return _cancel_sync(kind, address, ledger, calls)


class _Began:
    """Follows a ledger; `saw(id)` says whether the handler of that call has begun."""

    def __init__(self, ledger: str) -> None:
        Path(ledger).touch()
        self._file = Path(ledger).open()
        self._seen: set[str] = set()

    def saw(self, id: str) -> bool:
        for line in self._file.read().splitlines():
            words = line.split()
            if words[:1] == ["run"] and len(words) == 5:
                self._seen.add(words[1])
        return id in self._seen


def _cancel_sync(kind: str, address: str, ledger: str, calls: int) -> dict[str, float]:
    channel, began = open_channel(kind, address), _Began(ledger)
    cancelled: dict[str, float] = {}
    for number in range(calls):
        id, over = f"{kind}-{number}", threading.Event()
        if number % 2:
            call = channel.stream_stream(method("stream_stream"))(
                _until(request(id), over), timeout=_PATIENCE, metadata=metadata(kind)
            )
            next(call)
        else:
            call = channel.unary_unary(method("unary_unary")).future(
                request(id, "hold"), timeout=_PATIENCE, metadata=metadata(kind)
            )
            while not began.saw(id) and not call.done():
                time.sleep(0.0005)
        cancelled[id] = time.monotonic()
        call.cancel()
        over.set()
        if number % 2:
            _drain(call)
    channel.close()
    return cancelled


def _until(first: bytes, over: threading.Event) -> Iterator[bytes]:
    yield first
    over.wait(_PATIENCE)


def _drain(call: Any) -> None:
    with contextlib.suppress(grpc.RpcError, grpc.FutureCancelledError):
        for _ in call:
            pass


async def _cancel_aio(kind: str, address: str, ledger: str, calls: int) -> dict[str, float]:
    channel, began = open_channel(kind, address), _Began(ledger)
    cancelled: dict[str, float] = {}
    for number in range(calls):
        id, over = f"{kind}-{number}", asyncio.Event()
        if number % 2:
            call = channel.stream_stream(method("stream_stream"))(
                _until_aio(request(id), over), timeout=_PATIENCE, metadata=metadata(kind)
            )
            await anext(aiter(call))
        else:
            call = channel.unary_unary(method("unary_unary"))(
                request(id, "hold"), timeout=_PATIENCE, metadata=metadata(kind)
            )
            # The ledger of another process has no event to wait for.
            while not began.saw(id) and not call.done():  # noqa: ASYNC110
                await asyncio.sleep(0.0005)
        cancelled[id] = time.monotonic()
        call.cancel()
        over.set()
        with contextlib.suppress(grpc.RpcError, asyncio.CancelledError):
            await call.code()
    await channel.close()
    return cancelled


async def _until_aio(first: bytes, over: asyncio.Event) -> AsyncIterator[bytes]:
    yield first
    await over.wait()
