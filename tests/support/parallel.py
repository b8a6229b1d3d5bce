"""Scenarios that mostly wait for time-outs, run at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def together(work: Callable[[Any], Any], cases: Iterable[Any]) -> dict[Any, Any]:
    """What `work` returns for each case; its first failure is raised with a note that names the case."""
    chosen = list(cases)
    with ThreadPoolExecutor(len(chosen)) as pool:
        running = {case: pool.submit(work, case) for case in chosen}
    for case, future in running.items():
        error = future.exception()
        if error is not None:
            _note(error, f"in the case {case}")
            raise error
    return {case: future.result() for case, future in running.items()}


def _note(error: BaseException, text: str) -> None:
    # add_note is new in Python 3.11.
    if hasattr(error, "add_note"):
        error.add_note(text)
