"""What attackers send is what it is said to be, and what is made of the callers' times is right."""

from __future__ import annotations

import gzip
import itertools

import pytest

from reliability import attack_frames as f
from reliability.attack_floods import percentile, tally

BLOCKS = [f.request_block("/s/m", "token"), f.request_block("/s/n", "token")]


def frames(data: bytes) -> list[tuple[int, int, int]]:
    """Kind, flags and stream of each frame."""
    found = []
    while data:
        size = int.from_bytes(data[:3], "big")
        found.append((data[3], data[4], int.from_bytes(data[5:9], "big")))
        data = data[9 + size :]
    return found


@pytest.mark.parametrize("kind", f.FLOODS)
def test_a_burst_is_made_of_whole_frames_and_knows_how_many(kind):
    for burst in itertools.islice(f.FLOODS[kind](BLOCKS), 3):
        assert len(frames(burst.data)) == burst.frames


def test_a_rapid_reset_breaks_off_each_stream_that_it_opens_and_opens_each_once():
    bursts = itertools.islice(f.FLOODS["rapid reset"](BLOCKS), 3)
    sent = [each for burst in bursts for each in frames(burst.data)]
    opened = [stream for kind, _, stream in sent if kind == f.HEADERS]
    assert opened == [stream for kind, _, stream in sent if kind == f.RST_STREAM]
    assert opened == list(range(1, 3001, 2))


def test_unfinished_streams_and_header_blocks_have_no_end():
    sent = frames(next(f.FLOODS["unfinished streams"](BLOCKS)).data)
    assert {(kind, flags) for kind, flags, _ in sent} == {(f.HEADERS, f.END_HEADERS)}
    blocks = itertools.islice(f.FLOODS["CONTINUATION"](BLOCKS), 3)
    assert not any(flags & f.END_HEADERS for burst in blocks for _, flags, _ in frames(burst.data))


def test_a_bomb_is_what_gzip_reads_and_a_thousandth_of_its_size():
    size = 5 * 1024 * 1024
    packed = f.bomb(size)
    assert gzip.decompress(packed) == bytes(size)
    assert len(packed) < size // 800


def test_a_message_may_lie_about_its_length():
    assert f.message(b"abc") == b"\0\0\0\0\3abc"
    assert f.message(b"", compressed=True, length=2**31 - 1) == b"\1\x7f\xff\xff\xff"


def test_the_percentile_is_a_value_that_was_seen():
    values = [float(n) for n in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.99, 1.0)] == [50.0, 99.0, 100.0]
    assert percentile([7.0], 0.99) == 7.0
    assert percentile([], 0.99) == float("inf")


def test_the_calls_of_a_time_are_those_that_were_under_way_in_it():
    calls = [
        (0.0, 0.5, "OK"),
        (0.8, 0.5, "UNAVAILABLE"),
        (1.5, 0.1, "OK"),
        (1.9, 3.0, "OK"),
        (2.5, 0.1, "OK"),
    ]
    seen = tally(calls, 1.0, 2.0)
    assert (seen.calls, seen.failed, seen.codes) == (3, 1, {"UNAVAILABLE": 1})
    assert seen.slowest == 3.0
