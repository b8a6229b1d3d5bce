"""A load run as CSV: one table, a row for the whole run, for each step of a ramp and for each window of time."""

from __future__ import annotations

import io
from csv import DictWriter
from typing import Any

from eas_grpc.load import _report_words as words
from eas_grpc.load._result import PERCENTILES, Figure, Result, Spread, Step

__all__ = ["COLUMNS", "csv"]

# What each column holds; the header is these names in this order, and new ones are added at the end.
COLUMNS = {
    "row": "what the row is about: `total`, `step` or `window`",
    "number": "of the step or the window, from 1",
    "at": "seconds from the start of the measured time to the start of the window",
    "seconds": "how long it took",
    "concurrency": "calls at a time that were asked for; empty in open loop",
    "rate_asked": "calls per second that were asked for; empty in closed loop",
    "rate_done": "calls per second that ended",
    "started": "calls that began",
    "ok": "calls that ended with OK",
    "failed": "calls that ended with another status",
    "in_flight": "calls under way at the end of it",
    "mean": "latency in seconds: the mean; of a window there is none",
    "p50": "latency in seconds that half of the calls did not exceed",
    "p90": "the same for 90 %; a window has p50, p99 and max",
    "p95": "the same for 95 %",
    "p99": "the same for 99 %",
    "p99.9": "the same for 99.9 %",
    "p99.99": "the same for 99.99 %",
    "max": "latency in seconds of the slowest call",
}

_FIGURES: tuple[Figure, ...] = ("mean", *PERCENTILES, "max")


def csv(result: Result) -> str:
    """The run as CSV with a header line, a point in every fraction and nothing where there is no figure."""
    out = io.StringIO()
    writer = DictWriter(out, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerow(_measured("total", result) | {"seconds": _cell(result["seconds"])})
    for number, step in enumerate(result["steps"], 1):
        writer.writerow(_measured("step", step) | {"number": number, "seconds": _cell(step.get("seconds"))})
    for number, window in enumerate(result["timeline"], 1):
        cells = {name: _cell(window[name]) for name in ("at", "seconds", "p50", "p99", "max")}
        counts = {name: window[name] for name in ("started", "ok", "failed", "in_flight")}
        row = {"row": "window", "number": number, "rate_done": _cell(words.rate_of(window))}
        writer.writerow(row | cells | counts)
    return out.getvalue()


def _measured(name: str, run: Result | Step) -> dict[str, Any]:
    plan, calls, rate = run["plan"], run["calls"], run["rate"]
    row: dict[str, Any] = {
        "row": name,
        "concurrency": plan["concurrency"] if plan["mode"] == "closed" else None,
        "rate_asked": _cell(rate["asked"]),
        "rate_done": _cell(rate["done"]),
        "in_flight": calls["in_flight_at_end"],
    }
    return row | {key: calls[key] for key in ("started", "ok", "failed")} | _percentiles(run["latency"])


def _percentiles(spread: Spread | None) -> dict[str, str]:
    return {} if spread is None else {key: _cell(spread[key]) for key in _FIGURES}


def _cell(figure: float | None) -> str:
    """The shortest text that gives the same number back, never in the form 1e-05, which some programs take for text."""
    if figure is None:
        return ""
    text = repr(float(figure))
    return f"{float(figure):.12f}".rstrip("0").rstrip(".") if "e" in text else text
