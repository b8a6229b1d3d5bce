"""Small HTTP services that are functions: the gateway's own endpoints, and the services that it brings along."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

from server_demo.gateway._exchange import Caller, Exchange, Head, Headers, Sent
from server_demo.gateway._http1_caller import Http1Side
from server_demo.gateway._link import Link, Outbox

__all__ = ["Handler", "HttpServer", "LocalExchange", "Request", "Response", "in_threads", "serve_handler"]

_LOG = logging.getLogger(__name__)
_MAX_BODY_BYTES = 128 * 1024 * 1024
_MAX_HEADER_BYTES = 60 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """What a handler is asked.

    `path` is decoded and has no query; of a name that comes twice in `query` or `headers`, the last counts. Names of
    headers are in lower case.
    """

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """What a handler answers; the length is not among the headers."""

    status: int = 200
    body: bytes = field(default=b"", repr=False)
    content_type: str = "text/plain; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuses text, whose encoding nobody knows."""
        if not isinstance(self.body, bytes):
            raise TypeError(f"the body of a Response is {type(self.body).__name__}: give bytes, b'...'")


Handler = Callable[[Request], "Response | Awaitable[Response]"]


class LocalExchange:
    """An Exchange that a handler answers when the request is complete.

    A body above `max_body_bytes` is answered 413. A handler that raises is answered 500; why stands in the log alone.
    """

    def __init__(
        self, handler: Handler, head: Head, caller: Caller, *, max_body_bytes: int = _MAX_BODY_BYTES
    ) -> None:
        """Waits for the body."""
        self._handler = handler
        self._head = head
        self._caller = caller
        self._max_body_bytes = max_body_bytes
        self._body = bytearray()
        self._over = False
        self._task: asyncio.Task[None] | None = None

    def data(self, data: bytes, sent: Sent | None) -> None:
        """Collects a piece."""
        if not self._over:
            self._body += data
            if len(self._body) > self._max_body_bytes:
                self._answer(Response(413, f"The body is above {self._max_body_bytes} bytes.\n".encode()))
        if sent is not None:
            sent()

    def end(self) -> None:
        """Asks the handler."""
        if self._over:
            return
        request = _request(self._head, bytes(self._body))
        self._body.clear()
        try:
            answer = self._handler(request)
            if not isinstance(answer, Awaitable):
                answer = _checked(answer)
        except Exception:
            self._failed()
            return
        if isinstance(answer, Response):
            self._answer(answer)
        else:
            self._task = asyncio.get_running_loop().create_task(self._await(answer))

    def gone(self) -> None:
        """Nobody waits for the answer any more."""
        self._over = True
        self._body.clear()
        if self._task is not None:
            self._task.cancel()

    async def _await(self, answer: Awaitable[Response]) -> None:
        try:
            response = _checked(await answer)
        except Exception:
            self._failed()
        else:
            self._answer(response)

    def _failed(self) -> None:
        _LOG.exception("%s %s failed", self._head.method, self._head.target.partition("?")[0])
        self._answer(Response(500, b"internal error\n"))

    def _answer(self, response: Response) -> None:
        if self._over:
            return
        self._over = True
        self._body.clear()
        headers: Headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in response.headers.items()
        ]
        if response.body or response.status not in {204, 304}:
            headers.append((b"content-type", response.content_type.encode("latin-1")))
            headers.append((b"content-length", b"%d" % len(response.body)))
        self._caller.send_head(response.status, headers)
        if response.body and self._head.method != "HEAD":
            self._caller.send_data(response.body)
        self._caller.send_end()

    # An exchange has a service that answers; this one has none.

    def answer_head(self, status: int, headers: Headers) -> None:
        """Does not come."""

    def answer_only(self, status: int, headers: Headers) -> None:
        """Does not come."""

    def answer_data(self, data: bytes, sent: Sent | None) -> None:
        """Does not come."""

    def answer_end(self, trailers: Headers | None) -> None:
        """Does not come."""

    def answer_failed(self, reason: str, *, connected: bool) -> None:
        """Does not come."""


def in_threads(handler: Handler) -> Handler:
    """The same handler, a plain function in a thread of its own: it may block, and holds nobody else up."""

    async def call(request: Request) -> Response:
        answer = await asyncio.get_running_loop().run_in_executor(None, handler, request)
        return await answer if isinstance(answer, Awaitable) else answer

    # An object may be called as a coroutine function too.
    called = type(handler).__call__
    return handler if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(called) else call


def _checked(answer: object) -> Response:
    if not isinstance(answer, Response):
        raise TypeError(f"the handler returned {type(answer).__name__}: return Response(200, b'...')")
    return answer


def _request(head: Head, body: bytes) -> Request:
    path, _, query = head.target.partition("?")
    return Request(
        method=head.method,
        path=unquote(path),
        query=dict(parse_qsl(query, keep_blank_values=True)),
        headers={
            "host": head.authority,
            **{name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers},
        },
        body=body,
    )


class HttpServer:
    """A running server; `address` is where, `host:port` or `unix:/path`."""

    def __init__(self, server: asyncio.Server, links: set[Link], address: str) -> None:
        """Made by `serve_handler`."""
        self.address = address
        self._server = server
        self._links = links

    def close(self) -> None:
        """Listens no more and ends every connection; the loop must still turn once for the system to see it."""
        self._server.close()
        for link in tuple(self._links):
            link.abort()


async def serve_handler(
    handler: Handler,
    *,
    host: str | None = None,
    port: int = 0,
    unix_path: str | None = None,
    max_body_bytes: int = _MAX_BODY_BYTES,
) -> HttpServer:
    """Answers HTTP/1.1 with a function, on a Unix socket at `unix_path` or else at `host` (127.0.0.1) and `port`.

    Port 0 is any free one. Raises OSError if the address is taken.
    """

    def start(head: Head, caller: Caller) -> Exchange:
        return LocalExchange(handler, head, caller, max_body_bytes=max_body_bytes)

    def speaks_http1(link: Link) -> Http1Side:
        # Also to a client of HTTP/2, who is told so.
        return Http1Side(link, start, max_header_bytes=_MAX_HEADER_BYTES)

    def link() -> Link:
        return Link(
            outbox, speaks_http2=speaks_http1, speaks_http1=speaks_http1, begun=links.add, ended=links.discard
        )

    links: set[Link] = set()
    loop = asyncio.get_running_loop()
    outbox = Outbox(loop)
    if unix_path is not None:
        server = await loop.create_unix_server(link, unix_path)
        return HttpServer(server, links, f"unix:{unix_path}")
    server = await loop.create_server(link, host or "127.0.0.1", port)
    name, port = server.sockets[0].getsockname()[:2]
    return HttpServer(server, links, f"[{name}]:{port}" if ":" in name else f"{name}:{port}")
