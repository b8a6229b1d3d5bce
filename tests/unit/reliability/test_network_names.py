"""The name server's packets, judged by bytes written by hand (RFC 1035)."""

from __future__ import annotations

import pytest

from reliability.network_names import answered, asked_for

QUESTION = b"\x07service\x04test\x00" + b"\x00\x01" + b"\x00\x01"
QUERY = b"\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + QUESTION
# The same with an EDNS record behind it, as resolvers of today send it.
MODERN = QUERY[:10] + b"\x00\x01" + QUESTION + b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"


@pytest.mark.parametrize("query", [QUERY, MODERN])
def test_a_query_says_what_it_asks_for(query: bytes):
    assert asked_for(query) == ("service.test", 1)


@pytest.mark.parametrize("query", [QUERY, MODERN])
def test_each_address_is_a_record_that_nobody_keeps(query: bytes):
    record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04"
    assert answered(query, ["10.77.0.2", "10.77.0.3"]) == (
        b"\xab\xcd\x85\x80\x00\x01\x00\x02\x00\x00\x00\x00"
        + QUESTION
        + record
        + b"\x0a\x4d\x00\x02"
        + record
        + b"\x0a\x4d\x00\x03"
    )


def test_without_addresses_there_is_no_such_name():
    assert answered(QUERY, []) == b"\xab\xcd\x85\x83\x00\x01\x00\x00\x00\x00\x00\x00" + QUESTION


def test_there_are_no_records_of_another_type_but_the_name_is_there():
    query = QUERY.replace(b"\x00\x01\x00\x01", b"\x00\x1c\x00\x01")
    header = b"\xab\xcd\x85\x80\x00\x01\x00\x00\x00\x00\x00\x00"
    assert answered(query, ["10.77.0.2"]) == header + query[12:]


@pytest.mark.parametrize("length", [*range(12, len(QUERY))])
def test_a_query_that_is_cut_short_is_none(length: int):
    with pytest.raises(ValueError, match="early"):
        answered(QUERY[:length], ["10.77.0.2"])


def test_a_query_with_a_pointer_is_none():
    with pytest.raises(ValueError, match="pointers"):
        asked_for(QUERY[:12] + b"\xc0\x0c\x00\x01\x00\x01")
