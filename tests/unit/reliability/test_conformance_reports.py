"""What other people's programs report, read."""

from __future__ import annotations

import pytest

from reliability.conformance_connect import read_outcome
from reliability.h2spec import Case, read_report

GOOD = "INFO: x failed (as expected):\n\nTotal cases: 646\n611 passed, 0 failed\n(Another 35 failed as expected due to being known failures/flakes.)\n"
BAD = "FAILED: Basic/a:\n\texpecting an error\nFAILED: Basic/b was expected to fail but did not\n\nTotal cases: 3\n1 passed, 2 failed\n"


def test_a_good_run_of_the_conformance_suite():
    found = read_outcome(GOOD, good=True)
    assert (found.total, found.passed, found.failed, found.known, found.names) == (646, 611, 0, 35, [])


def test_a_bad_run_names_its_cases():
    found = read_outcome(BAD, good=False)
    assert (found.total, found.passed, found.failed, found.known) == (3, 1, 2, 0)
    assert found.names == ["Basic/a:", "Basic/b was expected to fail but did not"]


def test_a_run_that_ended_early_is_an_error():
    with pytest.raises(ValueError, match="did not finish: unmatched"):
        read_outcome("unmatched patterns", good=False)


def test_cases_of_h2spec_are_numbered_as_its_command_line_wants_them():
    report = """<testsuites>
      <testsuite package="generic/1" tests="1"><testcase classname="Sends a preface" time="0.1"></testcase></testsuite>
      <testsuite package="http2/3.5" tests="2">
        <testcase classname="Sends a preface"></testcase>
        <testcase classname="Sends a broken one"><failure>The endpoint MUST close
Expected: closed</failure></testcase>
      </testsuite>
    </testsuites>"""
    assert read_report(report) == [
        Case("generic/1/1", "Sends a preface"),
        Case("http2/3.5/1", "Sends a preface"),
        Case("http2/3.5/2", "Sends a broken one", "The endpoint MUST close\nExpected: closed"),
    ]
