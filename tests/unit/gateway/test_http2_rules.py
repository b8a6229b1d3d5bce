"""What headers may hold, kind by kind."""

from __future__ import annotations

import pytest
from support.http2_rig import REQUEST, RESPONSE

from server_demo.gateway._http2_rules import sort_out, wrong_request, wrong_response, wrong_trailers

RULES = {"request": (wrong_request, REQUEST), "response": (wrong_response, RESPONSE), "trailers": (wrong_trailers, [])}  # fmt: skip


def without(name: bytes) -> list[tuple[bytes, bytes]]:
    return [pair for pair in REQUEST if pair[0] != name]


def test_fields_are_sorted_out_in_their_order():
    fields = sort_out([*REQUEST, (b"host", b"a"), (b"x", b"1"), (b"content-length", b"7"), (b"x", b"2")])
    assert fields.pseudo == dict(REQUEST)
    assert fields.headers == [(b"host", b"a"), (b"x", b"1"), (b"content-length", b"7"), (b"x", b"2")]
    assert (fields.length, fields.host, fields.problem) == (7, b"a", None)


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize(
    "pair",
    [
        (b"grpc-metadata.of-any_kind", b" spaces, and \xff bytes\t"),
        (b"x-bin", b"AAE="),
        (b"te", b"trailers"),
        (b"empty", b""),
        (b"content-length", b"0"),
    ],
)
def test_what_grpc_sends_is_right_in_each_kind(kind, pair):
    judge, start = RULES[kind]
    assert judge(sort_out([*start, pair, pair])) is None


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize(
    "pairs",
    [
        [(b"Upper", b"x")],
        [(b"", b"x")],
        [(b"two words", b"x")],
        [(b"a:b", b"x")],
        [(b"a\r\nb", b"x")],
        [(b"\xe4", b"x")],
        [(b"x", b"a\r\nb: c")],
        [(b"x", b"a\nb")],
        [(b"x", b"a\0b")],
        [(b"connection", b"close")],
        [(b"transfer-encoding", b"chunked")],
        [(b"upgrade", b"websocket")],
        [(b"te", b"gzip")],
        [(b"content-length", b"x")],
        [(b"content-length", b"-1")],
        [(b"content-length", b"+1")],
        [(b"content-length", b"")],
        [(b"content-length", b"1, 1")],
        [(b"content-length", b"9" * 5000)],
        [(b"content-length", b"1"), (b"content-length", b"2")],
        [(b"x", b"1"), (b":late", b"1")],
        [(b":unknown", b"1")],
    ],
    ids=repr,
)
def test_what_could_be_read_in_two_ways_is_wrong_in_each_kind(kind, pairs):
    judge, start = RULES[kind]
    assert judge(sort_out([*start, *pairs])) is not None


@pytest.mark.parametrize(
    "headers",
    [
        without(b":method"),
        without(b":scheme"),
        without(b":path"),
        [*REQUEST, (b":path", b"/twice")],
        [*REQUEST, (b":status", b"200")],
        *(
            [*without(b":path"), (b":path", path)]
            for path in (b"", b"x", b"http://h/", b"/a b", b"/a HTTP/1.1\r\nx: y", b"/\x7f", b"**")
        ),
        *([*without(b":method"), (b":method", method)] for method in (b"", b"GET /x", b"A\r\nB")),
        *([*without(b":authority"), (b":authority", name)] for name in (b"a b", b"a\r\nx: y")),
    ],
    ids=repr,
)
def test_a_request_that_is_none_is_wrong(headers):
    assert wrong_request(sort_out(headers)) is not None


def test_a_request_may_lack_an_authority_and_ask_for_everything():
    assert wrong_request(sort_out(without(b":authority"))) is None
    assert wrong_request(sort_out([*without(b":path"), (b":path", b"*")])) is None


@pytest.mark.parametrize("status", [b"", b"20", b"2000", b"abc", b"099", b"-20"])
def test_a_status_that_is_none_is_wrong(status):
    assert wrong_response(sort_out([(b":status", status)])) is not None


def test_trailers_have_no_status_and_a_response_has_one():
    assert wrong_trailers(sort_out(RESPONSE)) is not None
    assert wrong_response(sort_out([])) is not None
