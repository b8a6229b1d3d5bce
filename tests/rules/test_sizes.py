"""No hand-written file is longer than about four hundred lines: policy, I/O and state do not meet in one."""

from __future__ import annotations

import pytest
from rules.repository import PACKAGES, ROOT, sources

LIMIT = 400


def too_long(text: str) -> bool:
    return text.count("\n") > LIMIT


@pytest.mark.parametrize(
    "path", [path for package in PACKAGES for path in sources(package)], ids=lambda p: p.name
)
def test_no_module_is_too_long(path):
    assert not too_long(path.read_text("utf-8")), f"{path.relative_to(ROOT)} has more than {LIMIT} lines"


def test_no_test_file_is_too_long():
    long = [path for path in sources("tests") if too_long(path.read_text("utf-8"))]
    assert [str(path.relative_to(ROOT)) for path in long] == []


def test_a_file_that_is_too_long_is_found():
    assert too_long("\n" * 401)
    assert not too_long("\n" * 400)
