"""The twelve ways to a tensor service: three protocols, two colours, two kinds of channel (ours and grpc's own).

Each offers the methods of a client, blocking, so that a scenario is written once.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc

import eas_grpc
from eas_grpc import aio, inference

CLIENTS = {"native": "TensorClient", "open_inference": "OpenInferenceClient", "tf_serving": "TFServingClient"}


@dataclass(frozen=True)
class Path:
    protocol: str
    colour: str
    door: str

    def __str__(self) -> str:
        return f"{self.protocol}-{self.colour}-{self.door}"

    @contextmanager
    def client(self, address: str, channel: Any = None, **settings: Any) -> Iterator[Any]:
        """A client; `channel` are settings of `connect`, `settings` the client's own."""
        kind = getattr(inference, ("Async" if self.colour == "aio" else "") + CLIENTS[self.protocol])
        if self.colour == "sync":
            opened = (
                eas_grpc.connect(address, **channel or {})
                if self.door == "connect"
                else grpc.insecure_channel(address, [("grpc.max_receive_message_length", -1)])
            )
            with opened:
                yield kind(opened, **settings)
            return
        loop = asyncio.new_event_loop()

        async def open_it() -> grpc.aio.Channel:
            if self.door == "connect":
                return aio.connect(address, **channel or {})
            return grpc.aio.insecure_channel(address, [("grpc.max_receive_message_length", -1)])

        opened = loop.run_until_complete(open_it())

        async def close() -> None:
            await opened.close()

        try:
            yield Blocking(kind(opened, **settings), loop)
        finally:
            loop.run_until_complete(close())
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()


PATHS = [
    Path(protocol, colour, door)
    for protocol in CLIENTS
    for colour in ("sync", "aio")
    for door in ("connect", "plain")
]


def paths(*protocols: str) -> list[Path]:
    """Those of some of the protocols."""
    return [path for path in PATHS if path.protocol in protocols]


class Blocking:
    """An asyncio client on a loop of its own, whose methods wait."""

    def __init__(self, client: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._client = client
        self.loop = loop

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*arguments: Any, **named: Any) -> Any:
            result = method(*arguments, **named)
            if inspect.isasyncgen(result):
                return Steps(result, self.loop)
            return self.loop.run_until_complete(result) if inspect.iscoroutine(result) else result

        return call


class Steps:
    """An asyncio iterator, step by step."""

    def __init__(self, iterator: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._iterator = iterator
        self._loop = loop

    def __iter__(self) -> Steps:
        return self

    def __next__(self) -> Any:
        try:
            return self._loop.run_until_complete(self._iterator.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        self._loop.run_until_complete(self._iterator.aclose())
