"""What is said about a call, and what of it is never said."""

from __future__ import annotations

import json

import pytest

from eas_grpc.cli._call_output import Outcome, Printer, Secrets, escaped, record, secret, timings, verbose
from eas_grpc.errors import CallFailure, Origin

CANARY = "canary-of-call-output-4711"


@pytest.mark.parametrize(
    ("pair", "shown"),
    [
        (("authorization", f"Bearer {CANARY}"), "Bearer ***"),
        (("authorization", CANARY), "***"),
        (("x-api-key", "short"), "***"),
        (("set-cookie", "a=b; c"), "***"),
        (("x-echo", f"you sent {CANARY}"), "you sent ***"),
        (("x-plain", "value"), "value"),
        (("x-trace-bin", b"\x00\xff"), "AP8="),
        (("x-echo-bin", CANARY.encode()), "***"),
        (("x-token-bin", b"abc"), "***"),
    ],
)
def test_metadata_is_shown_without_secrets(pair, shown):
    assert Secrets(CANARY).pairs([pair]) == [(pair[0], shown)]


def test_names_that_occur_several_times_keep_all_values():
    pairs = [("x-a", "1"), ("x-b", "2"), ("x-a", "3")]
    assert Secrets().by_name(pairs) == {"x-a": ["1", "3"], "x-b": ["2"]}


@pytest.mark.parametrize(
    "name", ["authorization", "Proxy-Authorization", "x-access-token", "cookie", "apikey", "api-key"]
)
def test_names_of_secrets_are_known(name):
    assert secret(name) is True


def test_gaps_lie_between_messages():
    outcome = Outcome(times=[0.5, 0.75, 2.0], total=2.5, connect=0.1)
    assert timings(outcome) == {
        "connect": 0.1,
        "schema": None,
        "first_message": 0.5,
        "gaps": [0.25, 1.25],
        "total": 2.5,
    }


def test_a_failed_call_is_recorded_with_who_said_so_and_what_to_do():
    failure = CallFailure("NOT_FOUND", "x", Origin.SERVER, hint=f"is it {CANARY}?")
    outcome = Outcome(
        headers=[("x-h", "1")],
        messages=[{"a": 1}],
        status="NOT_FOUND",
        details=f"no {CANARY}",
        trailers=[("x-t", "2"), ("x-t", "3")],
        failure=failure,
        error_details=[{"@type": "x"}],
        sent=2,
        bytes_sent=9,
    )
    made = record({"method": "a.B/C"}, outcome, Secrets(CANARY))
    made.pop("timings")
    assert made == {
        "method": "a.B/C",
        "sent": {"messages": 2, "bytes": 9},
        "headers": {"x-h": ["1"]},
        "messages": [{"a": 1}],
        "trailers": {"x-t": ["2", "3"]},
        "status": "NOT_FOUND",
        "code": 5,
        "details": "no ***",
        "error_details": [{"@type": "x"}],
        "hint": "is it ***?",
        "origin": "server",
    }


def test_every_status_has_its_number():
    import grpc

    for status in grpc.StatusCode:
        assert record({}, Outcome(status=status.name), Secrets())["code"] == status.value[0]


def test_v_shows_trailers_counts_and_times():
    outcome = Outcome(
        status="OK",
        trailers=[("x-t", CANARY)],
        times=[0.001, 0.003],
        total=0.004,
        sent=1,
        bytes_sent=7,
        received=2,
        bytes_received=30,
    )
    assert verbose(outcome, Secrets(CANARY)) == [
        "< x-t: ***",
        "status OK",
        "1 sent (7 bytes), 2 received (30 bytes)",
        "connect unknown, schema unknown, first message 1.0 ms, longest gap 2.0 ms, total 4.0 ms",
    ]


@pytest.mark.parametrize("text", ["é", "日本", "😀", "plain", "\x7f", "a\u2028b"])
def test_json_in_ascii_means_the_same(text):
    made = escaped(json.dumps({text: text}, ensure_ascii=False))
    assert made.isascii()
    assert json.loads(made) == {text: text}


def test_messages_are_utf_8(capfdbinary):
    Printer().json('"é"')
    assert capfdbinary.readouterr().out == '"é"\n'.encode()


def test_the_prompt_comes_back_below_a_message(capfd):
    printer = Printer()
    printer.typed = True
    printer.json("{}")
    assert capfd.readouterr() == ("{}\n", "\r> ")
