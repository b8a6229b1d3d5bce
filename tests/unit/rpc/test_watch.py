"""`eas_grpc.rpc._watch`: a wait that outlasts its limit is ended, one that does not is left alone."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import weakref

from eas_grpc.rpc._watch import GapWatch

# A limit that passes while a test waits for it, and one that never does.
SHORT, NEVER = 0.03, 600.0


class Stream:
    """Something to cancel."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.by: threading.Thread | None = None
        self.times = 0
        self.watch = GapWatch(weakref.WeakMethod(self.cancel))

    def cancel(self) -> None:
        self.times += 1
        self.by = threading.current_thread()
        self.cancelled.set()


def test_a_wait_that_outlasts_its_limit_is_cancelled_once_on_another_thread() -> None:
    stream = Stream()
    started = time.monotonic()
    stream.watch.arm(SHORT)
    assert stream.cancelled.wait(5)
    assert time.monotonic() - started >= SHORT
    assert stream.watch.expired
    assert stream.by is not threading.current_thread()
    after = Stream()
    after.watch.arm(SHORT)
    assert after.cancelled.wait(5)
    assert stream.times == 1


def test_a_wait_that_ends_in_time_is_left_alone() -> None:
    """The second stream's limit is later: when it is over, the first one's would have been."""
    first, second = Stream(), Stream()
    first.watch.arm(SHORT)
    first.watch.disarm()
    second.watch.arm(2 * SHORT)
    assert second.cancelled.wait(5)
    assert not first.cancelled.is_set()
    assert not first.watch.expired


def test_each_wait_has_a_limit_of_its_own() -> None:
    stream, later = Stream(), Stream()
    for _ in range(3):
        stream.watch.arm(SHORT)
        stream.watch.disarm()
    stream.watch.arm(NEVER)
    later.watch.arm(2 * SHORT)
    assert later.cancelled.wait(5)
    assert not stream.watch.expired
    stream.watch.arm(SHORT)
    assert stream.cancelled.wait(5)


def test_a_shorter_limit_is_seen_while_the_thread_waits_for_a_longer_one() -> None:
    patient, hasty = Stream(), Stream()
    patient.watch.arm(NEVER)
    hasty.watch.arm(SHORT)
    assert hasty.cancelled.wait(5)
    assert not patient.watch.expired


def test_many_waits_end_in_the_order_of_their_limits() -> None:
    order: list[int] = []
    over = threading.Event()

    class Numbered:
        def __init__(self, number: int) -> None:
            self.number = number
            self.watch = GapWatch(weakref.WeakMethod(self.cancel))

        def cancel(self) -> None:
            order.append(self.number)
            if len(order) == 5:
                over.set()

    streams = [Numbered(number) for number in (4, 0, 3, 1, 2)]
    for stream in streams:
        stream.watch.arm(SHORT * (stream.number + 1))
    assert over.wait(5)
    assert order == [0, 1, 2, 3, 4]


def test_an_abandoned_stream_is_freed_and_never_cancelled() -> None:
    stream, witness = Stream(), Stream()
    cancelled, gone = stream.cancelled, weakref.ref(stream)
    stream.watch.arm(SHORT)
    del stream
    gc.collect()
    assert gone() is None
    witness.watch.arm(2 * SHORT)
    assert witness.cancelled.wait(5)
    assert not cancelled.is_set()


def test_all_watches_share_one_thread() -> None:
    streams = [Stream() for _ in range(20)]
    for stream in streams:
        stream.watch.arm(SHORT)
    for stream in streams:
        assert stream.cancelled.wait(5)
    assert len({stream.by for stream in streams}) == 1
    assert streams[0].by.daemon


FORK = """
import os, threading, weakref
from eas_grpc.rpc._watch import GapWatch

class Stream:
    def __init__(self, limit):
        self.cancelled = threading.Event()
        self.watch = GapWatch(weakref.WeakMethod(self.cancel))
        self.watch.arm(limit)

    def cancel(self):
        self.cancelled.set()

before = Stream(600)
child = os.fork()
after = Stream(0.03)
if child == 0:
    os._exit(0 if after.cancelled.wait(5) else 1)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, "not in the child"
assert after.cancelled.wait(5), "not in the parent"
"""


def test_watching_goes_on_on_both_sides_of_a_fork() -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], check=True, timeout=30)
