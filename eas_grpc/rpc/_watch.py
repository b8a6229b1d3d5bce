"""Ends a stream whose next message does not come. One thread for all blocking streams of the process.

grpc's blocking iterators wait without a limit; cancelling the call from another thread is what wakes them.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import math
import os
import threading
import time
import weakref
from collections.abc import Callable

__all__ = ["GapWatch"]

_NEVER = math.inf


class GapWatch:
    """Limits one wait at a time: `arm` before it, `disarm` after it.

    When a wait outlasts its limit, `expired` becomes true and `cancel` is called, on another thread. It is held
    weakly, so that an abandoned call is freed, and so cancelled, at once.
    Arming costs an attribute write while the queue will look at this watch early enough anyway, so it fits
    once per message.
    """

    __slots__ = ("__weakref__", "cancel", "due", "expired", "wakes")

    def __init__(self, cancel: weakref.WeakMethod[Callable[[], object]]) -> None:
        self.cancel = cancel
        self.due = _NEVER
        self.wakes = _NEVER
        self.expired = False

    def arm(self, limit: float) -> None:
        """Starts a wait of at most `limit` seconds."""
        self.due = due = time.monotonic() + limit
        if due < self.wakes:
            _watcher.add(self)

    def disarm(self) -> None:
        """Ends the wait."""
        self.due = _NEVER


class _Watcher:
    """A heap of watches by due time, and the thread that looks at it."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._heap: list[tuple[float, int, weakref.ref[GapWatch]]] = []
        self._order = itertools.count()
        self._thread: threading.Thread | None = None

    def add(self, watch: GapWatch) -> None:
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="eas-grpc-gaps", daemon=True)
                thread.start()
                self._thread = thread
            self._push(watch)
            self._lock.notify()

    def _push(self, watch: GapWatch) -> None:
        watch.wakes = due = watch.due
        heapq.heappush(self._heap, (due, next(self._order), weakref.ref(watch)))

    def _run(self) -> None:
        while True:
            with self._lock:
                while (wait := self._until_next()) is None or wait > 0:
                    self._lock.wait(wait)
                late = self._pop()
            cancel = None if late is None else late.cancel()
            if cancel is not None:
                # One call that cannot be cancelled must not end the watch over all others.
                with contextlib.suppress(Exception):
                    cancel()
            del late, cancel

    def _until_next(self) -> float | None:
        """Seconds until the first entry is due; None while there is none."""
        return self._heap[0][0] - time.monotonic() if self._heap else None

    def _pop(self) -> GapWatch | None:
        """Takes the first entry; the watch behind it if its wait is over, else it goes back into the queue."""
        watch = heapq.heappop(self._heap)[2]()
        if watch is None:
            return None
        watch.wakes = _NEVER
        # Read after `wakes` is cleared: an arm() in between then sees that it must queue the watch again.
        due = watch.due
        if due <= time.monotonic():
            watch.due = _NEVER
            watch.expired = True
            return watch
        if due < watch.wakes:
            self._push(watch)
        return None


_watcher = _Watcher()


def _restart_in_child() -> None:
    # The thread did not survive the fork, and its lock may have been held.
    global _watcher  # noqa: PLW0603
    _watcher = _Watcher()


os.register_at_fork(after_in_child=_restart_in_child)
