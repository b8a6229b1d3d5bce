"""The program that imports generated modules from memory, run in this process."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable

import pytest

from eas_grpc.codegen import _prove


@pytest.fixture
def prove(monkeypatch, capsys) -> Callable[[dict[str, str]], list[list[str]]]:
    """Ask the program, and forget what it imported."""

    def ask(files: dict[str, str]) -> list[list[str]]:
        monkeypatch.setattr(sys, "path", [*sys.path])
        monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
        monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(files)))
        known = set(sys.modules)
        try:
            _prove.main()
        finally:
            for name in set(sys.modules) - known:
                del sys.modules[name]
        return json.loads(capsys.readouterr().out)

    return ask


def test_good_modules_give_no_failure(prove):
    """In any order, from folders with and without an __init__.py."""
    files = {
        "tree/sub/a_pb2.py": "from tree.sub2 import b_pb2",
        "tree/__init__.py": "",
        "tree/sub2/b_pb2.py": "",
    }
    assert prove(files) == []


def test_each_failure_has_its_file_and_its_reason(prove):
    files = {
        "bad_pb2.py": "x = (",
        "worse_pb2.py": "import bad_pb2",
        "good_pb2.py": "",
        "lost_pb2.py": "import nowhere_pb2",
    }
    failures = dict(prove(files))
    assert sorted(failures) == ["bad_pb2.py", "lost_pb2.py", "worse_pb2.py"]
    assert failures["bad_pb2.py"].startswith("SyntaxError: ")
    assert failures["lost_pb2.py"] == "ModuleNotFoundError: No module named 'nowhere_pb2'"


def test_a_tree_comes_before_what_is_installed_and_shares_namespaces_with_it(prove):
    """`google` is a folder of protobuf's, too."""
    files = {
        "google/mine/a_pb2.py": "from google.protobuf import message",
        "hypothesis_pb2.py": "own = 1",
        "uses_pb2.py": "from hypothesis_pb2 import own",
    }
    assert prove(files) == []


def test_an_error_in_a_module_names_the_path_that_it_will_have(prove):
    code = "import sys\ntry:\n    1 / 0\nexcept ZeroDivisionError as e:\n    path = e.__traceback__.tb_frame.f_code.co_filename\nassert path == 'tree2/a_pb2.py'\n"
    assert prove({"tree2/a_pb2.py": code}) == []


def test_the_source_of_a_module_can_be_asked_for():
    """Tracebacks show lines of it."""
    finder = _prove.Finder({"a/b_pb2.py": "x = 1", "a/__init__.py": ""})
    assert finder.get_source("a.b_pb2") == "x = 1"
    assert (finder.is_package("a"), finder.is_package("a.b_pb2")) == (True, False)
    assert finder.find_spec("other", None) is None
