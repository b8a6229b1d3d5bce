"""Compressed bodies: each form there and back, damaged, and far larger than they look."""

from __future__ import annotations

import contextlib
import gzip
import sys
import tracemalloc
import zlib

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eas_grpc.errors import ConfigError
from server_demo.gateway._decompress import BadBody, TooLarge, check_available, decompress
from server_demo.gateway.options import DECOMPRESSORS

COMPRESS = {
    "zlib": zlib.compress,
    "gzip": gzip.compress,
    "snappy": lambda body: bytes(cramjam.snappy.compress_raw(body)),
    "zstd": lambda body: bytes(cramjam.zstd.compress(body)),
    "lz4": lambda body: bytes(cramjam.lz4.compress(body)),
}
every_form = pytest.mark.parametrize("how", DECOMPRESSORS)


@every_form
@given(body=st.binary(max_size=300) | st.builds(bytes.__mul__, st.binary(max_size=9), st.integers(0, 3000)))
def test_every_form_comes_back_up_to_the_limit(how, body):
    packed = COMPRESS[how](body)
    assert decompress(packed, how, limit=None) == body
    assert decompress(packed, how, limit=len(body)) == body
    if body:
        with pytest.raises(TooLarge, match=f"larger than {len(body) - 1} bytes"):
            decompress(packed, how, limit=len(body) - 1)


@every_form
def test_an_empty_body_stays_empty(how):
    assert decompress(b"", how, limit=10) == b""


@every_form
@pytest.mark.parametrize("limit", [None, 100_000])
def test_what_is_damaged_or_something_else_is_refused_in_one_sentence(how, limit):
    packed = COMPRESS[how](bytes(range(256)) * 20)
    others = [COMPRESS[other](b"hello" * 100) for other in DECOMPRESSORS if other != how]
    for bad in (packed[:-1], packed[: len(packed) // 2], packed[:3], packed + b"more", b"\xff" * 30, *others):
        with pytest.raises(BadBody, match=f"not compressed with {how}") as caught:
            decompress(bad, how, limit=limit)
        assert not isinstance(caught.value, TooLarge)


@every_form
@given(body=st.binary(max_size=200), limit=st.none() | st.integers(0, 100_000))
def test_no_bytes_lead_to_another_error(how, body, limit):
    with contextlib.suppress(BadBody):
        plain = decompress(body, how, limit=limit)
        assert limit is None or len(plain) <= limit


@pytest.mark.parametrize("how", ["gzip", "zstd", "lz4"])
def test_several_in_a_row_are_one_body(how):
    assert decompress(COMPRESS[how](b"one,") + COMPRESS[how](b"two"), how, limit=7) == b"one,two"


@every_form
def test_a_bomb_is_given_up_at_the_limit(how):
    bomb = COMPRESS[how](bytes(64_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            decompress(bomb, how, limit=1_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000


def test_a_snappy_block_that_claims_gigabytes_is_not_believed():
    with pytest.raises(BadBody, match="snappy"):
        decompress(b"\xff\xff\xff\xff\x0f" + bytes(40), "snappy", limit=None)


def test_the_densest_snappy_block_is_not_taken_for_a_lie():
    assert decompress(COMPRESS["snappy"](bytes(10_000_000)), "snappy", limit=None) == bytes(10_000_000)


@every_form
def test_a_missing_library_is_told_when_the_service_is_configured(how, monkeypatch):
    monkeypatch.setitem(sys.modules, "cramjam", None)
    if how in {"zlib", "gzip"}:
        check_available(how)
    else:
        with pytest.raises(ConfigError, match=r"pip install 'eas-grpc\[serve\]'"):
            check_available(how)
