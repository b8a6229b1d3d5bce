"""The gateway's HTTP/1.1, both of its ends. What is understood may not depend on how the bytes are cut.

The first byte of an input chooses: a client's requests, or a service's answer. The second says in what pieces it comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import cache

from support.http1_side import CHUNKED, GET, OLD, POST, UPGRADE, Heard, Rig, answer_ok

from server_demo.gateway._exchange import Head
from server_demo.gateway._http1_connection import ServiceConnection

RATE = 1300
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def check(data: bytes) -> None:
    """Nothing is raised."""
    if len(data) > 2:
        _loop().run_until_complete((_requests, _answer)[data[0] % 2](data[1] % 64 + 1, data[2:]))


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


async def _requests(step: int, data: bytes) -> None:
    assert await _understood([data]) == await _understood(_cut(data, step))


def _cut(data: bytes, step: int) -> list[bytes]:
    return [data[at : at + step] for at in range(0, len(data), step)]


async def _understood(pieces: list[bytes]) -> tuple[object, ...]:
    rig = Rig(on_end=_respond)
    for piece in pieces:
        rig.side.feed(piece)
        await asyncio.sleep(0)
    before = -1
    # Each answer lets the next request begin, in a turn of its own.
    while before != (before := len(rig.heard)):  # noqa: ASYNC110
        await asyncio.sleep(0)
    # A request that was not complete may have been begun or not. Whether a client waits for 100 is a matter of time.
    complete = [(each.head, each.body, each.log) for each in rig.heard if "end" in each.log]
    answers = rig.link.written.replace(CONTINUE, b"")
    state = rig.side.idle or not complete
    rig.side.lost()
    # Whether it lingers depends on what has come after the last request.
    ending = ["close" if each == "half_close" else each for each in rig.link.log]
    return complete, answers, ending, state


def _respond(heard: Heard) -> None:
    upgrade = heard.head.get(b"upgrade")
    if upgrade is None or heard.log != ["end"]:
        answer_ok(heard)
    else:
        heard.caller.send_head(101, [(b"connection", b"upgrade"), (b"upgrade", upgrade)])


class _Transport:
    """Of a connection to a service."""

    closing = False

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: bytes) -> None:
        pass

    def write_eof(self) -> None:
        pass

    def abort(self) -> None:
        self.closing = True

    close = abort

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading


class _Call:
    """Notes the answer that it hears."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.body = b""

    def answering(self) -> None:
        assert not self.heard

    def answer_head(self, status, headers) -> None:
        self.heard.append((status, headers))

    def answer_data(self, data, sent) -> None:
        assert self.heard
        self.body += data
        sent()

    def answer_end(self, trailers, *, reusable) -> None:  # noqa: ARG002
        self.heard.append(("end", trailers))

    def lost(self, reason, unsent) -> None:  # noqa: ARG002
        assert ("end", None) not in self.heard
        self.heard.append(("lost", reason))


async def _answer(step: int, data: bytes) -> None:
    assert _heard([data]) == _heard(_cut(data, step))


def _heard(pieces: list[bytes]) -> tuple[object, ...]:
    call, transport = _Call(), _Transport()
    connection = ServiceConnection(opened=lambda _: None, lost=lambda _: None)
    connection.connection_made(transport)
    connection.begin(Head("GET", "/", "h", []), call, has_body=False)
    for piece in pieces:
        if not transport.closing:
            connection.data_received(piece)
    if not transport.closing:
        connection.eof_received()
    connection.connection_lost(None)
    assert not call.heard or call.heard[-1][0] in {"end", "lost"}
    return call.heard, call.body


def seeds() -> Iterator[bytes]:
    """One of each form."""
    expecting = POST.replace(b"Host", b"Expect: 100-continue\r\nHost")
    smuggled = CHUNKED.replace(b"Host", b"Content-Length: 5\r\nHost")
    absolute = GET.replace(b"/a", b"http://other:80/a?b")
    for requests in (GET, POST + GET, CHUNKED + POST, OLD, UPGRADE + b"piped", expecting, smuggled, absolute):
        yield b"\0\0" + requests
        yield b"\0\7" + requests
    for answer in (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: x-a\r\nX-A: b\r\n\r\nhello",
        b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX-T: 1\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\npiped",
        b"HTTP/1.1 204 No\r\n\r\nmore",
    ):
        yield b"\1\0" + answer
        yield b"\1\2" + answer
