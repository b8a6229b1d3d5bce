"""From what was measured to a result: the plain data of `_result.py`. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from eas_grpc._version import __version__
from eas_grpc.load._histogram import Histogram
from eas_grpc.load._job import Job
from eas_grpc.load._limit import judge
from eas_grpc.load._plan import Plan
from eas_grpc.load._record import Record
from eas_grpc.load._result import FORMAT, Result
from eas_grpc.load._stable import Figures

__all__ = ["Outcome", "failures", "result"]


@dataclass
class Outcome:
    """One step: its plan and what all processes together measured, in the warm-up and after it."""

    plan: Plan
    record: Record
    warm: Record
    windows: list[Figures] = field(default_factory=list)
    # None unless the run was to go on until it is stable.
    stable: bool | None = None


def result(job: Job, outcomes: Sequence[Outcome], *, started: str, interrupted: bool) -> Result:
    """The whole run; `started` is when, as ISO 8601."""
    parts = [_measured(outcome) for outcome in outcomes]
    if len(outcomes) == 1:
        whole = parts[0]
    else:
        whole = _measured(
            Outcome(
                job.plan,
                Record.merged(outcome.record for outcome in outcomes),
                Record.merged(outcome.warm for outcome in outcomes),
            )
        )
        seconds = sum(outcome.record.seconds for outcome in outcomes)
        whole |= {
            "seconds": seconds,
            "rate": _rate(None, [outcome.record for outcome in outcomes], seconds),
            "generator": _worst(parts),
        }
    ramped = job.plan.ramp is not None
    made: dict[str, Any] = {
        "format": FORMAT,
        "tool": f"eas-grpc {__version__}",
        "started": started,
        "address": str(job.endpoint),
        "method": job.method.lstrip("/"),
        "shape": job.shape.name.lower(),
        **whole,
        "plan": job.plan.to_dict() | {"retry": job.retry},
        "interrupted": interrupted,
        "timeline": _timelines(outcomes),
        "stable": {
            "asked": job.plan.until_stable,
            "reached": _reached(outcomes),
            "windows": [figures._asdict() for outcome in outcomes for figures in outcome.windows],
        },
        "steps": parts if ramped else [],
    }
    return cast(Result, made)


def _reached(outcomes: Sequence[Outcome]) -> float | bool | None:
    """When the figures held still, in seconds; of a ramp whether they did in each step. None where nobody asked."""
    asked = [outcome.stable for outcome in outcomes if outcome.stable is not None]
    if len(asked) == 1 and asked[0]:
        return len(outcomes[0].windows) * outcomes[0].plan.window_seconds
    return all(asked) if asked else None


def _measured(outcome: Outcome) -> dict[str, Any]:
    plan, record = outcome.plan, outcome.record
    started, ok, failed = record.started, record.ok, record.failed
    latency = record.latency
    verdict = judge(
        open_loop=plan.rate is not None,
        cores=record.thread,
        lag_p99=record.lag.percentile(99),
        latency_p50=latency.percentile(50),
        not_started=record.not_started,
        max_in_flight=plan.max_in_flight,
        pace=plan.pace,
        rate=record.in_time / record.seconds if record.seconds else 0.0,
        seconds=record.seconds,
    )
    streams = record.first.count or record.gap.count
    return {
        "plan": plan.to_dict(),
        "calls": {
            "scheduled": started + record.not_started,
            "started": started,
            "finished": ok + failed,
            "ok": ok,
            "failed": failed,
            "in_flight_at_end": started - ok - failed,
            "not_started": record.not_started,
            "warmup": outcome.warm.started,
        },
        "warmup": {"statuses": _by_count(outcome.warm.statuses), "not_started": outcome.warm.not_started},
        "statuses": _by_count(record.statuses),
        "errors": [
            {"status": status, "details": details, "count": count}
            for (status, details), count in sorted(
                record.errors.items(), key=lambda item: (-item[1], item[0])
            )
        ],
        "rate": _rate(plan.rate, [record], record.seconds),
        "seconds": record.seconds,
        "latency": latency.summary(),
        # In a closed loop a call is due when it is begun.
        "service_time": (latency if plan.rate is None else record.service).summary(),
        "first_message": record.first.summary() if streams else None,
        "gap": record.gap.summary() if streams else None,
        "messages": {
            "sent": record.sent,
            "received": record.received,
            "bytes_sent": record.bytes_sent,
            "bytes_received": record.bytes_received,
        },
        "histogram": latency.buckets(),
        "generator": {
            "cpu": record.cpu,
            "event_loop": record.thread,
            "lag_p99": record.lag.percentile(99),
            "limit": verdict.limit,
            "why": verdict.why,
        },
    }


def _rate(asked: float | None, records: Sequence[Record], seconds: float) -> dict[str, float | None]:
    """Calls a second that ended while calls were started: those that ended later had no others beside them."""
    return {
        "asked": asked,
        "done": sum(record.in_time for record in records) / seconds if seconds else 0.0,
    }


def _by_count(statuses: dict[str, int]) -> dict[str, int]:
    return dict(sorted(statuses.items(), key=lambda item: (-item[1], item[0])))


def _worst(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of a ramp the step in which the generator had most to do; the first in which it was the limit, if there is one."""
    limited = [part["generator"] for part in parts if part["generator"]["limit"]]
    found: dict[str, Any] = (
        limited[0] if limited else max((part["generator"] for part in parts), key=lambda one: one["cpu"])
    )
    return found


def _timelines(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """The windows of all steps; a step begins where the one before has stopped."""
    found: list[dict[str, Any]] = []
    offset = 0.0
    for outcome in outcomes:
        found += _timeline(outcome, offset)
        offset += outcome.record.seconds
    return found


def _timeline(outcome: Outcome, offset: float) -> list[dict[str, Any]]:
    length, record = outcome.plan.window_seconds, outcome.record
    last = max(record.windows, default=-1)
    in_flight = 0
    found = []
    for index in range(last + 1):
        window = record.windows.get(index)
        latency = Histogram() if window is None else window.latency
        started, ok, failed = (0, 0, 0) if window is None else (window.started, window.ok, window.failed)
        in_flight += started - ok - failed
        cut = index * length < record.seconds < (index + 1) * length and index == last
        found.append(
            {
                "at": offset + index * length,
                "seconds": record.seconds - index * length if cut else length,
                "started": started,
                "ok": ok,
                "failed": failed,
                "p50": latency.percentile(50),
                "p99": latency.percentile(99),
                "max": latency.most if latency.count else None,
                "in_flight": in_flight,
            }
        )
    return found


def failures(found: Result) -> int:
    """Calls that did not go well: failed, never started, or still under way when they were no longer waited for."""
    calls = found["calls"]
    return calls["failed"] + calls["not_started"] + calls["in_flight_at_end"]
