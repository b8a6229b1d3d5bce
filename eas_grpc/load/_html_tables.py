"""The tables of the HTML report: the figures of the charts and what no chart shows. Everything is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from eas_grpc.load import _report_words as words
from eas_grpc.load._compare import Comparison
from eas_grpc.load._report_bars import bars
from eas_grpc.load._report_text import FIGURES, asked_of
from eas_grpc.load._result import Result, Spread, spread_of

__all__ = ["comparison", "errors", "histogram", "percentiles", "said", "steps", "table", "timeline"]

_BARS = 48
_WINDOWS = 2000
_DETAILS = 2000


def said(text: str) -> str:
    """Somebody else's text, safe in a page and between quotes."""
    return escape(words.printable(text), quote=True)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, kind: str = "", raw: bool = False) -> str:
    """A table; the first cell of a row is its head. Cells are escaped unless they are `raw` HTML of ours."""
    written = (lambda cell: cell) if raw else escape
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    lines = []
    for row in rows:
        first, *rest = map(written, row)
        lines.append(f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>')
    shown = f' class="{kind}"' if kind else ""
    body = "\n".join(lines)
    return f'<div class="scroll"><table{shown}><thead><tr>{top}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def percentiles(result: Result, old: Result | None) -> str:
    """Every duration that was measured, by percentile."""
    named: list[tuple[str, Spread | None]] = [
        ("latency", result["latency"]),
        ("service time", result["service_time"]),
        ("first message", result["first_message"]),
        ("gap", result["gap"]),
    ]
    if old is not None:
        named.append(("latency, old run", old["latency"]))
    shown = [(name, spread) for name, given in named if (spread := spread_of(given)) is not None]
    rows = [[key, *(words.duration(spread[key]) for _, spread in shown)] for key in FIGURES]
    return table(["", *(name for name, _ in shown)], rows) if shown else ""


def histogram(result: Result) -> str:
    """How many calls took how long."""
    shown = bars(result["histogram"], _BARS)
    total = sum(bar.count for bar in shown)
    rows = (
        [
            f"{words.duration(bar.low)} - {words.duration(bar.high)}",
            words.count(bar.count),
            words.percent(bar.count / total),
        ]
        for bar in shown
        if bar.count
    )
    return table(["latency", "calls", "share"], rows)


def timeline(result: Result) -> str:
    """What happened window by window; the first part of a very long run."""
    rows = [
        [
            f"{window['at']:.6g} s",
            words.calls_a_second(words.rate_of(window)),
            *(words.count(count) for count in (window["started"], window["ok"], window["failed"])),
            *(words.duration(figure) for figure in (window["p50"], window["p99"], window["max"])),
            words.count(window["in_flight"]),
        ]
        for window in result["timeline"][:_WINDOWS]
    ]
    more = len(result["timeline"]) - len(rows)
    note = f"<p>and {words.plural(more, 'window')} more, which JSON and CSV have</p>" if more else ""
    return table(["at", "rate", "started", "ok", "failed", "p50", "p99", "max", "in flight"], rows) + note


def steps(result: Result) -> str:
    """The steps of a ramp."""
    rows = []
    for number, step in enumerate(result["steps"], 1):
        spread = spread_of(step["latency"])
        figures = (None, None, None) if spread is None else (spread["p50"], spread["p99"], spread["max"])
        done, failed = words.calls_a_second(step["rate"]["done"]), words.count(step["calls"]["failed"])
        limit = "yes" if "generator" in step and step["generator"]["limit"] else "no"
        rows.append([str(number), asked_of(step), done, failed, *map(words.duration, figures), limit])
    return table(["step", "asked", "done", "failed", "p50", "p99", "max", "generator the limit"], rows)


def errors(result: Result) -> str:
    """The statuses, and the failures that read alike."""
    by_count = sorted(result["statuses"].items(), key=lambda item: (-item[1], item[0]))
    parts = []
    if by_count:
        rows: list[list[str]] = [[said(name), words.count(number)] for name, number in by_count]
        parts.append(table(["status", "calls"], rows, raw=True))
    groups = sorted(result["errors"], key=lambda group: -group["count"])
    if groups:
        rows = [
            [said(group["status"]), words.count(group["count"]), said(words.cut(group["details"], _DETAILS))]
            for group in groups
        ]
        parts.append(table(["failed with", "calls", "what was said"], rows, kind="words", raw=True))
    return "\n".join(parts)


def comparison(found: Comparison) -> str:
    """The old run beside the new one, each figure with its verdict."""
    rows = []
    for line in found.lines:
        verdict = f'<span class="verdict {line.verdict.replace(" ", "-")}">{escape(line.verdict)}</span>'
        cells = (line.name, line.old, line.new, line.change, line.noise)
        rows.append([*map(escape, cells), verdict])
    shown = table(["", "old", "new", "change", "noise", "verdict"], rows, raw=True)
    remarks = "".join(f'<p class="soft">{escape(remark)}</p>' for remark in found.remarks())
    return shown + remarks
