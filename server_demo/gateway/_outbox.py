"""Collects what is to be written to connections, so that it leaves in as few pieces as there are events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["Outbox"]


class Outbox:
    """Lets what one event causes on a connection leave in one write."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[Callable[[], object], None] = {}
        self._planned = False
        self._busy = False

    def add(self, flush: Callable[[], object]) -> None:
        """`flush` is called once, as soon as the present event is dealt with."""
        self._waiting[flush] = None
        if not self._planned and not self._busy:
            self._planned = True
            self._loop.call_soon(self._later)

    def during(self, feed: Callable[[bytes], object], data: bytes) -> None:
        """Deals with bytes that have come; what they cause leaves when that is done."""
        self._busy = True
        try:
            feed(data)
        finally:
            self._busy = False
            self.flush()

    def flush(self) -> None:
        """The event is dealt with."""
        while self._waiting:
            for flush in tuple(self._waiting):
                del self._waiting[flush]
                flush()

    def _later(self) -> None:
        self._planned = False
        self.flush()
