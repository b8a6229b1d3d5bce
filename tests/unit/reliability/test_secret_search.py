"""What the rows on secrets rest on: the search for a token, and the comparison of two series of timings."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from reliability.canary import forms, occurrences
from reliability.refusals import bad_headers, bad_metadata, judge

SECRET = "Y2FuYXJ5MDEyMzQ1Njc4OWFiY2RlZg=="


@pytest.mark.parametrize(
    "text",
    [
        f"authorization: Bearer {SECRET}",
        repr({"token": SECRET}),
        "https://host/?token=Y2FuYXJ5MDEyMzQ1Njc4OWFiY2RlZg%3D%3D",
        base64.b64encode(SECRET.encode()).decode(),
        SECRET.encode().hex(),
    ],
    ids=["as it is", "in a repr", "in a URL", "as base64", "as hex"],
)
def test_a_token_is_found_however_it_is_written(text: str) -> None:
    assert occurrences(text, SECRET) == 1


def test_a_mask_is_no_occurrence() -> None:
    assert occurrences("authorization: Bearer ***", SECRET) == 0
    assert occurrences(SECRET[:-4], SECRET) == 0


def test_a_token_without_special_characters_is_counted_once() -> None:
    assert forms("plain")[:2] == ["plain", "plain"]
    assert occurrences("plain plain", "plain") == 2


def test_two_series_of_the_same_kind_do_not_differ() -> None:
    found = np.random.default_rng(1).normal(2000, 50, (3000, 2)).round(-1)
    timing = judge(found, 1)
    assert timing.difference <= timing.noise < 40


def test_a_difference_that_is_larger_than_chance_makes_it_is_seen() -> None:
    found = np.random.default_rng(1).normal(2000, 50, (3000, 2)).round(-1)
    found[:, 1] += 40
    timing = judge(found, 1)
    assert timing.difference > timing.noise


def test_no_wrong_token_is_the_right_one() -> None:
    right = f"Bearer {SECRET}"
    for name, pairs in bad_metadata(SECRET).items():
        given = [value for key, value in pairs if key == "authorization"]
        assert given != [right], name
    for name, headers in bad_headers(SECRET).items():
        assert headers.get("Authorization") not in {SECRET, right}, name
    assert len(bad_metadata(SECRET)) >= 6
    assert len(bad_headers(SECRET)) >= 6
