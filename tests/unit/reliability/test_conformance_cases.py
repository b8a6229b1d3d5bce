"""What counts as right in the tables of odd responses and statuses."""

from __future__ import annotations

import grpc
import pytest

from reliability.conformance_cases import GOOD, Case, fault, odd_responses
from reliability.conformance_codes import http_code, reset_codes
from reliability.conformance_negative import NEGATIVE
from reliability.conformance_negative import fault as negative_fault
from reliability.conformance_tables import EAS, STATUSES, eas_fault, grpc_call, grpc_table, name_for

GOT = {"code": "OK", "details": "", "messages": ["hi"], "metadata": [["a", "1"]], "then": "OK"}


def test_an_answer_as_documented_is_right():
    case = Case("x", GOOD, ("OK",), messages=["hi"], details="", metadata=[["a", "1"]])
    assert fault(case, GOT) == ""


@pytest.mark.parametrize(
    ("case", "got", "why"),
    [
        (Case("x", GOOD, ("NOT_FOUND",)), GOT, "OK, not NOT_FOUND"),
        (Case("x", GOOD, ("OK",), messages=[]), GOT, "messages"),
        (Case("x", GOOD, ("OK",), messages=["hi"]), {**GOT, "messages": [None]}, "messages"),
        (Case("x", GOOD, ("OK",), messages=["hi"]), {**GOT, "messages": []}, "messages"),
        (Case("x", GOOD, ("OK",), details="gone"), GOT, "text"),
        (Case("x", GOOD, ("OK",), metadata=[["a", "2"]]), GOT, "metadata"),
        (Case("x", GOOD, ("OK",)), {**GOT, "then": "UNAVAILABLE"}, "the next call"),
    ],
)
def test_another_answer_is_wrong(case, got, why):
    assert fault(case, got).startswith(why)


def test_what_breaks_off_may_lose_messages_but_not_change_them():
    case = Case("x", GOOD, ("OK",), messages=["a", "b"], may_lose=True)
    assert fault(case, {**GOT, "messages": ["a"]}) == ""
    assert fault(case, {**GOT, "messages": ["b"]}).startswith("messages")
    assert fault(case, {**GOT, "messages": ["a", "b", "c"]}).startswith("messages")


def test_a_bare_client_is_not_asked_for_the_next_call():
    assert fault(Case("x", GOOD, ("OK",)), {**GOT, "then": "UNAVAILABLE"}, then=False) == ""


def test_cases_have_names_of_their_own_and_codes_that_exist():
    cases = odd_responses(every_status=True)
    names = [case.name for case in cases]
    assert len(set(names)) == len(names)
    assert {code for case in cases for code in case.codes} <= {code.name for code in grpc.StatusCode}
    assert {f"http-{status}" for status in range(201, 600)} <= set(names)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "INTERNAL"),
        (401, "UNAUTHENTICATED"),
        (404, "UNIMPLEMENTED"),
        (431, "INTERNAL"),
        (503, "UNAVAILABLE"),
        (418, "UNKNOWN"),
        (200, "UNKNOWN"),
    ],
)
def test_http_statuses(status, code):
    assert http_code(status) == code


def test_codes_of_resets():
    assert reset_codes(7) == ("UNAVAILABLE",)
    assert reset_codes(8) == ("CANCELLED",)
    assert reset_codes(0) == reset_codes(13) == ("INTERNAL",)
    assert "OK" not in reset_codes(5)


def test_the_tables_have_their_rows():
    assert len(grpc_table()) == 20 + 14
    assert {row.http for row in EAS} >= set(STATUSES)
    assert len({row.name for row in EAS}) == len(EAS)


def test_what_counts_calls_is_apart_for_each_kind():
    (rated,) = [row for row in EAS if row.name == "too often"]
    assert name_for(rated, "sync") != name_for(rated, "aio")
    assert grpc_call(rated, "sync")["authority"] == "rated-sync.localhost"
    (slow,) = [row for row in EAS if row.name == "too slow"]
    assert name_for(slow, "sync") == name_for(slow, "aio") == "slow"


def test_a_row_is_right_if_one_call_ends_so_and_the_others_well():
    assert eas_fault(450, [200, 450], 200) == ""
    assert eas_fault(450, [200, 200], 200) == "200, 200, not 450"
    assert eas_fault(450, [450, 503], 200) == "also 503"


def _negative(name):
    return next(case for case in NEGATIVE if case.name == name)


ONE = {"code": "OK", "messages": ["hi"], "details": ""}


def test_a_second_call_on_the_connection_that_said_goodbye_is_wrong():
    case, got = _negative("goaway"), {"all": [ONE, ONE]}
    assert negative_fault(case, got, {"connections": [1, 2]}) == ""
    assert "connections [1, 1]" in negative_fault(case, got, {"connections": [1, 1]})


def test_a_ping_without_acknowledgement_is_wrong():
    case, got = _negative("ping"), {"all": [ONE]}
    assert negative_fault(case, got, {"pings": 5, "acknowledged": 5}) == ""
    assert negative_fault(case, got, {"pings": 5, "acknowledged": 4}) == "4 of 5 pings acknowledged"


def test_half_a_message_is_wrong():
    case = _negative("rst_during_data")
    failed = {"code": "INTERNAL", "messages": [], "details": ""}
    assert negative_fault(case, {"all": [failed]}, {}) == ""
    assert negative_fault(case, {"all": [{**failed, "messages": ["h"]}]}, {})
    assert negative_fault(case, {"all": [ONE]}, {})


def test_more_connections_instead_of_waiting_are_wrong():
    case, got = _negative("max_streams"), {"all": [ONE]}
    assert negative_fault(case, got, {"connections": [1, 1]}) == ""
    assert "2 connections" in negative_fault(case, got, {"connections": [1, 2]})
