"""The HTTP/1.1 halves of the gateway between other people's clients and services."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import json
import logging
import os
import random
import resource
import socket
import threading
from collections.abc import AsyncIterator, Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from support.http1_rig import Rig, exchange_raw, gateway_to, raw_service, read_request
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve as serve_websocket

from server_demo.gateway._http_service import Request, Response, serve_handler
from server_demo.http_services import echo

LARGE = 20 * 1024 * 1024


@contextlib.asynccontextmanager
async def served(handler=echo) -> AsyncIterator[Rig]:
    """The gateway before a function."""
    server = await serve_handler(handler)
    try:
        async with gateway_to(server.address) as rig:
            yield rig
    finally:
        server.close()
        await asyncio.sleep(0)


async def curl(*arguments: str, data: bytes | None = None) -> tuple[int, bytes]:
    process = await asyncio.create_subprocess_exec(
        "curl", "-sS", "--max-time", "30", *arguments,
        env={name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate(data)
    return process.returncode, out


async def of_requests(ask: Callable[[requests.Session], object]) -> object:
    def run() -> object:
        with requests.Session() as session:
            session.trust_env = False
            return ask(session)

    return await asyncio.to_thread(run)


async def test_curl_posts_and_is_answered() -> None:
    async with served() as rig:
        url = f"http://{rig.address}/any"
        assert await curl(url, "--data-binary", "hello") == (0, b"hello")
        assert await curl(url, url, "--data-binary", "x", "-w", "%{num_connects} ") == (0, b"x1 x0 ")
        assert await curl(url, "-T", "-", "-X", "POST", data=b"chunks" * 100_000) == (0, b"chunks" * 100_000)
        assert await curl(url, "-0", "--data-binary", "old") == (0, b"old")
        code, out = await curl(url, "--data-binary", "w", "-H", "Expect: 100-continue", "-i")
        assert (code, out.startswith(b"HTTP/1.1 100"), out.endswith(b"w")) == (0, True, True)
        code, head = await curl(url, "-I")
        assert head.startswith(b"HTTP/1.1 405 Method Not Allowed")
        assert b"allow: POST" in head
        code, out = await curl(
            f"http://nowhere.invalid/x?y={'z' * 100}", "--proxy", f"http://{rig.address}", "-d", "p"
        )
        assert (code, out) == (0, b"p")


async def test_curl_asking_for_http_2_on_the_way_stays_with_1_1() -> None:
    async with served() as rig:
        _, out = await curl(f"http://{rig.address}/", "--http2", "-d", "hello", "-w", " %{http_version}")
    assert out == b"hello 1.1"


async def test_curl_sees_that_an_answer_broke_off() -> None:
    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    async with raw_service(broken) as service, gateway_to(service) as rig:
        code, _ = await curl(f"http://{rig.address}/")
        assert code in {18, 56}
        assert "failed, connected=True" in rig.log[0]


async def test_requests_keeps_its_connection_and_its_bytes() -> None:
    async with served() as rig:
        url = f"http://{rig.address}/p"
        body = random.Random(1).randbytes(300_000)

        def ask(session: requests.Session) -> list[bytes]:
            answers = [session.post(url, data=body, headers={"Content-Type": "a/b"}) for _ in range(3)]
            answers.append(session.post(url, data=iter([body[:7], body[7:]])))
            assert answers[0].headers["Content-Type"] == "a/b"
            assert answers[0].reason == "OK"
            assert session.get(url).status_code == 405
            return [each.content for each in answers]

        assert await of_requests(ask) == [body] * 4
        assert [link.exchanges for link in rig.accepted] == [5]


async def test_http_client_of_the_library_pipes_through_a_service_of_the_library() -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(201, "Made")
            self.send_header("Transfer-Encoding", "chunked")
            self.send_header("X-Seen", json.dumps([self.path, self.headers["Host"], self.headers["TE"]]))
            self.end_headers()
            self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1234")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        async with gateway_to(f"127.0.0.1:{server.server_port}") as rig:

            def ask() -> None:
                connection = http.client.HTTPConnection("127.0.0.1", rig.port, timeout=30)
                for number in range(3):
                    connection.request(
                        "PUT", f"/{number}?q=%20", b"body", {"TE": "trailers", "Host": "some.host"}
                    )
                    answer = connection.getresponse()
                    assert (answer.status, answer.read()) == (201, b"body")
                    assert json.loads(answer.headers["X-Seen"]) == [f"/{number}?q=%20", "some.host", None]
                    connection.request("HEAD", "/")
                    answer = connection.getresponse()
                    assert (answer.status, answer.headers["Content-Length"], answer.read()) == (
                        200,
                        "1234",
                        b"",
                    )
                connection.close()

            await asyncio.to_thread(ask)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_a_service_that_is_not_there_is_told_from_one_that_breaks() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nowhere = f"127.0.0.1:{taken.getsockname()[1]}"
    async with gateway_to(nowhere) as rig:
        assert (await exchange_raw(rig.address, b"GET / HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 503")
    async with raw_service(lambda reader, _: read_request(reader)) as breaking, gateway_to(breaking) as rig:
        assert (await exchange_raw(rig.address, b"GET / HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 502")


async def test_a_client_that_resets_is_gone_and_so_is_its_request() -> None:
    ended = asyncio.Event()

    async def waits(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        begun.set()
        try:
            await reader.read()
        finally:
            ended.set()

    begun = asyncio.Event()
    async with raw_service(waits) as service, gateway_to(service) as rig:
        with socket.create_connection(("127.0.0.1", rig.port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            await begun.wait()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await asyncio.wait_for(ended.wait(), 20)
        assert rig.log == ["gone"]


async def test_a_refusal_is_seen_by_a_client_that_is_still_sending() -> None:
    def refuse(_: Request) -> Response:
        raise AssertionError("not asked")

    server = await serve_handler(refuse, max_body_bytes=1000)

    def ask(session: requests.Session) -> int:
        return session.post(f"http://{server.address}/", data=b"x" * LARGE).status_code

    try:
        for _ in range(3):
            assert await of_requests(ask) == 413
        code, out = await curl(
            f"http://{server.address}/", "--data-binary", "@-", "-w", " %{http_code}", data=b"x" * LARGE
        )
        assert (code, out.endswith(b" 413")) == (0, True)
    finally:
        server.close()
        await asyncio.sleep(0)


async def test_20_mb_pass_in_both_directions_in_bounded_memory() -> None:
    async def mirror(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        left = size
        while left:
            data = await reader.read(65536)
            left -= len(data)
            writer.write(data)
            await writer.drain()

    size = 8 * LARGE
    sent, got = hashlib.sha256(), hashlib.sha256()
    async with raw_service(mirror) as service, gateway_to(service) as rig:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size)
        await writer.drain()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        async def send() -> None:
            piece = os.urandom(65536)
            for _ in range(size // len(piece)):
                sent.update(piece)
                writer.write(piece)
                await writer.drain()

        sending = asyncio.create_task(send())
        await reader.readuntil(b"\r\n\r\n")
        left = size
        while left:
            data = await reader.read(65536)
            assert data
            left -= len(data)
            got.update(data)
        await sending
        writer.transport.abort()
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert got.digest() == sent.digest()
    assert grown_kib < 30 * 1024


async def test_a_large_body_in_tiny_chunks_passes() -> None:
    body = bytes(range(256)) * 800
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    async with served() as rig:
        answer = await exchange_raw(
            rig.address,
            b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
            chunks,
            b"0\r\n\r\n",
        )
    assert answer.partition(b"\r\n\r\n")[2] == body


async def test_many_pipelined_requests_are_answered_in_order() -> None:
    pipelined = b"".join(
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n%04d" % number for number in range(300)
    )
    async with served() as rig:
        last = pipelined.rpartition(b"Host: h\r\n")
        answer = await exchange_raw(rig.address, last[0] + b"Connection: close\r\nHost: h\r\n" + last[2])
    bodies = [part.partition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert bodies == [b"%04d" % number for number in range(300)]


async def test_a_websocket_passes_both_ways_and_closes() -> None:
    async def converse(websocket) -> None:
        assert websocket.request.headers["Authorization"] == "token"
        await websocket.send("welcome")
        async for message in websocket:
            await websocket.send(message)
            if message == "bye":
                await websocket.close(4001, "as you wish")

    async with serve_websocket(converse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with gateway_to(f"127.0.0.1:{port}") as rig:
            for leaves in (True, False):
                async with connect(
                    f"ws://{rig.address}/w?x=1",
                    additional_headers={"Authorization": "token"},
                    proxy=None,
                    max_size=None,
                ) as client:
                    assert await client.recv() == "welcome"
                    for message in ("text", b"\0\xff", "x" * 1_000_000):
                        await client.send(message)
                        assert await client.recv() == message
                    await (await client.ping())
                    if not leaves:
                        await client.send("bye")
                        assert await client.recv() == "bye"
                        await client.wait_closed()
                        assert client.close_code == 4001


async def test_a_websocket_to_what_is_none_is_refused() -> None:
    async with served() as rig:
        with pytest.raises(Exception, match="405"):
            await connect(f"ws://{rig.address}/", proxy=None)


# Services that are functions.


async def test_a_function_is_asked_with_what_came(tmp_path) -> None:
    seen: list[Request] = []

    async def handler(request: Request) -> Response:
        await asyncio.sleep(0)
        seen.append(request)
        return Response(201, b"made", "text/x-made", {"X-One": "1"})

    server = await serve_handler(handler, unix_path=str(tmp_path / "s"))
    assert server.address == f"unix:{tmp_path}/s"
    async with gateway_to(server.address) as rig:
        _, out = await curl(f"http://{rig.address}//a%20b?x=1&y=%2B&y=2&z", "-X", "PUT", "-d", "body", "-i")
    server.close()
    await asyncio.sleep(0)
    assert out.startswith(b"HTTP/1.1 201 Created\r\n")
    assert b"x-one: 1\r\ncontent-type: text/x-made\r\ncontent-length: 4\r\n" in out
    (request,) = seen
    assert (request.method, request.path, request.query) == ("PUT", "//a b", {"x": "1", "y": "2", "z": ""})
    assert (request.body, request.headers["content-length"]) == (b"body", "4")
    assert "curl" not in repr(request)


@pytest.mark.parametrize("later", [False, True])
async def test_a_function_that_fails_is_500_and_says_why_in_the_log_alone(later, caplog) -> None:
    async def fails_later(_: Request) -> Response:
        await asyncio.sleep(0)
        raise ValueError("the reason")

    def fails(_: Request) -> Response:
        raise ValueError("the reason")

    with caplog.at_level(logging.ERROR):
        async with served(fails_later if later else fails) as rig:
            answer = await exchange_raw(rig.address, b"GET /x?token=secret HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert b"reason" not in answer
    assert "ValueError: the reason" in caplog.text
    assert "secret" not in caplog.text


async def test_a_function_whose_caller_has_gone_is_cancelled() -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def waits(_: Request) -> Response:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    server = await serve_handler(waits)
    _, writer = await asyncio.open_connection(*server.address.split(":"))
    writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    await begun.wait()
    server.close()
    await asyncio.wait_for(cancelled.wait(), 20)
    writer.transport.abort()
    await asyncio.sleep(0)


async def test_echo_answers_a_post_with_its_body_and_type() -> None:
    typed = echo(Request("POST", "/x", headers={"content-type": "a/b"}, body=b"\0"))
    assert (typed.status, typed.body, typed.content_type) == (200, b"\0", "a/b")
    assert echo(Request("POST", "/")).content_type == "application/octet-stream"
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        refused = echo(Request(method, "/"))
        assert (refused.status, refused.headers) == (405, {"allow": "POST"})
