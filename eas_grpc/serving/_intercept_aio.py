"""The token check, the log and the guard against leaking exceptions, for the asyncio server."""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
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


class AsyncInterceptor(grpc.aio.ServerInterceptor):
    """Stands before every call, whatever its shape."""

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._watched = Watched(_watched)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The handler to run: the service's own, watched, or one that refuses."""
        method = handler_call_details.method
        text = _gate.refusal(self._options, method, handler_call_details.invocation_metadata)
        if text is not None:
            return _refusing(method, grpc.StatusCode.UNAUTHENTICATED, text)
        handler = await continuation(handler_call_details)
        if handler is None:
            return _refusing(method, grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        return self._watched(method, handler)


def check_coroutine(method: str, handler: Any) -> None:
    """Raises ConfigError for a method that is a plain function: it would run apart from the event loop."""
    behavior = behavior_of(handler)
    if _is_left_out(behavior):
        return
    if not inspect.iscoroutinefunction(behavior) and not inspect.isasyncgenfunction(behavior):
        raise ConfigError(
            f"AsyncServer cannot serve {method}: it is a plain function; write it with `async def`"
            " (blocking work goes through asyncio.to_thread), or use Server"
        )


def _is_left_out(behavior: Any) -> bool:
    """Whether a method is still the generated servicer's own, a plain function that says UNIMPLEMENTED."""
    return str(getattr(behavior, "__module__", "")).endswith("_pb2_grpc")


def _refusing(method: str, code: grpc.StatusCode, text: str) -> Any:
    async def refuse(_requests: object, context: Any) -> None:
        async with _call(method, context):
            await context.abort(code, text)

    # A stream of requests whatever the shape, so that nothing is read from a caller who is refused.
    return grpc.stream_unary_rpc_method_handler(refuse)


def _watched(method: str, handler: Any) -> Any:
    check_coroutine(method, handler)
    behavior = behavior_of(handler)
    if _is_left_out(behavior):
        return _refusing(method, grpc.StatusCode.UNIMPLEMENTED, "Method not implemented!")

    @functools.wraps(behavior)
    async def awaited(request: Any, context: Any) -> Any:
        async with _call(method, context):
            return await behavior(request, context)

    @functools.wraps(behavior)
    async def iterated(request: Any, context: Any) -> AsyncIterator[Any]:
        async with _call(method, context), aclosing(behavior(request, context)) as responses:
            async for response in responses:
                yield response

    return same_shape(handler, iterated if inspect.isasyncgenfunction(behavior) else awaited, method)


@asynccontextmanager
async def _call(method: str, context: Any) -> AsyncIterator[None]:
    """A call being served: logs it when it is over, and hides what an exception says from the caller."""
    begun = time.perf_counter()
    # Asked now: a generator left alone by its caller is closed after grpc has freed the call, and to ask
    # a freed call for its peer is a segmentation fault (seen with grpcio 1.85.1).
    peer = context.peer()

    def log(status: str) -> None:
        log_call(CallRecord(method, status, peer, time.perf_counter() - begun))

    try:
        yield
    except (asyncio.CancelledError, GeneratorExit):
        log(CANCELLED)
        raise
    except grpc.aio.AbortError:
        log(code_of(context).name)
        raise
    except Exception as error:
        code, text = report_failure(method, context, error)
        log(code.name)
        if context.done():
            raise
        await context.abort(code, text)
    else:
        log(code_of(context).name)
