"""A request of a few bytes less or more than the limit, and a tap that counts the bytes that go: for their own processes."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc

from reliability.child import hear, say
from reliability.clients import collected, collected_aio, is_aio, metadata, open_channel
from reliability.ledger import request
from reliability.server import TOKEN

__all__ = ["Counted", "at_the_line", "tap"]

# So long nothing may pass before the bytes are counted: a call, its answer and what follows it are over.
_QUIET = 0.06


@dataclass(frozen=True)
class Counted:
    """What became of a request, and how many bytes were sent for it."""

    code: str
    sent: int


class _Tap:
    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = host, int(port)
        self.sent = 0
        self.moved = time.monotonic()

    def accept(self, listener: socket.socket) -> None:
        while True:
            client, _ = listener.accept()
            server = socket.create_connection(self._target)
            for one, other, up in ((client, server, True), (server, client, False)):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pass, args=(one, other, up), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket, up: bool) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(1 << 18):
                self.sent += len(data) if up else 0
                self.moved = time.monotonic()
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)

    def quiet(self) -> int:
        """The bytes that clients sent, once nothing has passed for a while."""
        while (left := self.moved + _QUIET - time.monotonic()) > 0:
            time.sleep(left)
        return self.sent


def tap(target: str) -> None:
    """For a `Child`: passes connections on to `target`; says `ready`, and at each word the `count` of bytes sent to it."""
    passing = _Tap(target)
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=passing.accept, args=(listener,), daemon=True).start()
    say("ready", address=f"127.0.0.1:{listener.getsockname()[1]}")
    while hear():
        say("count", sent=passing.quiet())


def at_the_line(kind: str, address: str, limit: int) -> None:
    """Requests of limit - 1, limit and limit + 1 bytes, each after a word; says `done` with what became of it."""
    if is_aio(kind):
        asyncio.run(_aio(kind, address, limit))
    elif kind == "http":
        _each(limit, lambda body: _post(address, body))
    else:
        with open_channel(kind, address, settings={"max_request": limit}) as channel:
            _each(limit, lambda body: _call(channel, kind, body))


def _each(limit: int, send: Callable[[bytes], str]) -> None:
    for size in (limit - 1, limit, limit + 1):
        say("next")
        hear()
        say("done", code=send(request("line", "size", 1, size=size)))


def _call(channel: Any, kind: str, body: bytes) -> str:
    try:
        collected(channel, "unary_unary", [body], timeout=20, metadata=metadata(kind))
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


async def _aio(kind: str, address: str, limit: int) -> None:
    async with open_channel(kind, address, settings={"max_request": limit}) as channel:
        for size in (limit - 1, limit, limit + 1):
            say("next")
            await asyncio.to_thread(hear)
            code, body = "OK", request("line", "size", 1, size=size)
            try:
                await collected_aio(channel, "unary_unary", [body], timeout=20, metadata=metadata(kind))
            except grpc.RpcError as error:
                code = error.code().name
            say("done", code=code)


def _post(address: str, body: bytes) -> str:
    connection = http.client.HTTPConnection(address, timeout=20)
    with contextlib.closing(connection):
        connection.request("POST", "/api/predict/ledger", body, {"Authorization": TOKEN})
        status = connection.getresponse().status
    return "OK" if status == 200 else str(status)
