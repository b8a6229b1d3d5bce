"""First bytes, raw answers, failed calls, held connections and clocks: what the doctor concludes."""

from __future__ import annotations

import datetime as dt

import pytest

from eas_grpc.doctor import CATALOGUE
from eas_grpc.doctor._calls import judge_call, judge_probe, judge_token_refusal
from eas_grpc.doctor._gateway import describe, judge_answer, judge_clock, refuses_token
from eas_grpc.doctor._http2 import classify, judge_first
from eas_grpc.doctor._idle import Held, describe_held, judge_idle
from eas_grpc.doctor._rpc import padded
from eas_grpc.doctor._seen import Answer, First, Handshake
from eas_grpc.doctor._text import Showing
from eas_grpc.endpoint import Endpoint
from eas_grpc.errors import CallFailure, Origin

TOKEN = "unit-token-of-the-doctor-5e21"
SHOWING = Showing([TOKEN])
PLAIN, TLS = Endpoint.parse("host:80"), Endpoint.parse("https://host")
NOW = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.timezone.utc)


@pytest.mark.parametrize(
    ("data", "speech"),
    [
        (b"", "nothing"),
        (b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64", "http2"),
        (b"\x00\x00\x08\x07\x00\x00\x00\x00\x00" + bytes(8), "goaway"),
        (b"HTTP/1.1 400 Bad Request\r\n", "http1"),
        (b"\x15\x03\x03\x00\x02\x02\x46", "tls"),
        (b"SSH-2.0-OpenSSH", "other"),
        (b"\x00\x00\x07\x04\x00\x00\x00\x00\x00", "other"),
        (b"\x00\x00", "other"),
    ],
)
def test_the_first_bytes_tell_the_protocol(data, speech):
    assert classify(data) == speech


SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


@pytest.mark.parametrize(
    ("endpoint", "first", "more", "found", "sure"),
    [
        (PLAIN, First(SETTINGS), {}, None, None),
        (TLS, First(SETTINGS), {"alpn": "h2"}, None, None),
        (TLS, First(SETTINGS), {"alpn": None}, "http1-only", True),
        (PLAIN, First(b"\x15\x03\x01\x00\x02"), {"tls": Handshake()}, "tls-expected", True),
        (PLAIN, First(b"\x15\x03\x01\x00\x02"), {"tls": Handshake("silence")}, "tls-expected", False),
        (PLAIN, First(b"HTTP/1.1 400 The plain HTTP"), {"tls": Handshake()}, "tls-expected", True),
        (PLAIN, First(ending="closed"), {"tls": Handshake()}, "tls-expected", True),
        (PLAIN, First(b"HTTP/1.1 400 Bad\r\n"), {}, "http1-only", True),
        (PLAIN, First(b"<!DOCTYPE html>"), {"http1": b"HTTP/1.0 501 No\r\n"}, "http1-only", True),
        (PLAIN, First(b"SSH-2.0"), {}, "not-http2", True),
        (PLAIN, First(ending="closed"), {}, "closed", False),
        (PLAIN, First(ending="reset"), {}, "closed", False),
        (PLAIN, First(ending="silence"), {"waited": 1.5}, "silent", True),
        (PLAIN, First(b"\x00\x00\x08\x07\x00\x00\x00\x00\x00" + bytes(8)), {}, "closed", True),
    ],
)
def test_who_answers_the_preface_is_told_apart(endpoint, first, more, found, sure):
    judged = judge_first(endpoint, first, more.pop("tls", None), SHOWING, **more)
    assert [(each.id, each.sure) for each in judged] == ([] if found is None else [(found, sure)])
    assert all(each.exit == 5 and each.advice for each in judged)


def answer(status: int | None = 200, body: bytes = b"", **headers: str) -> Answer:
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Answer(status=status, headers=pairs, body=body)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 413, 429, 450, 500, 502, 503, 504])
def test_each_status_of_a_gateway_has_its_own_finding_with_the_page_as_evidence(status):
    (finding,) = judge_answer(answer(status, f"<h1>{TOKEN} \x1b[0m why</h1>".encode()), SHOWING, where="host")
    assert (finding.id, finding.severity, finding.sure) == (f"gateway-{status}", "fault", True)
    assert finding.id in CATALOGUE
    assert "why" in finding.evidence and TOKEN not in finding.evidence and "\x1b" not in finding.evidence
    assert finding.exit > 64


@pytest.mark.parametrize("status", [302, 418, 499, 599])
def test_any_other_status_is_told_too(status):
    (finding,) = judge_answer(answer(status), SHOWING, where="host")
    assert finding.id == "gateway-other" and str(status) in finding.sentence


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (answer(grpc_status="12"), []),
        (answer(content_type="text/html", body=b"<html>"), ["gateway-html"]),
        (answer(content_type="application/json"), ["gateway-html"]),
        (answer(content_type="application/grpc"), ["call-failed"]),
        (Answer(failure="silence", seconds=1.5), ["timeout"]),
        (Answer(failure="closed"), ["call-failed"]),
    ],
)
def test_a_200_is_only_good_with_a_status_of_grpc(given, found):
    assert [each.id for each in judge_answer(given, SHOWING, where="host")] == found


@pytest.mark.parametrize("text", ["abc", "-1", "99999", "\u0663"])
def test_a_status_of_grpc_that_cannot_be_read_is_none(text):
    assert answer(grpc_status=text).grpc_status is None


def test_a_refused_token_is_seen_in_either_form():
    assert refuses_token(answer(401)) and refuses_token(answer(grpc_status="16"))
    assert not refuses_token(answer(grpc_status="7")) and not refuses_token(answer(403))


def test_the_message_of_a_status_is_decoded_before_the_token_is_masked():
    encoded = "".join(f"%{ord(char):02X}" for char in TOKEN)
    shown = " ".join(describe(answer(grpc_status="16", grpc_message=f"no: {encoded}"), SHOWING))
    assert "no: ***" in shown


@pytest.mark.parametrize(
    ("http", "given", "bare", "found"),
    [
        (False, False, False, ["token-missing"]),
        (True, False, False, ["token-missing", "gateway-401"]),
        (False, True, True, ["token-wants-no-bearer"]),
        (True, True, True, ["token-wants-no-bearer"]),
        (True, True, False, ["gateway-401"]),
        (False, True, False, ["token-refused"]),
    ],
)
def test_why_a_token_is_refused(http, given, bare, found):
    judged = judge_token_refusal(http=http, token_given=given, bare_works=bare, evidence="e")
    assert [each.id for each in judged] == found
    assert {each.exit for each in judged} == {80}


def failure(status: str, details: str = "", **more) -> CallFailure:
    return CallFailure(status=status, details=details, **more)


CLIENT = {"origin": Origin.CLIENT}


@pytest.mark.parametrize(
    ("failed", "more", "found", "sure", "code"),
    [
        (failure("UNIMPLEMENTED", "Method not found!"), {"known": "neither"}, "service-unknown", True, 76),
        (failure("UNIMPLEMENTED", "unknown service x"), {}, "service-unknown", True, 76),
        (failure("UNIMPLEMENTED", "Method not found!"), {"known": "service"}, "method-unknown", True, 76),
        (failure("UNIMPLEMENTED", "Method not found!"), {}, "method-unknown", False, 76),
        (failure("UNIMPLEMENTED", "unknown method y for service x"), {}, "method-unknown", True, 76),
        (failure("UNIMPLEMENTED", "Method not implemented!"), {}, "method-unknown", True, 76),
        (failure("UNIMPLEMENTED", "x", http_status=404), {}, "gateway-404", True, 76),
        (failure("UNAVAILABLE", "x", http_status=503), {}, "gateway-503", True, 78),
        (
            failure("RESOURCE_EXHAUSTED", "SERVER: Received message larger than max (5 vs. 4)"),
            {},
            "request-too-large",
            True,
            72,
        ),
        (
            failure("RESOURCE_EXHAUSTED", "grpc: received message larger than max (5 vs. 4)"),
            {},
            "request-too-large",
            True,
            72,
        ),
        (
            failure("RESOURCE_EXHAUSTED", "CLIENT: Received message larger than max (5 vs. 4)", **CLIENT),
            {},
            "response-too-large",
            True,
            72,
        ),
        (failure("RESOURCE_EXHAUSTED", "quota"), {}, "call-failed", True, 72),
        (failure("RESOURCE_EXHAUSTED", "more calls than your message quota"), {}, "call-failed", True, 72),
        (failure("DEADLINE_EXCEEDED", "Deadline Exceeded", **CLIENT), {}, "timeout", True, 68),
        (failure("DEADLINE_EXCEEDED", "mine", origin=Origin.SERVER), {}, "timeout", False, 68),
        (
            failure("UNAVAILABLE", "DNS resolution failed", **CLIENT),
            {"name_found": True},
            "resolver-disagrees",
            True,
            5,
        ),
        (failure("UNAVAILABLE", "HTTP proxy returned response code 501", **CLIENT), {}, "proxy", True, 5),
        (failure("UNAVAILABLE", "Connection reset", **CLIENT), {}, "call-failed", True, 5),
        (failure("UNAVAILABLE", "busy", origin=Origin.SERVER), {}, "call-failed", True, 78),
        (failure("PERMISSION_DENIED", "no"), {}, "call-failed", True, 71),
    ],
)
def test_a_failed_call_in_terms_of_its_cause(failed, more, found, sure, code):
    judged = judge_call(failed, SHOWING, method="/a.B/C", **more)
    assert (judged.id, judged.sure, judged.exit) == (found, sure, code)
    assert judged.advice


def test_sizes_of_a_message_that_is_too_large_are_told():
    judged = judge_call(
        failure("RESOURCE_EXHAUSTED", "SERVER: Received message larger than max (5000000 vs. 4194304)"),
        SHOWING,
        method="m",
    )
    assert "5000000" in judged.sentence and "4194304" in judged.sentence


@pytest.mark.parametrize(
    ("failed", "found", "sure"),
    [
        (None, None, None),
        (failure("NOT_FOUND"), None, None),
        (
            failure("RESOURCE_EXHAUSTED", "SERVER: Received message larger than max (5 vs. 4)"),
            "request-too-large",
            True,
        ),
        (failure("UNKNOWN", "x", http_status=413), "gateway-413", True),
        (failure("UNAVAILABLE", "Connection reset"), "request-too-large", False),
        (failure("INTERNAL", "Exception deserializing request!"), None, None),
        (failure("INTERNAL", "Received RST_STREAM with error code 2"), "request-too-large", False),
        (failure("UNAUTHENTICATED", "x"), None, None),
    ],
)
def test_a_request_of_a_wanted_size_is_taken_or_not(failed, found, sure):
    judged, told = judge_probe(5000, failed, SHOWING)
    assert [(each.id, each.sure) for each in judged] == ([] if found is None else [(found, sure)])
    assert "5000 bytes" in told


@pytest.mark.parametrize("size", [8, 200, 20_000, 3_000_000])
def test_a_padded_message_is_still_a_message_of_about_that_size(size):
    from grpc_health.v1 import health_pb2

    message = health_pb2.HealthCheckRequest(service="x").SerializeToString()
    large = padded(message, size)
    assert health_pb2.HealthCheckRequest.FromString(large).service == "x"
    assert size - 8 <= len(large) <= size + 8


CALM = (11, b"too_many_pings")


@pytest.mark.parametrize(
    ("quiet", "pinged", "found"),
    [
        (Held(after=60), None, []),
        (Held(after=60), Held("goaway", 60, CALM, pings=3), [("keepalive-refused", "warning")]),
        (Held("goaway", 30, (0, b"idle")), None, [("idle-dropped", "warning")]),
        (Held("closed", 30), None, [("idle-dropped", "warning")]),
        (Held("reset", 30), None, [("idle-dropped", "fault")]),
        (Held("silence", 60), Held(after=60, pings=2), [("idle-dropped", "fault")]),
    ],
)
def test_what_became_of_a_held_connection(quiet, pinged, found):
    judged = judge_idle(quiet, pinged, 60, SHOWING)
    assert [(each.id, each.severity) for each in judged] == found
    assert all(each.advice and describe_held(quiet, SHOWING) for each in judged)


def test_pings_are_the_advice_where_they_kept_the_other_connection():
    (finding,) = judge_idle(Held("closed", 30), Held(after=60, pings=2), 60, SHOWING)
    assert "pings" in finding.advice


@pytest.mark.parametrize(
    ("date", "found"),
    [
        ("Sat, 21 Nov 2026 12:00:03 GMT", False),
        ("Sat, 21 Nov 2026 11:46:00 GMT", False),
        ("Sat, 21 Nov 2026 11:44:00 GMT", True),
        ("Sun, 22 Nov 2026 12:00:00 GMT", True),
        ("yesterday", False),
        ("Sat, 21 Nov 99999 12:00:00 GMT", False),
        (None, False),
    ],
)
def test_clocks_that_are_a_quarter_of_an_hour_apart_are_told(date, found):
    findings, _ = judge_clock(date, NOW)
    assert [each.id for each in findings] == (["clock-skew"] if found else [])
