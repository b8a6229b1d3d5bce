"""Services over HTTP/1.1 that are written byte by byte, and calls to them through a pool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from server_demo.gateway._exchange import Head
from server_demo.gateway._http1_backend import Http1Pool
from support.http1_rig import Heard, read_request

GET = Head("GET", "/a?b", "host:1", [(b"x", b"1")])
POST = Head("POST", "/a", "host:1", [])
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def until(condition: Callable[[], object]) -> None:
    """Waits for something that another end does."""
    for _ in range(20_000):
        if condition():
            return
        await asyncio.sleep(0.0005)
    raise AssertionError("it did not happen")


async def call(pool: Http1Pool, head: Head = GET, body: bytes | None = None, **kwargs) -> Heard:
    """One call, to its end."""
    heard = Heard(head, None, **kwargs)
    backend = pool.open(head, heard, has_body=body is not None)
    if body is not None:
        backend.send_data(body, None)
    backend.send_end()
    await until(lambda: is_over(heard))
    return heard


def is_over(heard: Heard) -> bool:
    return any(each.startswith(("answer_end", "failed")) for each in heard.log)


class Service:
    """Answers each request of each connection in turn with what it was given; keeps what it has read."""

    def __init__(self, *answers: bytes, each: bytes | None = None) -> None:
        self.requests: list[tuple[int, bytes]] = []
        self.connections = 0
        self.ended = 0
        self._answers = list(answers)
        self._each = each

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, self.connections = self.connections, self.connections + 1
        try:
            while True:
                self.requests.append((number, await read_request(reader)))
                answer = self._answers.pop(0) if self._answers else self._each
                if answer is None:
                    return
                writer.write(answer)
        finally:
            self.ended += 1
