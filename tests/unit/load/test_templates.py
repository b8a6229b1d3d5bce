"""Payloads that differ from call to call."""

from __future__ import annotations

import json
import uuid

import pytest

from eas_grpc.errors import ConfigError
from eas_grpc.load._requests import Requests, source
from eas_grpc.load._templates import compiled, has_placeholders


def filled(text: str, number: int = 0, now: float = 0.0, seed: int = 1) -> str:
    return compiled(text, seed=seed)(number, now)


def test_the_number_of_the_call_is_put_in_with_or_without_space():
    assert filled('{"name": "user-{{n}}", "id": {{ n }}}', 17) == '{"name": "user-17", "id": 17}'


def test_ids_are_version_four_and_differ_within_a_call_and_between_calls():
    made = [filled("{{uuid}} {{uuid}}", number).split() for number in range(50)]
    texts = [text for pair in made for text in pair]
    assert len(set(texts)) == 100
    assert {uuid.UUID(text).version for text in texts} == {4}


def test_random_numbers_are_within_both_ends_and_reach_them():
    found = {int(filled("{{random -2 3}}", number)) for number in range(200)}
    assert found == {-2, -1, 0, 1, 2, 3}


def test_the_same_seed_and_number_give_the_same_text_and_another_seed_another():
    text = "{{uuid}} {{random 1 1000000}}"
    assert filled(text, 5, seed=2) == filled(text, 5, seed=2)
    assert filled(text, 5, seed=2) != filled(text, 5, seed=3)


def test_now_is_written_as_a_timestamp_in_json():
    assert filled("{{now}}", now=1.5) == "1970-01-01T00:00:01.500000Z"


@pytest.mark.parametrize("words", ["", "N", "uuid4", "random", "random 1", "random a b", "random 1 2 3"])
def test_a_placeholder_that_is_none_is_named_with_those_that_are(words):
    with pytest.raises(ConfigError, match=r"is no placeholder: there are \{\{n\}\}"):
        compiled(f'{{"name": "{{{{{words}}}}}"}}', seed=1)


def test_a_range_the_wrong_way_round_is_refused():
    with pytest.raises(ConfigError, match="above the second"):
        compiled("{{random 3 1}}", seed=1)


def test_plain_json_with_nested_objects_has_no_placeholders():
    assert not has_placeholders(json.dumps({"a": {"b": {"c": 1}}}))
    assert has_placeholders('{"a": {{n}}}')


def test_messages_are_used_in_turn_and_shared_out_by_processes():
    requests = Requests(messages=(b"a", b"b", b"c"))

    def taken(part: int, parts: int, many: int) -> list:
        following = source(requests, "/s/m", streaming=False, part=part, parts=parts)
        return [following() for _ in range(many)]

    assert taken(0, 1, 7) == [b"a", b"b", b"c", b"a", b"b", b"c", b"a"]
    first, second = taken(0, 2, 3), taken(1, 2, 3)
    assert [message for pair in zip(first, second, strict=True) for message in pair] == taken(0, 1, 6)


def test_a_stream_of_requests_is_all_messages_each_time():
    following = source(Requests(messages=(b"a", b"b")), "/s/m", streaming=True)
    assert [following(), following()] == [(b"a", b"b"), (b"a", b"b")]


def test_no_message_at_all_is_refused():
    with pytest.raises(ConfigError, match="nothing to send"):
        Requests()
