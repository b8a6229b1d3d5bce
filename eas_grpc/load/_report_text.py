"""A load run as text for a terminal of 80 columns: plain, and safe whatever the server wrote into its errors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eas_grpc.load import _report_words as words
from eas_grpc.load._report_bars import Bar, bars
from eas_grpc.load._result import PERCENTILES, TAILS, Figure, Generator, Result, Spread, Step, spread_of

__all__ = [
    "FIGURES",
    "align",
    "asked_of",
    "left_out",
    "limit_of",
    "phrases",
    "stable_of",
    "text",
    "too_few",
]

# The rows of a table of durations, from the usual to the rare.
FIGURES: tuple[Figure, ...] = ("mean", "stdev", "min", *PERCENTILES, "max")

_WIDTH = 80
_LABEL = 12
_ERRORS = 10
_DETAILS = 300
_BARS = 12
_BAR_COLUMNS = 36
_STEPS = 50


def text(result: Result) -> str:
    """The whole report; ends with a newline, no line is wider than 80 columns."""
    parts = (
        _head(result),
        _totals(result),
        _latency(result),
        _histogram(result),
        _steps(result["steps"]),
        _errors(result),
        _remarks(result),
    )
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def align(rows: Sequence[words.Row], indent: str = "  ") -> list[str]:
    """Rows as columns two spaces apart: the first to the left, all others to the right."""
    widths = [max(words.columns(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [" " * (width - words.columns(cell)) for cell, width in zip(row, widths, strict=True)]
        aligned = [row[0] + cells[0], *(pad + cell for pad, cell in zip(cells[1:], row[1:], strict=True))]
        lines.append((indent + "  ".join(aligned)).rstrip())
    return lines


def phrases(label: str, said: Iterable[str], separator: str = ", ") -> list[str]:
    """A label and what is said of it, the lines after the first indented."""
    lines = words.wrap(separator.join(said), _WIDTH - _LABEL)
    return [f"{label if number == 0 else '':<{_LABEL}}{line}" for number, line in enumerate(lines)]


def _head(result: Result) -> list[str]:
    return words.wrap(words.title_of(result), _WIDTH) + words.wrap(", ".join(words.plan_of(result)), _WIDTH)


def _totals(result: Result) -> list[str]:
    calls, rate, messages = result["calls"], result["rate"], result["messages"]
    ended = f"{words.plural(calls['finished'], 'call')} in {words.duration(result['seconds'])}"
    counted = [ended, f"{words.count(calls['ok'])} ok", f"{words.count(calls['failed'])} failed"]
    if calls["failed"] and calls["finished"]:
        counted[2] += f" ({words.percent(calls['failed'] / calls['finished'])})"
    speed = [words.calls_a_second(rate["done"])]
    if rate["asked"] is not None:
        speed.append(f"asked {words.calls_a_second(rate['asked'])}")
    lines = phrases("calls", counted) + phrases("rate", speed)
    if result["statuses"]:
        by_count = sorted(result["statuses"].items(), key=lambda item: (-item[1], item[0]))
        shown = (f"{words.cut(words.printable(name), 40)} {words.count(number)}" for name, number in by_count)
        lines += phrases("statuses", shown)
    if any(messages.values()):
        went = f"{words.count(messages['sent'])} sent ({words.size(messages['bytes_sent'])})"
        came = f"{words.count(messages['received'])} received ({words.size(messages['bytes_received'])})"
        lines += phrases("messages", (went, came))
    return lines


def _latency(result: Result) -> list[str]:
    whole = spread_of(result["latency"])
    if whole is None:
        return ["latency     no call was answered, so there is none"]
    shown = [("latency", whole)]
    service = spread_of(result["service_time"])
    if service is not None and _differ(whole, service):
        shown.append(("service time", service))
    for name, spread in (
        ("first message", spread_of(result["first_message"])),
        ("gap", spread_of(result["gap"])),
    ):
        if spread is not None:
            shown.append((name, spread))
    rows = [["", *(name for name, _ in shown)]]
    rows += [[key, *(words.duration(spread[key]) for _, spread in shown)] for key in FIGURES]
    lines = align(rows)
    names = [name for name, _ in shown]
    if result["plan"]["mode"] == "open":
        lines += words.wrap(
            "Latency counts from the time when a call was due, not from when it began.", _WIDTH
        )
    if "service time" in names:
        lines += words.wrap("Service time counts from when it began.", _WIDTH)
    few = too_few(whole)
    if few:
        lines += words.wrap(few, _WIDTH)
    if "gap" in names:
        lines += words.wrap("Gap is the time between two messages of a stream.", _WIDTH)
    return lines


def too_few(spread: Spread) -> str:
    """Which percentiles are only the slowest call, because there were not enough calls; empty if none is."""
    names = [name for name, tail in TAILS.items() if spread["count"] * tail < 1]
    return (
        f"{', '.join(names)}: of {words.plural(spread['count'], 'call')} that is the slowest."
        if names
        else ""
    )


def _differ(one: Spread, other: Spread) -> bool:
    """Whether any percentile differs by more than 1 %, the width of what a reader would take for the same."""
    pairs = ((one[key], other[key]) for key in PERCENTILES)
    return any(a is not None and b is not None and abs(a - b) > 0.01 * max(a, b) for a, b in pairs)


def _histogram(result: Result) -> list[str]:
    shown = bars(result["histogram"], _BARS)
    if len(shown) < 2:
        return []
    most = max(bar.count for bar in shown)
    rows = [
        [f"{words.duration(bar.low)} - {words.duration(bar.high)}", words.count(bar.count)] for bar in shown
    ]
    lines = align(rows)
    room = min(_BAR_COLUMNS, _WIDTH - 2 - max(map(words.columns, lines)))
    return [f"{line}  {_bar(bar, most, room)}".rstrip() for line, bar in zip(lines, shown, strict=True)]


def _bar(bar: Bar, most: int, room: int) -> str:
    """At least one mark where there is a call: the few slow ones are what is looked for."""
    return "#" * max(round(room * bar.count / most), bar.count > 0)


def _steps(steps: Sequence[Step]) -> list[str]:
    if not steps:
        return []
    rows = [["step", "asked", "done", "failed", "p50", "p99", "max"]]
    for number, step in enumerate(steps[:_STEPS], 1):
        latency = spread_of(step["latency"])
        figures = (None, None, None) if latency is None else (latency["p50"], latency["p99"], latency["max"])
        rows.append(
            [
                str(number),
                asked_of(step),
                words.calls_a_second(step["rate"]["done"]),
                words.short(step["calls"]["failed"]),
                *(words.duration(figure) for figure in figures),
            ]
        )
    lines = align(rows)
    limited = [
        str(number)
        for number, step in enumerate(steps, 1)
        if "generator" in step and step["generator"]["limit"]
    ]
    if len(steps) > _STEPS:
        lines += words.wrap(
            f"and {words.count(len(steps) - _STEPS)} more steps, which JSON and CSV have", _WIDTH
        )
    if limited:
        lines += words.wrap(
            f"The generator was the limit in step{'s' * (len(limited) > 1)} {', '.join(limited)}.", _WIDTH
        )
    return lines


def asked_of(step: Step) -> str:
    """What a step of a ramp asked for: a rate, or callers of which each waits for its answer."""
    plan, asked = step["plan"], step["rate"]["asked"]
    if asked is not None:
        return words.calls_a_second(asked)
    if plan["mode"] == "open" or plan["concurrency"] is None:
        return words.calls_a_second(plan["rate"])
    return words.plural(plan["concurrency"], "caller") if plan["concurrency"] < 10**6 else "many callers"


def _errors(result: Result) -> list[str]:
    groups = sorted(result["errors"], key=lambda group: -group["count"])
    if not groups:
        return []
    lines = ["errors"]
    for group in groups[:_ERRORS]:
        said = words.cut(words.printable(group["details"]), _DETAILS)
        status = words.cut(words.printable(group["status"]), 40)
        wrapped = words.wrap(f"{words.count(group['count'])} x {status}" + (f": {said}" if said else ""), 74)
        lines += [f"{'  ' if number == 0 else '      '}{line}" for number, line in enumerate(wrapped)]
    if len(groups) > _ERRORS:
        lines.append(
            f"  and {words.plural(len(groups) - _ERRORS, 'more kind', 'more kinds')}, which JSON has"
        )
    return lines


def _remarks(result: Result) -> list[str]:
    generator = limit_of(result["generator"], open_loop=result["plan"]["mode"] == "open")
    lines = words.wrap(words.sentence(generator), _WIDTH)
    stable, absent = stable_of(result), left_out(result)
    if stable:
        lines += words.wrap(words.sentence(stable), _WIDTH)
    if absent:
        lines += words.wrap(f"Not in these figures: {', '.join(absent)}.", _WIDTH)
    if result.get("interrupted"):
        lines.append("The run was interrupted: these are the figures until then.")
    return lines


def limit_of(generator: Generator, *, open_loop: bool) -> str:
    """Whether the figures are the service's or those of the machine that made the calls, in a phrase."""
    known = []
    if generator["cpu"] is not None:
        known.append(f"it used {generator['cpu']:,.2f} of a core")
    if open_loop and generator["lag_p99"] is not None:
        known.append(f"99 % of the calls began within {words.duration(generator['lag_p99'])} of their time")
    why = words.cut(words.printable(generator["why"] or ""), _DETAILS) or " and ".join(known)
    verdict = "the generator was the limit" if generator["limit"] else "the generator was not the limit"
    return f"{verdict}: {why}" if why else verdict


def stable_of(result: Result) -> str:
    """Whether a run that was to go on until its figures held still came to that; empty if it was not asked to."""
    stable = result["stable"]
    if not stable["asked"]:
        return ""
    reached = stable["reached"]
    if isinstance(reached, int | float) and not isinstance(reached, bool):
        return f"the figures held still after {words.duration(float(reached))}"
    return "the figures held still" if reached else "the run ended before its figures held still"


def left_out(result: Result) -> list[str]:
    """What happened but is not in the figures, one phrase each."""
    calls = result["calls"]
    said = []
    if calls["warmup"]:
        said.append(f"{words.plural(calls['warmup'], 'call')} of the warm-up")
    if calls["not_started"]:
        said.append(f"{words.plural(calls['not_started'], 'call')} that were due and never started")
    if calls["in_flight_at_end"]:
        said.append(f"{words.plural(calls['in_flight_at_end'], 'call')} given up while still under way")
    return said
