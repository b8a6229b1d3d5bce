"""The charts of the HTML report, as plain data for plotly's JavaScript. Pure; holds numbers and words of ours alone.

No text of a run goes in here: plotly reads some markup in labels, and a server could write its own into a message.
Colours are names such as `@latency`, which the page looks up in its style sheet, light or dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from eas_grpc.load import _report_words as words
from eas_grpc.load._report_bars import bars, edges
from eas_grpc.load._report_text import asked_of
from eas_grpc.load._result import PERCENTILES, TAILS, Result, Spread, Window, spread_of

__all__ = ["charts"]

_Data = dict[str, Any]

_THIS = "this run"
_BARS = 48
_POINTS = 1500  # more than a screen has columns
_HOVER_SECONDS = ".3s"
_LOG_FROM = 20  # a span that a linear axis no longer shows both ends of
_DECADES_ALONE_FROM = 300
_UNITS = ((0, "s"), (-3, "ms"), (-6, "us"), (-9, "ns"))
_PERCENT = {2: "50 %", 10: "90 %", 100: "99 %", 1000: "99.9 %", 10_000: "99.99 %", 100_000: "99.999 %"}


def charts(result: Result, old: Result | None = None) -> dict[str, _Data]:
    """Every chart there is something to draw for: its name, and `data` and `layout` for plotly."""
    runs = [(_THIS, result)] + ([("old run", old)] if old is not None else [])
    drawn = {
        "percentiles": _percentiles(runs),
        "histogram": _histogram(runs),
        "timeline": _timeline(runs),
        "ramp": _ramp(runs),
    }
    return {name: chart for name, chart in drawn.items() if chart is not None}


_Runs = Sequence[tuple[str, Result]]


def _percentiles(runs: _Runs) -> _Data | None:
    data: list[_Data] = []
    for name, run in runs:
        shade = "@latency" if name == _THIS else "@old"
        dash = "solid" if name == _THIS else "dot"
        whole, service = spread_of(run["latency"]), spread_of(run["service_time"])
        if whole is None:
            continue
        curve = _curve(run["histogram"])
        if curve:
            line = {"color": shade, "width": 2, "dash": dash}
            data.append(_line(f"latency, {name}", curve, line) | {"hoverinfo": "skip", "legendgroup": name})
        marked = _marked(f"latency, {name}", whole, shade, name) | {"showlegend": not curve}
        data.append(
            marked if curve else marked | {"mode": "lines+markers", "line": {"dash": dash, "color": shade}}
        )
        if service is not None and name == _THIS and service != whole:
            served = _marked("service time", service, "@service", "service")
            data.append(served | {"mode": "lines+markers", "line": {"color": "@service", "dash": "dash"}})
    if not data:
        return None
    most = max(max(trace["x"]) for trace in data)
    ticks = {at: text for at, text in _PERCENT.items() if at <= most} or {2: _PERCENT[2]}
    axis = {
        "type": "log",
        "tickvals": list(ticks),
        "ticktext": list(ticks.values()),
        "title": {"text": "share of calls that took at most so long"},
    }
    return {
        "data": data,
        "layout": {"xaxis": axis, "yaxis": _seconds(_heights(data), "latency"), "hovermode": "closest"},
    }


def _curve(histogram: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """Points of (1 / share of calls that took longer, seconds): a logarithmic axis of it stretches the tail."""
    filled = sorted((upper, int(number)) for upper, number in histogram if number and upper > 0)
    total = sum(number for _, number in filled)
    points, before = [], 0
    for upper, number in filled:
        before += number
        points.append((total / max(total - before, 1), upper))
    return [*points[:: max(1, len(points) // _POINTS)], points[-1]] if len(points) > 1 else []


def _marked(name: str, spread: Spread, shade: str, group: str) -> _Data:
    """The named percentiles that enough calls stand behind, as points that say what they are."""
    marks = []
    for key in PERCENTILES:
        figure = spread[key]
        if figure and spread["count"] * TAILS[key] >= 1:
            marks.append((1 / TAILS[key], figure, f"{key[1:]} %"))
    if not marks and spread["max"]:
        marks.append((1.0, spread["max"], "the slowest"))
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "legendgroup": group,
        "x": [mark[0] for mark in marks] or [1.0],
        "y": [mark[1] for mark in marks] or [None],
        "customdata": [mark[2] for mark in marks] or [""],
        "marker": {"color": shade, "size": 8},
        "hovertemplate": "%{customdata}: %{y:" + _HOVER_SECONDS + "}s<extra></extra>",
    }


def _line(name: str, points: Sequence[tuple[float, float | None]], line: _Data) -> _Data:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [x for x, _ in points],
        "y": [y for _, y in points],
        "line": line,
    }


def _seconds(seen: Iterable[float | None], title: str) -> _Data:
    """An axis of durations with units, logarithmic when the longest is many times the shortest."""
    known = [seconds for seconds in seen if seconds]
    axis: _Data = {"tickformat": "~s", "ticksuffix": "s", "hoverformat": _HOVER_SECONDS}
    if known and max(known) > _LOG_FROM * min(known):
        ticks = _ticks(min(known), max(known))
        axis |= {"tickvals": list(ticks), "ticktext": list(ticks.values())}
        return axis | {"type": "log", "title": {"text": f"{title}, log scale"}}
    return axis | {"type": "linear", "rangemode": "tozero", "title": {"text": title}}


def _ticks(least: float, most: float) -> dict[float, str]:
    """Round durations from the least to the most and what they are called: plotly leaves the unit of some out."""
    marks = (1,) if most > _DECADES_ALONE_FROM * least else (1, 2, 5)
    named = {}
    for exponent in range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1):
        scale, unit = next((pair for pair in _UNITS if exponent >= pair[0]), _UNITS[-1])
        for mark in marks:
            named[mark * 10.0**exponent] = f"{mark * 10.0 ** (exponent - scale):g} {unit}"
    return named


def _heights(traces: Iterable[_Data]) -> list[float | None]:
    return [y for trace in traces for y in trace["y"]]


def _histogram(runs: _Runs) -> _Data | None:
    ends = edges([run["histogram"] for _, run in runs], _BARS)
    data: list[_Data] = []
    for name, run in runs:
        shown = [bar for bar in bars(run["histogram"], _BARS, ends) if bar.count]
        total = sum(bar.count for bar in shown)
        mine = name == _THIS
        bar_trace = {
            "type": "bar",
            "name": name,
            "x": [(bar.low + bar.high) / 2 for bar in shown],
            "width": [bar.high - bar.low for bar in shown],
            "y": [bar.count / total for bar in shown],
            "customdata": [
                [words.duration(bar.low), words.duration(bar.high), words.plural(bar.count, "call")]
                for bar in shown
            ],
            "marker": {"color": "@latency" if mine else "@old", "line": {"width": 0}},
            "opacity": 0.85 if mine else 0.5,
            "hovertemplate": "%{customdata[0]} to %{customdata[1]}<br>%{customdata[2]}, %{y:.3~%}<extra></extra>",
        }
        data += [bar_trace] if shown else []
    if not data:
        return None
    shares = [share for share in _heights(data) if share]
    rare = max(shares) > 100 * min(shares)
    y: _Data = {
        "title": {"text": "share of calls, log scale" if rare else "share of calls"},
        "tickformat": "~%",
    }
    y |= {"type": "log", "dtick": 1, "range": _decades(shares)} if rare else {"rangemode": "tozero"}
    x = _seconds(ends, "latency")
    if x["type"] == "linear":
        room = max(0.05 * (ends[-1] - ends[0]), 0.02 * ends[-1])
        x |= {"rangemode": "normal", "range": [max(ends[0] - room, 0), ends[-1] + room]}
    return {
        "data": data,
        "layout": {"xaxis": x, "yaxis": y, "barmode": "overlay", "hovermode": "closest", "bargap": 0},
    }


def _decades(shares: Sequence[float]) -> list[float]:
    """The range of a logarithmic axis on which the least bar still stands out."""
    return [math.floor(math.log10(min(shares)) - 0.2), math.log10(max(shares)) + 0.15]


def _timeline(runs: _Runs) -> _Data | None:
    windows = _lasting(runs[0][1])
    if not windows:
        return None
    middle = [_middle(window) for window in windows]
    rates: list[_Data] = []
    for name, shade in (("ok", "@ok"), ("failed", "@failed")):
        ended = [
            (window["ok"] if name == "ok" else window["failed"]) / window["seconds"] for window in windows
        ]
        bar = {"type": "bar", "name": name, "x": middle, "y": ended, "hovertemplate": "%{y:,.4~r}/s"}
        bar |= {"width": [window["seconds"] * 0.96 for window in windows]}
        rates += (
            [bar | {"marker": {"color": shade, "line": {"width": 0}}}] if name == "ok" or any(ended) else []
        )
    lines: list[_Data] = []
    for name, figures, shade in (
        ("p50", [window["p50"] for window in windows], "@p50"),
        ("p99", [window["p99"] for window in windows], "@latency"),
        ("max", [window["max"] for window in windows], "@max"),
    ):
        line = _line(name, _points(middle, figures), {"color": shade, "width": 2})
        lines.append(line | {"mode": "lines+markers", "marker": {"size": 5}})
    for name, run in runs[1:]:
        earlier = _lasting(run)
        at = [_middle(window) for window in earlier]
        dotted = {"color": "@old", "width": 2, "dash": "dot"}
        rates.append(_line(f"rate, {name}", _points(at, map(words.rate_of, earlier)), dotted))
        lines.append(_line(f"p99, {name}", _points(at, (window["p99"] for window in earlier)), dotted))
        rates[-1]["hovertemplate"] = "%{y:,.4~r}/s"
    for trace in lines:
        trace |= {"yaxis": "y2", "hovertemplate": "%{y:" + _HOVER_SECONDS + "}s"}
    shape = {"color": "@service", "shape": "hvh", "width": 2}
    in_flight = _line(
        "in flight", [(at, window["in_flight"]) for at, window in zip(middle, windows, strict=True)], shape
    )
    in_flight |= {"yaxis": "y3", "hovertemplate": "%{y:,}"}
    counted: _Data = {"rangemode": "tozero", "tickformat": ",~r"}
    layout: _Data = {
        "xaxis": {
            "title": {"text": "time into the run"},
            "anchor": "y3",
            "hoverformat": ".4~r",
            "ticksuffix": " s",
        },
        "yaxis": counted | {"title": {"text": "calls/s"}, "domain": [0.68, 1]},
        "yaxis2": _seconds(_heights(lines), "latency") | {"domain": [0.24, 0.62]},
        "yaxis3": counted | {"title": {"text": "in flight"}, "domain": [0, 0.18]},
        "barmode": "stack",
        "hovermode": "x unified",
        "hoversubplots": "axis",
        "bargap": 0,
    }
    return {"data": [*rates, *lines, in_flight], "layout": layout}


def _lasting(run: Result) -> list[Window]:
    return [window for window in run["timeline"] if words.rate_of(window) is not None]


def _middle(window: Window) -> float:
    return window["at"] + window["seconds"] / 2


def _points(at: Sequence[float], figures: Iterable[float | None]) -> list[tuple[float, float | None]]:
    """Without zeros, which a logarithmic axis has no place for."""
    return [(x, y or None) for x, y in zip(at, figures, strict=True)]


def _ramp(runs: _Runs) -> _Data | None:
    data: list[_Data] = []
    for name, run in runs:
        steps = [
            (step, spread) for step in run["steps"] if (spread := spread_of(step["latency"])) is not None
        ]
        done = [step["rate"]["done"] for step, _ in steps]
        asked = [asked_of(step) for step, _ in steps]
        mine = name == _THIS
        for key, figures, shade in (
            ("p50", [spread["p50"] for _, spread in steps], "@p50"),
            ("p99", [spread["p99"] for _, spread in steps], "@latency"),
            ("max", [spread["max"] for _, spread in steps], "@max"),
        ):
            if not steps or (key == "max" and not mine):
                continue
            line = {"color": shade if mine else "@old", "width": 2, "dash": "solid" if mine else "dot"}
            trace = _line(key if mine else f"{key}, {name}", _points(done, figures), line)
            hover = (
                "asked %{customdata}, done %{x:,.4~r}/s<br>"
                + key
                + " %{y:"
                + _HOVER_SECONDS
                + "}s<extra></extra>"
            )
            trace |= {
                "mode": "lines+markers",
                "marker": {"size": 8},
                "customdata": asked,
                "hovertemplate": hover,
            }
            data.append(trace)
    if not data:
        return None
    x = {"title": {"text": "calls per second that were done"}, "rangemode": "tozero", "tickformat": ",~r"}
    layout = {"xaxis": x, "yaxis": _seconds(_heights(data), "latency"), "hovermode": "closest"}
    return {"data": data, "layout": layout}
