"""The blocking shell: it makes calls and waits. What is sent, and what an answer means, is decided elsewhere."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any

import grpc
import grpc.aio

from eas_grpc.errors import ConfigError
from eas_grpc.inference._errors import InferenceError
from eas_grpc.inference._many import Item, Many, check_sent
from eas_grpc.inference._plan import Inputs, Outputs, Planner
from eas_grpc.tensors._messages import Request

__all__ = ["Shell"]


class Shell:
    """The methods of one service on one channel, each made once. Raises ConfigError."""

    def __init__(self, channel: grpc.Channel, plan: Planner) -> None:
        if isinstance(channel, grpc.aio.Channel):
            raise ConfigError("this is an asyncio channel: use the client whose name begins with Async")
        if not hasattr(channel, "unary_unary"):
            raise ConfigError(
                f"channel must be one, such as eas_grpc.connect() gives, not {type(channel).__name__}"
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

    def ask(self, name: str, about: tuple[str, str, str], options: Mapping[str, Any]) -> Any:
        """The answer to a question about a model or the server."""
        question = self._plan.protocol.questions[name]
        return question.decode(self._questions[name](question.encode(*about), **options))

    def large(self, request: Request, options: Mapping[str, Any]) -> Outputs:
        """The outputs for a request that one call does not take."""
        results = self.run(Many(self._plan, request, (), options), (request.inputs,))
        try:
            outputs: Outputs = next(results)
        finally:
            results.close()
        return outputs

    def run(self, many: Many, inputs: Iterable[Inputs]) -> Generator[Any, None, None]:
        """The results for all inputs, in their order, or what `many` makes of failures."""
        sends = (send for each in inputs for send in many.item(each).sends())
        under_way: deque[tuple[Item, Any]] = deque()
        more = True
        many.begin(time.monotonic())
        try:
            while more or under_way:
                while more and len(under_way) < many.in_flight and not (under_way and under_way[0][1].done()):
                    if (send := next(sends, None)) is None:
                        more = False
                    else:
                        under_way.append((send[0], self._start(*send)))
                if not under_way:
                    return
                item, call = under_way[0]
                result: Any
                try:
                    result = item.took(call.result())
                except Exception as error:
                    result = many.failed(item, error)
                under_way.popleft()
                if result is not None:
                    many.progress()
                    yield result
        finally:
            for _, call in under_way:
                call.cancel()

    def partial(self, payload: bytes, options: Mapping[str, Any]) -> Generator[Outputs, None, None]:
        """The answers to one request, as they come."""
        call = self.calls["partial"](payload, **options)
        try:
            for data in call:
                yield self._plan.outputs(data)
        finally:
            call.cancel()

    def stream(
        self,
        requests: Iterable[Request],
        options: Mapping[str, Any],
        *,
        return_errors: bool,
    ) -> Generator[Any, None, None]:
        """The answers to all requests, over one call."""
        feed = _Feed(map(self._plan.protocol.encode, requests))
        call = self.calls["stream"](iter(feed), **options)
        feed.attach(call)
        answers = 0
        try:
            for data in call:
                answer = self._plan.streamed(data)
                if isinstance(answer, InferenceError) and not return_errors:
                    raise answer
                answers += 1
                yield answer
        except grpc.RpcError:
            if feed.error is not None:
                raise feed.error from None
            raise
        finally:
            call.cancel()
        if feed.error is not None:
            raise feed.error
        check_sent(self._plan, answers, feed.sent, all_sent=feed.all_sent)

    def _start(self, item: Item, payload: Callable[[], Any]) -> Any:
        try:
            return self.calls[item.method].future(payload(), **item.options(time.monotonic()))
        except Exception as error:
            return _NotStarted(error)


class _Feed:
    """The requests of a stream, which grpc takes on a thread of its own.

    When making one fails, the call is cancelled and the reason kept here: it is the caller's mistake, and grpc
    would report it as the call's.
    """

    def __init__(self, requests: Iterable[bytes]) -> None:
        self._requests = requests
        self._attached = threading.Event()
        self._call: Any = None
        self.error: Exception | None = None
        self.sent = 0
        self.all_sent = False

    def attach(self, call: Any) -> None:
        """Names the call that is fed."""
        self._call = call
        self._attached.set()

    def __iter__(self) -> Iterator[bytes]:
        try:
            for request in self._requests:
                self.sent += 1
                yield request
        except Exception as error:
            self.error = error
            self._attached.wait()
            self._call.cancel()
            return
        self.all_sent = True


class _NotStarted:
    """A call that could not be made, as the future of one."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def done(self) -> bool:
        return True

    def cancel(self) -> bool:
        return False

    def result(self) -> Any:
        raise self._error
