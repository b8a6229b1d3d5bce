"""Results of load runs: made of nothing, made to measure, and any that format 1 allows."""

from __future__ import annotations

import copy
import math
import random
from typing import Any

from hypothesis import strategies as st

PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999, "p99.99": 0.9999}
PLAN = {
    "mode": "closed",
    "concurrency": 32,
    "rate": None,
    "ramp": None,
    "seconds": 10.0,
    "warmup": 1.0,
    "channels": 1,
    "processes": 1,
    "until_stable": False,
    "deadline": 5.0,
    "seed": 1,
}
EMPTY: dict[str, Any] = {
    "format": 1,
    "tool": "eas-grpc 0.1",
    "started": "2026-01-02T03:04:05Z",
    "address": "127.0.0.1:50080",
    "method": "helloworld.GreeterService/SayHello",
    "shape": "unary_unary",
    "plan": PLAN,
    "calls": {
        "scheduled": 0,
        "started": 0,
        "finished": 0,
        "ok": 0,
        "failed": 0,
        "in_flight_at_end": 0,
        "not_started": 0,
        "warmup": 0,
    },
    "statuses": {},
    "errors": [],
    "rate": {"asked": None, "done": 0.0},
    "seconds": 10.0,
    "latency": None,
    "service_time": None,
    "first_message": None,
    "gap": None,
    "messages": {"sent": 0, "received": 0, "bytes_sent": 0, "bytes_received": 0},
    "histogram": [],
    "timeline": [],
    "generator": {"cpu": None, "lag_p99": None, "limit": False, "why": None},
    "stable": {"asked": False, "reached": None, "windows": []},
    "steps": [],
}


def empty(**changed: Any) -> dict[str, Any]:
    """A run in which nothing happened, with some fields changed."""
    return copy.deepcopy(EMPTY) | changed


def spread(latencies: list[float]) -> dict[str, Any]:
    """How some latencies were distributed."""
    ordered = sorted(latencies)
    mean = sum(ordered) / len(ordered)
    stdev = math.sqrt(sum((one - mean) ** 2 for one in ordered) / len(ordered))
    found = {"count": len(ordered), "mean": mean, "min": ordered[0], "max": ordered[-1], "stdev": stdev}
    return found | {name: quantile(ordered, share) for name, share in PERCENTILES.items()}


def quantile(ordered: list[float], share: float) -> float:
    return ordered[min(math.ceil(share * len(ordered)), len(ordered)) - 1]


def histogram(latencies: list[float]) -> list[list[float]]:
    """Buckets of 2 %."""
    counts: dict[int, int] = {}
    for one in latencies:
        bucket = math.ceil(math.log(one) / math.log(1.02))
        counts[bucket] = counts.get(bucket, 0) + 1
    return [[1.02**bucket, number] for bucket, number in sorted(counts.items())]


def run(windows: list[list[float]], *, failed: list[int] | None = None, **changed: Any) -> dict[str, Any]:
    """The result of a run whose calls took, second by second, as long as `windows` says."""
    failures = failed or [0] * len(windows)
    timeline = []
    for number, (window, bad) in enumerate(zip(windows, failures, strict=True)):
        figures = spread(window) if window else dict.fromkeys(("p50", "p99", "max"))
        timeline.append(
            {
                "at": float(number),
                "seconds": 1.0,
                "started": len(window),
                "ok": len(window) - bad,
                "failed": bad,
                "in_flight": 32,
                **{key: figures[key] for key in ("p50", "p99", "max")},
            }
        )
    every = [one for window in windows for one in window]
    total, bad = len(every), sum(failures)
    counts = dict.fromkeys(("scheduled", "started", "finished"), total) | {"ok": total - bad, "failed": bad}
    result = empty(
        calls=EMPTY["calls"] | counts | {"warmup": 800},
        statuses={"OK": total - bad} | ({"UNAVAILABLE": bad} if bad else {}),
        errors=[{"status": "UNAVAILABLE", "details": "the service is away", "count": bad}] if bad else [],
        rate={"asked": None, "done": total / max(len(windows), 1)},
        seconds=float(len(windows)),
        histogram=histogram(every),
        timeline=timeline,
        messages={
            "sent": total,
            "received": total - bad,
            "bytes_sent": total * 12,
            "bytes_received": total * 30,
        },
        generator={"cpu": 0.62, "lag_p99": 0.0012, "limit": False, "why": None},
    )
    if every:
        result |= {"latency": spread(every), "service_time": spread(every)}
    return result | copy.deepcopy(changed)


def noisy(
    seed: int,
    *,
    median: float = 0.004,
    sigma: float = 0.25,
    drift: float = 0.05,
    calls: int = 800,
    seconds: int = 10,
    stalls: float = 0.0,
) -> list[list[float]]:
    """Windows of a service whose speed wanders: log-normal latencies around a median that moves from second to second.

    `stalls` is the share of seconds in which a tenth of the calls wait for up to a second.
    """
    rng = random.Random(seed)
    windows, mood = [], 0.0
    for _ in range(seconds):
        mood = 0.5 * mood + rng.gauss(0, drift)
        speed = median * math.exp(mood)
        window = [rng.lognormvariate(math.log(speed), sigma) for _ in range(int(calls * math.exp(-mood)))]
        if rng.random() < stalls:
            window[: len(window) // 10] = [rng.random() for _ in window[: len(window) // 10]]
        windows.append(window)
    return windows


def ramp(seed: int = 1) -> dict[str, Any]:
    """An open loop that asked for more and more, until the service could give no more."""
    result = run(
        noisy(seed, seconds=8, stalls=0.2), plan=PLAN | {"mode": "open", "rate": 1600.0, "concurrency": None}
    )
    result["rate"] = {"asked": 1600.0, "done": 900.0}
    for number, asked in enumerate((200, 400, 800, 1600)):
        step = run(noisy(seed + number, median=0.003 * 1.6**number, calls=min(asked, 900), seconds=2))
        kept = {key: step[key] for key in ("calls", "latency", "service_time", "seconds", "generator")}
        plan = result["plan"] | {"rate": float(asked), "seconds": 2.0}
        rate = {"asked": float(asked), "done": step["rate"]["done"]}
        result["steps"].append(kept | {"plan": plan, "rate": rate})
    return result


# Any result that format 1 allows, sensible or not.

_counts = st.integers(0, 10**15)
_figures = st.floats(0, 1e15)
_maybe_figures = st.none() | _figures
_words = st.text(max_size=60)
_spreads = st.none() | st.fixed_dictionaries(
    {"count": _counts} | dict.fromkeys(("mean", "min", "max", "stdev", *PERCENTILES), _maybe_figures)
)
_plans = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(("closed", "open")),
        "concurrency": st.none() | _counts,
        "rate": _maybe_figures,
        "ramp": st.none() | _words | st.lists(_figures, max_size=3),
        "seconds": _maybe_figures,
        "warmup": _figures,
        "channels": _counts,
        "processes": _counts,
        "until_stable": st.booleans(),
        "deadline": _maybe_figures,
        "seed": st.none() | st.integers(),
    }
)
_generators = st.fixed_dictionaries(
    {"cpu": _maybe_figures, "lag_p99": _maybe_figures, "limit": st.booleans(), "why": st.none() | _words}
)
_measured = {
    "plan": _plans,
    "calls": st.fixed_dictionaries(dict.fromkeys(EMPTY["calls"], _counts)),
    "rate": st.fixed_dictionaries({"asked": _maybe_figures, "done": _figures}),
    "latency": _spreads,
}
_windows = st.fixed_dictionaries(
    dict.fromkeys(("at", "seconds"), _figures)
    | dict.fromkeys(("started", "ok", "failed", "in_flight"), _counts)
    | dict.fromkeys(("p50", "p99", "max"), _maybe_figures)
)
_statuses = st.dictionaries(st.sampled_from(("OK", "UNAVAILABLE")) | _words, _counts, max_size=4)
_steps = st.fixed_dictionaries(
    _measured,
    optional={"seconds": _figures, "service_time": _spreads, "statuses": _statuses, "generator": _generators},
)
results = st.fixed_dictionaries(
    _measured
    | dict.fromkeys(("tool", "started", "address", "method"), _words)
    | {
        "format": st.just(1),
        "shape": st.sampled_from(("unary_unary", "unary_stream", "stream_unary", "stream_stream")) | _words,
        "statuses": _statuses,
        "errors": st.lists(
            st.fixed_dictionaries({"status": _words, "details": _words, "count": _counts}), max_size=12
        ),
        "seconds": _figures,
        "service_time": _spreads,
        "first_message": _spreads,
        "gap": _spreads,
        "messages": st.fixed_dictionaries(dict.fromkeys(EMPTY["messages"], _counts)),
        "histogram": st.lists(st.tuples(_figures, _counts).map(list), max_size=8),
        "timeline": st.lists(_windows, max_size=8),
        "generator": _generators,
        "stable": st.fixed_dictionaries(
            {"asked": st.booleans(), "reached": st.none() | st.booleans() | _figures, "windows": st.just([])}
        ),
        "steps": st.lists(_steps, max_size=3),
    }
)
