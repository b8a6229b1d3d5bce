"""A load run as one HTML file that needs nothing else: charts by plotly, whose script is part of the file.

The page may not connect anywhere, and runs no script but the two that are in it: its policy names them by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import json
from html import escape
from importlib.util import find_spec
from typing import Any

from eas_grpc.errors import ConfigError
from eas_grpc.load import _html_tables as tables
from eas_grpc.load import _report_words as words
from eas_grpc.load._compare import RULE, judge
from eas_grpc.load._html_charts import charts
from eas_grpc.load._html_style import SCRIPT, STYLE
from eas_grpc.load._html_tables import said
from eas_grpc.load._report_text import left_out, limit_of, stable_of, too_few
from eas_grpc.load._result import Result, spread_of

__all__ = ["available", "html", "require"]

_CHARTS = {
    "percentiles": (
        "Latency by percentile",
        "How long the given share of calls took at most; to the right, ever fewer and slower calls.",
    ),
    "histogram": ("Histogram of latency", "How many of all calls took how long."),
    "timeline": (
        "Over time",
        "Calls that ended per second, their latency, and calls under way, window by window.",
    ),
    "ramp": (
        "Steps of the ramp",
        "Latency against the rate that was done: where it turns upwards is the limit.",
    ),
}


def available() -> bool:
    """Whether the charting library is installed."""
    return find_spec("plotly") is not None


def require() -> None:
    """Raises ConfigError, with what to install, when an HTML report could not be written; ask before a run begins."""
    if not available():
        raise ConfigError(
            "an HTML report needs plotly, which is not installed: pip install 'eas-grpc[report]'"
        )


def html(result: Result, old: Result | None = None) -> str:
    """The whole page, about 5 MB; with `old` that run is drawn and judged beside this one.

    Raises ConfigError when plotly is not installed.
    """
    require()
    plotly = (
        str(importlib.import_module("plotly.offline").get_plotlyjs())
        .replace("\r\n", "\n")
        .replace("\r", "\n")
    )
    drawn = charts(result, old)
    scripts = (plotly, SCRIPT)
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(map(_hash, scripts))}",
            "style-src 'unsafe-inline'",  # plotly sets the styles of what it draws
            "img-src data: blob:",  # its button to save a picture
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    title = f"Load: {words.title_of(result)}"
    return "\n".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">\n<link rel="icon" href="data:,">',
            f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>",
            _header(result),
            f"<main>\n{_main(result, old, drawn)}\n</main>",
            f'<script type="application/json" id="charts">{_data(drawn)}</script>',
            *(f"<script>{script}</script>" for script in scripts),
            "</body>\n</html>\n",
        )
    )


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _data(drawn: dict[str, Any]) -> str:
    """JSON that ends no script element, whatever it says."""
    text = json.dumps(drawn, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _header(result: Result) -> str:
    method, address = result["method"].lstrip("/"), result["address"]
    made = f"{said(result['started'])} by {said(result['tool'])}"
    return (
        f"<header>\n<h1>{said(method)}</h1>\n<p>{said(address)}: {escape(', '.join(words.plan_of(result)))}</p>\n"
        f'<p class="soft">{made}</p>\n</header>'
    )


def _main(result: Result, old: Result | None, drawn: dict[str, Any]) -> str:
    parts = [_cards(result)]
    generator = limit_of(result["generator"], open_loop=result["plan"]["mode"] == "open")
    if result["generator"]["limit"]:
        parts.append(f'<p class="note" role="note">{escape(words.sentence(generator))}</p>')
    if result.get("interrupted"):
        parts.append(
            '<p class="note" role="note">The run was interrupted: these are the figures until then.</p>'
        )
    if old is not None:
        parts.append(_comparison(old, result))
    whole = {
        "percentiles": tables.percentiles(result, old),
        "histogram": tables.histogram(result),
        "timeline": tables.timeline(result),
        "ramp": tables.steps(result),
    }
    parts += [_figure(name, whole[name]) for name in _CHARTS if name in drawn]
    spread = spread_of(result["latency"])
    if spread is None:
        parts.append("<section><p>No call was answered, so there is no latency to show.</p></section>")
    failures = tables.errors(result)
    if failures:
        parts.append(f"<section>\n<h2>Statuses</h2>\n{failures}\n</section>")
    parts.append(_details(result, generator))
    return "\n".join(parts)


def _cards(result: Result) -> str:
    calls, latency = result["calls"], spread_of(result["latency"])
    failed = words.count(calls["failed"])
    if calls["failed"] and calls["finished"]:
        failed += f" ({words.percent(calls['failed'] / calls['finished'])})"
    shown = [
        ("calls", words.count(calls["finished"]), ""),
        ("failed", failed, "bad" if calls["failed"] else ""),
        ("rate", words.calls_a_second(result["rate"]["done"]), ""),
    ]
    if result["rate"]["asked"] is not None:
        shown.append(("rate asked", words.calls_a_second(result["rate"]["asked"]), ""))
    if latency is not None:
        shown += [(name, words.duration(latency[name]), "") for name in ("p50", "p99", "max")]
    items = (f'<li class="{kind}"><span>{name}</span><b>{figure}</b></li>' for name, figure, kind in shown)
    return f'<ul class="cards">{"".join(items)}</ul>'


def _comparison(old: Result, new: Result) -> str:
    found = judge(old, new)
    lines = ["<section>\n<h2>Against the old run</h2>"]
    lines.append(f'<p class="soft">{said(old["started"])}, {said(words.title_of(old))}</p>')
    if found.unlike:
        unlike = escape("; ".join(found.unlike))
        lines.append(
            f'<p class="note" role="note">These runs are not alike, so nothing is judged: {unlike}.</p>'
        )
    lines.append(tables.comparison(found))
    if not found.unlike:
        lines.append(f'<p class="soft">{escape(RULE)}</p>')
    return "\n".join([*lines, "</section>"])


def _figure(name: str, table: str) -> str:
    title, caption = _CHARTS[name]
    return (
        f'<section>\n<figure aria-labelledby="{name}-title">\n<h2 id="{name}-title">{title}</h2>\n'
        f'<div class="chart" id="{name}" role="img" aria-label="{title}; the table below has the figures"></div>\n'
        f"<noscript><p>The chart needs JavaScript; the table has the same figures.</p></noscript>\n"
        f"<figcaption>{caption}</figcaption>\n</figure>\n"
        f"<details><summary>The figures as a table</summary>\n{table}\n</details>\n</section>"
    )


def _details(result: Result, generator: str) -> str:
    calls, messages = result["calls"], result["messages"]
    ended = f"{words.plural(calls['finished'], 'call')} in {words.duration(result['seconds'])}, {words.count(calls['ok'])} ok"
    rows = [["plan", ", ".join(words.plan_of(result))], ["calls", ended], ["generator", generator]]
    if any(messages.values()):
        sent = f"{words.count(messages['sent'])} sent ({words.size(messages['bytes_sent'])})"
        received = f"{words.count(messages['received'])} received ({words.size(messages['bytes_received'])})"
        rows.append(["messages", f"{sent}, {received}"])
    if stable := stable_of(result):
        rows.append(["stable", stable])
    if absent := left_out(result):
        rows.append(["not in the figures", ", ".join(absent)])
    spread = spread_of(result["latency"])
    if spread is not None and (few := too_few(spread)):
        rows.append(["percentiles", few])
    if result["plan"]["mode"] == "open":
        clock = "Latency counts from the time when a call was due; service time from when it began."
        rows.append(["clock", clock])
    return f"<section>\n<h2>What was run</h2>\n{tables.table(['', ''], rows, kind='words')}\n</section>"
