"""Faults: how they are written, which calls they happen to, and that the same calls meet with the same."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_grpc.errors import ConfigError
from server_demo.gateway._fault_kinds import COMMON, KINDS, STATUSES, kinds_json
from server_demo.gateway._faults import FaultBook, make, parse

METHOD = "/a.B/C"
POST = "POST /api/predict/echo/v1"


def chosen(book, protocol="grpc", service="echo", method=METHOD):
    return [each.id for each in book.choose(protocol, service, method)]


def test_a_fault_has_the_defaults_of_its_kind():
    fault = make("latency")
    assert fault.values == {"seconds": 0.1, "jitter": 0.0}
    assert (fault.calls, fault.share, fault.seed, fault.service, fault.method) == (None, 1.0, 0, None, None)
    assert fault == parse("latency") == parse("latency:")


def test_every_kind_of_the_contract_is_there_with_its_values():
    assert {name: tuple(value.name for value in kind.values) for name, kind in KINDS.items()} == {
        "latency": ("seconds", "jitter"),
        "status": ("code", "details", "after_messages"),
        "reset": ("after", "connection"),
        "half_close": (),
        "truncated_frame": (),
        "goaway": ("grace",),
        "black_hole": ("direction",),
        "drip": ("size", "interval"),
        "bandwidth": ("bytes_per_second", "direction"),
        "restart": ("down",),
        "never_answer": (),
        "html": ("status",),
        "content_type": ("value",),
        "giant_message": ("size",),
        "no_healthy_upstream": (),
    }
    assert all(make(kind).text() == kind for kind in KINDS)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("latency:seconds=0.2,calls=3", make("latency", seconds=0.2, calls=3)),
        ("latency:seconds=2", make("latency", seconds=2)),
        (" latency : calls = 3 , seconds = 0.2 ", make("latency", seconds=0.2, calls=3)),
        ("status:code=503", make("status", code=503)),
        ("status:code=unavailable", make("status", code="UNAVAILABLE")),
        ('status:code="503"', make("status", code="503")),
        ("status:details=try http://x:80/ again", make("status", details="try http://x:80/ again")),
        ('status:details="a, \\"b\\" \\\\",calls=1', make("status", details='a, "b" \\', calls=1)),
        ("status:details=", make("status", details="")),
        ('status:details=say "hi"', make("status", details='say "hi"')),
        ("status:code=INTERNAL,after_messages=0", make("status", code="INTERNAL", after_messages=0)),
        ("reset:after=headers,connection=true", make("reset", after="headers", connection=True)),
        ("goaway:grace=False", make("goaway", grace=False)),
        ("html:share=0.5,seed=7,service=echo", make("html", share=0.5, seed=7, service="echo")),
        ("half_close:method=POST /api/*", make("half_close", method="POST /api/*")),
        (
            "content_type:value=text/html; charset=utf-8",
            make("content_type", value="text/html; charset=utf-8"),
        ),
    ],
)
def test_a_fault_is_read_from_its_text(text, same):
    assert parse(text) == same
    assert parse(same.text()) == same


def any_value(value):
    limits = {"min_value": value.least, "max_value": value.most}
    some = {
        "int": st.integers(**limits),
        "float": st.floats(**limits, allow_nan=False, allow_infinity=False).filter(lambda x: abs(x) < 1e300),
        "bool": st.booleans(),
        "text": st.text(st.characters(exclude_categories=["Cs"])) | st.text(',"\\ =:\n'),
        "line": st.from_regex('[!-~]([ -~]*[!-~])?|[",\\\\=: a]{0,9}[",\\\\=:]', fullmatch=True).filter(
            lambda text: text == text.strip()
        ),
        "choice": st.sampled_from(value.choices or ("",)),
        "status": st.sampled_from(STATUSES) | st.integers(400, 599),
    }[value.type]
    return some if value.default is not None else some | st.none()


@st.composite
def faults(draw):
    kind = draw(st.sampled_from(list(KINDS.values())))
    values = {value.name: draw(any_value(value)) for value in (*kind.values, *COMMON) if draw(st.booleans())}
    if isinstance(values.get("code"), int):
        values.pop("after_messages", None)
    if kind.name == "html" and values.get("status") in {204, 205, 304}:
        del values["status"]
    return make(kind.name, **values)


@given(faults())
def test_every_fault_can_be_written_and_read(fault):
    assert parse(fault.text()) == fault
    assert json.loads(json.dumps(fault.text())) == fault.text()


@given(st.text() | st.builds("{}:{}".format, st.sampled_from(list(KINDS)), st.text('a=,"\\ :codeseconds1.')))
def test_any_other_text_is_refused_with_a_config_error(text):
    try:
        fault = parse(text)
    except ConfigError:
        return
    assert parse(fault.text()) == fault


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("latncy", "no fault 'latncy': write 'latency'"),
        ("black-hole", "write 'black_hole'"),
        ("xyzzy", "write one of latency, status"),
        ("", "no fault ''"),
        ("latency:second=1", "kind 'latency' has no 'second': write 'seconds'"),
        ("goaway:seconds=1", "kind 'goaway' has no 'seconds': write one of grace, calls"),
        ("latency:seconds=-1", "seconds=-1.0 must be a number from 0 up"),
        ("latency:seconds=soon", "seconds='soon' must be a number from 0 up"),
        ("latency:seconds=nan", "seconds=nan must be"),
        ("latency:seconds=inf", "seconds=inf must be"),
        ("latency:seconds=1,seconds=2", "has seconds twice"),
        ("latency:calls=0", "calls=0 must be a whole number from 1 up"),
        ("latency:calls=1.5", "calls='1.5' must be a whole number"),
        ("latency:share=1.1", "share=1.1 must be a number from 0 to 1"),
        ("latency:service=", "service='' must be printable ASCII"),
        ("latency:1", "cannot be read from '1' on"),
        ("status:details=later, please", "cannot be read from ' please' on.* in double quotes"),
        ('status:details="open', "in double quotes"),
        ('status:details= "open, too', "in double quotes"),
        ('status:details="a"b', "in double quotes"),
        ("status:code=OK", "code='OK' must be the name of a gRPC status other than OK"),
        ("status:code=200", "code=200 must be"),
        ("status:code=503,after_messages=1", "after_messages needs the name of a gRPC status"),
        ("html:status=204", "has no body"),
        ("reset:after=data", "after='data' must be 'nothing' or 'headers'"),
        ("goaway:grace=maybe", "grace='maybe' must be true or false"),
        ("content_type:value=a\r\nb", "must be printable ASCII"),
        ("giant_message:size=4294967296", "from 1 to 4294967295"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_write(text, message):
    with pytest.raises(ConfigError, match=message):
        parse(text)


@pytest.mark.parametrize("value", [None, 3, {}, ["latency"], b"latency"])
def test_what_is_no_text_is_refused(value):
    with pytest.raises(ConfigError, match="a fault is a text like"):
        parse(value)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("latency", {"seconds": "0.1"}),
        ("latency", {"seconds": True}),
        ("latency", {"seconds": None}),
        ("latency", {"seconds": math.nan}),
        ("latency", {"seconds": 10**400}),
        ("latency", {"calls": 1.0}),
        ("latency", {"seed": 10**400}),
        ("latency", {"service": ["echo"]}),
        ("status", {"code": True}),
        ("status", {"code": 503.0}),
        ("status", {"code": None}),
        ("status", {"details": b"x"}),
        ("status", {"details": "\ud800"}),
        ("reset", {"after": ["headers"]}),
        ("goaway", {"grace": 1}),
    ],
)
def test_a_value_of_another_type_is_refused(kind, values):
    with pytest.raises(ConfigError):
        make(kind, **values)


def test_a_fault_happens_to_the_next_calls_and_stays_in_the_list_until_it_is_ended():
    book = FaultBook()
    number = book.add(make("html", calls=2))
    assert [chosen(book) for _ in range(3)] == [[number], [number], []]
    (state,) = book.active()
    assert (state.id, state.hits, state.left) == (number, 2, 0)
    assert book.end(number)
    assert not book.end(number)
    assert book.active() == []


def test_faults_come_in_the_order_they_were_added_and_ids_are_not_used_again():
    book = FaultBook()
    first, second = book.add(make("html")), book.add(make("latency"))
    assert chosen(book) == [first, second]
    book.clear()
    assert chosen(book) == []
    assert book.add(make("html")) not in {first, second}


def test_a_fault_is_for_its_service_and_its_method_alone():
    book = FaultBook()
    service = book.add(make("html", service="echo"))
    assert chosen(book, service="echo") == [service]
    assert chosen(book, service="echo2") == chosen(book, service=None) == []
    book.clear()
    for pattern, calls in {
        METHOD: [METHOD],
        "/a.*": [METHOD],
        "/A.*": [],
        "*/C": [METHOD],
        POST: [POST],
        "/api/predict/*": [POST],
        "POST *": [POST],
        "GET *": [],
        "*": [METHOD, POST],
    }.items():
        book.clear()
        number = book.add(make("html", method=pattern))
        assert [
            m for m in (METHOD, POST) if chosen(book, "http" if m == POST else "grpc", method=m) == [number]
        ] == calls


def test_a_call_that_a_fault_is_not_for_is_not_counted():
    book = FaultBook()
    number = book.add(make("html", calls=1, service="echo"))
    assert chosen(book, service="other") == []
    assert chosen(book, service="echo") == [number]


def test_a_fault_of_http2_or_of_grpc_does_not_happen_to_plain_http():
    book = FaultBook()
    book.add(make("goaway"))
    by_name, by_number = book.add(make("status", code="INTERNAL")), book.add(make("status", code=503))
    assert chosen(book, "http", method=POST) == [by_number]
    assert chosen(book) == [1, by_name, by_number]


def test_a_share_is_drawn_from_the_seed_whatever_other_faults_do():
    def run(*others, seed=7, calls=200):
        book = FaultBook()
        for other in others:
            book.add(other)
        number = book.add(make("latency", share=0.3, jitter=1, seed=seed))
        return [
            [each.delay_seconds for each in book.choose("grpc", "echo", METHOD) if each.id == number]
            for _ in range(calls)
        ]

    alone = run()
    assert alone == run(make("html", share=0.5), make("latency", share=0.2, jitter=3, seed=7))
    assert alone != run(seed=8)
    hit = [delay for each in alone for delay in each]
    assert 30 < len(hit) < 90
    assert all(0.1 <= delay <= 1.1 for delay in hit)
    assert len(set(hit)) == len(hit)


def test_a_share_of_none_and_of_all_are_exact():
    book = FaultBook()
    book.add(make("html", share=0))
    always = book.add(make("html", share=1.0, seed=3))
    assert all(chosen(book) == [always] for _ in range(100))


def test_only_calls_that_it_happens_to_use_up_a_fault():
    book = FaultBook()
    book.add(make("html", share=0.2, calls=5))
    assert sum(len(chosen(book)) for _ in range(200)) == 5


def test_a_fault_that_is_used_up_makes_room_for_the_next_of_its_kind():
    book = FaultBook()
    book.add(make("status", calls=1))
    book.add(make("status", code=503))
    assert [chosen(book), chosen(book)] == [[1, 2], [2]]


@pytest.mark.parametrize("kind", ["black_hole", "drip", "bandwidth"])
def test_a_fault_of_the_link_that_singles_no_call_out_is_for_whole_connections(kind):
    book = FaultBook()
    number = book.add(make(kind))
    assert book.standing() == [(number, make(kind))]
    assert chosen(book) == []
    for values in ({"calls": 1}, {"share": 0.99}, {"service": "echo"}, {"method": "*"}):
        book.clear()
        number = book.add(make(kind, seed=1, **values))
        assert book.standing() == []
        assert chosen(book) == [number]


def test_other_faults_are_never_for_whole_connections():
    book = FaultBook()
    for kind in KINDS.keys() - {"black_hole", "drip", "bandwidth"}:
        book.add(make(kind))
    assert book.standing() == []


def test_the_admin_interface_shows_what_is_on_and_what_was_done():
    book = FaultBook()
    number = book.add(parse("latency:seconds=0.2,calls=3"))
    book.add(parse("html"))
    chosen(book)
    book.note(7, METHOD, number, "latency", "waited 0.2 s")
    assert book.state_json() == [
        {"id": number, "kind": "latency", "text": "latency:seconds=0.2,calls=3", "hits": 1, "left": 2},
        {"id": number + 1, "kind": "html", "text": "html", "hits": 1, "left": None},
    ]
    assert book.trace_json() == [
        {"call": 7, "method": METHOD, "fault": number, "kind": "latency", "did": "waited 0.2 s"}
    ]


def test_the_trace_keeps_the_last_10_000_and_of_each_method_a_line():
    book = FaultBook()
    for call in range(10_001):
        book.note(call, "/x\n" + "y" * 1000, 1, "html", "answered")
    assert [len(book.trace), book.trace[0].call, book.trace[-1].call] == [10_000, 1, 10_000]
    assert book.trace[0].method.startswith("/x?yyy")
    assert len(book.trace[0].method) < 210


def test_the_kinds_are_shown_with_what_they_take():
    kinds = {kind["kind"]: kind for kind in json.loads(json.dumps(kinds_json()))}
    assert kinds.keys() == KINDS.keys()
    assert kinds["latency"]["protocols"] == ["grpc", "http"]
    assert kinds["latency"]["values"][0] == {"name": "seconds", "type": "float", "default": 0.1, "least": 0}
    assert kinds["reset"]["values"][0]["choices"] == ["nothing", "headers"]
    assert kinds["status"]["values"][2] == {
        "name": "after_messages",
        "type": "int",
        "default": None,
        "least": 0,
    }
    assert kinds["goaway"]["protocols"] == ["grpc"]
    assert all(kind["what"] for kind in kinds.values())
