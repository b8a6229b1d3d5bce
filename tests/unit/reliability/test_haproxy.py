"""haproxy's configuration and life, and what is made of the calls that go through it."""

from __future__ import annotations

import random
import re
import socket
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from reliability import proxy_answers, proxy_mirror
from reliability.clients import KINDS
from reliability.haproxy import Haproxy, HaproxyFailed, Setup, configuration, program
from reliability.ledger import SHAPES, Entry
from reliability.proxy_answers import ANSWERS, verdict
from reliability.proxy_calls import Seen
from reliability.proxy_plans import DEADLINE, Due, judge, planned

needs_haproxy = pytest.mark.skipif(program() is None, reason="no haproxy")

SETUP = Setup({"main": ["127.0.0.1:9001", "127.0.0.1:9002"], "other": ["127.0.0.1:9003"]})


# The configuration.


def test_h2c_is_spoken_on_both_sides_and_everything_stays_on_loopback():
    text = configuration(SETUP, 9000)
    assert "bind 127.0.0.1:9000 proto h2" in text
    assert re.findall(r"server \S+ (\S+) proto h2", text) == [
        "127.0.0.1:9001",
        "127.0.0.1:9002",
        "127.0.0.1:9003",
    ]
    assert not re.search(r"bind (?!127\.0\.0\.1:)", text)


def test_the_first_backend_has_what_names_none():
    text = configuration(SETUP, 9000)
    assert "default_backend main" in text
    assert "use_backend other if { req.hdr(x-backend) -m str other }" in text


def test_each_timeout_is_the_idle_time():
    found = dict(re.findall(r"timeout (\S+) (\S+)", configuration(replace(SETUP, idle=0.25), 9000)))
    assert found.pop("connect") == "1s"
    assert set(found) == {"client", "server", "http-keep-alive", "http-request"}
    assert set(found.values()) == {"250ms"}


def test_servers_are_checked_unless_told_otherwise():
    assert configuration(SETUP, 9000).count(" check ") == 3
    assert configuration(replace(SETUP, unchecked=("main",)), 9000).count(" check ") == 1
    assert " check " not in configuration(replace(SETUP, checks=None), 9000)


def test_a_version_changes_nothing_but_a_comment():
    lines = [configuration(replace(SETUP, version=number), 9000).splitlines() for number in (1, 2)]
    assert [pair for pair in zip(*lines, strict=True) if len(set(pair)) > 1] == [
        ("# version 1", "# version 2")
    ]


# A haproxy.


def processes() -> str:
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended meanwhile
            found.append(each.read_text(errors="replace"))
    return "\n".join(found)


def reachable(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as tried:
        return tried.connect_ex((host, int(port))) == 0


@needs_haproxy
def test_it_listens_until_the_block_ends_also_over_a_reload():
    with Haproxy(SETUP) as proxy:
        assert reachable(proxy.address)
        proxy.reload(replace(SETUP, version=1))
        assert proxy.setup.version == 1
        assert reachable(proxy.address)
    assert not reachable(proxy.address)


@needs_haproxy
def test_nothing_is_left_when_the_block_fails():
    with pytest.raises(ZeroDivisionError), Haproxy(SETUP) as proxy:
        assert str(proxy.folder) in processes()
        raise ZeroDivisionError
    assert str(proxy.folder) not in processes()
    assert not proxy.folder.exists()
    assert not reachable(proxy.address)


@needs_haproxy
@pytest.mark.parametrize("when", ["start", "reload"])
def test_a_configuration_that_it_does_not_take_is_told_in_its_words(when: str):
    wrong = replace(SETUP, rules=("http-request no-such-thing",))
    with pytest.raises(HaproxyFailed, match="no-such-thing"):
        if when == "start":
            Haproxy(wrong).__enter__()
        with Haproxy(SETUP) as proxy:
            proxy.reload(wrong)


@needs_haproxy
def test_it_takes_the_rules_of_its_own_answers():
    with Haproxy(replace(SETUP, rules=proxy_answers.rules(), sections=proxy_answers.SECTIONS)) as proxy:
        assert reachable(proxy.address)


# Its own answers.

REFUSED = next(answer for answer in ANSWERS if answer.name == "deny-401")
RIGHT = Seen(
    "id", "unary_unary", "UNAUTHENTICATED", "header with status: 401", origin="GATEWAY", hint="h", http_status=401
)  # fmt: skip
LOST = replace(RIGHT, code="UNKNOWN", details="Stream removed (x)", origin="UNKNOWN", http_status=None)


def test_codes_are_those_of_grpcs_table():
    assert {number: proxy_answers.code_of(number) for number in (400, 401, 403, 404, 429, 431, 500, 503)} == {
        400: "INTERNAL",
        401: "UNAUTHENTICATED",
        403: "PERMISSION_DENIED",
        404: "UNIMPLEMENTED",
        429: "UNAVAILABLE",
        431: "INTERNAL",
        500: "UNKNOWN",
        503: "UNAVAILABLE",
    }


def test_every_answer_has_a_name_of_its_own_that_can_be_part_of_an_id():
    names = [answer.name for answer in ANSWERS]
    assert len(set(names)) == len(names)
    assert not any(re.search(r"\s", name) for name in names)


@pytest.mark.parametrize("kind", KINDS)
def test_a_right_answer_is_right(kind: str):
    assert verdict(REFUSED, RIGHT, kind) == "right"


@pytest.mark.parametrize(
    "change", [{"code": "UNKNOWN"}, {"origin": "SERVER"}, {"http_status": None}, {"hint": ""}]
)
def test_ours_have_to_have_code_origin_status_and_hint(change: dict[str, object]):
    seen = replace(RIGHT, **change)
    assert verdict(REFUSED, seen, "sync") != "right"
    assert (verdict(REFUSED, seen, "raw") == "right") == ("code" not in change)


def test_a_status_may_be_lost_for_a_stream_alone():
    assert verdict(REFUSED, LOST, "sync") not in {"right", "lost"}
    stream = replace(LOST, shape="unary_stream")
    assert verdict(REFUSED, stream, "sync") == "lost"
    assert verdict(REFUSED, replace(stream, hint=""), "sync") == "no hint"
    assert verdict(REFUSED, replace(stream, hint=""), "raw") == "lost"
    assert verdict(REFUSED, replace(stream, code="DEADLINE_EXCEEDED"), "sync") not in {"right", "lost"}


def test_what_grpc_aio_loses_is_no_excuse_for_others():
    seen = replace(LOST, shape="stream_stream", code="INTERNAL", details="Internal error from Core")
    assert verdict(REFUSED, seen, "raw-aio") == "lost"
    assert verdict(REFUSED, replace(seen, shape="unary_stream"), "raw-aio") not in {"right", "lost"}
    for kind in ("aio", "sync", "raw"):
        assert verdict(REFUSED, seen, kind) not in {"right", "lost"}


# Everyday calls.


@pytest.fixture
def dues() -> list[Due]:
    stages = planned("sync", "ledger", random.Random(1), 2, (*proxy_mirror.KINDS, "gateway"))
    return [due for _, stage in stages for due in stage]


def seen_as_it_should_be(due: Due) -> Seen:
    mirrored = tuple(pair for pair in due.ask.metadata if pair[0].startswith(proxy_mirror.PREFIX))
    return Seen(
        due.ask.id,
        due.ask.shape,
        due.code,
        details=bytes.fromhex(dict(mirrored).get(proxy_mirror.DETAILS, "")).decode(),
        seconds=DEADLINE,
        right=True,
        initial=mirrored,
        trailing=mirrored,
        cancelled_at=1.0,
    )


def ledger_of(dues: list[Due], at: float = 1.01) -> list[Entry]:
    return [Entry("cancel", due.ask.id, due.ask.shape, 1, at) for due in dues if due.ask.verb == "hold"]


def findings(dues: list[Due], entries: list[Entry], **changes: Seen):
    seen = {due.ask.id: seen_as_it_should_be(due) for due in dues} | changes
    return judge(dues, seen, entries)


def test_each_test_is_made_in_each_shape(dues):
    for test in ("echo", "mirror", "deadline", "cancel"):
        assert {due.ask.shape for due in dues if due.test == test} == set(SHAPES)
    assert len({due.ask.id for due in dues}) == len(dues)
    assert {due.code for due in dues if due.test == "mirror"} >= {"OK", "UNAVAILABLE", "DATA_LOSS"}


def test_the_same_seed_asks_the_same(dues):
    again = planned("sync", "ledger", random.Random(1), 2, (*proxy_mirror.KINDS, "gateway"))
    assert [due for _, stage in again for due in stage] == dues


def test_nothing_is_wrong_where_all_is_as_it_should_be(dues):
    found = findings(dues, ledger_of(dues))
    assert found.wrong == []
    assert found.calls + found.early == len(dues)
    assert found.slowest_cancel == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("test", "change", "words"),
    [
        ("echo", {"right": False}, "not all of them right"),
        ("echo", {"code": "UNAVAILABLE"}, "instead of OK"),
        ("mirror", {"trailing": ()}, "trailing metadata without"),
        ("mirror", {"initial": ()}, "initial metadata without"),
        ("deadline", {"seconds": 2 * DEADLINE}, "ended after"),
        ("cancel", {"cancelled_at": 0.5}, "told late"),
    ],
)
def test_what_is_wrong_is_found(dues, test: str, change: dict[str, object], words: str):
    due = next(due for due in dues if due.test == test)
    wrong = findings(
        dues, ledger_of(dues), **{due.ask.id: replace(seen_as_it_should_be(due), **change)}
    ).wrong
    assert len(wrong) == 1
    assert words in wrong[0]


def test_changed_details_are_found(dues):
    due = next(due for due in dues if due.test == "mirror" and due.code != "OK")
    seen = replace(seen_as_it_should_be(due), details="others")
    assert "details are 'others'" in findings(dues, ledger_of(dues), **{due.ask.id: seen}).wrong[0]


@pytest.mark.parametrize(("kind", "wrong"), [("sync", 1), ("aio", 0)])
def test_a_failed_stream_of_grpc_aio_may_be_without_initial_metadata(kind: str, wrong: int):
    stages = planned(kind, "ledger", random.Random(1), 1, proxy_mirror.KINDS)
    dues = [due for _, stage in stages for due in stage]
    failed = next(
        due for due in dues if due.test == "mirror" and due.code != "OK" and due.ask.shape == "unary_stream"
    )
    seen = replace(seen_as_it_should_be(failed), initial=())
    found = findings(dues, ledger_of(dues), **{failed.ask.id: seen})
    assert (len(found.wrong), found.no_initial) == (wrong, 1 - wrong)


@pytest.mark.parametrize(("code", "shape"), [("OK", "unary_stream"), ("ABORTED", "unary_unary")])
def test_other_calls_of_grpc_aio_have_to_have_it(code: str, shape: str):
    stages = planned("aio", "ledger", random.Random(1), 1, proxy_mirror.KINDS)
    dues = [due for _, stage in stages for due in stage]
    due = next(due for due in dues if due.test == "mirror" and (due.code, due.ask.shape) == (code, shape))
    seen = replace(seen_as_it_should_be(due), initial=())
    assert len(findings(dues, ledger_of(dues), **{due.ask.id: seen}).wrong) == 1


def test_a_server_that_is_not_told_is_found(dues):
    held = [due for due in dues if due.ask.verb == "hold"]
    assert len(findings(dues, []).wrong) == len(held) > 0


def test_an_early_refusal_is_counted_and_not_judged(dues):
    due = next(due for due in dues if due.test == "early")
    found = findings(
        dues, ledger_of(dues), **{due.ask.id: replace(seen_as_it_should_be(due), code="CANCELLED")}
    )
    assert found.wrong == []
    assert found.early_right == found.early - 1
