"""The 30 causes of codegen-cli-facts.md, B5, each as a real server or state of this machine, and `eas-grpc doctor` naming it.

`python -m pytest -rP tests/integration/test_doctor_rows.py` prints the table.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support import doctor_rigs_bare as bare
from support.doctor_rigs import ROWS, VARIANTS, Row
from support.doctor_rigs_run import (
    doctor,
    ids,
    late,
    misshapen,
    named,
    true_of,
    unsafe,
    untimed,
    was_late,
    wrong,
)
from support.doctor_rigs_states import Rig
from support.processes import reserved_port

# Of 30; none of the others may be wrong with confidence.
FEWEST_NAMED = 28
# Programs at a time: each takes a core while it starts and then mostly waits.
AT_ONCE = 4


@pytest.fixture(autouse=True)
def _rigs_do_not_log_what_they_receive():
    """Their HTTP/2 library logs every header at DEBUG, tokens too; what the suite searches is what clients log."""
    logger = logging.getLogger("hpack")
    logger.setLevel(logging.INFO)
    yield
    logger.setLevel(logging.NOTSET)


@pytest.mark.parametrize("row", [*ROWS, *VARIANTS], ids=lambda row: row.key)
def test_bare_grpc_meets_what_the_study_says(row: Row, tmp_path: Path):
    with row.make(tmp_path) as rig:
        met = rig.bare()
    assert met.status == row.status
    assert row.text in met.details


def test_waiting_hides_from_bare_grpc_that_nothing_listens():
    with reserved_port() as port:
        address = f"127.0.0.1:{port}"
        waited = bare.call(address, wait_for_ready=True, timeout=bare.SHORT_SECONDS)
        assert waited.status == "DEADLINE_EXCEEDED"
        assert waited.seconds >= bare.SHORT_SECONDS
        assert bare.await_ready(address, bare.SHORT_SECONDS) == ""


@dataclass
class Line:
    """What came of one row."""

    row: Row
    got: str = ""
    named: bool = False
    wrong: list[str] = field(default_factory=list)
    # All else that is not as it should be.
    misses: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        mark = "named " if self.named else "MISSED"
        rest = f"; wrong with confidence: {', '.join(self.wrong)}" if self.wrong else ""
        rest += "".join(f"; {miss}" for miss in self.misses)
        return f"{mark} {self.row.key:<28} {self.row.finding:<22} {self.got:<22} {self.seconds:5.2f} s{rest}"


def examined(row: Row, folder: Path) -> Line:
    """The doctor's answer to one row, as JSON and as people read it."""
    line = Line(row)
    folder.mkdir()
    with row.make(folder) as rig:
        ran = doctor(rig, folder, "--json")
        line.misses += unsafe(ran)
        try:
            report = ran.report
        except ValueError:
            line.misses.append(f"exit {ran.code}, no JSON but {(ran.stdout + ran.stderr)[:300]!r}")
            return line
        _judge(line, rig, report, ran.code)
        line.misses += late(ran, report["seconds"])
        read = doctor(rig, folder)
    line.misses += [f"{miss} (for people)" for miss in unsafe(read) + late(read, 0.0)]
    if read.code != ran.code:
        line.misses.append(f"exit {read.code} without --json")
    main = _main(row, report)
    for key in ("sentence", "advice"):
        if untimed(main[key]) not in untimed(read.words):
            line.misses.append(f"people do not read the {key}: {main[key]!r}")
    return line


def _judge(line: Line, rig: Rig, report: dict[str, Any], code: int) -> None:
    row = line.row
    line.misses += misshapen(report)
    line.got = report["verdict"] if not row.note else "+".join(ids(report)) or "ok"
    line.seconds = report["seconds"]
    line.named = named(row, rig, report)
    line.wrong = wrong(report, true_of(rig, {row.finding, *row.also}))
    if report["verdict"] == "ok" and report["sure"] and not row.note:
        line.wrong.append("ok")
    if report["exit"] != code:
        line.misses.append(f"exit {code}, and {report['exit']} in the report")
    if code not in row.exits and rig.reachable:
        line.misses.append(f"exit {code} instead of {sorted(row.exits)}")
    if row.evidence and row.evidence not in str([report["findings"], report["steps"]]):
        line.misses.append(f"the page's words are no evidence: {row.evidence!r}")


def _main(row: Row, report: dict[str, Any]) -> dict[str, Any]:
    """The finding of the row, or what the report has in its place."""
    return next((each for each in report["findings"] if each["id"] == row.finding), report)


def test_28_of_the_30_causes_are_named_and_none_is_wrong_with_confidence(tmp_path: Path):
    rows = [*ROWS, *VARIANTS]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        lines = list(pool.map(lambda row: examined(row, tmp_path / row.key), rows))
    lines = [
        examined(line.row, tmp_path / f"{line.row.key}-alone") if was_late(line.misses) else line
        for line in lines
    ]
    first = lines[: len(ROWS)]
    count, mistaken = sum(line.named for line in first), [line for line in lines if line.wrong]
    table = "\n".join(map(str, lines))
    said = f"{count} of {len(ROWS)} named, {len(mistaken)} wrong with confidence"
    print(f"{table}\n{said}")
    assert count >= FEWEST_NAMED and not mistaken, f"{said}\n{table}"
    # A row that is not named has said so; whatever is named is also right in all else.
    unfit = [line for line in lines if line.misses]
    assert not unfit, "\n".join(map(str, unfit))
    assert all(line.named for line in lines[len(ROWS) :]), table
