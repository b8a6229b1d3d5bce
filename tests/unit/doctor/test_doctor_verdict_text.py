"""Which finding is the verdict, with which exit code, and what is safe to show."""

from __future__ import annotations

import pytest

from eas_grpc.doctor import CATALOGUE, STEPS
from eas_grpc.doctor._catalogue import found
from eas_grpc.doctor._records import Question
from eas_grpc.doctor._text import Showing
from eas_grpc.doctor._verdict import outcome, ranked, verdict

TOKEN = "unit-token-of-the-doctor-77aa"


def one(name: str, **more):
    return found(name, "sentence", "advice", **more)


def test_a_fault_comes_before_a_warning_and_that_before_a_note():
    findings = [one("address-scheme"), one("clock-skew"), one("refused")]
    assert [each.id for each in ranked(findings)] == ["refused", "clock-skew", "address-scheme"]
    assert outcome(findings) == "fault"
    assert outcome([]) == "ok"


def test_a_certain_fault_comes_before_a_guess():
    assert ranked([one("refused", sure=False), one("call-failed")])[0].id == "call-failed"


def test_what_keeps_a_call_from_being_sent_comes_first():
    assert ranked([one("refused"), one("token-invalid")])[0].id == "token-invalid"


def test_the_same_finding_of_two_steps_is_told_once():
    assert len(ranked([one("token-missing"), one("token-missing")])) == 1


@pytest.mark.parametrize(
    "name", ["health-missing", "reflection-off", "slow", "wait-for-ready", "plaintext-token"]
)
def test_what_a_service_may_do_without_leaves_the_verdict_ok(name):
    assert verdict([one(name)]) is None


def test_a_note_about_the_address_is_a_verdict_that_exits_0():
    chief = verdict([one("health-missing"), one("address-scheme")])
    assert chief is not None
    assert (chief.id, chief.exit) == ("address-scheme", 0)


@pytest.mark.parametrize(
    ("name", "more", "code"),
    [
        ("endpoint-invalid", {}, 2),
        ("token-invalid", {}, 2),
        ("ca-file-unreadable", {}, 3),
        ("health-not-serving", {}, 4),
        ("refused", {}, 5),
        ("idle-dropped", {}, 1),
        ("idle-dropped", {"severity": "warning"}, 0),
        ("token-refused", {"status": 16}, 80),
        ("call-failed", {}, 1),
        ("call-failed", {"status": 14, "connected": False}, 5),
        ("clock-skew", {}, 0),
    ],
)
def test_each_kind_has_its_exit_code(name, more, code):
    assert one(name, **more).exit == code


def test_every_kind_belongs_to_a_step_and_means_something():
    assert {kind.step for kind in CATALOGUE.values()} <= set(STEPS)
    assert all(kind.meaning and kind.id == name for name, kind in CATALOGUE.items())


def test_what_a_server_sends_cannot_drive_a_terminal():
    shown = Showing()("a\x1b[31mred\x07\u202eback\r\n\tline\x00" + "x" * 400)
    assert shown.isprintable()
    assert "\\x1b[31mred\\x07\\u202eback line" in shown
    assert len(shown) <= 310 and shown.endswith("...")


@pytest.mark.parametrize(
    "text", [TOKEN, f"Bearer {TOKEN}!", f"{TOKEN}".encode(), f"{'x' * 290}{TOKEN}", f"\ud800{TOKEN}"]
)
def test_a_token_that_is_echoed_is_masked_before_the_text_is_cut(text):
    shown = Showing([TOKEN])(text)
    assert not any(TOKEN[:size] in shown for size in (len(TOKEN), 12))


def test_a_token_that_was_broken_over_lines_is_masked_too():
    assert TOKEN not in Showing([f"{TOKEN[:9]} {TOKEN[9:]}"])(f"{TOKEN[:9]}\n{TOKEN[9:]}")


def test_neither_a_question_nor_a_showing_prints_the_token():
    question = Question(address="host", token=TOKEN, metadata=(("x-token", TOKEN),))
    assert TOKEN not in f"{question!r} {Showing([TOKEN])!r} {vars(question)['token']!r}"


def test_a_secret_that_was_cut_off_at_the_end_is_masked_too():
    secret = "tok_0123456789abcdef"
    showing = Showing([secret])
    assert showing(f"HTTP/1.1 401 {secret} {secret[:12]}") == "HTTP/1.1 401 *** ***"
    assert showing("ends in tok") == "ends in tok"
