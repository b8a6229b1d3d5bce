"""How a row's outcome follows from its figures, and how it is shown."""

from __future__ import annotations

import pytest

from reliability import report, rows
from reliability.score import ROWS, Run, outcome


def run_with(tmp_path, **figures):
    run = Run("X1", 1, False, tmp_path)
    for name, value in figures.items():
        run.ours(name, value, "s", at_most=1)
    return run


@pytest.mark.parametrize(
    ("figures", "known", "wanted"),
    [
        ({"a": 1}, {}, "pass"),
        ({"a": 2}, {}, "fail"),
        ({}, {}, "fail"),
        ({"a": 2, "b": 1}, {"a": "why"}, "missed"),
        ({"a": 2, "b": 2}, {"a": "why"}, "fail"),
        ({"a": 1}, {"a": "why"}, "fail"),
        ({"a": 1}, {"~a": "why"}, "pass"),
        ({"a": 2}, {"~a": "why"}, "missed"),
    ],
)
def test_an_outcome_is_honest_in_both_directions(tmp_path, figures, known, wanted):
    assert outcome(run_with(tmp_path, **figures), known) == wanted


def test_a_figure_without_a_promise_decides_nothing(tmp_path):
    run = run_with(tmp_path)
    run.ours("reported", 5)
    assert outcome(run) == "fail"
    run.ours("kept", 0, exactly=0)
    assert outcome(run) == "pass"


def test_the_same_seed_gives_the_same_chance(tmp_path):
    def numbers(seed, row="X1"):
        return [Run(row, seed, False, tmp_path).rng("kills").random() for _ in range(3)]

    assert numbers(1) == numbers(1) != numbers(2)
    assert numbers(1) != numbers(1, "X2")


def test_a_line_has_everything_that_is_needed_to_repeat_it(tmp_path):
    run = run_with(tmp_path, slow=2.0)
    run.raw("raw", 61.5, "s")
    result = {
        "id": "X1",
        "title": "frozen peer",
        "target": "1 s",
        "outcome": "fail",
        "seed": 7,
        "seconds": 3.2,
        "ours": [vars(each) for each in run.figures],
        "raw": [vars(each) for each in run.beside],
        "notes": ["because"],
        "date": "2026-01-01",
        "commit": "abc",
    }
    line = report.line(result)
    for part in (
        "X1",
        "fail",
        "slow 2 s",
        "target 1 s",
        "raw 61.5 s",
        "seed 7",
        "3.2 s",
        "because",
        "MISSED slow 2 s (at most 1)",
    ):
        assert part in line
    assert "| X1 |" in report.table({"versions": {}, "rows": [result]})


def test_every_row_of_the_study_that_is_in_scope_is_there():
    assert rows.__all__
    wanted = (
        {f"G{n}" for n in (1, 2, 3, 4, 5, 6, 8)}
        | {f"B{n}" for n in range(1, 6)}
        | {f"C{n}" for n in range(1, 12)}
    )
    wanted |= {f"D{n}" for n in range(1, 7)} | {f"E{n}" for n in range(1, 6)} | {f"F{n}" for n in range(1, 7)}
    assert wanted <= set(ROWS)
