"""Calls to scripted peers, and what came of them, the same for all four kinds of client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc.aio
from eas_grpc_pb.greeter.v1.greeter_pb2 import HelloRequest, HelloResponse

import eas_grpc
import eas_grpc.aio

__all__ = ["KINDS", "OURS", "run_calls"]

OURS = ("sync", "aio")
KINDS = (*OURS, "raw", "raw-aio")

# A channel of its own for each case: one that breaks its connection must not break another's.
_APART = [("grpc.use_local_subchannel_pool", 1)]
_AT_ONCE = 16
_TIMEOUT = 5.0
_TRIES = 3

# As JSON: "name" of the case and of its script. "shape" (unary_unary), "port", "path", "authority", "token", "size" of the request,
# "timeout". On one channel
# come `times` calls (1), one after another, then `parallel` calls at once, then, three times at
# most, a good one of the script `then`.
Call = Mapping[str, Any]
Result = dict[str, Any]


def open_channel(kind: str, call: Call) -> Any:
    """A channel of this kind with its own defaults, but that what is too large is for the peer to refuse."""
    target = f"127.0.0.1:{call['port']}"
    options = [*_APART]
    if "authority" in call:
        options.append(("grpc.default_authority", call["authority"]))
    if kind in OURS:
        connect: Any = eas_grpc.connect if kind == "sync" else eas_grpc.aio.connect
        return connect(target, token=call.get("token"), max_request=None, options=options)
    return (grpc if kind == "raw" else grpc.aio).insecure_channel(target, options)


def run_calls(kind: str, calls: Sequence[Call]) -> list[Result]:
    """For a `Child`: what each case gave, in their order; the first call's result, all of them in `all`."""
    if kind.endswith("aio"):
        return asyncio.run(_run_aio(kind, calls))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda call: _sync_case(kind, call), calls))


async def _run_aio(kind: str, calls: Sequence[Call]) -> list[Result]:
    free = asyncio.Semaphore(_AT_ONCE)

    async def bounded(call: Call) -> Result:
        async with free:
            return await _aio_case(kind, call)

    return await asyncio.gather(*map(bounded, calls))


def _sync_case(kind: str, call: Call) -> Result:
    with open_channel(kind, call) as channel:
        results = [_sync_call(channel, kind, call) for _ in range(call.get("times", 1))]
        if call.get("parallel"):
            with ThreadPoolExecutor(call["parallel"]) as pool:
                many = [pool.submit(_sync_call, channel, kind, call) for _ in range(call["parallel"])]
                results += [each.result() for each in many]
        after = []
        while "then" in call and _not_yet(after):
            after.append(_sync_call(channel, kind, _good(call)))
    return _case(call, results, after)


async def _aio_case(kind: str, call: Call) -> Result:
    async with open_channel(kind, call) as channel:
        results = [await _aio_call(channel, kind, call) for _ in range(call.get("times", 1))]
        many = (_aio_call(channel, kind, call) for _ in range(call.get("parallel", 0)))
        results += await asyncio.gather(*many)
        after = []
        while "then" in call and _not_yet(after):
            after.append(await _aio_call(channel, kind, _good(call)))
    return _case(call, results, after)


def _case(call: Call, results: list[Result], after: list[Result]) -> Result:
    then = {"then": after[-1]["code"]} if after else {}
    return {"name": call["name"], **results[0], "all": results, **then}


def _not_yet(after: list[Result]) -> bool:
    """Whether one more good call is due: the first ones may still meet a connection that is just breaking."""
    return not after or (after[-1]["code"] != "OK" and len(after) < _TRIES)


def _good(call: Call) -> Call:
    return {"name": call["then"]}


def _method(channel: Any, kind: str, call: Call) -> Any:
    return getattr(channel, _shape(call))(
        call.get("path") or f"/{kind}.Odd/{call['name']}",
        request_serializer=HelloRequest.SerializeToString,
        response_deserializer=HelloResponse.FromString,
    )


def _shape(call: Call) -> str:
    return call.get("shape", "unary_unary")


def _how(kind: str, call: Call) -> dict[str, Any]:
    bare = kind not in OURS and call.get("token") is not None
    metadata = [("authorization", f"Bearer {call['token']}")] if bare else []
    return {"timeout": call.get("timeout", _TIMEOUT), "metadata": metadata}


def _request(call: Call) -> HelloRequest:
    return HelloRequest(name="x" * call["size"] if "size" in call else "World")


def _sync_call(channel: Any, kind: str, call: Call) -> Result:
    began, messages = time.monotonic(), []
    method, request = _method(channel, kind, call), _request(call)
    given = iter([request]) if _shape(call).startswith("stream") else request
    try:
        if _shape(call).endswith("unary"):
            message, done = method.with_call(given, **_how(kind, call))
            messages.append(message)
        else:
            done = method(given, **_how(kind, call))
            messages.extend(done)
    except grpc.RpcError as error:
        done = error
    except Exception as error:
        return _foreign(error)
    status = (done.code(), done.details(), done.initial_metadata(), done.trailing_metadata())
    return _told(status, messages, began)


async def _aio_call(channel: Any, kind: str, call: Call) -> Result:
    began, messages = time.monotonic(), []
    method, request = _method(channel, kind, call), _request(call)
    given = _stream(request) if _shape(call).startswith("stream") else request
    try:
        running = method(given, **_how(kind, call))
        if _shape(call).endswith("unary"):
            messages.append(await running)
        else:
            # Not a comprehension: what came before a failure counts.
            async for message in running:
                messages.append(message)  # noqa: PERF401
        got = (running.code, running.details, running.initial_metadata, running.trailing_metadata)
        status: tuple[Any, ...] = tuple([await each() for each in got])
    except grpc.aio.AioRpcError as error:
        status = (error.code(), error.details(), error.initial_metadata(), error.trailing_metadata())
    except Exception as error:
        return _foreign(error)
    return _told(status, messages, began)


async def _stream(request: Any) -> AsyncIterator[Any]:
    yield request


def _foreign(error: Exception) -> Result:
    """An exception that is not gRPC's: a finding, and the case fails by it."""
    return {"code": f"{type(error).__name__}: {error}"[:200], "messages": [], "details": "", "seconds": 0}


def _told(status: tuple[Any, ...], messages: Sequence[Any], began: float) -> Result:
    code, details, initial, trailing = status
    return {
        "code": getattr(code, "name", str(code)),
        "details": details or "",
        # grpc gives None for an answer that never came.
        "messages": [None if each is None else each.message for each in messages],
        "metadata": [_pair(*pair) for pair in (*(initial or ()), *(trailing or ()))],
        "seconds": round(time.monotonic() - began, 4),
    }


def _pair(name: str, value: str | bytes) -> list[str]:
    return [name, value if isinstance(value, str) else value.decode("latin-1")]
