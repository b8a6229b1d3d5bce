"""A gateway of nothing but its HTTP/1.1 halves, and raw peers for both of its ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from server_demo.gateway._exchange import Backend, Caller, Head, Headers, Sent
from server_demo.gateway._http1_backend import Http1Pool
from server_demo.gateway._http1_caller import Http1Side
from server_demo.gateway._link import Link, Outbox


class FakeLink:
    """A connection without a system behind it: what is done to it stands in `written` and `log`."""

    def __init__(self, *, secure: bool = False) -> None:
        self.secure = secure
        self.writable = True
        self.exchanges = 0
        self.closed = False
        self.written = b""
        self.log: list[str] = []
        self.reading = True

    def write(self, data: bytes) -> None:
        self.written += data

    def half_close(self) -> None:
        self.log.append("half_close")

    def close(self) -> None:
        self.log.append("close")

    def abort(self) -> None:
        self.log.append("abort")

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


@dataclass
class Heard:
    """An Exchange that notes what it hears; `on_head` and `on_end` may answer."""

    head: Head
    caller: Caller
    log: list[str] = field(default_factory=list)
    body: bytes = b""
    unconfirmed: list[Sent | None] = field(default_factory=list)
    on_end: Callable[[Heard], object] | None = None
    keeps: bool = False

    def data(self, data: bytes, sent: Sent | None) -> None:
        self.body += data
        if self.keeps:
            self.unconfirmed.append(sent)
        elif sent is not None:
            sent()

    def end(self) -> None:
        self.log.append("end")
        if self.on_end is not None:
            self.on_end(self)

    def gone(self) -> None:
        self.log.append("gone")

    # Of a service.

    status = 0
    headers: Headers = field(default_factory=list)
    trailers: Headers | None = None

    def answer_head(self, status: int, headers: Headers) -> None:
        self.log.append(f"head {status}")
        self.status, self.headers = status, headers

    def answer_only(self, status: int, headers: Headers) -> None:
        raise AssertionError("gRPC alone has this")

    def answer_data(self, data: bytes, sent: Sent | None) -> None:
        self.data(data, sent)

    def answer_end(self, trailers: Headers | None) -> None:
        self.log.append("answer_end")
        self.trailers = trailers

    def answer_failed(self, reason: str, *, connected: bool) -> None:
        self.log.append(f"failed, connected={connected}: {reason}")


class Pair:
    """An Exchange that passes everything on, with what it noted of it."""

    def __init__(self, head: Head, caller: Caller, pool: Http1Pool, log: list[str]) -> None:
        self.head, self.caller, self.log = head, caller, log
        self._pool = pool
        self._backend: Backend | None = None
        self._headed = self._over = False

    def _open(self, *, has_body: bool) -> Backend:
        if self._backend is None:
            self._backend = self._pool.open(self.head, self, has_body=has_body)
        return self._backend

    def data(self, data: bytes, sent: Sent | None) -> None:
        if self._over:
            if sent is not None:
                sent()
            return
        self._open(has_body=True).send_data(data, sent)

    def end(self) -> None:
        if not self._over:
            self._open(has_body=False).send_end()

    def gone(self) -> None:
        self.log.append("gone")
        self._over = True
        if self._backend is not None:
            self._backend.cancel()

    def answer_head(self, status: int, headers: Headers) -> None:
        self._headed = True
        self.caller.send_head(status, headers)

    def answer_only(self, status: int, headers: Headers) -> None:
        raise AssertionError("gRPC alone has this")

    def answer_data(self, data: bytes, sent: Sent | None) -> None:
        self.caller.send_data(data, sent)

    def answer_end(self, trailers: Headers | None) -> None:
        self.caller.send_end(trailers)

    def answer_failed(self, reason: str, *, connected: bool) -> None:
        self.log.append(f"failed, connected={connected}: {reason}")
        self._over = True
        if self._headed:
            self.caller.reset()
            return
        body = reason.encode()
        self.caller.send_head(502 if connected else 503, [(b"content-length", b"%d" % len(body))])
        self.caller.send_data(body)
        self.caller.send_end()


@dataclass
class Rig:
    """A running gateway: where it listens, what went wrong, its parts, and every connection that it accepted."""

    address: str
    pool: Http1Pool
    log: list[str]
    links: set[Link]
    accepted: list[Link]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])


@contextlib.asynccontextmanager
async def gateway_to(service: str, *, idle_timeout: float = 30.0) -> AsyncIterator[Rig]:
    """A gateway on a free port that passes everything on to the service at this address."""
    loop = asyncio.get_running_loop()
    outbox = Outbox(loop)
    pool = Http1Pool(service, idle_timeout=idle_timeout)
    log: list[str] = []
    links: set[Link] = set()
    accepted: list[Link] = []

    def begun(link: Link) -> None:
        links.add(link)
        accepted.append(link)

    def speaks(link: Link) -> Http1Side:
        return Http1Side(link, lambda head, caller: Pair(head, caller, pool, log), max_header_bytes=60 * 1024)

    def link() -> Link:
        return Link(outbox, speaks_http2=speaks, speaks_http1=speaks, begun=begun, ended=links.discard)

    server = await loop.create_server(link, "127.0.0.1", 0)
    try:
        yield Rig(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", pool, log, links, accepted)
    finally:
        server.close()
        for each in tuple(links):
            each.abort()
        pool.close()
        await settled()


Served = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]]


@contextlib.asynccontextmanager
async def raw_service(serve: Served) -> AsyncIterator[str]:
    """A service that is a function of its connection, which ends when the function returns; its address."""
    tasks: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        writers.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=1024 * 1024)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
        await settled()


async def settled() -> None:
    """Lets what was closed be told so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """One request with its body, framed by its length or in chunks."""
    head = await reader.readuntil(b"\r\n\r\n")
    lower = head.lower()
    if b"\r\ncontent-length:" in lower:
        length = int(lower.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        return head + await reader.readexactly(length)
    if b"\r\ntransfer-encoding: chunked" in lower:
        return head + await reader.readuntil(b"0\r\n\r\n")
    return head


async def exchange_raw(address: str, *pieces: bytes, end_after: bytes | None = None) -> bytes:
    """What a server answers to these bytes until it closes; our direction ends once `end_after` has come."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    answer = b""
    try:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            while data := await asyncio.wait_for(reader.read(65536), 20):
                answer += data
                if end_after is not None and end_after in answer:
                    writer.write_eof()
                    end_after = None
    finally:
        writer.transport.abort()
        await settled()
    return answer
