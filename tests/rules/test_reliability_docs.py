"""The scoreboard in the docs is what the last long run found."""

from __future__ import annotations

import json

from rules.repository import ROOT

from reliability import report, rows
from reliability.score import ROWS

RESULTS = ROOT / "reliability" / "results" / "long.json"
PAGE = ROOT / "docs" / "reliability.md"


def found():
    return json.loads(RESULTS.read_text("utf-8"))


def test_the_table_is_made_from_the_results_of_a_long_run():
    results = found()
    assert results["form"] == "long"
    assert report.table(results) in PAGE.read_text("utf-8")


def test_every_row_is_in_it_and_none_failed_or_was_skipped():
    assert rows.__all__
    outcomes = {each["id"]: each["outcome"] for each in found()["rows"]}
    assert set(outcomes) == set(ROWS)
    assert set(outcomes.values()) <= {"pass", "missed"}, outcomes
