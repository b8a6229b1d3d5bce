"""The pool of connections to a service over HTTP/1.1 when calls end early, are too much, or become pipes."""

from __future__ import annotations

import asyncio

import pytest
from support.http1_rig import Heard, exchange_raw, gateway_to, raw_service, read_request, settled
from support.http1_services import GET, OK, POST, Service, call, is_over, until

from server_demo.gateway._exchange import Head
from server_demo.gateway._http1_backend import Http1Pool


async def test_a_cancelled_call_ends_its_connection_and_says_nothing_more() -> None:
    service = Service(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")
    async with raw_service(service) as address:
        pool = Http1Pool(address, idle_timeout=30)
        heard = Heard(GET, None)
        backend = pool.open(GET, heard, has_body=False)
        await until(lambda: heard.body == b"ok")
        backend.cancel()
        await until(lambda: service.ended == 1)
        assert heard.log == ["head 200"]
        pool.close()


async def test_a_call_cancelled_before_the_connection_is_there_leaves_it_to_the_next() -> None:
    service = Service(each=OK)
    async with raw_service(service) as address:
        pool = Http1Pool(address, idle_timeout=30)
        heard = Heard(GET, None)
        pool.open(GET, heard, has_body=False).cancel()
        await until(lambda: pool._idle)
        await call(pool)
        pool.close()
    assert heard.log == []
    assert service.connections == len(service.requests) == 1


async def test_an_answer_before_the_whole_request_is_given_and_ends_the_connection() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        ended.append(await reader.read())

    ended: list[bytes] = []
    async with raw_service(serve) as address:
        pool = Http1Pool(address, idle_timeout=30)
        heard = Heard(POST, None)
        backend = pool.open(POST, heard, has_body=True)
        backend.send_data(b"abc", None)
        await until(lambda: is_over(heard))
        backend.send_data(b"def", None)
        backend.send_end()
        backend.cancel()
        await until(lambda: ended)
        assert not pool._idle
        pool.close()
    assert heard.log == ["head 413", "answer_end"]
    assert b"def" not in ended[0]


@pytest.mark.parametrize("length", [b"2", b"4"])
async def test_a_body_that_is_not_as_long_as_said_fails_its_own_call_alone(length: bytes) -> None:
    service = Service(each=OK)
    async with raw_service(service) as address:
        pool = Http1Pool(address, idle_timeout=30)
        heard = await call(pool, Head("POST", "/", "h", [(b"content-length", length)]), b"abc")
        assert heard.log == ["failed, connected=True: the request cannot be sent over HTTP/1.1"]
        assert (await call(pool)).log == ["head 200", "answer_end"]
        pool.close()


async def test_a_header_that_cannot_be_sent_fails_the_call_and_is_not_shown() -> None:
    service = Service(each=OK)
    async with raw_service(service) as address:
        pool = Http1Pool(address, idle_timeout=30)
        heard = await call(pool, Head("GET", "/", "h", [(b"authorization", b"secret\r\nx: y")]))
        pool.close()
    assert heard.log == ["failed, connected=True: the request cannot be sent over HTTP/1.1"]


async def test_a_service_may_send_only_so_much_ahead() -> None:
    written = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
        for _ in range(50):
            writer.write(b"x" * 1_000_000)
            await writer.drain()
            written += 1

    async with raw_service(serve) as address:
        pool = Http1Pool(address, idle_timeout=30)
        heard = Heard(GET, None, keeps=True)
        pool.open(GET, heard, has_body=False)
        await until(lambda: len(heard.body) > 256 * 1024)
        for _ in range(100):
            await asyncio.sleep(0.0005)
        assert len(heard.body) <= 1024 * 1024
        heard.keeps = False
        for sent in heard.unconfirmed:
            sent()
        await until(lambda: is_over(heard))
        assert len(heard.body) == 50_000_000
        pool.close()


async def test_a_caller_that_still_reads_does_not_hold_up_the_next_call() -> None:
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000
    service = Service(large, large)
    async with raw_service(service) as address:
        pool = Http1Pool(address, idle_timeout=30)
        slow = Heard(GET, None, keeps=True)
        pool.open(GET, slow, has_body=False)
        while not is_over(slow):
            # One confirmation stays away.
            for sent in slow.unconfirmed[1:]:
                sent()
            del slow.unconfirmed[1:]
            await asyncio.sleep(0)
        heard = await call(pool)
        slow.unconfirmed[0]()
        assert heard.log == ["head 200", "answer_end"]
        pool.close()
    assert service.connections == 1


async def test_pieces_of_a_request_are_confirmed_when_the_service_takes_them() -> None:
    go = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        await read_request(reader)
        writer.write(OK)

    async with raw_service(serve) as address:
        pool = Http1Pool(address, idle_timeout=30)
        head = Head("POST", "/", "h", [(b"content-length", b"20000000")])
        heard = Heard(head, None)
        backend = pool.open(head, heard, has_body=True)
        confirmed: list[int] = []
        for number in range(20):
            backend.send_data(b"x" * 1_000_000, lambda number=number: confirmed.append(number))
        backend.send_end()
        await until(lambda: pool._connections)
        await settled()
        assert len(confirmed) < 15
        go.set()
        await until(lambda: is_over(heard))
        assert confirmed == list(range(20))
        pool.close()


async def test_closing_the_pool_fails_what_is_under_way_and_leaves_nothing() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        ended.append(1)

    ended: list[int] = []
    async with raw_service(serve) as address:
        pool = Http1Pool(address, idle_timeout=30)
        heard = Heard(GET, None)
        pool.open(GET, heard, has_body=False)
        await until(lambda: pool._connections)
        connecting = Heard(GET, None)
        pool.open(GET, connecting, has_body=False)
        await asyncio.sleep(0)
        pool.close()
        await until(lambda: is_over(heard) and is_over(connecting))
        assert not pool._connections


async def test_bytes_that_nobody_asked_for_are_nobodys_answer() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(OK)
        if connections == 1:
            await poison.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        await reader.read()

    poison = asyncio.Event()
    async with raw_service(serve) as address:
        pool = Http1Pool(address, idle_timeout=30)
        await call(pool)
        poison.set()
        await until(lambda: not pool._idle)
        assert (await call(pool)).body == b"ok"
        pool.close()


async def test_a_pipe_passes_bytes_and_the_end_of_each_direction() -> None:
    switching = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(switching + b"welcome ")
        while data := await reader.read(100):
            writer.write(data.upper())
        writer.write(b" bye")

    async with raw_service(serve) as service, gateway_to(service) as rig:
        request = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n"
        answer = await exchange_raw(rig.address, request + b"early", b" late", end_after=b"LATE")
        assert answer.partition(b"\r\n\r\n")[2] == b"welcome EARLY LATE bye"
        assert b"upgrade: chat" in answer
        await until(lambda: not rig.pool._connections and not rig.links)
    assert rig.log == []


async def test_a_service_that_leaves_a_pipe_first_is_left_too(monkeypatch) -> None:
    monkeypatch.setattr("server_demo.gateway._http1_connection._HALF_OPEN_SECONDS", 0.0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 \r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nbye")
        writer.write_eof()
        await reader.read()

    async with raw_service(serve) as service, gateway_to(service) as rig:
        request = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n"
        assert (await exchange_raw(rig.address, request)).endswith(b"bye")
        await until(lambda: not rig.pool._connections and not rig.links)
