"""When calls are due in open loop: endless series of seconds since the start, known before anything is sent. Pure.

A schedule is shared by processes so that what they start together is the schedule that was asked for.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count

__all__ = ["arrivals", "evenly", "poisson"]


def evenly(rate: float, *, part: int = 0, parts: int = 1) -> Iterator[float]:
    """`rate` times a second at equal distances; of several parts each takes every `parts`-th."""
    # Not by adding up: after millions of calls a sum would have drifted.
    return (number / rate for number in count(part, parts))


def poisson(rate: float, *, seed: int, part: int = 0, parts: int = 1) -> Iterator[float]:
    """`rate` times a second on average, each independent of the others, as requests of many users come.

    Independent Poisson processes add up to one, so each part is one of its share of the rate.
    """
    dice = random.Random(f"{seed}/{part}/{parts}")  # noqa: S311  (repeatable is what it must be)
    due = 0.0
    while True:
        due += dice.expovariate(rate / parts)
        yield due


def arrivals(
    rate: float, *, at_random: bool, seed: int, until: float, part: int = 0, parts: int = 1
) -> Iterator[float]:
    """The calls of one part that are due before `until`."""
    series = (
        poisson(rate, seed=seed, part=part, parts=parts)
        if at_random
        else evenly(rate, part=part, parts=parts)
    )
    for due in series:
        if due >= until:
            return
        yield due
