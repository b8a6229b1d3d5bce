"""What `eas-grpc call` says of a call that fails, beside `buf curl`: status, text, details, and requests that are none."""

from __future__ import annotations

import base64
import json
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.message_factory import GetMessageClass
from interop.kinds.cases import DETAILS, REFUSED
from interop.kinds.judge import KINDS, Judge, stream, values

pytestmark = pytest.mark.interop

TEXT = "größer als 100 % of 𝄞\n"
EVERYTHING = {"everything": {"tree": {"label": "t"}}}
STATUSES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
SHAPES = ["Echo", "Repeat", "Collect", "Chat"]
USAGE = 2


def failing(shape: str, code: int, details: tuple[Any, ...] = ()) -> str:
    """A request of a shape whose call fails; a stream of answers has one before that."""
    failure = {"code": code, "message": TEXT, "details": list(details)}
    if shape == "Repeat":
        return json.dumps({**EVERYTHING, "times": 1, "failure": failure})
    return stream(
        [EVERYTHING, {"failure": failure}] if shape in {"Collect", "Chat"} else [{"failure": failure}]
    )


def record(judge: Judge, method: str, request: str, *options: str) -> dict[str, Any]:
    """All that --output json says of a call."""
    (said,) = judge.ours(method, request, "--output", "json", *options).messages
    return said


@pytest.mark.parametrize("status", STATUSES, ids=lambda status: status.name)
def test_every_status_gives_the_exit_code_of_its_number(judge, status):
    number = status.value[0]
    theirs = judge.theirs(f"{KINDS}/Echo", failing("Echo", number))
    ours = judge.ours(f"{KINDS}/Echo", failing("Echo", number))
    # buf shifts its own bits out of the way, which leaves no room for more than eight.
    assert (theirs.code, ours.code) == (number << 3, 64 + number)
    assert json.loads(theirs.stderr)["message"] == TEXT
    assert status.name in ours.stderr
    assert "größer als 100 % of 𝄞" in ours.stderr


@pytest.mark.parametrize("shape", SHAPES)
def test_the_messages_before_a_failure_are_printed_in_every_shape(judge, shape):
    request = failing(shape, 9)
    theirs, ours = judge.theirs(f"{KINDS}/{shape}", request), judge.ours(f"{KINDS}/{shape}", request)
    assert (theirs.code, ours.code) == (9 << 3, 64 + 9)
    assert ours.messages == theirs.messages == ([EVERYTHING] if shape in {"Repeat", "Chat"} else [])


@pytest.mark.parametrize("shape", SHAPES)
def test_details_are_decoded_and_hold_what_the_bytes_hold_that_buf_shows(judge, pool, shape):
    request = failing(shape, 3, DETAILS)
    theirs = json.loads(judge.theirs(f"{KINDS}/{shape}", request).stderr)["details"]
    ours = record(judge, f"{KINDS}/{shape}", request)
    assert (ours["status"], ours["details"]) == ("INVALID_ARGUMENT", TEXT)
    shown = [json.loads(json.dumps(one)) for one in ours["error_details"]]
    assert len(shown) == len(theirs) == len(DETAILS)
    for mine, other, given in zip(shown, theirs, DETAILS, strict=True):
        assert mine == values(json.dumps(given))[0]
        message_class = GetMessageClass(pool.FindMessageTypeByName(other["type"]))
        data = base64.b64decode(other["value"] + "==")
        assert as_any(message_class.FromString(data), pool) == given


def as_any(message: Any, pool: Any) -> dict[str, Any]:
    """The JSON of a message inside an Any."""
    holder = GetMessageClass(pool.FindMessageTypeByName("google.protobuf.Any"))()
    holder.Pack(message)
    shown: dict[str, Any] = json_format.MessageToDict(holder, descriptor_pool=pool)
    return shown


def test_details_are_printed_beside_the_error_too(judge):
    said = judge.ours(f"{KINDS}/Echo", failing("Echo", 3, DETAILS))
    for detail in DETAILS:
        assert detail["@type"] in said.stderr


@pytest.mark.parametrize("shape", SHAPES)
def test_headers_and_trailers_arrive_both_ways(judge, server, shape):
    options = ("-H", "x-kinds-say: hello", "-H", "x-kinds-say: again", "-H", "x-kinds-say-bin: AP8=")
    ours = record(judge, f"{KINDS}/{shape}", stream([EVERYTHING]), *options)
    assert ours["status"] == "OK"
    assert ours["headers"]["x-kinds-language"][0] in {"python", "go", "js"}
    assert ours["headers"]["x-kinds-begin-bin"] == ["AP8="]
    assert ours["trailers"]["x-kinds-end-bin"] == ["/gD/"]
    assert ", ".join(ours["trailers"]["x-kinds-said"]) == "hello, again"
    assert ours["trailers"]["x-kinds-said-bin"] == ["AP8="]


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_message_is_refused_in_one_sentence_and_not_sent(go_judge, name):
    text = REFUSED[name]
    request = text if text in {"[]", "null"} else f'{{"everything": {text}}}'
    theirs, ours = go_judge.theirs(f"{KINDS}/Echo", request), go_judge.ours(f"{KINDS}/Echo", request)
    assert theirs.code != 0
    assert (ours.code, ours.messages) == (USAGE, [])
    (line,) = ours.stderr.splitlines()
    assert line.startswith("Error: ")


def test_a_bad_message_in_a_stream_ends_the_call_with_the_answers_so_far(go_judge):
    said = go_judge.ours(f"{KINDS}/Chat", stream([EVERYTHING, {"everything": {"tree": 1}}]))
    assert said.code == USAGE
    assert "everything.tree" in said.stderr
    assert said.messages in ([], [EVERYTHING])
