"""How an HTTP/1.1 connection ends: early answers, refusals, farewells."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.http1_rig import settled
from support.http1_side import CHUNKED, GET, LARGE, POST, Rig, answer_ok


@pytest.mark.parametrize("secure", [False, True])
async def test_an_answer_before_the_body_lingers_until_the_client_ends(secure: bool) -> None:
    rig = Rig(on_start=answer_ok, secure=secure)
    rig.side.feed(POST.removesuffix(b"llo"))
    assert rig.answers()[0][2][b"connection"] == b"close"
    half = [] if secure else ["half_close"]
    assert rig.link.log == half
    rig.side.feed(b"llo" * 1000)
    rig.side.feed(GET)
    assert len(rig.heard) == 1
    assert rig.link.log == half
    rig.side.eof()
    assert rig.link.log == [*half, "close"]
    rig.side.lost()


async def test_lingering_reads_only_so_much(monkeypatch) -> None:
    monkeypatch.setattr("server_demo.gateway._http1_caller._LINGER_BYTES", 100)
    rig = Rig(on_start=answer_ok)
    rig.side.feed(POST.removesuffix(b"llo"))
    rig.side.feed(b"x" * 100)
    assert rig.link.log == ["half_close"]
    rig.side.feed(b"x")
    assert rig.link.log == ["half_close", "close"]
    rig.side.lost()


async def test_a_connection_that_lingers_is_closed_in_the_end(monkeypatch) -> None:
    monkeypatch.setattr("server_demo.gateway._http1_caller._LINGER_SECONDS", 0.0)
    rig = Rig(on_start=answer_ok)
    rig.side.feed(POST.removesuffix(b"llo"))
    for _ in range(10_000):
        await asyncio.sleep(0)
        if "close" in rig.link.log:
            return
    raise AssertionError("it still lingers")


async def test_over_tls_an_answer_that_ends_with_the_connection_ends_it_at_once() -> None:
    rig = Rig(on_start=lambda heard: (heard.caller.send_head(200, []), heard.caller.send_end()), secure=True)
    rig.side.feed(POST.replace(b"HTTP/1.1", b"HTTP/1.0").removesuffix(b"llo"))
    assert rig.link.log == ["close"]


async def test_a_held_back_client_whose_body_breaks_is_let_go_to_linger() -> None:
    rig = Rig(keeps=True)
    rig.side.feed(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    rig.side.feed(b"493e0\r\n" + b"x" * 300_000 + b"\r\n")
    assert not rig.link.reading
    rig.side.feed(b"z\r\n")
    assert rig.link.reading
    assert rig.link.log == ["half_close"]
    rig.side.lost()


async def test_a_held_back_client_is_let_go_to_linger() -> None:
    rig = Rig(keeps=True)
    rig.side.feed(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 300_000)
    assert not rig.link.reading
    answer_ok(rig.heard[0])
    assert rig.link.reading
    rig.side.lost()


@pytest.mark.parametrize("promised", [b"4", b"6", b"x"])
async def test_an_answer_that_is_not_as_long_as_promised_breaks_off(promised: bytes) -> None:
    rig = Rig(on_end=None)
    rig.side.feed(GET)
    caller = rig.heard[0].caller
    caller.send_head(200, [(b"content-length", promised)])
    caller.send_data(b"hello")
    caller.send_end()
    assert rig.link.log == ["abort"]
    rig.side.lost()


async def test_an_answer_that_cannot_be_said_is_told_as_gone() -> None:
    rig = Rig(on_end=None)
    rig.side.feed(GET)
    caller = rig.heard[0].caller
    caller.send_head(200, [(b"content-length", b"2")])
    caller.send_data(b"hello")
    assert rig.link.log == ["abort"]
    rig.side.lost()
    assert rig.heard[0].log == ["end", "gone"]


async def test_reset_is_the_end_without_farewell_and_nobody_is_gone() -> None:
    rig = Rig(on_end=None)
    rig.side.feed(GET)
    rig.heard[0].caller.reset()
    rig.heard[0].caller.send_head(200, [])
    rig.side.lost()
    assert rig.link.log == ["abort"]
    assert rig.link.written == b""
    assert rig.heard[0].log == ["end"]


async def test_close_after_ends_the_connection_with_the_answer() -> None:
    rig = Rig(on_end=None)
    rig.side.feed(GET)
    rig.heard[0].caller.close_after = True
    answer_ok(rig.heard[0])
    assert rig.answers()[0][2][b"connection"] == b"close"
    assert rig.link.log == ["close"]


async def test_close_gracefully_waits_for_the_answer_under_way_alone() -> None:
    idle = Rig()
    idle.side.close_gracefully()
    assert idle.link.log == ["close"]
    for headed in (False, True):
        rig = Rig(on_end=None)
        rig.side.feed(GET)
        caller = rig.heard[0].caller
        caller.send_head(200, []) if headed else None
        rig.side.close_gracefully()
        assert rig.link.log == []
        caller.send_head(200, []) if not headed else None
        caller.send_end()
        assert rig.link.log == ["close"]
        assert (b"connection: close" in rig.link.written) is not headed


async def test_nothing_is_begun_on_a_connection_that_closes() -> None:
    rig = Rig()
    rig.side.close_gracefully()
    rig.side.feed(GET)
    rig.side.eof()
    assert rig.heard == []
    assert rig.link.log == ["close"]


async def test_a_request_may_ask_for_the_end() -> None:
    rig = Rig()
    rig.side.feed(GET.replace(b"Host", b"Connection: close\r\nHost"))
    assert rig.link.log == ["close"]


async def test_only_a_request_under_way_is_not_idle() -> None:
    rig = Rig(on_end=None)
    assert rig.side.idle
    rig.side.feed(GET[:10])
    assert rig.side.idle
    rig.side.feed(GET[10:])
    assert not rig.side.idle
    answer_ok(rig.heard[0])
    assert rig.side.idle


BAD = {
    "no request": (b"\x16\x03\x01", 400),
    "garbage": (b"hello\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "blank in a name": (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n", 400),
    "nul": (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
    "bare cr": (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rY: b\r\n\r\n", 400),
    "two lengths": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    "signed length": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400),
    "length and chunks": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "hidden chunks": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 501),
    "chunks twice": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 501),
    "chunks and another": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
        501,
    ),
    "bad chunk size": (CHUNKED.replace(b"3\r\n", b"0x3\r\n", 1), 400),
    "negative chunk size": (CHUNKED.replace(b"3\r\n", b"-3\r\n", 1), 400),
    "chunk longer than said": (CHUNKED.replace(b"3\r\n", b"1\r\n", 1), 400),
    "endless chunk size": (CHUNKED.replace(b"3\r\n", b"0" * 30 + b"3\r\n", 1), 400),
    "line feed in a chunk's extension": (CHUNKED.replace(b"2;x=y\r\n", b"2;\n\r\n"), 400),
    "bad trailer": (CHUNKED.replace(b"X-T: 1", b"X T: 1"), 400),
    "http/2 without a sniffer": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "head with a bad target": (b"HEAD x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "large head": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * LARGE + b"\r\n\r\n", 431),
    "many headers": (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: x\r\n" * (LARGE // 6) + b"\r\n", 431),
    "long target": (b"GET /" + b"x" * LARGE + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431),
    "endless trailers": (CHUNKED.removesuffix(b"\r\n") + b"X: " + b"x" * LARGE, 431),
}


@pytest.mark.parametrize("split", [False, True], ids=["whole", "in pieces"])
@pytest.mark.parametrize(("message", "status"), BAD.values(), ids=BAD)
async def test_what_is_no_request_is_refused_and_the_connection_closes(
    message: bytes, status: int, split: bool
) -> None:
    rig = Rig(on_end=None)
    step = (len(message) // 300 + 1) if split else len(message)
    for at in range(0, len(message), step):
        rig.side.feed(message[at : at + step])
    method = b"HEAD" if message.startswith(b"HEAD") else b"GET"
    assert [each[0] for each in rig.answers(method)] == [status]
    assert rig.answers(method)[0][2][b"connection"] == b"close"
    assert rig.link.log == ["half_close"]
    assert all(heard.log == ["gone"] for heard in rig.heard)
    rig.side.feed(GET)
    assert len(rig.heard) <= 1
    rig.side.lost()


async def test_a_body_that_breaks_off_after_the_answer_began_is_a_reset() -> None:
    rig = Rig(on_start=lambda heard: heard.caller.send_head(200, []))
    rig.side.feed(CHUNKED.partition(b"2;x")[0])
    rig.side.feed(b"garbage\r\n")
    assert rig.link.log == ["abort"]
    assert rig.heard[0].log == ["gone"]


@given(st.binary(max_size=200), st.integers(0, 120))
def test_no_bytes_break_it(data: bytes, keep: int) -> None:
    async def run() -> None:
        rig = Rig()
        rig.side.feed((CHUNKED[:keep] + data) or b"x")
        rig.side.eof()
        await settled()
        assert rig.link.log
        rig.side.lost()
        assert all(heard.log in (["end"], ["gone"]) for heard in rig.heard)

    asyncio.run(run())


# A client that sends next to nothing.

ENDLESS = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\n"


async def test_a_head_that_does_not_come_to_its_end_is_408() -> None:
    rig = Rig()
    rig.side.check(0.0, held_up=False)
    rig.side.check(200.0, held_up=False)
    assert rig.link.log == []
    for now in range(200, 261, 5):
        rig.side.feed(b"GET / HTTP/1.1\r\n" if now == 200 else b"X-A: b\r\n")
        rig.side.check(float(now), held_up=False)
    assert [status for status, *_ in rig.answers()] == [408]
    assert rig.link.log == ["half_close"]
    rig.side.lost()


async def test_a_body_that_hardly_comes_is_408_and_the_service_hears_of_it() -> None:
    rig = Rig()
    rig.side.feed(ENDLESS)
    for now in range(100, 161, 5):
        rig.side.feed(b"x")
        rig.side.check(float(now), held_up=False)
    assert [status for status, *_ in rig.answers()] == [408]
    assert rig.heard[0].log[-1] == "gone"
    rig.side.lost()


async def test_what_a_client_cannot_help_is_waited_for() -> None:
    rig = Rig(keeps=True)
    rig.side.feed(ENDLESS)
    rig.side.check(0.0, held_up=False)
    rig.side.check(1000.0, held_up=True)
    rig.side.check(1001.0, held_up=False)
    # Comes, and then has to wait itself.
    rig.side.feed(b"x" * 300_000)
    assert not rig.link.reading
    rig.side.check(1062.0, held_up=False)
    rig.side.check(2000.0, held_up=False)
    assert rig.link.log == []
    rig.side.lost()
