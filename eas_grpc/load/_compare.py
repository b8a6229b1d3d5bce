"""An old run beside a new one, with a verdict per figure that does not take noise for a change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from eas_grpc.errors import ConfigError
from eas_grpc.load import _report_words as words
from eas_grpc.load._compare_noise import (
    LEAST_IN_STEP,
    LEAST_WINDOWS,
    Noise,
    of_failures,
    of_percentiles,
    of_rate,
)
from eas_grpc.load._report_text import align, asked_of
from eas_grpc.load._result import PERCENTILES, TAILS, Percentile, Result, Spread, spread_of

__all__ = ["RULE", "Comparison", "Line", "Verdict", "compare", "judge", "regressed"]

Verdict = Literal["better", "worse", "same", "unclear", "not judged"]

# A change smaller than this is of no interest, however sure it is: another day, another machine, another number.
_FLOOR_RATE = 0.05
_FLOORS: dict[Percentile, float] = {
    "p50": 0.05,
    "p90": 0.05,
    "p95": 0.10,
    "p99": 0.10,
    "p99.9": 0.25,
    "p99.99": 0.25,
}
_FLOOR_FAILURES = 0.0005  # of all calls
_LEAST_BEYOND = 10  # calls above a percentile, or chance alone decides where it is
_CHANCE = 0.01  # how often windows dealt out at random may differ as much
_WIDE = math.log(2)  # noise that hides half or double the figure hides too much to say "same"

_UNKNOWN = f"each run needs {LEAST_WINDOWS} windows with calls, each step of a ramp {LEAST_IN_STEP}, or its noise is not known"

RULE = (
    "A figure is better or worse when it changed by more than its noise and by more than 5 % (rate, p50, p90),"
    " 10 % (p95, p99) or 25 % (p99.9, p99.99); failures by more than 0.05 % of all calls. Noise is how far 99 % of"
    " runs would be off that are put together at random from the windows of these two; the windows dealt out anew"
    " must differ nearly as much in less than 1 % of the deals. Unclear is what they cannot tell: run longer."
)


@dataclass(frozen=True)
class Line:
    """One figure of both runs, as it is shown."""

    name: str
    old: str
    new: str
    change: str
    noise: str
    verdict: Verdict
    why: str = ""


@dataclass(frozen=True)
class Comparison:
    """What two runs have to do with each other. With anything in `unlike`, no line is judged."""

    unlike: tuple[str, ...]
    notes: tuple[str, ...]
    lines: tuple[Line, ...]

    def remarks(self) -> list[str]:
        """The notes, and why lines are unclear, each reason once."""
        reasons: dict[str, list[str]] = {}
        for line in self.lines:
            if line.why:
                reasons.setdefault(line.why, []).append(line.name)
        return [*self.notes, *(f"{', '.join(names)}: {why}" for why, names in reasons.items())]


def compare(old: Result, new: Result) -> str:
    """Both runs as text: the figures, how they changed, what is noise; ends with a newline."""
    found = judge(old, new)
    rows = [["", "old", "new", "change", "noise", "verdict"]]
    rows += [[line.name, line.old, line.new, line.change, line.noise, line.verdict] for line in found.lines]
    parts = [
        [
            line
            for name, run in (("old", old), ("new", new))
            for line in words.wrap(f"{name}  {words.printable(run['started'])}  {words.title_of(run)}", 80)
        ]
    ]
    if found.unlike:
        said = f"These runs are not alike, so nothing is judged: {'; '.join(found.unlike)}."
        parts.append(words.wrap(said, 80))
    parts.append(align(rows))
    if len(old["steps"]) == len(new["steps"]) > 0:
        parts.append(_steps(old, new))
    remarks = found.remarks()
    if remarks:
        parts.append([line for remark in remarks for line in words.wrap(remark, 80)])
    if not found.unlike:
        parts.append(words.wrap(RULE, 80))
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def regressed(old: Result, new: Result) -> bool:
    """Whether any figure of the new run is worse, for an exit code.

    Raises ConfigError when the runs are not alike: then there is no answer, and a silent "no" would let anything pass.
    """
    found = judge(old, new)
    if found.unlike:
        raise ConfigError(
            f"these runs cannot be judged against each other: {'; '.join(found.unlike)}; make the new run with the"
            " old one's plan, or save a new result to compare with"
        )
    return any(line.verdict == "worse" for line in found.lines)


def judge(old: Result, new: Result) -> Comparison:
    """The comparison as data."""
    unlike = _unlike(old, new)
    lines = [_rate(old, new), *_percentiles(old, new), _longest(old, new)]
    failures = _failures(old, new)
    if failures.verdict == "worse":
        lines = [
            _doubted(line, "better", "a call that fails at once is quick, and more calls failed")
            for line in lines
        ]
    for limited, verdict in ((new, "worse"), (old, "better")):
        if limited["generator"]["limit"]:
            which = "new" if limited is new else "old"
            why = f"the generator was the limit of the {which} run, so the service may be better than it says"
            lines = [_doubted(line, verdict, why) for line in lines]
    lines += [failures, *_streams(old, new)]
    if unlike:
        lines = [replace(line, noise="-", verdict="not judged", why="") for line in lines]
    return Comparison(unlike, _notes(old, new), tuple(lines))


def _doubted(line: Line, verdict: str, why: str) -> Line:
    return replace(line, verdict="unclear", why=why) if line.verdict == verdict else line


def _unlike(old: Result, new: Result) -> tuple[str, ...]:
    """What makes the runs measurements of different things."""
    found = []
    if old["method"].lstrip("/") != new["method"].lstrip("/"):
        pair = (words.printable(run["method"]).lstrip("/") for run in (old, new))
        found.append("the method was {} and is {}".format(*pair))
    if old["shape"] != new["shape"]:
        found.append(
            "the shape was {} and is {}".format(*(words.printable(run["shape"]) for run in (old, new)))
        )
    loads = [words.load_of(run["plan"], len(run["steps"])) for run in (old, new)]
    ramps = [[asked_of(step) for step in run["steps"]] for run in (old, new)]
    if loads[0] != loads[1]:
        found.append(f"the load was {loads[0]} and is {loads[1]}")
    elif ramps[0] != ramps[1]:
        found.append("the steps of the ramp differ")
    for name in ("channels", "processes"):
        before, after = (run["plan"][name] for run in (old, new))
        if before != after:
            found.append(f"there were {words.count(before)} {name} and are {words.count(after)}")
    return tuple(found)


def _notes(old: Result, new: Result) -> tuple[str, ...]:
    """What differs too and does not forbid a comparison, or makes it weaker."""
    found = []
    if old["address"] != new["address"]:
        pair = (words.printable(run["address"]) for run in (old, new))
        found.append("The address was {} and is {}.".format(*pair))
    if old["tool"] != new["tool"]:
        found.append(
            "The old run was made by {}, the new one by {}.".format(
                *(words.printable(run["tool"]) for run in (old, new))
            )
        )
    for run, which in ((old, "old"), (new, "new")):
        if run.get("interrupted"):
            found.append(f"The {which} run was interrupted.")
    if old["plan"].get("retry", False) != new["plan"].get("retry", False):
        found.append("Only one of the runs retried calls.")
    before, after = old["seconds"], new["seconds"]
    if max(before, after) > 1.2 * min(before, after):
        found.append(f"The old run took {words.duration(before)}, the new one {words.duration(after)}.")
    return tuple(found)


def _rate(old: Result, new: Result) -> Line:
    before, after = old["rate"]["done"], new["rate"]["done"]
    line = Line("rate", words.calls_a_second(before), words.calls_a_second(after), "-", "-", "unclear")
    if not before or not after:
        return replace(line, why="one of the runs completed no calls")
    return _verdict(line, before, after, of_rate(old, new), _FLOOR_RATE, more_is_better=True)


def _percentiles(old: Result, new: Result) -> list[Line]:
    before, after = spread_of(old["latency"]), spread_of(new["latency"])
    if before is None or after is None:
        return []
    noises = of_percentiles(old, new)
    return [_percentile(name, before, after, noises[name]) for name in PERCENTILES]


def _percentile(name: Percentile, before: Spread, after: Spread, noise: Noise | None) -> Line:
    old, new = before[name], after[name]
    line = Line(name, words.duration(old), words.duration(new), "-", "-", "unclear")
    if not old or not new:
        return line
    beyond = min(before["count"], after["count"]) * TAILS[name]
    if beyond < _LEAST_BEYOND:
        calls = math.ceil(_LEAST_BEYOND / TAILS[name] - 1e-6)
        return replace(
            line, change=_changed(old, new), why=f"each run needs {words.count(calls)} calls or more"
        )
    return _verdict(line, old, new, noise, _FLOORS[name])


def _verdict(
    line: Line, old: float, new: float, noise: Noise | None, floor: float, *, more_is_better: bool = False
) -> Line:
    change = math.log(new) - math.log(old)
    line = replace(line, change=_changed(old, new))
    if noise is None:
        return replace(
            line, why=f"each run needs {LEAST_WINDOWS} windows with calls, or its noise is not known"
        )
    line = replace(line, noise=_factor(noise.off))
    if abs(change) <= math.log1p(floor):
        return replace(line, verdict="same")
    if abs(change) > noise.off and noise.chance <= _CHANCE:
        return replace(line, verdict="better" if (change > 0) == more_is_better else "worse")
    if max(noise.off, abs(change)) > _WIDE:
        return replace(line, why="a few windows decide it; run longer to see whether they are the rule")
    return replace(line, verdict="same")


def _changed(old: float, new: float) -> str:
    ratio = new / old
    if ratio >= 10 or ratio <= 0.1:
        return f"x{ratio:.3g}"
    return f"{(ratio - 1) * 100:+.1f} %"


def _factor(logarithm: float) -> str:
    if logarithm > math.log(10):
        return f"x{math.exp(min(logarithm, 100)):.3g}"
    return f"{math.expm1(logarithm) * 100:.1f} %"


def _longest(old: Result, new: Result) -> Line:
    """The slowest call: shown, but one call is no measure of anything."""
    figures = [None if spread is None else spread["max"] for spread in (old["latency"], new["latency"])]
    before, after = figures
    change = _changed(before, after) if before and after else "-"
    return Line("max", words.duration(before), words.duration(after), change, "-", "not judged")


def _failures(old: Result, new: Result) -> Line:
    ended = [run["calls"]["finished"] for run in (old, new)]
    if not all(ended):
        return Line("failures", "-", "-", "-", "-", "unclear", "one of the runs completed no calls")
    before, after = (min(run["calls"]["failed"] / run["calls"]["finished"], 1.0) for run in (old, new))
    could_be_off = of_failures(old, new)
    line = Line("failures", words.percent(before), words.percent(after), _points(after - before), "-", "same")
    line = replace(line, noise=_points(could_be_off).lstrip("+"))
    if abs(after - before) > max(could_be_off, _FLOOR_FAILURES):
        return replace(line, verdict="worse" if after > before else "better")
    return line


def _points(share: float) -> str:
    return f"{share * 100:+.2f} pt"


def _streams(old: Result, new: Result) -> list[Line]:
    """First messages and gaps: shown, but no window says how they moved."""
    lines = []
    for title, before, after in (
        ("first message", spread_of(old["first_message"]), spread_of(new["first_message"])),
        ("gap", spread_of(old["gap"]), spread_of(new["gap"])),
    ):
        if before is None or after is None:
            continue
        for name in ("p50", "p99"):
            one, other = before[name], after[name]
            change = _changed(one, other) if one and other else "-"
            figures = words.duration(one), words.duration(other)
            lines.append(Line(f"{title} {name}", *figures, change, "-", "not judged"))
    return lines


def _steps(old: Result, new: Result) -> list[str]:
    rows: list[words.Row] = [["step", "old", "new", "old p50", "new p50", "old p99", "new p99"]]
    for before, after in zip(old["steps"], new["steps"], strict=True):
        cells = [asked_of(after), *(words.calls_a_second(step["rate"]["done"]) for step in (before, after))]
        spreads: Sequence[Spread | None] = [spread_of(step["latency"]) for step in (before, after)]
        for name in ("p50", "p99"):
            cells += ["-" if one is None else words.duration(one[name]) for one in spreads]
        rows.append(cells)
    return align(rows)
