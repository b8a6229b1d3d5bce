"""`Http1Side` on a connection without a system behind it: what it makes of bytes, and what it does to the connection."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.http1_rig import settled
from support.http1_side import CHUNKED, GET, OLD, POST, Rig, answer_ok


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    bounds = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(bounds) if b > a]


@given(
    st.lists(st.sampled_from([GET, POST, CHUNKED]), min_size=1, max_size=4),
    st.lists(st.integers(0, 999), max_size=40),
)
def test_requests_are_the_same_however_they_are_split(messages: list[bytes], cuts: list[int]) -> None:
    async def run() -> None:
        rig = Rig()
        for piece in pieces_of(b"".join(messages), cuts):
            rig.side.feed(piece)
            await asyncio.sleep(0)
        await settled()
        bodies = [b"" if each is GET else b"hello" for each in messages]
        assert [heard.body for heard in rig.heard] == bodies
        assert [heard.log for heard in rig.heard] == [["end"]] * len(messages)
        assert [(status, body) for status, body, _ in rig.answers()] == [(200, body) for body in bodies]
        assert rig.link.log == []
        assert rig.side.idle

    asyncio.run(run())


@pytest.mark.parametrize("message", [GET, POST, CHUNKED], ids=["get", "post", "chunked"])
async def test_a_request_byte_by_byte_is_one_request(message: bytes) -> None:
    rig = Rig()
    for byte in message:
        rig.side.feed(bytes([byte]))
    assert [status for status, _, _ in rig.answers()] == [200]
    assert len(rig.heard) == rig.link.exchanges == 1


@pytest.mark.parametrize("message", [GET, POST, CHUNKED], ids=["get", "post", "chunked"])
async def test_a_client_that_ends_anywhere_is_answered_at_most_400_and_nobody_waits(message: bytes) -> None:
    for size in range(len(message)):
        rig = Rig()
        rig.side.feed(message[:size]) if size else None
        rig.side.eof()
        assert rig.link.log
        # Once the head is there, the exchange is told; before that, the client.
        assert [status for status, _, _ in rig.answers()] == [400] * bool(size and not rig.heard)
        assert all(heard.log == ["gone"] for heard in rig.heard)


@pytest.mark.parametrize("message", [GET, POST, CHUNKED], ids=["get", "post", "chunked"])
async def test_a_client_that_is_lost_anywhere_is_gone_once(message: bytes) -> None:
    for size in range(1, len(message) + 1):
        rig = Rig(on_end=None)
        rig.side.feed(message[:size])
        rig.side.lost()
        assert all(heard.log.count("gone") == 1 for heard in rig.heard)


async def test_a_client_that_ends_its_direction_before_the_answer_is_gone() -> None:
    rig = Rig(on_end=None)
    rig.side.feed(POST)
    rig.side.eof()
    assert rig.heard[0].log == ["end", "gone"]
    assert rig.link.log == ["close"]


async def test_a_client_that_ends_its_direction_in_the_answer_has_all_of_it() -> None:
    rig = Rig(on_end=None)
    rig.side.feed(POST)
    caller = rig.heard[0].caller
    caller.send_head(200, [(b"content-length", b"5")])
    rig.side.eof()
    caller.send_data(b"hello")
    caller.send_end()
    assert rig.answers()[0][:2] == (200, b"hello")
    assert rig.link.log == ["close"]


async def test_a_second_request_waits_for_the_first_answer() -> None:
    rig = Rig(on_end=None)
    rig.side.feed(POST + GET)
    await settled()
    assert len(rig.heard) == 1
    answer_ok(rig.heard[0])
    await settled()
    assert len(rig.heard) == 2


async def test_a_flood_of_later_requests_is_held_back_until_the_answer() -> None:
    rig = Rig(on_end=None)
    rig.side.feed(GET)
    for _ in range(20):
        rig.side.feed(GET * 200)
    assert not rig.link.reading
    answer_ok(rig.heard[0])
    assert rig.link.reading


async def test_a_client_may_send_only_so_much_ahead() -> None:
    rig = Rig(keeps=True)
    rig.side.feed(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n")
    for _ in range(4):
        rig.side.feed(b"x" * 65536)
    assert rig.link.reading
    rig.side.feed(b"x")
    assert not rig.link.reading
    for sent in rig.heard[0].unconfirmed:
        sent()
    assert rig.link.reading


async def test_pieces_of_an_answer_are_confirmed_in_order_when_the_system_has_them() -> None:
    rig = Rig(on_end=None)
    rig.side.feed(GET)
    caller = rig.heard[0].caller
    caller.send_head(200, [])
    order: list[int] = []
    caller.send_data(b"a", lambda: order.append(1))
    assert order == [1]
    rig.link.writable = False
    caller.send_data(b"b", lambda: order.append(2))
    caller.send_data(b"c", lambda: order.append(3))
    caller.send_end()
    assert order == [1]
    rig.link.writable = True
    rig.side.writable_again()
    assert order == [1, 2, 3]


async def test_an_answer_without_length_is_chunked_and_has_trailers() -> None:
    rig = Rig(on_end=None)
    rig.side.feed(GET)
    caller = rig.heard[0].caller
    caller.send_head(
        200, [(b"x-a", b"1"), (b"keep-alive", b"timeout=4"), (b"connection", b"x-b"), (b"x-b", b"2")]
    )
    caller.send_data(b"abc")
    caller.send_end([(b"x-sum", b"9"), (b"connection", b"close")])
    assert rig.link.written == (
        b"HTTP/1.1 200 OK\r\nx-a: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 9\r\n\r\n"
    )
    assert rig.link.log == []


async def test_an_answer_to_http_1_0_ends_with_the_connection() -> None:
    rig = Rig(on_end=None)
    rig.side.feed(OLD)
    caller = rig.heard[0].caller
    caller.send_head(103, [])
    caller.send_head(200, [])
    caller.send_data(b"abc")
    caller.send_end([(b"x-sum", b"9")])
    assert rig.link.written == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc"
    assert rig.link.log == ["close"]


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)])
async def test_where_no_body_may_go_none_goes(method: bytes, status: int) -> None:
    rig = Rig(on_end=None)
    rig.side.feed(GET.replace(b"GET", method))
    caller = rig.heard[0].caller
    caller.send_head(status, [(b"content-length", b"3")] if status != 204 else [])
    confirmed: list[int] = []
    caller.send_data(b"abc", lambda: confirmed.append(1))
    caller.send_end()
    assert confirmed == [1]
    assert not rig.link.written.endswith(b"abc")
    assert rig.link.log == []
    assert rig.side.idle


async def test_100_goes_to_whoever_waits_for_it_and_is_not_answered_yet() -> None:
    expecting = POST.replace(b"Host", b"Expect: 100-continue\r\nHost").removesuffix(b"hello")
    rig = Rig()
    rig.side.feed(expecting)
    assert rig.link.written.startswith(b"HTTP/1.1 100")
    rig.side.feed(b"hello")
    assert rig.answers()[0][:2] == (200, b"hello")
    refusing = Rig(on_start=answer_ok)
    refusing.side.feed(expecting)
    assert refusing.link.written.startswith(b"HTTP/1.1 200")
    assert refusing.link.log == ["half_close"]
    hasty = Rig()
    hasty.side.feed(expecting + b"hello")
    assert hasty.link.written.startswith(b"HTTP/1.1 200")


async def test_an_answer_at_once_to_a_whole_request_keeps_the_connection() -> None:
    rig = Rig(on_start=answer_ok)
    rig.side.feed(POST + GET)
    await settled()
    assert [status for status, _, _ in rig.answers()] == [200, 200]
    assert rig.link.log == []
    assert [heard.log for heard in rig.heard] == [[], []]
