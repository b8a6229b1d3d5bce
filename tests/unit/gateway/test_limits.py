"""Calls a second, calls at a time, and the sizes of messages in a body that comes in pieces."""

from __future__ import annotations

import itertools
import struct
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server_demo.gateway._limits import PATIENCE_SECONDS, MessageSizes, Pace, Patience, RateLimit, Slots


def test_one_seconds_worth_comes_at_once_and_then_at_its_pace():
    limit = RateLimit(4)
    assert [limit.admit(100.0) for _ in range(5)] == [True] * 4 + [False]
    assert [limit.admit(100.25), limit.admit(100.3), limit.admit(100.5)] == [True, False, True]
    assert [limit.admit(1000.0) for _ in range(5)] == [True] * 4 + [False]


def test_a_limit_below_one_a_second_admits_one_at_first():
    limit = RateLimit(0.5)
    assert [limit.admit(now) for now in (0.0, 1.0, 2.0, 3.0)] == [True, False, True, False]


def test_a_limit_of_0_admits_everything():
    limit = RateLimit(0)
    assert all(limit.admit(1.0) for _ in range(1000))


def test_a_clock_that_goes_back_takes_nothing_away():
    limit = RateLimit(2)
    assert [limit.admit(now) for now in (5.0, 4.0, 4.1)] == [True, True, False]


def test_what_happens_too_often_is_slowed_down_to_its_pace():
    pace = Pace(per_second=10, at_once=5)
    assert [pace.pause(5, 100.0), pace.pause(1, 100.0), pace.pause(1, 100.0)] == pytest.approx([0, 0.1, 0.2])
    assert [pace.pause(0, 100.25), pace.pause(1, 100.25), pace.pause(5, 107.0)] == pytest.approx([0, 0.05, 0])


def test_patience_is_over_when_a_peer_has_not_gone_on_for_its_time_and_begins_again_with_each_step():
    patience, late = Patience(), PATIENCE_SECONDS
    assert not patience.is_over(0.0, waiting=True)
    assert not patience.is_over(late - 0.1, waiting=True)
    assert patience.is_over(late, waiting=True)
    assert not patience.is_over(late + 1, waiting=False)
    assert not patience.is_over(2 * late, waiting=True, done=100, least=100)
    assert not patience.is_over(2.9 * late, waiting=True, done=200, least=100)
    assert not patience.is_over(3.8 * late, waiting=True, done=299, least=100)
    assert patience.is_over(3.9 * late, waiting=True, done=299, least=100)


@given(st.integers(1, 50), st.lists(st.floats(0, 0.3), max_size=300))
def test_no_second_sees_more_than_two_seconds_worth_and_the_pace_is_always_met(rate, waits):
    limit, now, admitted = RateLimit(rate), 0.0, deque()
    for wait in waits:
        now += wait
        if limit.admit(now):
            admitted.append(now)
            assert sum(then > now - 1 for then in admitted) <= 2 * rate
    steady = RateLimit(rate)
    assert all(steady.admit(n / rate) for n in range(200))


def nothing():
    raise AssertionError("not to be called")


def test_requests_above_the_workers_wait_in_order_and_above_the_queue_are_turned_away():
    started = []
    slots = Slots(2, 2)
    running = [slots.arrive(nothing) for _ in range(2)]
    first, second = (slots.arrive(lambda n=n: started.append(n)) for n in "ab")
    assert slots.arrive(nothing) is None
    assert [t.running for t in (*running, first, second)] == [True, True, False, False]
    assert (slots.busy, slots.waiting) == (2, 2)
    slots.leave(running[0])
    assert (started, first.running) == (["a"], True)
    slots.leave(running[1])
    assert started == ["a", "b"]
    assert (slots.busy, slots.waiting) == (2, 0)


def test_one_that_no_longer_wants_to_wait_makes_room_and_is_never_started():
    started = []
    slots = Slots(1, 1)
    running, waiting = slots.arrive(nothing), slots.arrive(nothing)
    slots.leave(waiting)
    slots.arrive(lambda: started.append("next"))
    slots.leave(running)
    assert started == ["next"]


def test_leaving_twice_frees_one_place():
    slots = Slots(2, 5)
    one, _ = slots.arrive(nothing), slots.arrive(nothing)
    waiting = slots.arrive(lambda: None), slots.arrive(nothing)
    slots.leave(one)
    slots.leave(one)
    assert [t.running for t in waiting] == [True, False]


def test_no_workers_means_any_number_and_no_queue_means_none_waits():
    anybody = Slots(0, 0)
    assert all(anybody.arrive(nothing).running for _ in range(500))
    alone = Slots(1, 0)
    assert alone.arrive(nothing).running
    assert alone.arrive(nothing) is None


def test_thousands_that_end_as_soon_as_they_start_do_not_fill_the_stack():
    slots = Slots(1, 5000)
    running = slots.arrive(nothing)
    ended = []

    def wait():
        def start():
            ended.append(ticket)
            slots.leave(ticket)

        ticket = slots.arrive(start)

    for _ in range(5000):
        wait()
    slots.leave(running)
    assert len(ended) == 5000
    assert (slots.busy, slots.waiting) == (0, 0)


@given(st.integers(1, 4), st.integers(0, 4), st.lists(st.integers(-1, 30), max_size=60))
def test_never_do_more_work_or_wait_than_may_and_nobody_waits_beside_a_free_worker(workers, queue, steps):
    slots, tickets = Slots(workers, queue), []
    for step in steps:
        if step < 0 or step >= len(tickets):
            full = slots.busy == workers and slots.waiting == queue
            ticket = slots.arrive(lambda: None)
            assert (ticket is None) == full
            tickets += [ticket] if ticket else []
        else:
            slots.leave(tickets.pop(step))
        assert slots.busy == sum(t.running for t in tickets) <= workers
        assert slots.waiting == sum(not t.running for t in tickets) <= queue
        assert slots.busy == workers or not slots.waiting
        # First come, first served.
        assert [t.running for t in tickets] == sorted((t.running for t in tickets), reverse=True)


def message(size, flag=0):
    return struct.pack(">BI", flag, size) + bytes(size)


@given(
    sizes=st.lists(st.integers(0, 40) | st.just(300), max_size=12),
    cuts=st.lists(st.integers(0, 700), max_size=12),
    limit=st.integers(0, 50),
    wanted=st.integers(1, 14),
    flag=st.integers(0, 1),
)
def test_however_a_body_is_cut_its_messages_are_counted_and_measured(sizes, cuts, limit, wanted, flag):
    body = b"".join(message(size, flag) for size in sizes)
    ends = [sum(5 + each for each in sizes[: n + 1]) for n in range(len(sizes))]
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    reader, too_large, found = MessageSizes(limit), [], None
    for start, end in itertools.pairwise(edges):
        chunk = body[start:end]
        was_over = reader.messages >= wanted
        inside = reader.end_of(chunk, wanted)
        assert reader.messages == sum(each <= start for each in ends)
        if was_over:
            assert inside == 0
        elif inside is not None:
            found = start + inside
        too_large.append(reader.feed(chunk))
        assert reader.messages == sum(each <= end for each in ends)
    assert found == (ends[wanted - 1] if wanted <= len(ends) else None)
    above = [size for size in sizes if size > limit]
    assert [size for size in too_large if size is not None][:1] == above[:1]


def test_a_message_is_too_large_as_soon_as_its_prefix_says_so():
    reader = MessageSizes(1000)
    assert [reader.feed(bytes([byte])) for byte in struct.pack(">BI", 1, 1001)] == [None] * 4 + [1001]
    assert reader.feed(b"x" * 1001 + message(1000)) is None
    assert reader.messages == 2


@pytest.mark.parametrize("before", [b"", message(3), message(9)[:7]])
def test_of_several_in_a_piece_the_first_above_the_limit_is_told(before):
    reader = MessageSizes(10)
    reader.feed(before)
    rest = bytes(7) if before == message(9)[:7] else b""
    assert reader.feed(rest + message(10) + message(12) + message(11)) == 12


def test_without_a_limit_no_size_is_too_large():
    reader = MessageSizes(None)
    assert reader.feed(b"\0\xff\xff\xff\xff") is None
    assert reader.feed(bytes(1000)) is None
    assert reader.messages == 0
