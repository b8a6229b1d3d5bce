"""The sixteen ways a call can take: four shapes, two colours, two doors (`connect` and `interceptors`).

Each offers the same few verbs, so that a scenario is written once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc

import eas_grpc
from eas_grpc import aio
from support.echo import SHAPES, method


@dataclass(frozen=True)
class Path:
    shape: str
    colour: str
    door: str

    def __str__(self) -> str:
        return f"{self.shape}-{self.colour}-{self.door}"

    @property
    def many_requests(self) -> bool:
        return SHAPES[self.shape][0]

    @property
    def many_responses(self) -> bool:
        return SHAPES[self.shape][1]

    @contextmanager
    def client(self, address: str, **options: Any) -> Iterator[Client]:
        kind = SyncClient if self.colour == "sync" else AioClient
        client = kind(self, address, options)
        try:
            yield client
        finally:
            client.close()


PATHS = [
    Path(shape, colour, door)
    for shape in SHAPES
    for colour in ("sync", "aio")
    for door in ("connect", "interceptors")
]


class Client:
    """`run` makes a call and returns its messages; `begin` starts one and returns a handle."""

    path: Path

    def run(self, *requests: bytes, **options: Any) -> list[bytes]:
        return self.begin(*requests, **options).messages()

    def begin(self, *requests: bytes, **options: Any) -> Any:
        return self.begin_with(requests if self.path.many_requests else requests[0], **options)


class SyncClient(Client):
    def __init__(self, path: Path, address: str, options: dict[str, Any]) -> None:
        self.path = path
        if path.door == "connect":
            self.channel = self._owner = eas_grpc.connect(address, **options)
        else:
            self._owner = grpc.insecure_channel(address)
            self.channel = grpc.intercept_channel(self._owner, *eas_grpc.interceptors(**options))
        self.multicallable = getattr(self.channel, path.shape)(method(path.shape))

    def run(self, *requests: bytes, **options: Any) -> list[bytes]:
        """By the blocking call; `begin` makes a future of a call with one response."""
        if self.path.many_responses:
            return super().run(*requests, **options)
        return [self.multicallable(iter(requests) if self.path.many_requests else requests[0], **options)]

    def begin_with(self, requests: Any, **options: Any) -> SyncHandle:
        if self.path.many_requests and not hasattr(requests, "__next__"):
            requests = iter(requests)
        if self.path.many_responses:
            return SyncHandle(self.multicallable(requests, **options), many=True)
        return SyncHandle(self.multicallable.future(requests, **options), many=False)

    def close(self) -> None:
        self._owner.close()


@dataclass
class SyncHandle:
    call: Any
    many: bool

    def messages(self) -> list[bytes]:
        return list(self.call) if self.many else [self.call.result()]

    def next(self) -> bytes:
        return next(self.call)

    def code(self) -> Any:
        return self.call.code()

    def details(self) -> str:
        return self.call.details()

    def initial_metadata(self) -> dict[str, Any]:
        return dict(self.call.initial_metadata())

    def trailing_metadata(self) -> dict[str, Any]:
        return dict(self.call.trailing_metadata())

    def cancel(self) -> bool:
        return self.call.cancel()

    def done(self) -> bool:
        return self.call.done()

    def time_remaining(self) -> float | None:
        return self.call.time_remaining()

    def on_done(self, note: Any) -> None:
        self.call.add_done_callback(note)


class AioClient(Client):
    """Runs everything on a loop of its own, so that a scenario reads the same in both colours."""

    def __init__(self, path: Path, address: str, options: dict[str, Any]) -> None:
        self.path = path
        self.loop = asyncio.new_event_loop()
        if path.door == "connect":
            self.channel = aio.connect(address, **options)
        else:
            self.channel = self._run(self._intercepted(address, options))
        self.multicallable = getattr(self.channel, path.shape)(method(path.shape))

    @staticmethod
    async def _intercepted(address: str, options: dict[str, Any]) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(address, interceptors=aio.interceptors(**options))

    def _run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def begin_with(self, requests: Any, **options: Any) -> AioHandle:
        async def begin() -> Any:
            return self.multicallable(requests, **options)

        return AioHandle(self._run(begin()), self.path.many_responses, self.loop)

    def close(self) -> None:
        async def close() -> None:
            await self.channel.close()

        self._run(close())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


@dataclass
class AioHandle:
    call: Any
    many: bool
    loop: asyncio.AbstractEventLoop

    def _run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def messages(self) -> list[bytes]:
        async def collect() -> list[bytes]:
            return [message async for message in self.call] if self.many else [await self.call]

        return self._run(collect())

    def next(self) -> bytes:
        async def step() -> bytes:
            return await self.call.__aiter__().__anext__()

        return self._run(step())

    def code(self) -> Any:
        return self._run(self.call.code())

    def details(self) -> str:
        return self._run(self.call.details())

    def initial_metadata(self) -> dict[str, Any]:
        return dict(tuple(self._run(self.call.initial_metadata())))

    def trailing_metadata(self) -> dict[str, Any]:
        return dict(tuple(self._run(self.call.trailing_metadata())))

    def cancel(self) -> bool:
        async def cancel() -> bool:
            return self.call.cancel()

        return self._run(cancel())

    def done(self) -> bool:
        return self.call.done()

    def time_remaining(self) -> float | None:
        return self.call.time_remaining()

    def on_done(self, note: Any) -> None:
        async def add() -> None:
            self.call.add_done_callback(note)

        self._run(add())
