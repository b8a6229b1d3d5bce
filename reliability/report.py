"""How results are shown: a line on the terminal, a row of the table in the docs. Pure, but for `write`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from reliability.score import Figure

__all__ = ["line", "measured_too_much", "missed", "order", "summary", "table", "write"]

BEGIN, END = "<!-- made by `python -m reliability --docs`: begin -->", "<!-- end -->"

# The order of the groups in the study that the ids come from; P is ours.
_GROUPS = "GBCDEFP"


def order(id: str) -> tuple[int, int]:
    """Sorts ids: G1, G2, B1, ..."""
    return _GROUPS.index(id[0]), int(id[1:])


def line(result: Mapping[str, Any]) -> str:
    """One row for the terminal."""
    words = [f"{result['id']:<4}{result['outcome']:<8}{result['title']}: {_figures(result['ours']) or '-'}"]
    words.append(f"target {result['target']}")
    if result["raw"]:
        words.append(f"raw grpcio: {_figures(result['raw'])}")
    words += [f"seed {result['seed']}", f"{result['seconds']} s", *result["notes"]]
    if missing := missed(result):
        words.append(f"MISSED {missing}")
    return " · ".join(words)


def missed(result: Mapping[str, Any]) -> str:
    """The figures that are beyond their limits."""
    return ", ".join(f"{figure} ({figure.limit})" for figure in _beyond(result))


def measured_too_much(result: Mapping[str, Any]) -> bool:
    """Whether a row failed for nothing but times, shares or sizes: figures that another process can spoil."""
    beyond = _beyond(result)
    return result["outcome"] == "fail" and bool(beyond) and all(figure.unit for figure in beyond)


def summary(results: Iterable[Mapping[str, Any]]) -> str:
    """How many of each outcome, and the time in all."""
    results = list(results)
    counts = Counter(each["outcome"] for each in results)
    seconds = sum(each["seconds"] for each in results)
    return (
        ", ".join(f"{counts[kind]} {kind}" for kind in ("pass", "missed", "fail", "skipped"))
        + f" in {seconds:.0f} s"
    )


def table(found: Mapping[str, Any]) -> str:
    """The results as a page shows them: versions, then a table."""
    versions = ", ".join(f"{name} {value}" for name, value in found["versions"].items())
    lines = [
        f"{summary(found['rows'])}; {versions}.",
        "",
        "| | test | ours | target | | raw grpcio | seed | s | date, commit |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for each in found["rows"]:
        notes = "".join(f"<br>*{_cell(note)}*" for note in each["notes"])
        cells = [
            each["id"],
            _cell(each["title"]),
            _cell(_figures(each["ours"])) + notes,
            _cell(each["target"]),
            each["outcome"] if each["outcome"] == "pass" else f"**{each['outcome']}**",
            _cell(_figures(each["raw"])),
            str(each["seed"]),
            f"{each['seconds']:.0f}",
            f"{each['date']}, {each['commit']}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write(page: Path, found: Mapping[str, Any]) -> None:
    """Puts the table between the two marks of a page."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{table(found)}\n{END}{after}")


def _beyond(result: Mapping[str, Any]) -> list[Figure]:
    return [Figure(**each) for each in result["ours"] if each["kept"] is False]


def _figures(figures: Iterable[Mapping[str, Any]]) -> str:
    return ", ".join(str(Figure(**each)) for each in figures)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
