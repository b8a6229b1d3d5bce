"""The table of findings in docs/doctor.md is the code's own."""

from __future__ import annotations

from pathlib import Path

from eas_grpc.doctor import CATALOGUE, STEPS, Kind

PAGE = Path(__file__).parents[3] / "docs" / "doctor.md"


def row(kind: Kind) -> str:
    code = "0" if kind.severity != "fault" else "64 + status" if kind.exit is None else str(kind.exit)
    return f"| `{kind.id}` | {kind.severity} | {kind.step} | {code} | {kind.meaning} |"


def test_the_table_of_findings_is_that_of_the_code():
    rows = [row(kind) for kind in CATALOGUE.values()]
    lines = PAGE.read_text("utf-8").splitlines()
    head = lines.index("| id | severity | step | exit | what it means |")
    shown = lines[head + 2 : head + 2 + len(rows)]
    assert shown == rows, "write into docs/doctor.md:\n" + "\n".join(rows)
    assert not lines[head + 2 + len(rows)].startswith("|")


def test_every_step_is_told():
    text = PAGE.read_text("utf-8")
    assert [name for name in STEPS if f"| {name} |" not in text] == []
