"""What a connection suffers: held back, slowed, cut into drops. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["LINK_KINDS", "OPEN", "Shape", "shape_of"]

LINK_KINDS = ("black_hole", "drip", "bandwidth")

# How often a second what a bandwidth allows is sent.
_TICKS = 50


@dataclass(frozen=True)
class Shape:
    """How bytes pass. `rate_in` and `rate_out` are bytes a second, `piece` is how many go at a time, `interval` seconds apart."""

    hold_in: bool = False
    hold_out: bool = False
    rate_in: float | None = None
    rate_out: float | None = None
    drop: int | None = None
    interval: float = 0.0

    @property
    def plain_out(self) -> bool:
        """Whether what is written may simply go."""
        return not self.hold_out and self.rate_out is None and self.drop is None

    @property
    def piece(self) -> int:
        """How many bytes go at a time."""
        return min(size for size in (self.drop, _tick_of(self.rate_out)) if size is not None)

    @property
    def piece_in(self) -> int | None:
        """How many bytes come at a time; None for all."""
        return _tick_of(self.rate_in)

    def pause_after(self, size: int) -> float:
        """Seconds until the next piece, after one of `size` bytes."""
        by_rate = size / self.rate_out if self.rate_out is not None else 0.0
        return max(by_rate, self.interval if self.drop is not None else 0.0)


def _tick_of(rate: float | None) -> int | None:
    return None if rate is None else max(1, int(rate / _TICKS))


OPEN = Shape()


def shape_of(faults: Iterable[tuple[str, Mapping[str, Any]]]) -> Shape:
    """What several faults, each a kind and its values, make of a connection together: the worst of each."""
    hold_in = hold_out = False
    rate_in = rate_out = None
    drop, interval = None, 0.0
    for kind, values in faults:
        direction = values.get("direction", "to_client")
        inward, outward = direction != "to_client", direction != "to_service"
        if kind == "black_hole":
            hold_in, hold_out = hold_in or inward, hold_out or outward
        elif kind == "bandwidth":
            rate = float(values["bytes_per_second"])
            if inward:
                rate_in = rate if rate_in is None else min(rate, rate_in)
            if outward:
                rate_out = rate if rate_out is None else min(rate, rate_out)
        elif kind == "drip":
            drop = values["size"] if drop is None else min(drop, values["size"])
            interval = max(interval, values["interval"])
    return Shape(hold_in, hold_out, rate_in, rate_out, drop, interval)
