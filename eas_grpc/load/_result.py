"""What a load run found, as the plain data that `--json` writes and `--compare` reads: format 1.

Durations are seconds, rates are calls per second. Knows no grpc and does no I/O.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, NoReturn, TypedDict, cast

from eas_grpc.errors import ConfigError
from eas_grpc.load import _result_shape as shape

__all__ = [
    "FORMAT",
    "PERCENTILES",
    "TAILS",
    "Calls",
    "ErrorGroup",
    "Figure",
    "Generator",
    "Messages",
    "Percentile",
    "Plan",
    "Rate",
    "Result",
    "Spread",
    "Stable",
    "Step",
    "Window",
    "check",
    "read",
    "spread_of",
]

FORMAT = 1

Percentile = Literal["p50", "p90", "p95", "p99", "p99.9", "p99.99"]
Figure = Literal["mean", "stdev", "min", "p50", "p90", "p95", "p99", "p99.9", "p99.99", "max"]
PERCENTILES: tuple[Percentile, ...] = ("p50", "p90", "p95", "p99", "p99.9", "p99.99")

# How much of all calls each percentile leaves above itself.
TAILS: Mapping[Percentile, float] = {
    "p50": 0.5,
    "p90": 0.1,
    "p95": 0.05,
    "p99": 0.01,
    "p99.9": 0.001,
    "p99.99": 0.0001,
}

Spread = TypedDict(
    "Spread",
    {
        "count": int,
        "mean": float | None,
        "min": float | None,
        "max": float | None,
        "stdev": float | None,
        "p50": float | None,
        "p90": float | None,
        "p95": float | None,
        "p99": float | None,
        "p99.9": float | None,
        "p99.99": float | None,
    },
)
Spread.__doc__ = "How a duration was distributed; every figure but `count` is None when nothing was measured."


class _PlanMore(TypedDict, total=False):
    requests: int | None  # end after so many calls
    poisson: bool  # at random times
    retry: bool


class Plan(_PlanMore):
    """What was asked for."""

    mode: str  # "closed" or "open"
    concurrency: int | None
    rate: float | None
    ramp: Any
    seconds: float | None
    warmup: float
    channels: int
    processes: int
    until_stable: bool
    deadline: float | None
    seed: int | None


class Calls(TypedDict):
    """How many calls there were; those of the warm-up are in none of the other counts.

    `in_flight_at_end` were still under way when they were no longer waited for, and are not in `finished`.
    """

    scheduled: int
    started: int
    finished: int
    ok: int
    failed: int
    in_flight_at_end: int
    not_started: int
    warmup: int


class ErrorGroup(TypedDict):
    """Failures that read alike."""

    status: str
    details: str
    count: int


class Rate(TypedDict):
    """Calls per second; `asked` is None in closed loop."""

    asked: float | None
    done: float


class Messages(TypedDict):
    """What went over the wire."""

    sent: int
    received: int
    bytes_sent: int
    bytes_received: int


class Window(TypedDict):
    """A short stretch of the run; the percentiles are None where no call ended in it."""

    at: float
    seconds: float
    started: int
    ok: int
    failed: int
    p50: float | None
    p99: float | None
    max: float | None
    in_flight: int


class Generator(TypedDict):
    """Whether the machine that made the calls could keep up; `limit` says that it could not."""

    cpu: float | None
    lag_p99: float | None
    limit: bool
    why: str | None


class Stable(TypedDict):
    """Whether the run went on until its figures held still, and whether they did."""

    asked: bool
    reached: Any
    windows: list[Any]


class _Measured(TypedDict):
    plan: Plan
    calls: Calls
    rate: Rate
    latency: Spread | None


class Step(_Measured, total=False):
    """One step of a ramp."""

    seconds: float
    service_time: Spread | None
    statuses: dict[str, int]
    generator: Generator


class _ResultMore(TypedDict, total=False):
    interrupted: bool


class Result(_Measured, _ResultMore):
    """A whole run. `latency` counts from the scheduled time in open loop, `service_time` from the actual start."""

    format: int
    tool: str
    started: str
    address: str
    method: str
    shape: str
    statuses: dict[str, int]
    errors: list[ErrorGroup]
    seconds: float
    service_time: Spread | None
    first_message: Spread | None
    gap: Spread | None
    messages: Messages
    histogram: list[list[float]]  # [upper end of the bucket in seconds, calls], of `latency`
    timeline: list[Window]
    generator: Generator
    stable: Stable
    steps: list[Step]


def spread_of(spread: Spread | None) -> Spread | None:
    """The distribution if it holds anything."""
    return spread if spread is not None and spread["count"] > 0 and spread["p50"] is not None else None


def read(data: bytes, name: str) -> Result:
    """The result in a file's bytes; `name` is what the message calls the file.

    Raises ConfigError, in one sentence, for a file that is broken or is something else.
    """

    def refuse(word: str) -> NoReturn:
        raise ConfigError(f"{name} is not JSON: it says {word}, which is no number of JSON")

    try:
        value = json.loads(data.decode("utf-8-sig"), parse_constant=refuse)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name} is not a result of `eas-grpc load`: it is not UTF-8 text") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ConfigError(f"{name} is not JSON: {error.msg} at {place}") from error
    except ConfigError:
        raise
    except (RecursionError, ValueError) as error:  # nested too deep; an integer of thousands of digits
        raise ConfigError(f"{name} is not a result of `eas-grpc load`: it cannot be read as JSON") from error
    return check(value, name)


def check(value: object, name: str) -> Result:
    """The same value once it is known to be a result; ConfigError says what is wrong with `name` otherwise.

    Fields of a newer version that are not known here are let through.
    """
    if not isinstance(value, dict) or "format" not in value:
        raise ConfigError(
            f"{name} is not a result of `eas-grpc load`: pass a file that `load --output json` wrote"
        )
    if value["format"] != FORMAT or isinstance(value["format"], bool):
        raise ConfigError(
            f"{name} is a result of format {shape.shown(value['format'])}, and this version of eas-grpc reads format"
            f" {FORMAT}: make the run again, or use the version that made it"
        )
    try:
        _RESULT(value, "")
    except shape.Wrong as wrong:
        raise ConfigError(f"{name} is not a result of `eas-grpc load`: {wrong}") from None
    return cast(Result, value)


_MODE = shape.is_a('"closed" or "open"', lambda value: value in ("closed", "open"))

_SPREAD = shape.or_null(
    shape.fields(
        {"count": shape.COUNT}
        | dict.fromkeys(("mean", "min", "max", "stdev", *PERCENTILES), shape.or_null(shape.FIGURE))
    )
)
_PLAN = shape.fields(
    {
        "mode": _MODE,
        "concurrency": shape.or_null(shape.COUNT),
        "rate": shape.or_null(shape.FIGURE),
        "ramp": shape.anything,
        "seconds": shape.or_null(shape.FIGURE),
        "warmup": shape.FIGURE,
        "channels": shape.COUNT,
        "processes": shape.COUNT,
        "until_stable": shape.FLAG,
        "deadline": shape.or_null(shape.FIGURE),
        "seed": shape.or_null(shape.WHOLE),
    },
    {"requests": shape.or_null(shape.COUNT), "poisson": shape.FLAG, "retry": shape.FLAG},
)
_MEASURED: dict[str, shape.Check] = {
    "plan": _PLAN,
    "calls": shape.fields(dict.fromkeys(Calls.__annotations__, shape.COUNT)),
    "rate": shape.fields({"asked": shape.or_null(shape.FIGURE), "done": shape.FIGURE}),
    "latency": _SPREAD,
}
_GENERATOR = shape.fields(
    {
        "cpu": shape.or_null(shape.FIGURE),
        "lag_p99": shape.or_null(shape.FIGURE),
        "limit": shape.FLAG,
        "why": shape.or_null(shape.TEXT),
    }
)
_WINDOW = shape.fields(
    {
        "at": shape.FIGURE,
        "seconds": shape.FIGURE,
        "started": shape.COUNT,
        "ok": shape.COUNT,
        "failed": shape.COUNT,
        "in_flight": shape.COUNT,
    }
    | dict.fromkeys(("p50", "p99", "max"), shape.or_null(shape.FIGURE))
)
_STEP = shape.fields(
    _MEASURED,
    {"seconds": shape.FIGURE, "service_time": _SPREAD, "statuses": shape.counts, "generator": _GENERATOR},
)
_RESULT = shape.fields(
    _MEASURED
    | dict.fromkeys(("tool", "started", "address", "method", "shape"), shape.TEXT)
    | {
        "statuses": shape.counts,
        "errors": shape.each(
            shape.fields({"status": shape.TEXT, "details": shape.TEXT, "count": shape.COUNT})
        ),
        "seconds": shape.FIGURE,
        "service_time": _SPREAD,
        "first_message": _SPREAD,
        "gap": _SPREAD,
        "messages": shape.fields(dict.fromkeys(Messages.__annotations__, shape.COUNT)),
        "histogram": shape.each(shape.bucket),
        "timeline": shape.each(_WINDOW),
        "generator": _GENERATOR,
        "stable": shape.fields(
            {"asked": shape.FLAG, "reached": shape.anything, "windows": shape.each(shape.anything)}
        ),
        "steps": shape.each(_STEP),
    },
    {"interrupted": shape.FLAG},
)
