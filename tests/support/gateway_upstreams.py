"""Services behind a gateway that note whatever reaches them: each head, each byte, each call."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import grpc

from server_demo.gateway import Request, Response

WAIT = 10.0


class HttpUpstream:
    """HTTP/1.1 on a port of its own. `heads` are the requests' heads, `received` counts bytes of any kind.

    Answers 200 with `served`, or 101 and then every byte to whoever asks for an upgrade.
    """

    def __enter__(self) -> HttpUpstream:
        self.heads: list[bytes] = []
        self.received = 0
        self.accepted = 0
        # Of each connection that ended.
        self.ended: queue.Queue[None] = queue.Queue()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._begin(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(WAIT)
        self._listener.close()

    def _begin(self, work, *arguments) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._open.append(connection)
            self._begin(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            buffer = b""
            while True:
                head, end, rest = buffer.partition(b"\r\n\r\n")
                if end and (size := _body_size(head, rest)) is not None:
                    buffer = rest[size:]
                    self.heads.append(head)
                    self._answer(connection, head)
                    continue
                data = connection.recv(65536)
                self.received += len(data)
                if not data:
                    break
                buffer += data
        self.ended.put(None)

    def _answer(self, connection: socket.socket, head: bytes) -> None:
        if b"\r\nupgrade:" in head.lower():
            connection.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
            )
            while data := connection.recv(65536):
                self.received += len(data)
                connection.sendall(data)
        body = b"" if head.startswith(b"HEAD ") else b"served"
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n" + body)


def _body_size(head: bytes, rest: bytes) -> int | None:
    """How much of `rest` is this request's body; None if it is not complete."""
    lower = head.lower()
    if b"\r\ntransfer-encoding:" in lower:
        at = 0 if rest.startswith(b"0\r\n\r\n") else rest.find(b"\r\n0\r\n\r\n") + 2
        return None if at == 1 else at + 5
    _, named, value = lower.partition(b"\r\ncontent-length:")
    size = int(value.partition(b"\r\n")[0]) if named else 0
    return size if len(rest) >= size else None


class GrpcUpstream(grpc.GenericRpcHandler):
    """gRPC on a port of its own, whatever the method: each message comes back. `calls` are the paths."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.messages: list[bytes] = []

    def __enter__(self) -> GrpcUpstream:
        self._server = grpc.server(
            ThreadPoolExecutor(16), handlers=[self], options=[("grpc.so_reuseport", 0)]
        )
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(0).wait(WAIT)

    def service(self, handler_call_details):
        self.calls.append(handler_call_details.method)
        return grpc.stream_stream_rpc_method_handler(self._talk)

    def _talk(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        for message in requests:
            self.messages.append(message)
            yield message


@dataclass
class Waiting:
    """A request that a `Held` service has and does not answer."""

    path: str
    _release: object

    def answer(self) -> None:
        self._release()


@dataclass
class Held:
    """A handler for `Gateway.serve_http` that answers a request only when told to."""

    arrived: queue.Queue[Waiting] = field(default_factory=queue.Queue)

    async def __call__(self, request: Request) -> Response:
        import asyncio

        loop = asyncio.get_running_loop()
        released = asyncio.Event()
        self.arrived.put(Waiting(request.path, lambda: loop.call_soon_threadsafe(released.set)))
        await released.wait()
        return Response(body=request.path.encode())

    def next(self) -> Waiting:
        return self.arrived.get(timeout=WAIT)
