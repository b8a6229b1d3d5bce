"""`eas-grpc call` prints the JSON that `buf curl` prints: every kind of field, four shapes, three servers."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from interop.kinds.cases import ACCEPTED
from interop.kinds.judge import KINDS, NEWER, OLDER, assert_same, stream, values
from interop.kinds.messages import messages
from interop.kinds.samples import samples

pytestmark = pytest.mark.interop

CHATS = {
    "everything": (f"{KINDS}/Chat", "kinds.v1.Everything"),
    "older": (f"{OLDER}/ChatOlder", "kinds.older.v1.Older"),
    "newer": (f"{NEWER}/ChatNewer", "kinds.newer.v1.Newer"),
}
SHAPES = ["Echo", "Repeat", "Collect", "Chat"]
TIMES = 3
# Not made smaller where one fails: each try is two calls, and the messages are small.
generated = settings(
    max_examples=8,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(params=CHATS)
def chat(request) -> tuple[str, str, str]:
    """The field, the method and the type of a bidirectional echo."""
    return (request.param, *CHATS[request.param])


def as_json(message: Any) -> Any:
    return json_format.MessageToDict(message, descriptor_pool=message.DESCRIPTOR.file.pool)


def test_every_field_with_every_border_value_of_its_kind_comes_back(judge, pool, chat):
    field, method, name = chat
    sent = stream({field: as_json(message)} for message in samples(pool.FindMessageTypeByName(name)))
    assert_same(judge.agreed(method, sent), values(sent))


@pytest.mark.parametrize("shape", SHAPES)
@generated
@given(data=st.data())
def test_any_message_comes_back_in_every_shape(judge, pool, shape, data):
    everything = messages(pool.FindMessageTypeByName("kinds.v1.Everything"))
    several = shape in {"Collect", "Chat"}
    drawn = data.draw(st.lists(everything, min_size=1, max_size=4 if several else 1))
    sent = [{"everything": as_json(message)} for message in drawn]
    if shape == "Repeat":
        answers = judge.agreed(f"{KINDS}/{shape}", stream([{**sent[0], "times": TIMES}]))
        expected = sent * TIMES
    else:
        answers = judge.agreed(f"{KINDS}/{shape}", stream(sent))
        expected = [{"everything": [one["everything"] for one in sent]}] if shape == "Collect" else sent
    assert_same(answers, values(stream(expected)))


@pytest.mark.parametrize("field", ["older", "newer"])
@generated
@given(data=st.data())
def test_any_message_of_proto2_and_of_an_edition_comes_back(judge, pool, field, data):
    method, name = CHATS[field]
    drawn = data.draw(st.lists(messages(pool.FindMessageTypeByName(name)), min_size=1, max_size=4))
    sent = stream({field: as_json(message)} for message in drawn)
    assert_same(judge.agreed(method, sent), values(sent))


def test_every_way_to_write_a_value_means_the_same(judge):
    """Over one call, then each where the programs disagree, so that the case is named."""
    judge.agreed(f"{KINDS}/Chat", "\n".join(f'{{"everything": {text}}}' for text in ACCEPTED.values()))


def test_defaults_are_shown_on_demand_as_buf_shows_them_but_for_null_where_a_message_is_absent(judge):
    request = '{"everything": {"scalars": {}, "optionals": {}, "lists": {}, "keys": {}, "tree": {"left": {}}, "names": {}}}'
    theirs, ours = (run(f"{KINDS}/Echo", request, "--emit-defaults") for run in (judge.theirs, judge.ours))
    assert (theirs.code, ours.code) == (0, 0)
    assert_same(ours.messages, [without_null(message) for message in theirs.messages])


def without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_null(one) for key, one in value.items() if one is not None}
    return [without_null(one) for one in value] if isinstance(value, list) else value
