"""A client of the connectrpc conformance suite, for its runner: `python -m reliability.conformance_connect_client sync`.

Kinds as everywhere: `sync`, `aio` are channels of ours; `raw`, `raw-aio` bare grpcio.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from connectrpc.conformance.v1 import client_compat_pb2, config_pb2, service_pb2

import eas_grpc
import eas_grpc.aio
from reliability.conformance_connect_wire import error_of, headers_of, metadata_of, read, write

_AT_ONCE = 16
# A call that the suite gives no time ends here; a deadline would be seen by its servers.
_PATIENCE = 4.0


@dataclass(frozen=True)
class Plan:
    """One call as the suite wants it, read from its request."""

    wanted: Any

    @property
    def path(self) -> str:
        """Of the method."""
        return f"/{self.wanted.service}/{self.wanted.method}"

    @property
    def shape(self) -> str:
        """`unary_unary` and so on."""
        name = config_pb2.StreamType.Name(self.wanted.stream_type)
        up = "stream" if "CLIENT" in name or "BIDI" in name else "unary"
        down = "stream" if "SERVER" in name or "BIDI" in name else "unary"
        return f"{up}_{down}"

    @property
    def full_duplex(self) -> bool:
        """Whether requests and answers take turns."""
        return self.wanted.stream_type == config_pb2.STREAM_TYPE_FULL_DUPLEX_BIDI_STREAM

    @property
    def requests(self) -> list[Any]:
        """The messages to send."""
        kind = getattr(service_pb2, f"{self.wanted.method}Request")
        return [kind.FromString(each.value) for each in self.wanted.request_messages]

    def method(self, channel: Any) -> Any:
        """What to call on a channel."""
        kind = getattr(service_pb2, f"{self.wanted.method}Response")
        serializer = getattr(service_pb2, f"{self.wanted.method}Request").SerializeToString
        return getattr(channel, self.shape)(
            self.path, request_serializer=serializer, response_deserializer=kind.FromString
        )

    @property
    def arguments(self) -> dict[str, Any]:
        """Of the call."""
        gzip = self.wanted.compression == config_pb2.COMPRESSION_GZIP
        return {
            "timeout": self.wanted.timeout_ms / 1000 if self.wanted.HasField("timeout_ms") else None,
            "metadata": metadata_of(self.wanted.request_headers),
            "compression": grpc.Compression.Gzip if gzip else None,
        }

    @property
    def delay(self) -> float:
        """Before each request."""
        return self.wanted.request_delay_ms / 1000

    def cancels(self, when: str) -> bool:
        """Whether the call is to be cancelled at this point."""
        if not self.wanted.HasField("cancel"):
            return False
        return (self.wanted.cancel.WhichOneof("cancel_timing") or "after_close_send_ms") == when

    @property
    def cancel_after(self) -> float | None:
        """Seconds from the end of sending to cancelling."""
        if not self.cancels("after_close_send_ms"):
            return None
        return self.wanted.cancel.after_close_send_ms / 1000

    def enough(self, answers: int) -> bool:
        """Whether it is to be cancelled after so many answers."""
        return self.cancels("after_num_responses") and answers == self.wanted.cancel.after_num_responses


def open_channel(kind: str, wanted: Any) -> Any:
    """A channel of this kind, with TLS and limits as the suite asks."""
    target = f"{wanted.host}:{wanted.port}"
    options: list[tuple[str, Any]] = [("grpc.use_local_subchannel_pool", 1)]
    credentials = _credentials(wanted)
    limit = wanted.message_receive_limit
    if kind in {"sync", "aio"}:
        connect: Callable[..., Any] = eas_grpc.connect if kind == "sync" else eas_grpc.aio.connect
        more: dict[str, Any] = {"max_response": limit} if limit else {}
        address = target if credentials is None else f"https://{target}"
        # The suite counts attempts: each answer of its servers is for one.
        more |= {"retry": None, "max_request": None}
        return connect(address, credentials=credentials, options=options, **more)
    library: Any = grpc if kind == "raw" else grpc.aio
    if limit:
        options.append(("grpc.max_receive_message_length", limit))
    if credentials is None:
        return library.insecure_channel(target, options)
    return library.secure_channel(target, credentials, options)


def _credentials(wanted: Any) -> grpc.ChannelCredentials | None:
    if not wanted.server_tls_cert:
        return None
    own = wanted.client_tls_creds
    return grpc.ssl_channel_credentials(wanted.server_tls_cert, own.key or None, own.cert or None)


def run_sync(kind: str, wanted: Any) -> Any:
    """One call, blocking."""
    plan, result = Plan(wanted), client_compat_pb2.ClientResponseResult()
    with open_channel(kind, wanted) as channel:
        sending = Sending(plan)
        if plan.shape.startswith("stream"):
            call_with: Any = iter(sending)
        else:
            (call_with,) = plan.requests
        method = plan.method(channel)
        if plan.shape.endswith("unary"):
            call = method.future(call_with, **plan.arguments)
        else:
            call = method(call_with, **plan.arguments)
        sending.begin(call)
        watchdog = threading.Timer(_PATIENCE, call.cancel)
        watchdog.start()
        try:
            if plan.shape.endswith("unary"):
                _answered(result, call.result())
            else:
                for answer in call:
                    _answered(result, answer)
                    if plan.enough(len(result.payloads)):
                        call.cancel()
                    sending.answered.release()
        except grpc.FutureCancelledError:
            pass
        except grpc.RpcError as error:
            if error is not call and not call.cancelled():
                call = error
        watchdog.cancel()
        sending.over()
        _ended(result, call.code(), call.details(), call.initial_metadata(), call.trailing_metadata())
    return result


class Sending:
    """The requests of a blocking call: an iterator that grpc reads on a thread of its own."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.answered = threading.Semaphore(0)
        self._begun = threading.Event()
        self._ended = threading.Event()
        self._call: Any = None
        self._timer: threading.Timer | None = None

    def begin(self, call: Any) -> None:
        """The call exists now; without a stream of requests, all is sent."""
        self._call = call
        self._begun.set()
        if not self._plan.shape.startswith("stream"):
            self._sent()

    def over(self) -> None:
        """The call has ended."""
        self._ended.set()
        self.answered.release()
        if self._timer is not None:
            self._timer.cancel()

    def __iter__(self) -> Iterator[Any]:
        for number, request in enumerate(self._plan.requests):
            if number and self._plan.full_duplex:
                self.answered.acquire(timeout=_PATIENCE)
            if self._ended.wait(self._plan.delay) if self._plan.delay else self._ended.is_set():
                return
            yield request
        if self._plan.full_duplex:
            self.answered.acquire(timeout=_PATIENCE)
        self._begun.wait()
        if self._plan.cancels("before_close_send"):
            self._call.cancel()
            return
        self._sent()

    def _sent(self) -> None:
        after = self._plan.cancel_after
        if after is not None:
            self._timer = threading.Timer(after, self._call.cancel)
            self._timer.start()


async def run_aio(kind: str, wanted: Any) -> Any:
    """One call on asyncio."""
    plan, result = Plan(wanted), client_compat_pb2.ClientResponseResult()
    async with open_channel(kind, wanted) as channel:
        answered: asyncio.Semaphore = asyncio.Semaphore(0)
        running: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        streams = plan.shape.startswith("stream")
        given = _requests(plan, answered, running) if streams else plan.requests[0]
        call = plan.method(channel)(given, **plan.arguments)
        running.set_result(call)
        watchdog = asyncio.get_running_loop().call_later(_PATIENCE, call.cancel)
        if not streams:
            _cancel_later(plan, call)
        initial: Any = ()
        try:
            if plan.shape.endswith("unary"):
                _answered(result, await call)
            else:
                # Asked for after the end, asyncio may say that there were none.
                initial = await _quiet(call.initial_metadata)
                async for answer in call:
                    _answered(result, answer)
                    if plan.enough(len(result.payloads)):
                        call.cancel()
                    answered.release()
            code, text = await call.code(), await call.details()
        except asyncio.CancelledError:
            code, text = await call.code(), await call.details()
        except grpc.aio.AioRpcError as error:
            # What is raised counts, not what the call says of itself: the deserializer may have failed.
            code, text = error.code(), error.details()
        watchdog.cancel()
        initial = initial or await _quiet(call.initial_metadata)
        _ended(result, code, text, initial, await _quiet(call.trailing_metadata))
    return result


async def _requests(
    plan: Plan, answered: asyncio.Semaphore, running: asyncio.Future[Any]
) -> AsyncIterator[Any]:
    for number, request in enumerate(plan.requests):
        if number and plan.full_duplex:
            await answered.acquire()
        await asyncio.sleep(plan.delay)
        yield request
    if plan.full_duplex:
        await answered.acquire()
    call = await running
    if plan.cancels("before_close_send"):
        call.cancel()
    else:
        _cancel_later(plan, call)


def _cancel_later(plan: Plan, call: Any) -> None:
    if plan.cancel_after is not None:
        asyncio.get_running_loop().call_later(plan.cancel_after, call.cancel)


async def _quiet(ask: Callable[[], Any]) -> Any:
    """Metadata of a call that has none raises on asyncio where it was cancelled."""
    with contextlib.suppress(asyncio.CancelledError, grpc.RpcError):
        return await ask()
    return ()


def _answered(result: Any, answer: Any) -> None:
    payload = result.payloads.add()
    if hasattr(answer, "payload"):
        payload.CopyFrom(answer.payload)


def _ended(result: Any, code: Any, text: str | None, initial: Any, trailing: Any) -> None:
    result.response_headers.extend(headers_of(initial))
    result.response_trailers.extend(headers_of(trailing))
    if code is not grpc.StatusCode.OK:
        result.error.CopyFrom(error_of(code.value[0], text or "", trailing))


def _response(wanted: Any, result: Any) -> Any:
    answer = client_compat_pb2.ClientCompatResponse(test_name=wanted.test_name)
    if isinstance(result, BaseException):
        text = "".join(traceback.format_exception(result))
        answer.error.message = text[-2000:]
    else:
        answer.response.CopyFrom(result)
    return answer


def _all_sync(kind: str) -> None:
    writing = threading.Lock()

    def one(wanted: Any) -> None:
        try:
            result = run_sync(kind, wanted)
        except Exception as error:
            result = error
        with writing:
            write(sys.stdout.buffer, _response(wanted, result))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while (wanted := read(sys.stdin.buffer, client_compat_pb2.ClientCompatRequest)) is not None:
            pool.submit(one, wanted)


async def _all_aio(kind: str) -> None:
    free, tasks = asyncio.Semaphore(_AT_ONCE), []

    async def one(wanted: Any) -> None:
        async with free:
            try:
                result = await run_aio(kind, wanted)
            except Exception as error:
                result = error
        write(sys.stdout.buffer, _response(wanted, result))

    kind_of_request = client_compat_pb2.ClientCompatRequest
    while (wanted := await asyncio.to_thread(read, sys.stdin.buffer, kind_of_request)) is not None:
        tasks.append(asyncio.create_task(one(wanted)))
    await asyncio.gather(*tasks)


def main() -> None:
    """Makes the calls that the runner asks for, until it says no more."""
    kind = sys.argv[1]
    if kind.endswith("aio"):
        asyncio.run(_all_aio(kind))
    else:
        _all_sync(kind)


if __name__ == "__main__":
    main()
