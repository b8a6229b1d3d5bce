"""The pool of connections to a service over HTTP/1.1, against services that are written byte by byte."""

from __future__ import annotations

import asyncio
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.http1_rig import Served, raw_service, read_request
from support.http1_services import OK, POST, Service, call, until

from server_demo.gateway._exchange import Head
from server_demo.gateway._http1_backend import Http1Pool

PUT = Head("PUT", "/a", "host:1", [])


async def test_a_request_goes_on_as_it_came_and_its_answer_comes_back() -> None:
    service = Service(
        b"HTTP/1.1 200 Fine\r\nX-A: 1\r\nConnection: x-b\r\nX-B: 2\r\nContent-Length: 2\r\n\r\nok"
    )
    async with raw_service(service) as address:
        pool = Http1Pool(address, idle_timeout=30)
        heard = await call(pool)
        pool.close()
    assert service.requests == [(0, b"GET /a?b HTTP/1.1\r\nhost: host:1\r\nx: 1\r\n\r\n")]
    assert (heard.status, heard.headers, heard.body) == (
        200,
        [(b"x-a", b"1"), (b"content-length", b"2")],
        b"ok",
    )
    assert heard.log == ["head 200", "answer_end"]


@pytest.mark.parametrize(
    ("headers", "body", "framed"),
    [
        ([], b"abc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        ([(b"content-length", b"3")], b"abc", b"content-length: 3\r\n\r\nabc"),
        ([], None, b"content-length: 0\r\n\r\n"),
        ([(b"content-length", b"0")], None, b"content-length: 0\r\n\r\n"),
    ],
)
async def test_a_body_is_framed_by_its_length_or_in_chunks(headers, body, framed) -> None:
    service = Service(OK)
    async with raw_service(service) as address:
        pool = Http1Pool(address, idle_timeout=30)
        await call(pool, Head("POST", "/", "h", headers), body)
        pool.close()
    assert service.requests[0][1].lower() == b"post / http/1.1\r\nhost: h\r\n" + framed.lower()


ANSWERS = {
    "length": (OK, b"ok", None),
    "chunks": (
        b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\nX-T: 1\r\n\r\n",
        b"ok",
        [(b"x-t", b"1")],
    ),
    "until close": (b"HTTP/1.1 200 OK\r\n\r\nok", b"ok", None),
    "old": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok", None),
    "early hints": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + OK, b"ok", None),
    "nothing": (b"HTTP/1.1 204 No Content\r\n\r\n", b"", None),
    "both framings": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"ok",
        None,
    ),
}


@pytest.mark.parametrize(("answer", "body", "trailers"), ANSWERS.values(), ids=ANSWERS)
async def test_every_framing_of_an_answer_is_read_byte_by_byte(answer, body, trailers) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for byte in answer:
            writer.write(bytes([byte]))
            await asyncio.sleep(0)

    async with raw_service(serve) as address:
        pool = Http1Pool(address, idle_timeout=30)
        heard = await call(pool)
        pool.close()
    assert heard.log == [f"head {heard.status}", "answer_end"]
    assert (heard.body, heard.trailers) == (body, trailers)
    assert b"9" not in dict(heard.headers).values()


@pytest.mark.parametrize("answer", [ANSWERS["length"][0], ANSWERS["chunks"][0]], ids=["length", "chunks"])
async def test_an_answer_that_breaks_off_anywhere_has_failed(answer: bytes) -> None:
    sizes = iter(range(len(answer)))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer[: next(sizes)])

    async with raw_service(serve) as address:
        for _ in answer:
            pool = Http1Pool(address, idle_timeout=30)
            heard = await call(pool)
            pool.close()
            assert heard.log[-1].startswith("failed, connected=True")
            assert "answer_end" not in heard.log


@pytest.mark.parametrize(
    "answer",
    [
        b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n",
        b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    ],
)
async def test_what_is_no_answer_has_failed_and_the_connection_is_closed(answer: bytes) -> None:
    service = Service(each=answer)
    async with raw_service(service) as address:
        pool = Http1Pool(address, idle_timeout=30)
        heard = await call(pool)
        assert heard.log[-1].startswith("failed, connected=True")
        await until(lambda: service.ended == 1)
        pool.close()


async def test_what_came_before_the_fault_is_passed_on() -> None:
    service = Service(each=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nz\r\n")
    async with raw_service(service) as address:
        pool = Http1Pool(address, idle_timeout=30)
        heard = await call(pool)
        pool.close()
    assert heard.body == b"ok"
    assert heard.log == ["head 200", "failed, connected=True: the service's answer is no HTTP/1.1"]


async def test_where_nobody_listens_no_connection_is_made(tmp_path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for address in (f"127.0.0.1:{port}", f"unix:{tmp_path}/none", f"{'x' * 70}.invalid:80"):
        pool = Http1Pool(address, idle_timeout=30)
        heard = await call(pool)
        assert heard.log[0].startswith("failed, connected=False")
        pool.close()


async def test_a_connection_that_is_not_there_in_time_is_none(monkeypatch) -> None:
    monkeypatch.setattr("server_demo.gateway._http1_backend._CONNECT_SECONDS", 0.0)
    async with raw_service(Service(each=OK)) as address:
        pool = Http1Pool(address, idle_timeout=30)
        assert (await call(pool)).log == ["failed, connected=False: connection timeout"]
        pool.close()


async def test_a_connection_is_used_again_after_a_clean_end_and_only_then() -> None:
    service = Service(
        OK, OK, b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", OK + b"x", OK
    )
    async with raw_service(service) as address:
        pool = Http1Pool(address, idle_timeout=30)
        for _ in range(5):
            assert (await call(pool)).log[-1] == "answer_end"
        pool.close()
    assert [number for number, _ in service.requests] == [0, 0, 0, 1, 2]


async def test_two_calls_at_once_have_two_connections() -> None:
    service = Service(each=OK)
    async with raw_service(service) as address:
        pool = Http1Pool(address, idle_timeout=30)
        await asyncio.gather(call(pool), call(pool))
        pool.close()
    assert sorted(number for number, _ in service.requests) == [0, 1]


async def test_an_idle_connection_is_closed_in_the_end() -> None:
    service = Service(each=OK)
    async with raw_service(service) as address:
        pool = Http1Pool(address, idle_timeout=0.01)
        await call(pool)
        await until(lambda: service.ended == 1)
        await call(pool)
        assert service.connections == 2
        pool.close()


@pytest.mark.parametrize(
    "body", [None, b"", b"small", b"x" * 60_000], ids=["none", "empty", "small", "60 kB"]
)
async def test_a_used_connection_that_dies_before_the_answer_is_replaced_once(body) -> None:
    service = Service(OK, each=None)
    async with raw_service(service) as address:
        pool = Http1Pool(address, idle_timeout=30)
        await call(pool)
        heard = await call(pool, PUT, body)
        assert heard.log[-1].startswith("failed, connected=True")
        pool.close()
    first, second = service.requests[1:]
    assert (first[0], second[0]) == (0, 1)
    assert first[1].replace(b"0\r\n\r\n", b"") == second[1].replace(b"0\r\n\r\n", b"")


async def test_a_call_whose_used_connection_died_is_answered_by_another() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        await read_request(reader)

    async with raw_service(serve) as address:
        pool = Http1Pool(address, idle_timeout=30)
        for _ in range(3):
            heard = await call(pool, PUT, b"body")
            assert heard.log == ["head 200", "answer_end"]
        pool.close()


async def test_what_a_service_may_have_done_is_not_asked_of_it_again() -> None:
    service = Service(OK, each=None)
    async with raw_service(service) as address:
        pool = Http1Pool(address, idle_timeout=30)
        await call(pool)
        heard = await call(pool, POST, b"pay")
        assert heard.log[-1].startswith("failed, connected=True")
        pool.close()
    assert len(service.requests) == 2


async def test_a_large_body_is_not_sent_twice() -> None:
    service = Service(OK, each=None)
    async with raw_service(service) as address:
        pool = Http1Pool(address, idle_timeout=30)
        await call(pool)
        heard = await call(pool, POST, b"x" * 70_000)
        assert heard.log[-1].startswith("failed, connected=True")
        pool.close()
    assert service.connections == 1


async def test_a_call_is_not_sent_twice_once_an_answer_has_begun() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        for answer in (OK, b"H"):
            await read_request(reader)
            writer.write(answer)

    connections: list[int] = []
    async with raw_service(serve) as address:
        pool = Http1Pool(address, idle_timeout=30)
        await call(pool)
        heard = await call(pool)
        assert heard.log[-1].startswith("failed, connected=True")
        pool.close()
    assert len(connections) == 1


@given(cuts=st.lists(st.integers(1, 400), max_size=20), kind=st.sampled_from(sorted(ANSWERS)))
def test_an_answer_is_the_same_however_it_is_split(cuts: list[int], kind: str) -> None:
    answer, body, trailers = ANSWERS[kind]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        bounds = [0, *sorted(cut for cut in cuts if cut < len(answer)), len(answer)]
        for index in range(len(bounds) - 1):
            writer.write(answer[bounds[index] : bounds[index + 1]])
            await asyncio.sleep(0)

    async def run(serve: Served) -> None:
        async with raw_service(serve) as address:
            pool = Http1Pool(address, idle_timeout=30)
            heard = await call(pool)
            pool.close()
        assert (heard.body, heard.trailers, heard.log[-1]) == (body, trailers, "answer_end")

    asyncio.run(run(serve))
