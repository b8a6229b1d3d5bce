"""Which requests are kept for another attempt, when there is one, and what each attempt is given to send."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_grpc.errors import ConfigError
from eas_grpc.retry import RetryPolicy, Throttle
from eas_grpc.rpc._feeds import AioRequestFeed, RequestFeed
from eas_grpc.rpc._replay import Attempts, Kept, Replays

METHOD = "/test.Echo/stream_unary"
PUSHBACK = "grpc-retry-pushback-ms"


def attempts(**policy):
    return Attempts(RetryPolicy(**policy), Throttle())


# ---- what is kept


@given(st.lists(st.binary(max_size=9)), st.integers(1, 800))
def test_requests_are_kept_as_long_as_all_of_them_fit(payloads, room):
    kept = Kept(room)
    total = 0
    for number, payload in enumerate(payloads):
        kept.add(payload)
        total += len(payload)
        assert kept.take(number) == payload
        assert kept.whole is (total + 64 * (number + 1) <= room)
    if kept.whole:
        assert [kept.take(number) for number in range(kept.end)] == payloads


def test_what_has_been_sent_is_let_go_once_it_cannot_be_sent_again():
    kept = Kept(100)
    for payload in (b"12", b"34", b"56"):
        kept.add(payload)
    assert [kept.take(number) for number in range(3)] == [b"12", b"34", b"56"]
    assert kept._requests == []
    assert kept.end == 3


def test_a_call_that_has_been_answered_keeps_nothing_that_was_sent():
    kept = Kept(1000)
    for payload in (b"1", b"2", b"3"):
        kept.add(payload)
    assert [kept.take(0), kept.take(1)] == [b"1", b"2"]
    kept.commit()
    assert kept._requests == [b"3"]
    assert kept.take(2) == b"3"
    kept.add(b"4")
    assert kept.take(3) == b"4"
    assert kept._requests == []


# ---- when there is another attempt


def test_attempts_count_the_first():
    counted = attempts(attempts=3)
    assert [counted.wait((), ()) is None for _ in range(3)] == [False, False, True]


@given(st.integers(1, 4))
def test_waits_grow_within_the_jitter_of_a6(made):
    counted = attempts(attempts=5, initial_backoff=0.1, multiplier=2, max_backoff=0.3)
    for _ in range(made):
        wait = counted.wait((), ())
    wanted = min(0.1 * 2 ** (made - 1), 0.3)
    assert 0.8 * wanted <= wait <= 1.2 * wanted


def test_a_service_that_has_sent_headers_is_not_asked_again():
    assert attempts().wait((("x-first", "yes"),), ()) is None


@pytest.mark.parametrize(
    ("wish", "wait"),
    [
        ("250", 0.25),
        ("0", 0.0),
        ("-1", None),
        ("soon", None),
        (b"7", None),
        ("9" * 30, None),
        ("\u0663", None),
    ],
)
def test_the_services_own_wish_replaces_the_pace(wish, wait):
    assert attempts().wait((), ((PUSHBACK, wish),)) == wait


def test_failures_without_successes_end_all_retries_of_a_channel():
    replays = Replays(RetryPolicy(attempts=5), 1000)
    tried = 0
    for _ in range(1000):
        counted = replays.attempts(METHOD)
        while counted.wait((), ()) is not None:
            tried += 1
    assert 400 <= tried <= 500
    for _ in range(10_000):
        replays.attempts(METHOD).succeeded()
    assert replays.attempts(METHOD).wait((), ()) is not None


def test_an_excluded_method_has_no_attempts():
    replays = Replays(RetryPolicy(exclude=("test.Echo/stream_unary",)), 1000)
    assert replays.attempts(METHOD) is None
    assert replays.attempts("/test.Echo/stream_stream") is not None


# ---- what an attempt is given


def check(request):
    if request == b"bad":
        raise ConfigError("bad")
    return request


@given(st.lists(st.binary(max_size=5), max_size=12), st.lists(st.integers(0, 12), max_size=4))
def test_every_attempt_sends_all_requests_from_the_first_on(requests, read_before):
    read = []
    feed = RequestFeed((read.append(each) or each for each in requests), check, METHOD, 1000)
    for count in read_before:
        attempt = iter(feed)
        assert [next(attempt) for _ in range(min(count, len(requests)))] == requests[:count]
        assert feed.retire()
    assert list(feed) == requests
    assert read == requests, "the caller's iterator is read once"


def test_an_attempt_that_is_over_takes_nothing_from_the_one_that_follows_it():
    feed = RequestFeed(iter([b"1", b"2", b"3"]), check, METHOD, 100)
    old = iter(feed)
    assert next(old) == b"1"
    new = iter(feed)
    assert next(new) == b"1"
    assert list(old) == []
    assert list(new) == [b"2", b"3"]


def test_a_new_attempt_does_not_wait_for_the_reader_of_the_old_one():
    reading, go_on = threading.Event(), threading.Event()

    def slow():
        yield b"1"
        reading.set()
        assert go_on.wait(20)
        yield b"2"

    feed = RequestFeed(slow(), check, METHOD, 1000)
    seen = []
    old = threading.Thread(target=lambda: seen.extend(feed))
    old.start()
    assert reading.wait(20)
    new = iter(feed)
    assert next(new) == b"1", "what is known is sent at once"
    go_on.set()
    assert list(new) == [b"2"]
    old.join(20)
    assert seen == [b"1"]


@pytest.mark.parametrize("room", [0, 1000])
def test_an_error_of_the_callers_ends_the_stream_in_every_attempt(room):
    feed = RequestFeed(iter([b"1", b"bad", b"3"]), check, METHOD, room)
    for _ in range(2 if room else 1):
        with pytest.raises(ConfigError):
            list(feed)
    assert feed.failure is not None
    assert not feed.retire()


async def test_on_asyncio_an_attempt_that_is_cancelled_while_it_waits_loses_nothing():
    go_on, closed = asyncio.Event(), []

    async def slow():
        try:
            yield b"1"
            await go_on.wait()
            yield b"2"
        finally:
            closed.append(True)

    feed = AioRequestFeed(slow(), check, METHOD, 1000)

    async def whole():
        return [each async for each in feed.iterator()]

    old = asyncio.create_task(whole())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    old.cancel()
    new = asyncio.create_task(whole())
    await asyncio.sleep(0.01)
    assert not closed
    go_on.set()
    assert await asyncio.wait_for(new, 20) == [b"1", b"2"]


async def test_on_asyncio_the_callers_iterator_ends_with_the_last_attempt():
    closed = asyncio.Event()

    async def endless():
        try:
            yield b"1"
            await asyncio.sleep(3600)
        finally:
            closed.set()

    feed = AioRequestFeed(endless(), check, METHOD, 1000)
    attempt = feed.iterator()
    assert await anext(attempt) == b"1"
    waiting = asyncio.create_task(anext(attempt))
    await asyncio.sleep(0.01)
    feed.close()
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(waiting, 20)
    await asyncio.wait_for(closed.wait(), 20)


def test_attempts_are_numbered_when_they_are_made_and_not_when_they_begin_to_read():
    feed = RequestFeed(iter([b"1", b"2"]), check, METHOD, 1000)
    late = iter(feed)
    feed.retire()
    live = iter(feed)
    assert next(live) == b"1"
    assert list(late) == []
    assert list(live) == [b"2"]


def test_what_is_read_between_two_attempts_is_kept_however_large():
    entered, go_on = threading.Event(), threading.Event()

    def slow():
        yield b"1"
        entered.set()
        assert go_on.wait(20)
        yield b"2" * 1000

    feed = RequestFeed(slow(), check, METHOD, 200)
    old = threading.Thread(target=lambda: list(feed))
    old.start()
    assert entered.wait(20)
    assert feed.retire()
    go_on.set()
    old.join(20)
    assert list(feed) == [b"1", b"2" * 1000]


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_an_iterator_that_is_ended_from_outside_is_not_taken_for_one_that_has_no_more(end):
    def ended():
        yield b"1"
        raise end

    feed = RequestFeed(ended(), check, METHOD, 1000)
    for _ in range(2):
        with pytest.raises(RuntimeError, match=end.__name__):
            list(feed)
    assert not feed.retire()


async def test_on_asyncio_a_cancellation_inside_the_callers_iterator_is_not_its_end():
    async def ended():
        yield b"1"
        raise asyncio.CancelledError

    feed = AioRequestFeed(ended(), check, METHOD, 1000)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="CancelledError"):
            [each async for each in feed.iterator()]


async def test_on_asyncio_the_callers_iterator_keeps_its_context_from_request_to_request():
    variable = contextvars.ContextVar("variable", default=0)

    async def held():
        token = variable.set(1)
        yield b"1"
        assert variable.get() == 1
        variable.reset(token)
        yield b"2"

    feed = AioRequestFeed(held(), check, METHOD, 1000)
    assert [each async for each in feed.iterator()] == [b"1", b"2"]


async def test_on_asyncio_plain_iterables_and_errors_are_as_in_blocking_calls():
    feed = AioRequestFeed([b"1", b"2"], check, METHOD, 1000)
    for _ in range(2):
        assert [each async for each in feed.iterator()] == [b"1", b"2"]
    feed = AioRequestFeed([b"1", b"bad"], check, METHOD, 1000)
    for _ in range(2):
        with pytest.raises(ConfigError):
            [each async for each in feed.iterator()]
    assert not feed.retire()


def test_reading_does_not_hold_up_whoever_asks_whether_it_can_be_sent_again():
    entered, go_on = threading.Event(), threading.Event()

    def slow():
        entered.set()
        go_on.wait(20)
        yield b"1"

    feed = RequestFeed(slow(), check, METHOD, 1000)
    reader = threading.Thread(target=lambda: list(feed))
    reader.start()
    assert entered.wait(20)
    began = time.monotonic()
    assert feed.retire()
    assert time.monotonic() - began < 5
    go_on.set()
    reader.join(20)
