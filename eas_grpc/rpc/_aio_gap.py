"""The asyncio counterpart of `_watch`: ends a call whose next message does not come in time."""

from __future__ import annotations

import asyncio
import math
import weakref
from collections.abc import Callable

__all__ = ["GapTimer"]


class GapTimer:
    """Limits one wait at a time, with one timer of the event loop that is moved only when it fires.

    `cancel` is held weakly, so that an abandoned call is freed, and so cancelled, at once.
    """

    __slots__ = ("_cancel", "_due", "_timer", "expired")

    def __init__(self, cancel: weakref.WeakMethod[Callable[[], object]]) -> None:
        self._cancel = cancel
        self._due = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self.expired = False

    def arm(self, limit: float) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + limit
        if self._timer is None or self._timer.when() > self._due:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_at(self._due, self._look, loop)

    def disarm(self) -> None:
        self._due = math.inf

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._due <= loop.time():
            self.expired = True
            if (cancel := self._cancel()) is not None:
                cancel()
        elif self._due < math.inf:
            self._timer = loop.call_at(self._due, self._look, loop)
