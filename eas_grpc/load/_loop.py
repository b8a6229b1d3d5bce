"""An event loop whose timers are on time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["run_on_time"]

_T = TypeVar("_T")

# select() knows no descriptor from 1024 on; the loop's own are the lowest that were free.
_HIGHEST = 900


def _new_loop() -> asyncio.AbstractEventLoop:
    """epoll and poll wait in whole milliseconds, which would be part of every latency; select in microseconds."""
    selector = selectors.SelectSelector()
    loop = asyncio.SelectorEventLoop(selector)
    if max((key.fd for key in selector.get_map().values()), default=0) < _HIGHEST:
        return loop
    loop.close()
    return asyncio.new_event_loop()


def run_on_time(work: Coroutine[Any, Any, _T]) -> _T:
    """What `asyncio.run` does, on such a loop. An interrupt is the work's own business."""
    loop = _new_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        try:
            _cancel_all(loop)
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
