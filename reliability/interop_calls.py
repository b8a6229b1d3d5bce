"""One vocabulary for the calls of the interop cases, over a blocking channel and over one of asyncio.

The cases are coroutines whatever the channel is. `Blocking` never lets go of the event loop: nothing else is on it.
"""

from __future__ import annotations

import asyncio
import queue
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc
import grpc.aio

from reliability.pb import interop_pb2_grpc as stubs

__all__ = ["Answer", "AsyncCalls", "BlockingCalls", "Calls", "Talk"]

# Every call has a limit, so that a case which hangs is a case that failed.
SECONDS = 20.0


@dataclass
class Answer:
    """What a call came to."""

    code: str
    details: str = ""
    messages: list[Any] = field(default_factory=list)
    initial: list[tuple[str, Any]] = field(default_factory=list)
    trailing: list[tuple[str, Any]] = field(default_factory=list)


class Talk(Protocol):
    """A call in both directions; `taken` says how many of the messages gRPC has accepted so far."""

    taken: int

    def say(self, *messages: Any) -> None: ...
    def close(self) -> None: ...
    def cancel(self) -> None: ...
    async def hear(self) -> Any | None: ...
    async def end(self) -> Answer: ...


class Calls(Protocol):
    """All that cases do; the arguments behind the star are grpc's."""

    async def one(self, method: str, request: Any, service: str = "", **how: Any) -> Answer: ...
    def many(self, method: str, request: Any, count: int, **how: Any) -> AsyncIterator[Answer]: ...
    async def upload(self, method: str, requests: Iterable[Any], **how: Any) -> Answer: ...
    async def upload_and_cancel(self, method: str) -> Answer: ...
    async def download(self, method: str, request: Any, **how: Any) -> Answer: ...
    def talk(self, method: str, **how: Any) -> Talk: ...


class _Over:
    """What both kinds are made of: a channel, and metadata for every call."""

    def __init__(self, channel: Any, metadata: Any = ()) -> None:
        self._stubs = {"": stubs.TestServiceStub(channel), "other": stubs.UnimplementedServiceStub(channel)}
        self._metadata = tuple(metadata or ())

    def _method(self, name: str, service: str = "") -> Any:
        return getattr(self._stubs[service], name)

    def _how(self, how: dict[str, Any]) -> dict[str, Any]:
        own = {"timeout": SECONDS, **how}
        return {**own, "metadata": (*self._metadata, *how.get("metadata", ()))}


# Blocking.


class BlockingCalls(_Over):
    """Calls over `grpc.Channel`."""

    async def one(self, method: str, request: Any, service: str = "", **how: Any) -> Answer:
        try:
            message, call = self._method(method, service).with_call(request, **self._how(how))
        except grpc.RpcError as error:
            return _answer(error)
        return _answer(call, message)

    async def many(self, method: str, request: Any, count: int, **how: Any) -> AsyncIterator[Answer]:
        made = deque(self._method(method).future(request, **self._how(how)) for _ in range(count))
        while made:
            call = made.popleft()
            yield _answer(call, *_result(call))

    async def upload(self, method: str, requests: Iterable[Any], **how: Any) -> Answer:
        # Not `.future()`: that of grpcio 1.85 forgets `compression=` where requests are a stream.
        try:
            message, call = self._method(method).with_call(iter(list(requests)), **self._how(how))
        except grpc.RpcError as error:
            return _answer(error)
        return _answer(call, message)

    async def upload_and_cancel(self, method: str) -> Answer:
        said: queue.SimpleQueue[Any] = queue.SimpleQueue()
        call = self._method(method).future(iter(said.get, None), **self._how({}))
        call.cancel()
        said.put(None)
        return _answer(call)

    async def download(self, method: str, request: Any, **how: Any) -> Answer:
        call, messages = self._method(method)(request, **self._how(how)), []
        with suppress(grpc.RpcError):
            messages += call
        return _answer(call, *messages)

    def talk(self, method: str, **how: Any) -> Talk:
        return _BlockingTalk(self._method(method), self._how(how))


class _BlockingTalk:
    def __init__(self, method: Any, how: dict[str, Any]) -> None:
        self.taken = 0
        self._said: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._call = method(self._messages(), **how)

    def _messages(self) -> Iterator[Any]:
        while (message := self._said.get()) is not None:
            self.taken += 1
            yield message

    def say(self, *messages: Any) -> None:
        for message in messages:
            self._said.put(message)

    def close(self) -> None:
        self._said.put(None)

    def cancel(self) -> None:
        self._call.cancel()
        # The thread that waits for the next message has to end as well.
        self._said.put(None)

    async def hear(self) -> Any | None:
        try:
            return next(self._call, None)
        except grpc.RpcError:
            return None

    async def end(self) -> Answer:
        return _answer(self._call)


def _result(call: Any) -> list[Any]:
    try:
        return [call.result()]
    except (grpc.RpcError, grpc.FutureCancelledError):
        return []


def _answer(call: Any, *messages: Any) -> Answer:
    return Answer(
        call.code().name,
        call.details() or "",
        list(messages),
        list(call.initial_metadata() or ()),
        list(call.trailing_metadata() or ()),
    )


# Asyncio.


class AsyncCalls(_Over):
    """Calls over `grpc.aio.Channel`."""

    async def one(self, method: str, request: Any, service: str = "", **how: Any) -> Answer:
        return await _awaited(self._method(method, service)(request, **self._how(how)))

    async def many(self, method: str, request: Any, count: int, **how: Any) -> AsyncIterator[Answer]:
        made = [self._method(method)(request, **self._how(how)) for _ in range(count)]
        for ended in asyncio.as_completed([_awaited(call) for call in made]):
            yield await ended

    async def upload(self, method: str, requests: Iterable[Any], **how: Any) -> Answer:
        return await _awaited(self._method(method)(_each(requests), **self._how(how)))

    async def upload_and_cancel(self, method: str) -> Answer:
        call = self._method(method)(**self._how({}))
        call.cancel()
        return await _ended(call)

    async def download(self, method: str, request: Any, **how: Any) -> Answer:
        call, messages = self._method(method)(request, **self._how(how)), []
        with suppress(grpc.RpcError):
            async for message in call:
                # One by one: those that came before an error count.
                messages.append(message)  # noqa: PERF401
        return await _ended(call, *messages)

    def talk(self, method: str, **how: Any) -> Talk:
        return _AsyncTalk(self._method(method)(**self._how(how)))


class _AsyncTalk:
    def __init__(self, call: Any) -> None:
        self.taken = 0
        self._call = call
        self._said: asyncio.Queue[Any] = asyncio.Queue()
        self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        # A call that ends early says so to the reader.
        with suppress(grpc.RpcError, asyncio.InvalidStateError):
            while (message := await self._said.get()) is not None:
                await self._call.write(message)
                self.taken += 1
            await self._call.done_writing()

    def say(self, *messages: Any) -> None:
        for message in messages:
            self._said.put_nowait(message)

    def close(self) -> None:
        self._said.put_nowait(None)

    def cancel(self) -> None:
        self._writing.cancel()
        self._call.cancel()

    async def hear(self) -> Any | None:
        try:
            message = await self._call.read()
        except (grpc.RpcError, asyncio.CancelledError):
            return None
        return None if message is grpc.aio.EOF else message

    async def end(self) -> Answer:
        answer = await _ended(self._call)
        self._writing.cancel()
        return answer


async def _each(requests: Iterable[Any]) -> AsyncIterator[Any]:
    for request in requests:
        yield request


async def _awaited(call: Any) -> Answer:
    try:
        return await _ended(call, await call)
    except grpc.RpcError:
        return await _ended(call)


async def _ended(call: Any, *messages: Any) -> Answer:
    return Answer(
        (await call.code()).name,
        await call.details() or "",
        list(messages),
        list(await call.initial_metadata() or ()),
        list(await call.trailing_metadata() or ()),
    )
