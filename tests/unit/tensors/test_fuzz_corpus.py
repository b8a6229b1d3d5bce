"""The fuzz target's first inputs, without the fuzzer."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from eas_grpc.tensors import tf_serving

FUZZ = Path(__file__).resolve().parents[3] / "fuzz"
pytestmark = pytest.mark.skipif(
    not FUZZ.is_dir(), reason="the tests stand alone here, without the repository"
)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", [str(FUZZ), *sys.path])
    monkeypatch.setattr(tf_serving, "_MOST_LEFT_OUT", tf_serving._MOST_LEFT_OUT)  # which the target lowers

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, FUZZ / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def test_the_corpus_is_what_the_script_makes(load) -> None:
    seeds = load("seeds").seeds()
    assert {path.name: path.read_bytes() for path in (FUZZ / "corpus").iterdir()} == seeds
    assert len(seeds) > 90
    assert max(map(len, seeds.values())) < 2000


def test_every_input_of_the_corpus_is_read_as_it_should_be(load) -> None:
    target = load("fuzz_tensors")
    for path in sorted((FUZZ / "corpus").iterdir()):
        target.check(path.read_bytes())


def test_what_is_wrong_is_found(load, monkeypatch) -> None:
    target = load("fuzz_tensors")
    data = (FUZZ / "corpus" / "native-02").read_bytes()
    request, response = target.formats()[0]
    broken = request._replace(decode=lambda data: request.decode(data)._replace(model="another"))
    monkeypatch.setattr(target, "formats", lambda: [(broken, response)])
    with pytest.raises(AssertionError):
        target.check(data)
