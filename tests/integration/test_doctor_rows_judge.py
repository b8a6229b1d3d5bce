"""The judge of the doctor's rows notices what it is there for."""

from __future__ import annotations

from typing import Any

import pytest
from support.doctor_rigs import ROWS
from support.doctor_rigs_run import Ran, late, misshapen, named, true_of, unsafe, was_late, wrong
from support.doctor_rigs_states import TOKEN, Rig

CLOSED, SCHEME = ROWS[0], ROWS[2]


def rig(address: str = "127.0.0.1:1", *, reachable: bool = True) -> Rig:
    return Rig(address, bare=lambda: pytest.fail("nobody calls"), reachable=reachable)


def finding(name: str, severity: str = "fault", *, sure: bool = True) -> dict[str, Any]:
    said = {"sentence": "It is so.", "advice": "Do this.", "evidence": "seen"}
    return {"id": name, "severity": severity, "sure": sure, **said}


def report(*findings: dict[str, Any], code: int = 5) -> dict[str, Any]:
    verdict = findings[0]["id"] if findings else "ok"
    step = {"name": "tcp", "outcome": "fault", "seconds": 0.1, "evidence": ["seen"]}
    said = {
        "sentence": "It is so.",
        "advice": "Do this.",
        "address": "127.0.0.1:1",
        "seconds": 0.1,
        "sure": True,
    }
    return {"verdict": verdict, "exit": code, "findings": list(findings), "steps": [step], **said}


def test_the_rows_are_the_30_of_the_study():
    assert [row.number for row in ROWS] == list(range(1, 31))


def test_another_verdict_does_not_name_the_cause():
    assert named(CLOSED, rig(), report(finding("refused")))
    assert not named(CLOSED, rig(), report(finding("silent"), finding("refused")))


def test_a_note_counts_only_where_nothing_else_is_at_fault():
    note = finding("address-scheme", "note")
    assert named(SCHEME, rig(), report(note, code=0))
    assert not named(SCHEME, rig(), report(code=0))
    assert not named(SCHEME, rig(), report(finding("refused"), note))
    assert named(SCHEME, rig(reachable=False), report(finding("refused"), note))


def test_certainty_about_what_is_not_so_is_wrong_and_a_guess_is_not():
    said = report(finding("refused"), finding("silent"), finding("slow", sure=False))
    assert wrong(said, {"refused"}) == ["silent"]
    assert true_of(rig("https://localhost:1"), {"refused"}) == {"refused", "address-scheme"}


@pytest.mark.parametrize("key", ["verdict", "exit", "steps", "seconds"])
def test_a_report_that_lacks_something_is_misshapen(key: str):
    said = report(finding("refused"))
    assert misshapen(said) == []
    del said[key]
    assert misshapen(said)


@pytest.mark.parametrize(
    "changed",
    [
        {"findings": [finding("refused", "terrible")]},
        {"findings": [finding("refused") | {"advice": " "}]},
        {"findings": [{"id": "refused"}]},
        {"verdict": "silent"},
        {"steps": [{"name": "guess", "outcome": "ok", "seconds": 0.1, "evidence": []}]},
    ],
)
def test_a_report_that_breaks_its_promise_is_misshapen(changed: dict[str, Any]):
    assert misshapen(report(finding("refused")) | changed)


def test_tokens_tracebacks_and_control_characters_are_seen():
    assert unsafe(Ran(0, "all is well\n", "", 0.1)) == []
    assert "the token is printed" in unsafe(Ran(0, "", f"sent {TOKEN}", 0.1))
    assert unsafe(Ran(0, "sent another", "", 0.1), "another") == ["the token is printed"]
    assert "a traceback" in unsafe(Ran(1, "", "Traceback (most recent call last):\n", 0.1))
    assert unsafe(Ran(0, "", "a log", 0.1)) == ["on stderr: 'a log'"]
    assert unsafe(Ran(0, "a\x1b[31mb\u202e", "", 0.1)) == [
        "the control character '\\x1b'",
        "the control character '\\u202e'",
    ]


def test_what_takes_too_long_is_late():
    assert late(Ran(0, "", "", 6.0), 4.9) == []
    assert late(Ran(0, "", "", 6.0), 5.1) == ["took 5.10 s by its own account"]
    assert late(Ran(0, "", "", 15.5), 4.9) == ["took 15.50 s"]
    assert was_late(["exit 1", *late(Ran(0, "", "", 15.5), 4.9)]) and not was_late(["exit 1"])
