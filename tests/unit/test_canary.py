"""The search for tokens in the output of all tests, which would be worth nothing if it found none."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.canary import Canaries, search
from support.haul import CANARY, OTHER_CANARY

TESTS = Path(__file__).parents[1]

TESTS_OF_IT = {
    "out": "print(TOKEN)",
    "err": "print(TOKEN, file=sys.stderr)",
    "process": "subprocess.run([sys.executable, '-c', f'print({TOKEN!r})'], check=True)",
    "log": "logging.getLogger('any').debug('sent %s', TOKEN)",
    "failure": "assert TOKEN == 'another'",
    "sent": "eas_grpc.connect('127.0.0.1:1', token=MADE).unary_unary('/a/b').future(b'').cancel(); print(MADE)",
    "nothing": "print('sent Bearer ***')",
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a run prints of tests that show a token, with the hooks of this one."""
    folder = tmp_path_factory.mktemp("leaks")
    (folder / "conftest.py").write_text((TESTS / "conftest.py").read_text("utf-8"))
    tests = "".join(f"def test_{name}():\n    {leak}\n\n" for name, leak in TESTS_OF_IT.items())
    (folder / "test_leaks.py").write_text(
        "import logging, subprocess, sys\nimport eas_grpc\nfrom support.haul import CANARY as TOKEN\n"
        f"MADE = 'made-up-' + 'x' * 20\n\n{tests}"
    )
    (folder / "pytest.ini").write_text(f"[pytest]\npythonpath = {TESTS}\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", str(folder)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout + done.stderr


def test_a_test_that_shows_a_token_fails(report: str) -> None:
    failed = set(re.findall(r"^FAILED \S+::test_(\w+)", report, re.MULTILINE))
    assert failed == set(TESTS_OF_IT) - {"nothing"}, report
    assert "the token is in Captured stderr call" in report
    assert "the token is in the failure" in report


def test_one_that_shows_none_passes(report: str) -> None:
    assert re.search(r"^PASSED \S+::test_nothing$", report, re.MULTILINE)


def test_the_report_does_not_repeat_the_token(report: str) -> None:
    assert CANARY not in report
    assert "made-up-xxx" not in report


def test_the_tokens_that_stand_in_the_suite_are_known() -> None:
    canaries = Canaries()
    canaries.add_constants()
    assert {CANARY, OTHER_CANARY} < canaries.texts
    assert len(canaries.texts) >= 8


def test_short_words_are_no_canaries() -> None:
    canaries = Canaries()
    canaries.add("t")
    canaries.add("demo-token")
    assert search(canaries, [("stdout", "t demo-token")]) == []
