"""Where the requests of a call come from."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest
from support.call_schema import schema

from eas_grpc.cli import _call_input
from eas_grpc.cli._call_input import Requests, attachment, sources, typed_by_hand
from eas_grpc.cli._call_schema import CallSchema, symbols_of
from eas_grpc.errors import ConfigError, SchemaError
from eas_grpc.schema._payload import Attachments


def requests(method: str, data: list[str], *, attachments: Attachments = Attachments(), **others) -> Requests:
    found = CallSchema(schema(), method, None)
    given = sources(data, streams=found.method.client_streaming, attached=bool(attachments))
    return Requests(found, given, attachments, **others)


def captions(method: str, data: list[str], **others) -> list[str]:
    made = requests(method, data, **others)
    made.check()
    return [message.caption for message in made.messages()]


@pytest.fixture
def stdin(monkeypatch):
    """Puts these bytes on standard input, which is a pipe."""
    opened = []

    def put(content: bytes) -> None:
        read, write = os.pipe()
        os.write(write, content)
        os.close(write)
        opened.append(os.fdopen(read))
        monkeypatch.setattr(sys, "stdin", opened[-1])

    yield put
    for file in opened:
        file.close()


def test_without_data_a_method_of_one_request_gets_an_empty_one():
    assert captions("Store/Put", []) == [""]


def test_a_method_of_one_request_does_not_read_standard_input_unasked(monkeypatch):
    monkeypatch.setattr(_call_input.os, "read", lambda *_: pytest.fail("standard input was read"))
    assert captions("Store/Put", ['{"caption": "a"}']) == ["a"]
    assert captions("Store/Put", []) == [""]


@pytest.mark.parametrize("text", ["-", "@-"])
def test_a_dash_is_standard_input(stdin, text):
    stdin(b'{"caption": "from a pipe"}\n')
    assert captions("Store/Put", [text]) == ["from a pipe"]


def test_a_method_of_many_requests_reads_standard_input_without_data(stdin):
    stdin(b'{"caption": "a"}\n{\n "caption":\n "b"\n}{"caption":"c"}')
    assert captions("Store/PutMany", []) == ["a", "b", "c"]


def test_but_not_where_an_attachment_makes_the_request(monkeypatch):
    monkeypatch.setattr(_call_input.os, "read", lambda *_: pytest.fail("standard input was read"))
    attached = Attachments(contents=(("caption", Path("x"), b"hello"),))
    assert captions("Store/PutMany", [], attachments=attached) == ["hello"]


def test_several_data_options_are_one_stream_in_their_order(tmp_path, stdin):
    (tmp_path / "b.json").write_text('{"caption": "b"} {"caption": "c"}')
    stdin(b'{"caption": "d"}')
    data = ['{"caption": "a"}', f"@{tmp_path / 'b.json'}", "-", "{}"]
    assert captions("Store/Swap", data) == ["a", "b", "c", "d", ""]


def test_attachments_go_into_every_request():
    attached = Attachments(contents=(("image", Path("x"), b"\xff"),))
    made = requests("Store/PutMany", ['{"caption": "a"}{"caption": "b"}'], attachments=attached)
    assert [(each.caption, each.image) for each in made.messages()] == [("a", b"\xff"), ("b", b"\xff")]


def test_requests_are_counted_as_they_are_handed_out():
    made = requests("Store/PutMany", ['{"caption": "a"}{}'])
    made.check()
    assert (made.sent, list(made), made.sent, made.size) == (0, [b"\x12\x01a", b""], 2, 3)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (['{"caption": "a"}', "{}"], "acme.call.v1.Store/Put takes one request, and -d has 2"),
        (["{}{}{}"], "acme.call.v1.Store/Put takes one request, and -d has 3"),
        (['{"captoin": ""}'], "-d: acme.call.v1.Fields has no field `captoin`: do you mean caption?"),
        (['{"caption": 1}'], "-d: "),
        (["{"], "-d: this is not JSON"),
    ],
)
def test_what_cannot_be_one_request_is_said_before_the_call(data, said):
    with pytest.raises(ConfigError) as refused:
        requests("Store/Put", data).check()
    assert said in str(refused.value)


def test_a_wrong_message_of_a_stream_is_told_by_its_number(tmp_path):
    with pytest.raises(ConfigError, match="-d, message 2: "):
        requests("Store/PutMany", ['{"caption": "a"} {"capton": "b"}']).check()
    (tmp_path / "x.json").write_text("{} {} 7")
    made = requests("Store/PutMany", [f"@{tmp_path / 'x.json'}"])
    made.check()
    with pytest.raises(ConfigError, match=r"x.json, message 3: "):
        list(made)
    assert made.sent == 2
    assert isinstance(made.error, ConfigError)


@pytest.mark.parametrize(
    ("name", "why"), [("no.json", "there is no such file"), ("", "it is a folder")], ids=["missing", "folder"]
)
def test_a_file_that_cannot_be_read_is_said_before_the_call(tmp_path, name, why):
    with pytest.raises(SchemaError) as refused:
        sources([f"@{tmp_path / name}"], streams=False, attached=False)
    assert str(refused.value).endswith(f"cannot be read: {why}")


def test_standard_input_is_read_once():
    with pytest.raises(ConfigError, match="standard input can be read once"):
        sources(["-", "{}", "@-"], streams=True, attached=False)


def test_a_closed_standard_input_is_an_empty_stream_or_an_error_if_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert captions("Store/PutMany", []) == []
    with pytest.raises(ConfigError, match="standard input is closed: give the data with -d JSON or -d @FILE"):
        sources(["-"], streams=False, attached=False)


def test_a_standard_input_that_is_no_file_is_read_all_the_same(monkeypatch):
    class Own(io.TextIOWrapper):
        pass

    monkeypatch.setattr(sys, "stdin", Own(io.BytesIO(b'{"caption": "x"}')))
    assert captions("Store/Put", ["-"]) == ["x"]


def test_what_is_typed_is_asked_for_line_by_line():
    said: list[str] = []
    pieces = iter([b"one\n", b"tw", b"o\nthree\n", b"four"])
    assert list(typed_by_hand(pieces, lambda: said.append("?"))) == ["one", "two", "three", "four"]
    assert said == ["?"] * 3


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("image=@cat.jpg", ("image", Path("cat.jpg"))),
        ("a.b.0=@/x/y@z", ("a.b.0", Path("/x/y@z"))),
        ("@x.npz", ("", Path("x.npz"))),
        ("in:0=@x", ("in:0", Path("x"))),
    ],
)
def test_an_attachment_is_a_name_and_a_path(text, found):
    assert attachment("--tensor", text) == found


@pytest.mark.parametrize("text", ["", "x", "x=y", "x=@", "@", "x@y"])
def test_an_attachment_without_either_is_refused(text):
    with pytest.raises(ConfigError, match=r"--tensor .*: write NAME=@PATH"):
        attachment("--tensor", text)


@pytest.mark.parametrize(
    ("method", "symbols"),
    [
        ("a.b.C/D", ("a.b.C",)),
        ("/a.b.C/D", ("a.b.C",)),
        ("a.b.C.D", ("a.b.C",)),
        ("C/D", ("C",)),
        ("D", ()),
    ],
)
def test_reflection_is_asked_for_the_service_that_is_named(method, symbols):
    assert symbols_of(method) == symbols


def test_a_type_that_is_not_known_yet_is_asked_for_once(monkeypatch):
    asked = []

    def fetch(symbols):
        asked.append(symbols)
        return schema()

    found = CallSchema(schema(), "Store/Put", fetch)
    text = '{"anything": {"@type": "type.googleapis.com/acme.Missing"}}'
    for _ in range(2):
        with pytest.raises(ConfigError):
            found.parse(text, where="-d")
    known = '{"anything": {"@type": "type.googleapis.com/acme.call.v1.Part", "label": "x"}}'
    assert found.parse(known, where="-d").anything.type_url.endswith("Part")
    assert asked == [("acme.call.v1.Store", "acme.Missing")]
