"""Keeps threads out of grpc core while the process forks, so that parent and child both go on.

grpc core prepares itself for a fork, but only if no other thread is inside it at that moment; else it skips its
handlers, and the child inherits a poller in the middle of its work (measured under load: crashed and failing
children, with grpcio 1.71 a crashing parent). So, before a fork:

1. a gate closes: new blocking calls wait, those under way get up to a second to finish;
2. where a stream or future is open, its channel has a thread of grpc's that always waits inside core. Futures
   that have already expired make core hand that thread an event, so that it comes out; and since it needs the
   interpreter lock to go on, holding that lock keeps it out until the fork has happened.

Without open calls a fork costs nothing. It needs the interpreter lock, and does not help calls on channels
that are not ours. grpc.aio cannot be helped: one thread feeds its event loops, it is always inside core, and it
does not exist in the child, where an asyncio call would wait for ever. The child is told: `aio_lost`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections import Counter
from typing import Any

__all__ = ["Gate", "gate"]

_DRAIN = 1.0
_HOLD = 0.03
# Longer than everything that follows, so that nobody can ask for the interpreter lock in between.
_SWITCH_INTERVAL = 0.6
# Requests for the lock that were made under the old interval (5 ms) run out.
_SETTLE = 0.01
_KICKS = 4
# The thread of grpc.aio is named by Python after the function that it runs.
_AIO_THREAD = "_poll_wrapper"


class Gate:
    """Counts who is inside core, and closes around a fork. One per process."""

    def __init__(self) -> None:
        # Whether grpc.aio was running when this process was forked off.
        self.aio_lost = False
        self._reset()

    def _reset(self) -> None:
        # list.append and list.pop are atomic and much cheaper than a lock; only the length matters.
        self._inside: list[None] = []
        self._closed = False
        self._reopened = threading.Event()
        # Reentrant: a signal's handler may fork while this thread is about to.
        self._forking = threading.RLock()
        self._depth = 0
        # For channels that are built anew in a child, by whichever thread needs one first.
        self.renewing = threading.Lock()
        self._counting = threading.Lock()
        self._open: Counter[Any] = Counter()
        self._usual_interval: float | None = None
        self._aio_runs = False

    def enter(self) -> None:
        """To be called before a blocking call into core; waits while the process forks."""
        self._inside.append(None)
        # The order matters: whoever is not counted yet sees the gate closed, whoever is counted is waited for.
        while self._closed:
            self._inside.pop()
            self._reopened.wait()
            self._inside.append(None)

    def leave(self) -> None:
        """To be called after it."""
        # Empty in a child that was forked off inside the call.
        if self._inside:
            self._inside.pop()

    def opened(self, channel: Any, call: Any) -> None:
        """Notes a stream or future of grpc's own `channel`, until it is over."""
        with self._counting:
            self._open[channel] += 1

        def over() -> None:
            with self._counting:
                self._open[channel] -= 1
                if not self._open[channel]:
                    del self._open[channel]

        if not call.add_callback(over):
            over()

    def before(self) -> None:
        """Empties core of our threads."""
        self._forking.acquire()
        self._depth += 1
        if self._depth > 1:
            return
        self._aio_runs = any(_AIO_THREAD in thread.name for thread in threading.enumerate())
        self._reopened.clear()
        self._closed = True
        until = time.monotonic() + _DRAIN
        while self._inside and time.monotonic() < until:
            time.sleep(0.0005)
        if self._inside or self._open:
            self._usual_interval = sys.getswitchinterval()
            sys.setswitchinterval(_SWITCH_INTERVAL)
            time.sleep(_SETTLE)
            for channel in list(self._open):
                # It may have been closed meanwhile; then its thread is gone as well.
                with contextlib.suppress(Exception):
                    kick = channel.unary_unary("/eas_grpc/fork")
                    for _ in range(_KICKS):
                        kick.future(b"", timeout=-1)
            until = time.perf_counter() + _HOLD
            while time.perf_counter() < until:
                pass

    def after_in_parent(self) -> None:
        """Opens the gate again."""
        self._depth -= 1
        if self._depth:
            self._forking.release()
            return
        if self._usual_interval is not None:
            sys.setswitchinterval(self._usual_interval)
            self._usual_interval = None
        self._closed = False
        self._reopened.set()
        self._forking.release()

    def after_in_child(self) -> None:
        """Starts anew: the threads that were counted do not exist here."""
        if self._usual_interval is not None:
            sys.setswitchinterval(self._usual_interval)
        self.aio_lost = self.aio_lost or self._aio_runs
        self._reset()


gate = Gate()
os.register_at_fork(
    before=gate.before, after_in_parent=gate.after_in_parent, after_in_child=gate.after_in_child
)
