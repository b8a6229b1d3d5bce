"""What a load run is to do, checked before anything is sent. Pure."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any

from eas_grpc.errors import ConfigError

__all__ = ["LOCAL", "REMOTE", "Caps", "Plan", "Ramp", "check_caps", "share"]

_RAMP = re.compile(r"([0-9.]+):([0-9.]+):([0-9.]+)\Z", re.ASCII)
_MOST_STEPS = 100
# Each window keeps a histogram.
_SHORTEST_WINDOW = 0.05


@dataclass(frozen=True, kw_only=True)
class Caps:
    """What a run must not exceed, whatever was asked for. `rate` also slows a closed loop down when `paced`."""

    rate: float
    concurrency: int
    in_flight: int
    # Of the whole run: all steps with their warm-ups.
    seconds: float
    channels: int
    processes: int
    paced: bool


# A mistake on one's own machine should not need its power switch.
LOCAL = Caps(
    rate=200_000, concurrency=10_000, in_flight=100_000, seconds=3600, channels=256, processes=64, paced=False
)
# Enough for one service of one's own; too little to be a weapon.
REMOTE = Caps(rate=2000, concurrency=256, in_flight=2000, seconds=600, channels=16, processes=4, paced=True)


@dataclass(frozen=True)
class Ramp:
    """From the first level to the last in equal steps, both included."""

    first: float
    last: float
    step: float

    @classmethod
    def parse(cls, text: str) -> Ramp:
        """A ramp written as `100:1000:100`; ConfigError says what is wrong with it."""
        match = _RAMP.match(text.strip())
        try:
            first, last, step = map(float, match.groups() if match else ())
        except ValueError:
            raise ConfigError(f"ramp {text!r}: write FIRST:LAST:STEP, such as 100:1000:100") from None
        if min(first, last, step) <= 0:
            raise ConfigError(f"ramp {text!r}: FIRST, LAST and STEP must be more than 0")
        if abs(last - first) / step >= _MOST_STEPS:
            raise ConfigError(f"ramp {text!r} has more than {_MOST_STEPS} steps: take larger ones")
        return cls(first, last, step)

    def levels(self) -> tuple[float, ...]:
        """Every level; a ramp may also go down."""
        sign = 1 if self.last >= self.first else -1
        # A hair more, for steps such as 0.1 that have no exact form.
        many = math.floor(abs(self.last - self.first) / self.step + 1e-9)
        return tuple(self.first + sign * number * self.step for number in range(many + 1))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One run, or one step of a ramp (then `ramp` is None). Raises ConfigError for what cannot be done.

    Closed loop (`rate` None): `concurrency` callers, each starting a call when its last one has ended. Open loop:
    `rate` calls a second are due, and start whatever the others do. A ramp goes through values of the one or the other.
    Ends after `seconds` or `requests`, whichever comes first; what begins in the `warmup` before is not measured.
    """

    concurrency: int | None = None
    rate: float | None = None
    ramp: Ramp | None = None
    poisson: bool = False
    seconds: float | None = None
    requests: int | None = None
    warmup: float = 0.0
    channels: int = 1
    processes: int = 1
    max_in_flight: int = 10_000
    deadline: float = 5.0
    seed: int = 1
    until_stable: bool = False
    # How far apart the last three windows may be, as a part of their mean, and their length.
    stable_within: float = 0.05
    window: float | None = None
    # The most starts a second in closed loop; None for as many as there are.
    pace: float | None = None
    # When a run without `seconds` ends, however many requests are left.
    longest: float = 3600.0

    def __post_init__(self) -> None:
        if self.rate is None and self.concurrency is None:
            raise ConfigError("say how much load: a number of callers (concurrency) or a rate")
        if self.rate is not None and self.concurrency is not None:
            raise ConfigError("concurrency and rate say two things: callers that wait, or calls a second")
        if self.poisson and self.rate is None:
            raise ConfigError("calls come at random times (poisson) only with a rate")
        if self.seconds is None and self.requests is None:
            raise ConfigError("say when to end: after a time (seconds) or a number of requests")
        for name in ("rate", "seconds", "deadline", "window", "pace", "stable_within"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(f"{name} must be more than 0, not {value:g}")
        for name in ("concurrency", "requests", "channels", "processes", "max_in_flight"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1, not {value}")
        if not 0 <= self.warmup < math.inf:
            raise ConfigError(f"warmup must not be negative, as {self.warmup:g} is")
        if self.window is not None and self.window < _SHORTEST_WINDOW:
            raise ConfigError(f"window must be at least {_SHORTEST_WINDOW:g} seconds, not {self.window:g}")
        if self.until_stable and self.seconds is None:
            raise ConfigError("until_stable needs a longest time (seconds) too: the service may never be")
        self._check_shares()

    def _check_shares(self) -> None:
        for step in (self,) if self.ramp is None else self.steps():
            least = step.max_in_flight if step.concurrency is None else step.concurrency
            if least < self.processes:
                what = "calls in flight" if step.concurrency is None else "callers"
                raise ConfigError(
                    f"{self.processes} processes cannot share {least} {what}: take at most {least} processes"
                )

    @property
    def mode(self) -> str:
        """`open` when there is a rate, else `closed`."""
        return "closed" if self.rate is None else "open"

    @property
    def lasting(self) -> float:
        """Seconds after which nothing more is started, the warm-up not counted."""
        return self.longest if self.seconds is None else self.seconds

    @property
    def window_seconds(self) -> float:
        """How long a window of the timeline is: a second, less in a short run."""
        if self.window is not None:
            return self.window
        if self.seconds is None or self.seconds >= 10:
            return 1.0
        return max(0.1, self.seconds / 10)

    def steps(self) -> tuple[Plan, ...]:
        """The levels of the ramp as plans of their own; without a ramp, the plan alone."""
        if self.ramp is None:
            return (self,)
        if self.rate is not None:
            return tuple(replace(self, ramp=None, rate=level) for level in self.ramp.levels())
        return tuple(
            replace(self, ramp=None, concurrency=max(1, round(level))) for level in self.ramp.levels()
        )

    def to_dict(self) -> dict[str, Any]:
        """As a result shows it."""
        ramp = None if self.ramp is None else [self.ramp.first, self.ramp.last, self.ramp.step]
        return {
            "mode": self.mode,
            "concurrency": None if ramp else self.concurrency,
            "rate": None if ramp else self.rate,
            "ramp": ramp,
            "poisson": self.poisson,
            "seconds": self.seconds,
            "requests": self.requests,
            "warmup": self.warmup,
            "channels": self.channels,
            "processes": self.processes,
            "max_in_flight": None if self.rate is None else self.max_in_flight,
            "until_stable": self.until_stable,
            "deadline": self.deadline,
            "seed": self.seed,
            "pace": self.pace,
        }


def share(total: int, part: int, parts: int) -> int:
    """How much of `total` one of several processes takes; together they take all of it."""
    return total // parts + (part < total % parts)


def check_caps(plan: Plan, *, loopback: bool, allow_remote: bool = False) -> Plan:
    """The plan, slowed down to the cap where it must be; ConfigError for one that exceeds a cap.

    Another machine than this one is loaded only when `allow_remote` says so, and then within REMOTE.
    """
    if not loopback and not allow_remote:
        raise ConfigError(
            "this service is not on this machine: load goes to loopback only, unless --allow-remote says that you"
            " may load this service"
        )
    caps = LOCAL if loopback else REMOTE
    steps = plan.steps()
    lasting = None if plan.seconds is None else sum(step.warmup + (step.seconds or 0) for step in steps)
    asked: tuple[tuple[str, float | None, float], ...] = (
        ("rate", max((step.rate or 0) for step in steps), caps.rate),
        ("concurrency", max((step.concurrency or 0) for step in steps), caps.concurrency),
        ("max_in_flight", plan.max_in_flight if plan.rate is not None else None, caps.in_flight),
        ("the time of the whole run, in seconds,", lasting, caps.seconds),
        ("channels", plan.channels, caps.channels),
        ("processes", plan.processes, caps.processes),
    )
    where = "this machine" if loopback else "another machine"
    for name, value, most in asked:
        if value is not None and value > most:
            raise ConfigError(f"{name} is {value:g}, and the most that is sent to {where} is {most:g}")
    # A run that counts requests ends too.
    plan = replace(plan, longest=max(1.0, caps.seconds / len(steps) - plan.warmup))
    return replace(plan, pace=caps.rate) if caps.paced and plan.rate is None else plan
