"""Frames of HTTP/2 that pass a tap, and what a client makes of its answers."""

from __future__ import annotations

import pytest

from reliability.storm_callers import CUT, verdict
from reliability.storm_frames import ENHANCE_YOUR_CALM, Frames, Seen

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def _frame(kind: int, payload: bytes = b"", flags: int = 0, stream: int = 0) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


_PING = _frame(6, bytes(8))
_PING_ANSWER = _frame(6, bytes(8), flags=1)
_TOO_MANY = _frame(7, (5).to_bytes(4, "big") + (11).to_bytes(4, "big") + b"too_many_pings")
_SESSION = _frame(4) + _PING + _frame(0, b"x" * 70_000, stream=1) + _PING_ANSWER + _TOO_MANY + _PING


def _all(frames: Frames, data: bytes, step: int) -> list[Seen]:
    return [seen for at in range(0, len(data), step) for seen in frames.feed(data[at : at + step])]


@pytest.mark.parametrize("step", [1, 7, 24, 4096, 1_000_000])
def test_pings_and_goaways_are_seen_however_the_bytes_are_cut(step):
    seen = _all(Frames(from_client=True), _PREFACE + _SESSION, step)
    goaway = Seen("goaway", ENHANCE_YOUR_CALM, "too_many_pings")
    assert seen == [Seen("ping"), goaway, Seen("ping")]


def test_a_server_sends_no_preface():
    assert _all(Frames(from_client=False), _PING, 3) == [Seen("ping")]


def test_a_text_of_goaway_that_is_long_is_kept_in_part_and_the_next_frame_is_found():
    long = _frame(7, bytes(8) + b"t" * 5000)
    seen = _all(Frames(from_client=False), long + _PING, 100)
    assert [each.kind for each in seen] == ["goaway", "ping"]
    assert len(seen[0].text) == 248


def test_a_payload_that_looks_like_a_frame_is_none():
    assert _all(Frames(from_client=False), _frame(0, _PING * 3, stream=1), 5) == []


@pytest.mark.parametrize(
    ("shape", "got", "expected"),
    [
        ("unary_unary", 1, "OK"),
        ("stream_unary", 1, "OK"),
        ("unary_stream", 3, "OK"),
        ("unary_stream", 2, CUT),
        ("stream_stream", 0, CUT),
    ],
)
def test_a_stream_that_ends_well_without_all_of_its_answers_was_cut(shape, got, expected):
    assert verdict(shape, got, 3) == expected
