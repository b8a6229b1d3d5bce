"""A real gRPC server whose requests say what it should do, and which remembers what it saw.

Requests are bytes: `echo:<text>` answers the text, `fail:<STATUS>:<details>` ends with that status, `sleep:<s>`
waits, `hold` waits until the call ends, `need:<token>` fails with UNAUTHENTICATED unless the metadata has it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any

import grpc

SHAPES = {
    "unary_unary": (False, False),
    "unary_stream": (False, True),
    "stream_unary": (True, False),
    "stream_stream": (True, True),
}
HANDLERS = {
    "unary_unary": grpc.unary_unary_rpc_method_handler,
    "unary_stream": grpc.unary_stream_rpc_method_handler,
    "stream_unary": grpc.stream_unary_rpc_method_handler,
    "stream_stream": grpc.stream_stream_rpc_method_handler,
}


def method(shape: str) -> str:
    return f"/test.Echo/{shape}"


@dataclass
class Seen:
    """One call as the server saw it."""

    method: str
    metadata: list[tuple[str, Any]]
    remaining: float | None
    requests: list[bytes] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def values(self, key: str) -> list[Any]:
        return [value for name, value in self.metadata if name == key]


class EchoServer:
    """`with EchoServer() as server:` serves on `server.address`."""

    def __init__(
        self, options: Iterable[tuple[str, Any]] = (), port: int = 0, credentials: Any = None
    ) -> None:
        self.calls: list[Seen] = []
        self._server = grpc.server(
            futures.ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0), *options]
        )
        handlers = {shape: HANDLERS[shape](self._handler(shape, *flags)) for shape, flags in SHAPES.items()}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))
        where = f"127.0.0.1:{port}"
        self.port = (
            self._server.add_secure_port(where, credentials)
            if credentials
            else self._server.add_insecure_port(where)
        )
        self.address = f"127.0.0.1:{self.port}"

    def __enter__(self) -> EchoServer:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(0).wait()

    @property
    def last(self) -> Seen:
        return self.calls[-1]

    def _handler(self, shape: str, many_requests: bool, many_responses: bool) -> Any:
        def begin(context: grpc.ServicerContext) -> Seen:
            remaining = context.time_remaining()
            # grpc reports "no deadline" as centuries.
            seen = Seen(shape, list(context.invocation_metadata()), None if remaining > 1e8 else remaining)
            if not context.add_callback(seen.ended.set):
                seen.ended.set()
            self.calls.append(seen)
            return seen

        def answers(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            seen = begin(context)
            for request in requests:
                seen.requests.append(request)
                yield from act(request, context, seen)
            context.set_trailing_metadata((("x-count", str(len(seen.requests))),))

        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[bytes]:
            context.send_initial_metadata((("x-first", "yes"),))
            yield from answers(request if many_requests else iter((request,)), context)

        def single(request: Any, context: grpc.ServicerContext) -> bytes:
            context.send_initial_metadata((("x-first", "yes"),))
            return b",".join(answers(request if many_requests else iter((request,)), context))

        return stream if many_responses else single


def act(request: bytes, context: grpc.ServicerContext, seen: Seen) -> Iterator[bytes]:
    verb, _, rest = request.partition(b":")
    if verb == b"fail":
        status, _, details = rest.decode().partition(":")
        context.abort(grpc.StatusCode[status], details)
    elif verb == b"sleep":
        time.sleep(float(rest))
        yield b"slept"
    elif verb == b"hold":
        seen.ended.wait(30)
    elif verb == b"need":
        if seen.values("authorization") != [f"Bearer {rest.decode()}"]:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "token refused")
        yield b"welcome"
    elif verb == b"size":
        yield str(len(request)).encode()
    else:
        yield rest
