"""How long a call may take. Pure: the clock is passed in.

A deadline is one instant on the monotonic clock, made once when the call starts; a second attempt gets
what is left of it, never a fresh start.
"""

from __future__ import annotations

from dataclasses import dataclass

from eas_grpc.calls import CallShape
from eas_grpc.options import check_seconds

__all__ = ["UNSET", "Deadline", "Unset", "call_timeout"]


class Unset:
    """The type of UNSET: "the caller said nothing", which differs from None, "no limit"."""

    def __repr__(self) -> str:
        """Reads well in a signature."""
        return "UNSET"


UNSET = Unset()


@dataclass(frozen=True)
class Deadline:
    """An instant on the monotonic clock, in seconds; None is never."""

    at: float | None

    @classmethod
    def after(cls, timeout: float | None, now: float) -> Deadline:
        """The deadline `timeout` seconds from `now`; None means none."""
        return cls(None if timeout is None else now + timeout)

    def remaining(self, now: float) -> float | None:
        """Seconds left, at least 0; None where there is no deadline."""
        return None if self.at is None else max(0.0, self.at - now)


def call_timeout(shape: CallShape, given: object, default: float | None) -> float | None:
    """Seconds that one call gets: the caller's own figure, else the default where one response is due.

    A stream of responses gets no total deadline by default; it has limits per message instead.
    """
    if given is not UNSET:
        return check_seconds("timeout", given, allow_none=True)
    return None if shape.many_responses else default
