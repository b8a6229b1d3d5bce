"""How figures and other people's words are written in a report: units, widths, tables. Pure and without locale."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from eas_grpc.load._result import Plan, Result, Window

__all__ = [
    "Row",
    "calls_a_second",
    "columns",
    "count",
    "cut",
    "duration",
    "length",
    "load_of",
    "percent",
    "plan_of",
    "plural",
    "printable",
    "rate_of",
    "sentence",
    "short",
    "size",
    "title_of",
    "wrap",
]

Row = Sequence[str]

_SHAPES = {
    "unary_unary": "unary",
    "unary_stream": "server streaming",
    "stream_unary": "client streaming",
    "stream_stream": "both streaming",
}


def duration(seconds: float | None) -> str:
    """A measured time to three digits in the unit that fits: `812 us`, `1.24 ms`, `3.40 s`."""
    if seconds is None:
        return "-"
    if seconds == 0:
        return "0 us"
    for unit, scale in (("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3)):
        if seconds < 999.5 * scale:
            return f"{_three(seconds / scale)} {unit}"
    days = seconds / 86_400
    return f"{_three(seconds)} s" if seconds < 1e5 else f"{days:,.1f} d" if days < 1e5 else f"{days:.0e} d"


def length(seconds: float) -> str:
    """A length of time that somebody chose: `500 ms`, `10 s`, `2 min`."""
    if seconds >= 120 and seconds % 60 == 0:
        return f"{count(int(seconds // 60))} min"
    return f"{seconds:.10g} s" if seconds >= 1 or seconds == 0 else f"{seconds * 1000:.6g} ms"


def calls_a_second(rate: float | None) -> str:
    """`8,123/s`, `12.5/s`."""
    return "-" if rate is None else f"{_three(rate)}/s" if rate < 100 else f"{short(rate)}/s"


def count(number: int) -> str:
    return f"{number:,}"


def short(number: float) -> str:
    """A count for a narrow column: whole up to a million, then `1.23M`."""
    scaled, unit = float(round(number)), ""
    for bigger in "MGTP":
        if scaled < (1e6 if not unit else 999.5):
            break
        scaled, unit = scaled / (1000 if unit else 1e6), bigger
    return f"{_three(scaled)}{unit}" if unit else f"{round(number):,}"


def plural(number: int, one: str, many: str = "") -> str:
    """`1 call`, `1,234 calls`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def percent(share: float) -> str:
    """A share in percent that is `0 %` and `100 %` only when it is exactly that."""
    if share in (0, 1):
        return f"{share:.0%}".replace("%", " %")
    text = f"{share * 100:.2g}" if share < 0.1 else f"{share * 100:.1f}"
    if share < 0.0001:
        return "<0.01 %"
    return f"{'>99.9' if text == '100.0' and share < 1 else text} %"


def sentence(phrase: str) -> str:
    """The phrase with a capital and a full stop."""
    return f"{phrase[:1].upper()}{phrase[1:].rstrip('.')}."


def size(number: int) -> str:
    """Bytes in the binary unit that fits: `812 B`, `1.24 MiB`."""
    if number < 1024:
        return f"{number} B"
    scaled = float(number)
    for unit in ("KiB", "MiB", "GiB"):
        scaled /= 1024
        if scaled < 1000:
            return f"{_three(scaled)} {unit}"
    return f"{_three(scaled / 1024)} TiB"


def _three(value: float) -> str:
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def printable(text: str) -> str:
    """Somebody else's text on one line, with everything that could move a cursor or hide written as an escape."""
    one_line = " ".join(text.split())
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode()
        for char in one_line
    )


def columns(text: str) -> int:
    """How wide a terminal shows the text: East Asian letters take two columns, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(_width(char) for char in text)


def _width(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cut(text: str, room: int) -> str:
    """The text in at most `room` columns, with `...` where something was left out."""
    return text if columns(text) <= room else _head(text, room - 3).rstrip() + "..."


def _head(text: str, room: int) -> str:
    for index, char in enumerate(text):
        room -= _width(char)
        if room < 0:
            return text[:index]
    return text


def wrap(text: str, room: int) -> list[str]:
    """The text in lines of at most `room` columns, broken between words where that can be done."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and columns(lines[-1]) + 1 + columns(word) <= room:
            lines[-1] += f" {word}"
            continue
        rest = word
        while columns(rest) > room:
            head = _head(rest, room)
            lines.append(head)
            rest = rest[len(head) :]
        lines.append(rest)
    return [line for line in lines if line.strip()] or [""]


def title_of(result: Result) -> str:
    """`pkg.Service/Method on 127.0.0.1:50080`."""
    return f"{printable(result['method']).lstrip('/')} on {printable(result['address'])}"


def load_of(plan: Plan, steps: int = 0) -> str:
    """What kept the server busy, in a few words: `open loop, 500/s`."""
    if steps:
        return f"{plan['mode']} loop, a ramp of {plural(steps, 'step')}"
    if plan["mode"] == "open":
        rate = "" if plan["rate"] is None else f", {calls_a_second(plan['rate'])}"
        return f"open loop{rate}{' at random times' if plan.get('poisson') else ''}"
    return (
        "closed loop"
        if plan["concurrency"] is None
        else f"closed loop, {plural(plan['concurrency'], 'caller')}"
    )


def plan_of(result: Result) -> list[str]:
    """The plan of a run as phrases: what kept the server busy, for how long, over what."""
    plan = result["plan"]
    phrases = [
        _SHAPES.get(result["shape"], printable(result["shape"])),
        load_of(plan, len(result["steps"])),
    ]
    time = "" if plan["seconds"] is None else length(plan["seconds"])
    if plan["until_stable"]:
        time = f"until stable, at most {time}" if time else "until stable"
    if plan["warmup"]:
        time = f"{time} after {length(plan['warmup'])} of warm-up".lstrip()
    phrases += [time] if time else []
    requests = plan.get("requests")
    phrases += [] if requests is None else [f"at most {plural(requests, 'call')}"]
    phrases += [plural(plan["channels"], "channel"), plural(plan["processes"], "process", "processes")]
    if plan["deadline"] is not None:
        phrases.append(f"deadline {length(plan['deadline'])}")
    phrases += ["with retries"] if plan.get("retry") else []
    return phrases


def rate_of(window: Window) -> float | None:
    """Calls that ended in a window, per second; None for a window of no length."""
    return (window["ok"] + window["failed"]) / window["seconds"] if window["seconds"] > 1e-6 else None
