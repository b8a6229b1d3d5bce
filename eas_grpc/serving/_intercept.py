"""The token check, the log and the guard against leaking exceptions, for the synchronous server."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc

from eas_grpc.errors import ConfigError
from eas_grpc.serving import _gate
from eas_grpc.serving._access import CallRecord
from eas_grpc.serving._calls import (
    CANCELLED,
    Watched,
    behavior_of,
    code_of,
    log_call,
    report_failure,
    same_shape,
)
from eas_grpc.serving.options import ServerOptions


class Interceptor(grpc.ServerInterceptor):
    """Stands before every call, whatever its shape."""

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._watched = Watched(_watched)

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Any],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The handler to run: the service's own, watched, or one that refuses."""
        method = handler_call_details.method
        text = _gate.refusal(self._options, method, handler_call_details.invocation_metadata)
        if text is not None:
            return _refusing(method, grpc.StatusCode.UNAUTHENTICATED, text)
        handler = continuation(handler_call_details)
        if handler is None:
            return _refusing(method, grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        return self._watched(method, handler)


def check_plain(method: str, handler: Any) -> None:
    """Raises ConfigError for a method that is `async def`: nothing would ever await it."""
    behavior = behavior_of(handler)
    if inspect.iscoroutinefunction(behavior) or inspect.isasyncgenfunction(behavior):
        raise ConfigError(
            f"Server cannot serve {method}: it is `async def`; write a plain function,"
            " or use AsyncServer / run_async"
        )


def _refusing(method: str, code: grpc.StatusCode, text: str) -> Any:
    def refuse(_requests: object, context: grpc.ServicerContext) -> None:
        with _Call(method, context):
            context.abort(code, text)

    # A stream of requests whatever the shape: a handler of a single request gets its thread before the
    # request has arrived, so callers without a token could hold threads by never sending one.
    return grpc.stream_unary_rpc_method_handler(refuse)


def _watched(method: str, handler: Any) -> Any:
    check_plain(method, handler)
    behavior = behavior_of(handler)
    if getattr(behavior, "experimental_non_blocking", False):
        # It returns at once and answers later, through a callback: nothing here could tell when it is over.
        return handler

    # wraps() also carries over the marks by which grpc finds a method's own thread pool.
    @functools.wraps(behavior)
    def one(request: Any, context: grpc.ServicerContext) -> Any:
        with _Call(method, context):
            return behavior(request, context)

    @functools.wraps(behavior)
    def many(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        with _Call(method, context):
            yield from behavior(request, context)

    return same_shape(handler, many if handler.response_streaming else one, method)


class _Call:
    """A call being served: logs it when it is over, and hides what an exception says from the caller."""

    def __init__(self, method: str, context: grpc.ServicerContext) -> None:
        self._method = method
        self._context: Any = context
        self._peer = context.peer()
        self._begun = 0.0

    def __enter__(self) -> None:
        self._begun = time.perf_counter()

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        context = self._context
        if not context.is_active():
            self._log(CANCELLED)
        elif error is None or self._aborted(error):
            self._log(code_of(context).name)
        else:
            code, text = report_failure(self._method, context, error)
            self._log(code.name)
            context.abort(code, text)

    def _aborted(self, error: BaseException) -> bool:
        # context.abort() sets the status and raises an Exception of no type of its own and with no text. If
        # a servicer did exactly that itself, grpc has nothing to tell the caller but the status.
        return (
            type(error) is Exception and not error.args and code_of(self._context) is not grpc.StatusCode.OK
        )

    def _log(self, status: str) -> None:
        log_call(CallRecord(self._method, status, self._peer, time.perf_counter() - self._begun))
