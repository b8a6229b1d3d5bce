"""The fuzz targets, without the fuzzer: their first inputs, the corpus, and that what is wrong is found."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from eas_grpc.endpoint import Endpoint
from eas_grpc.tensors import tf_serving

FUZZ = Path(__file__).resolve().parents[3] / "fuzz"
pytestmark = pytest.mark.skipif(
    not FUZZ.is_dir(), reason="the tests stand alone here, without the repository"
)
NAMES = sorted(path.stem for path in (FUZZ / "targets").glob("[a-z]*.py"))


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", [str(FUZZ), *sys.path])
    monkeypatch.setattr(tf_serving, "_MOST_LEFT_OUT", tf_serving._MOST_LEFT_OUT)  # which a target lowers
    return importlib.import_module


@pytest.mark.parametrize("name", NAMES)
def test_every_first_input_and_all_of_the_corpus_are_as_they_should_be(load, name: str) -> None:
    frame = load("frame")
    target = load(f"targets.{name}")
    seeds = list(target.seeds())
    assert seeds == list(target.seeds())
    assert len(set(seeds)) > 2
    for data in (*seeds, *frame.corpus(name)):
        assert len(data) <= frame.LONGEST_INPUT
        frame.check(target, data)


def test_the_corpus_is_small_and_of_targets_that_there_are(load) -> None:
    files = list((FUZZ / "corpus").glob("*"))
    assert {path.stem for path in files} <= set(NAMES)
    assert sum(path.stat().st_size for path in files) < 400_000


def test_what_is_kept_is_read_again(load, monkeypatch, tmp_path) -> None:
    frame = load("frame")
    monkeypatch.setattr(frame, "CORPUS", tmp_path / "corpus")
    assert frame.corpus("any") == []
    frame.keep("any", {b"longer\n", b"", b"\0\xff"})
    assert frame.corpus("any") == [b"", b"\0\xff", b"longer\n"]


def test_a_tensor_that_is_read_wrong_is_found(load, monkeypatch) -> None:
    target = load("targets.tensors")
    data = next(iter(target.seeds()))
    request, response = target.formats()[0]
    broken = request._replace(decode=lambda data: request.decode(data)._replace(model="another"))
    monkeypatch.setattr(target, "formats", lambda: [(broken, response)])
    with pytest.raises(AssertionError):
        target.check(data)


def test_an_address_that_means_another_when_it_is_read_again_is_found(load, monkeypatch) -> None:
    monkeypatch.setattr(Endpoint, "__str__", lambda self: f"{self.host}:{self.port + 1}")
    with pytest.raises(AssertionError):
        load("targets.endpoint").check(b"demo.example:80")


def test_a_foreign_error_and_an_endless_input_are_found(load, monkeypatch) -> None:
    frame, target = load("frame"), load("targets.manifest")
    monkeypatch.setattr(target.Manifest, "from_json", lambda data: {}[data])
    with pytest.raises(KeyError):
        frame.check(target, b"{}")
    monkeypatch.setattr(target.Manifest, "from_json", lambda data: target.Manifest)
    monkeypatch.setattr(target, "check", lambda data: None)
    monkeypatch.setattr(frame, "LONGEST", -1)
    with pytest.raises(AssertionError, match="took"):
        frame.check(target, b"{}")


WORDS = "stat::number_of_executed_units: 1234\nstat::peak_rss_mb:              67\n"


@pytest.mark.parametrize(
    ("text", "code", "findings"),
    [(WORDS, 0, 0), (f"=== Uncaught Python exception: ===\n{WORDS}", 77, 1), (WORDS, -9, 1), ("", 0, 1)],
    ids=["good", "an exception", "killed", "nothing was run"],
)
def test_what_a_process_says_is_judged(load, text: str, code: int, findings: int) -> None:
    found = load("run").judged("http1", text, code)
    assert found["findings"] == findings
    assert found["inputs"] == (1234 if text else 0)
    assert found["peak_mb"] == (67 if text else 0)
    assert ("Uncaught" in found["text"]) == ("Uncaught" in text)


def test_every_target_has_a_rate(load) -> None:
    rate = load("run").rate
    assert all(rate(name) == load(f"targets.{name}").RATE for name in NAMES)
