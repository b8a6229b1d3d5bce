"""The asyncio shell: it makes calls and awaits them. What is sent, and what an answer means, is decided elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import aclosing
from typing import Any, TypeVar

import grpc

from eas_grpc.errors import ConfigError
from eas_grpc.inference._errors import InferenceError
from eas_grpc.inference._many import Item, Many, check_sent
from eas_grpc.inference._plan import Inputs, Outputs, Planner
from eas_grpc.tensors._messages import Request

__all__ = ["AsyncShell", "each_of"]

T = TypeVar("T")


class AsyncShell:
    """The methods of one service on one channel, each made once. Raises ConfigError."""

    def __init__(self, channel: grpc.aio.Channel, plan: Planner) -> None:
        if isinstance(channel, grpc.Channel):
            raise ConfigError("this is a blocking channel: use the client whose name has no Async")
        if not hasattr(channel, "unary_unary"):
            raise ConfigError(
                f"channel must be one, such as eas_grpc.aio.connect() gives, not {type(channel).__name__}"
            )
        self._plan = plan
        protocol = plan.protocol
        self.calls: dict[str, Any] = {
            name: getattr(channel, shape)(path, None, None)
            for name, (shape, path) in protocol.methods.items()
        }
        self._questions: dict[str, Any] = {
            name: channel.unary_unary(question.path, None, None)
            for name, question in protocol.questions.items()
        }

    async def ask(self, name: str, about: tuple[str, str, str], options: Mapping[str, Any]) -> Any:
        """The answer to a question about a model or the server."""
        question = self._plan.protocol.questions[name]
        return question.decode(await self._questions[name](question.encode(*about), **options))

    async def large(self, request: Request, options: Mapping[str, Any]) -> Outputs:
        """The outputs for a request that one call does not take."""
        async with aclosing(self.run(Many(self._plan, request, (), options), (request.inputs,))) as results:
            outputs: Outputs = await anext(results)
        return outputs

    async def run(
        self, many: Many, inputs: Iterable[Inputs] | AsyncIterable[Inputs]
    ) -> AsyncGenerator[Any, None]:
        """The results for all inputs, in their order, or what `many` makes of failures."""
        sends = _sends(many, inputs)
        under_way: deque[tuple[Item, asyncio.Future[bytes]]] = deque()
        pull: asyncio.Future[Any] | None = None
        more = True
        many.begin(time.monotonic())
        try:
            while more or under_way:
                if more and pull is None and len(under_way) < many.in_flight:
                    pull = _pull(sends)
                awaited = [*filter(None, (pull,)), *(call for _, call in list(under_way)[:1])]
                if not any(each.done() for each in awaited):
                    await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
                if pull is not None and pull.done():
                    send, pull = pull.result(), None
                    if send is None:
                        more = False
                    else:
                        under_way.append((send[0], self._start(*send)))
                elif under_way[0][1].done():
                    item, call = under_way.popleft()
                    result: Any
                    try:
                        result = item.took(call.result())
                    except Exception as error:
                        result = many.failed(item, error)
                    if result is not None:
                        many.progress()
                        yield result
        finally:
            left = [*filter(None, (pull,)), *(call for _, call in under_way)]
            for each in left:
                each.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def partial(self, payload: bytes, options: Mapping[str, Any]) -> AsyncGenerator[Outputs, None]:
        """The answers to one request, as they come."""
        call = self.calls["partial"](payload, **options)
        try:
            async for data in call:
                yield self._plan.outputs(data)
        finally:
            call.cancel()

    async def stream(
        self, requests: AsyncIterable[Request], options: Mapping[str, Any], *, return_errors: bool
    ) -> AsyncGenerator[Any, None]:
        """The answers to all requests, over one call."""
        feed = _Feed(requests, self._plan.protocol.encode)
        call = self.calls["stream"](feed.encoded(), **options)
        answers = 0
        try:
            async for data in call:
                answer = self._plan.streamed(data)
                if isinstance(answer, InferenceError) and not return_errors:
                    raise answer
                answers += 1
                yield answer
        except (grpc.RpcError, asyncio.CancelledError):
            if feed.error is not None:
                raise feed.error from None
            raise
        finally:
            call.cancel()
        if feed.error is not None:
            raise feed.error
        check_sent(self._plan, answers, feed.sent, all_sent=feed.all_sent)

    def _start(self, item: Item, payload: Callable[[], Any]) -> asyncio.Future[bytes]:
        # Made now, not in the task: the arrays are the caller's, who may fill them anew for the next item.
        try:
            made = payload()
        except Exception as error:
            made = error
        return asyncio.ensure_future(self._send(item, made))

    async def _send(self, item: Item, made: Any) -> bytes:
        if isinstance(made, Exception):
            raise made
        answer: bytes = await self.calls[item.method](made, **item.options(time.monotonic()))
        return answer


class _Feed:
    """The requests of a stream, which grpc.aio takes in a task of its own.

    When making one fails, grpc.aio cancels the call; the reason is kept here.
    """

    def __init__(self, requests: AsyncIterable[Request], encode: Callable[[Request], bytes]) -> None:
        self._requests = requests
        self._encode = encode
        self.error: Exception | None = None
        self.sent = 0
        self.all_sent = False

    async def encoded(self) -> AsyncIterator[bytes]:
        try:
            async for request in self._requests:
                data = self._encode(request)
                self.sent += 1
                yield data
        except Exception as error:
            self.error = error
            raise
        self.all_sent = True


async def each_of(items: Iterable[T] | AsyncIterable[T]) -> AsyncGenerator[T, None]:
    """What either kind of iterable gives."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


def _sends(
    many: Many, inputs: Iterable[Inputs] | AsyncIterable[Inputs]
) -> Iterator[Any] | AsyncIterator[Any]:
    if not isinstance(inputs, AsyncIterable):
        return (send for each in inputs for send in many.item(each).sends())

    async def sends() -> AsyncIterator[Any]:
        async for each in inputs:
            for send in many.item(each).sends():
                yield send

    return sends()


def _pull(sends: Iterator[Any] | AsyncIterator[Any]) -> asyncio.Future[Any]:
    """What is to be sent next, None at the end. Of a plain iterable it is there at once, and takes no task."""
    if isinstance(sends, AsyncIterator):
        return asyncio.ensure_future(_next(sends))
    pulled = asyncio.get_running_loop().create_future()
    pulled.set_result(next(sends, None))
    return pulled


async def _next(sends: AsyncIterator[Any]) -> Any:
    return await anext(sends, None)
