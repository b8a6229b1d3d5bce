"""Lists of known failures: what they explain, and when they are out of date."""

from __future__ import annotations

import pytest

from reliability.conformance_cases import odd_responses
from reliability.conformance_connect import KNOWN, listed
from reliability.conformance_known import judge, read_known


def test_a_failure_that_the_list_has_is_explained():
    found = judge({"a": "", "b": "it hangs"}, ["b"])
    assert (found.total, found.passed, found.known, found.unexplained) == (2, 1, 1, 0)
    assert found.sentences() == []


def test_a_failure_that_the_list_has_not_is_told():
    found = judge({"a": "it hangs", "b": ""}, [])
    assert found.unexplained == 1
    assert found.sentences() == ["a: it hangs"]


def test_a_case_that_passes_again_is_told():
    found = judge({"x/a": "", "x/b": "it hangs"}, ["x/*"])
    assert found.known == 1
    assert found.unexplained == 1
    assert found.sentences() == ["known line 'x/*' is out of date: x/a passes"]


def test_a_line_for_a_case_that_is_gone_is_told():
    assert judge({"a": ""}, ["b"]).sentences() == ["known line 'b' is out of date: there is no such case"]


def test_lines_are_read_with_their_arguments():
    assert read_known("# a comment\n\na/* | core does so | and so\n") == {"a/*": "core does so | and so"}


@pytest.mark.parametrize("text", ["a", "a |", "a | why\na | why"], ids=["bare", "empty", "twice"])
def test_a_line_needs_an_argument_and_stands_once(text):
    with pytest.raises(ValueError, match=r"^line"):
        read_known(text)


@pytest.mark.parametrize("name", ["odd_responses.txt", "odd_responses_grpcio.txt"])
def test_each_line_of_our_lists_is_for_a_case(name):
    known = read_known((KNOWN / name).read_text())
    everything = {case.name: "fails" for case in odd_responses(every_status=True)}
    assert known
    assert judge(everything, known).surprises == {}


def test_lists_for_the_runner_add_up(tmp_path):
    for name in ("connect_client", "connect_client_ours", "connect_client_aio", "connect_client_raw"):
        (tmp_path / f"{name}.txt").write_text(f"{name}\n")
    (tmp_path / "connect_client_flaky.txt").write_text("by chance\n")
    assert listed("client", "aio", folder=tmp_path) == [
        "connect_client",
        "connect_client_ours",
        "connect_client_aio",
    ]
    assert listed("client", "raw", folder=tmp_path) == ["connect_client", "connect_client_raw"]
    assert listed("client", "sync", "_flaky", folder=tmp_path) == ["by chance"]


def test_each_pattern_for_the_runner_has_an_argument():
    for file in KNOWN.glob("connect_*.txt"):
        # A comment line above the first pattern after each comment is its argument; a file begins with what it is.
        lines = [line for line in file.read_text().splitlines() if line]
        assert lines[0].startswith("#") and lines[1].startswith("#"), file.name
