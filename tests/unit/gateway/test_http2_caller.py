"""`Http2Side` on a connection without a system behind it: what it starts, what it writes, when it closes."""

from __future__ import annotations

import asyncio

import pytest
from support.http1_rig import FakeLink, Heard
from support.http2_rig import REQUEST, data, frames_of, request

from server_demo.gateway import _frames as f
from server_demo.gateway import _http2_caller
from server_demo.gateway._http2_caller import Http2Side
from server_demo.gateway._link import Outbox


class Rig:
    def __init__(self, *, keeps: bool = False) -> None:
        self.link = FakeLink()
        self.heard: list[Heard] = []
        self.outbox = Outbox(asyncio.get_running_loop())
        self._keeps = keeps
        self.side = Http2Side(self.link, self.outbox, self._start, max_header_bytes=60 * 1024, max_streams=10)
        self.feed(f.PREFACE, f.settings_frame([]))
        self.written()

    def _start(self, head, caller) -> Heard:
        self.heard.append(Heard(head, caller, keeps=self._keeps))
        return self.heard[-1]

    def feed(self, *frames: bytes) -> None:
        self.side.feed(b"".join(frames))
        self.outbox.flush()

    def written(self) -> list[tuple[int, int, int, bytes]]:
        wire, self.link.written = self.link.written, b""
        return frames_of(wire)


async def test_a_request_is_a_head_with_its_host_apart():
    rig = Rig()
    plain = [pair for pair in REQUEST if pair[0] != b":authority"]
    for number, headers in (
        (1, [*REQUEST, (b"host", b"other")]),
        (3, [*plain, (b"host", b"h3")]),
        (5, plain),
    ):
        block = f.header_block([*headers, (b"x", b"1")])
        rig.feed(f.header_frames(number, block, end=True, largest=9999))
    heads = [heard.head for heard in rig.heard]
    assert [head.authority for head in heads] == ["h", "h3", ""]
    assert {(head.method, head.target) for head in heads} == {("POST", "/p")}
    assert [head.headers for head in heads] == [[(b"x", b"1")]] * 3
    assert [heard.log for heard in rig.heard] == [["end"]] * 3


async def test_credit_for_what_went_on_later_leaves_at_once():
    rig = Rig(keeps=True)
    rig.feed(request(1), *[data(1, b"x" * 16_384)] * 20)
    assert rig.written() == []
    for sent in rig.heard[0].unconfirmed:
        sent()
    rig.outbox.flush()
    assert [(kind, stream) for kind, _, stream, _ in rig.written()] == [(f.WINDOW_UPDATE, 1)]


async def test_bodies_wait_while_the_link_takes_no_more():
    rig = Rig()
    rig.feed(request(1, end=True), f.frame(f.WINDOW_UPDATE, 0, 1, f.word(2**30)), f.frame(f.WINDOW_UPDATE, 0, 0, f.word(2**30)))  # fmt: skip
    rig.link.writable = False
    caller, gone = rig.heard[0].caller, []
    caller.send_head(200, [])
    for number in range(10):
        caller.send_data(b"x" * 100_000, lambda number=number: gone.append(number))
    caller.send_end([(b"grpc-status", b"0")])
    rig.outbox.flush()
    assert len(gone) < 4
    rig.link.writable = True
    rig.side.writable_again()
    rig.outbox.flush()
    assert gone == list(range(10))
    frames = rig.written()
    assert sum(len(payload) for kind, *_, payload in frames if kind == f.DATA) == 1_000_000
    assert frames[-1][:3] == (f.HEADERS, f.END_STREAM | f.END_HEADERS, 1)
    assert rig.side.idle


@pytest.mark.parametrize("way", ["trailers", "only", "reset"])
async def test_an_answer_ends_the_stream_once(way):
    rig = Rig()
    rig.feed(request(1, (b"content-type", b"application/grpc")))
    caller = rig.heard[0].caller
    if way == "trailers":
        caller.send_head(200, [])
        caller.send_end([(b"x", b"1")])
    elif way == "only":
        caller.send_only([(b":status", b"200"), (b"grpc-status", b"14")])
    else:
        caller.reset()
    caller.send_data(b"late")
    caller.send_end()
    caller.reset()
    rig.outbox.flush()
    # The request was not complete: it is called off.
    *answer, last = rig.written()
    assert [kind for kind, *_ in answer] == {"trailers": [f.HEADERS] * 2, "only": [f.HEADERS], "reset": []}[
        way
    ]
    assert (last[0], f.word_at(last[3])) == (f.RST_STREAM, f.INTERNAL_ERROR if way == "reset" else f.NO_ERROR)
    assert rig.heard[0].log == []


async def test_a_client_of_plain_http_may_finish_a_request_that_is_answered():
    rig = Rig()
    rig.feed(request(1))
    rig.heard[0].caller.send_head(401, [])
    rig.heard[0].caller.send_end()
    rig.outbox.flush()
    assert [kind for kind, *_ in rig.written()] == [f.HEADERS, f.DATA]
    rig.feed(data(1, b"still on its way", end=True))
    assert (rig.written(), rig.side.idle, rig.heard[0].body, rig.heard[0].log) == ([], True, b"", [])


async def test_a_client_of_plain_http_that_never_finishes_is_called_off(monkeypatch):
    monkeypatch.setattr(_http2_caller, "_PATIENCE_SECONDS", 0)
    rig = Rig()
    rig.feed(request(1))
    rig.heard[0].caller.send_only([(b":status", b"401")])
    rig.outbox.flush()
    rig.written()
    while not rig.side.idle:
        await asyncio.sleep(0)
    rig.outbox.flush()
    ((kind, _, _, payload),) = rig.written()
    assert (kind, f.word_at(payload)) == (f.RST_STREAM, f.NO_ERROR)


async def test_a_caller_that_breaks_off_or_is_lost_is_gone():
    rig = Rig()
    rig.feed(request(1), request(3), f.frame(f.RST_STREAM, 0, 1, f.word(f.CANCEL)))
    assert [heard.log for heard in rig.heard] == [["gone"], []]
    rig.side.lost()
    assert [heard.log for heard in rig.heard] == [["gone"], ["gone"]]


async def test_leaving_waits_for_the_calls_under_way():
    rig = Rig()
    rig.feed(request(1, end=True))
    rig.side.close_gracefully()
    rig.side.close_gracefully()
    rig.outbox.flush()
    assert ([kind for kind, *_ in rig.written()], rig.link.log) == ([f.GOAWAY], [])
    rig.feed(request(3, end=True))
    assert len(rig.heard) == 1
    rig.heard[0].caller.send_only([(b":status", b"200")])
    rig.outbox.flush()
    assert rig.link.log == ["close"]


@pytest.mark.parametrize("grace", [True, False])
async def test_a_goodbye_without_grace_disowns_every_call(grace):
    rig = Rig()
    rig.feed(request(1, end=True))
    rig.side.goaway(grace=grace)
    rig.outbox.flush()
    ((kind, _, _, payload),) = rig.written()
    assert (kind, f.word_at(payload), bool(rig.link.log)) == (f.GOAWAY, int(grace), not grace)


async def test_a_client_that_breaks_the_protocol_or_stops_sending_is_left():
    rig = Rig()
    rig.feed(data(0, b"x"))
    assert ([kind for kind, *_ in rig.written()], rig.link.log) == ([f.GOAWAY], ["close"])
    rig = Rig()
    rig.side.eof()
    assert rig.link.log == ["close"]


# One that sends much, and one that sends next to nothing.


async def test_frames_are_dealt_with_in_turns_and_all_of_them():
    rig = Rig()
    began = len(rig.heard)
    calls = b"".join(
        request(n, end=True) + f.frame(f.RST_STREAM, 0, n, f.word(f.CANCEL)) for n in range(1, 801, 2)
    )
    rig.feed(calls)
    assert 0 < len(rig.heard) - began < 400
    assert not rig.link.reading
    # What comes meanwhile waits behind it.
    rig.feed(request(801))
    assert rig.heard[-1].head.target == "/p"
    while not rig.link.reading:
        await asyncio.sleep(0)
    assert len(rig.heard) - began == 401


async def test_a_client_that_breaks_off_call_after_call_is_slowed_down(monkeypatch):
    monkeypatch.setattr(_http2_caller, "_BREAKS_AT_ONCE", 10)
    monkeypatch.setattr(_http2_caller, "_BREAKS_PER_SECOND", 100)
    rig = Rig()
    began = asyncio.get_running_loop().time()
    for number in range(1, 61, 2):
        rig.feed(request(number, end=True) + f.frame(f.RST_STREAM, 0, number, f.word(f.CANCEL)))
    assert not rig.link.reading
    while not rig.link.reading:
        await asyncio.sleep(0.001)
    assert len(rig.heard) == 30
    assert asyncio.get_running_loop().time() - began > 0.15


@pytest.mark.parametrize("owed", ["acknowledgement", "rest of the headers"])
async def test_what_the_protocol_wants_of_a_client_is_not_waited_for_for_ever(owed):
    rig = Rig()
    if owed != "acknowledgement":
        rig.feed(f.frame(f.SETTINGS, f.ACK, 0), request(1, flags=0))
    rig.side.check(100.0, held_up=False)
    rig.side.check(159.0, held_up=False)
    assert rig.link.log == []
    rig.side.check(160.0, held_up=False)
    assert rig.link.log == ["close"]
    ((kind, _, _, payload),) = rig.written()
    assert (kind, f.word_at(payload, 4)) == (f.GOAWAY, f.SETTINGS_TIMEOUT)


@pytest.mark.parametrize(
    ("more", "ends"),
    [
        pytest.param((), True, id="plain HTTP"),
        pytest.param(((b"content-type", b"application/grpc"),), False, id="gRPC"),
    ],
)
async def test_a_body_that_hardly_comes_is_broken_off_and_a_quiet_stream_of_grpc_is_not(more, ends):
    rig = Rig()
    rig.feed(f.frame(f.SETTINGS, f.ACK, 0), request(1, *more))
    for now in range(100, 161, 5):
        rig.feed(data(1, b"x"))
        rig.side.check(float(now), held_up=False)
    rig.outbox.flush()
    assert rig.heard[0].log == (["gone"] if ends else [])
    assert [kind for kind, *_ in rig.written()] == ([f.RST_STREAM] if ends else [])
    assert rig.link.log == []


async def test_a_body_that_comes_or_is_held_up_on_its_way_is_waited_for():
    rig = Rig()
    rig.feed(f.frame(f.SETTINGS, f.ACK, 0), request(1))
    for now in range(100, 300, 20):
        rig.feed(data(1, b"x" * 15_000))
        rig.side.check(float(now), held_up=False)
    rig.side.check(1000.0, held_up=True)
    rig.side.check(1001.0, held_up=False)
    assert rig.heard[0].log == []
