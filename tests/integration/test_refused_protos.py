"""Protos that cannot become working Python: refused where they stand, with a fix that works.

Each folder of `tests/protos/refused` holds one case: protos, and in `case.json` the place, the words, the hint, and the
fix as a change to files or to the command line.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.generated import PROTOS, generate, need_tools, refused, write

REFUSED = PROTOS / "refused"
CASES = sorted(path.parent.name for path in REFUSED.glob("*/case.json"))


@pytest.fixture(autouse=True)
def tools() -> None:
    need_tools()


def case(name: str, tmp_path: Path) -> tuple[Path, dict]:
    home = tmp_path / "work"
    shutil.copytree(REFUSED / name, home)
    (home / "case.json").unlink()
    return home, json.loads((REFUSED / name / "case.json").read_text())


@pytest.mark.parametrize("name", CASES)
def test_what_cannot_be_generated_is_refused_where_it_stands(name, tmp_path):
    """File, line and column, what is wrong and what to do; a status that fails a build, and nothing written."""
    home, wanted = case(name, tmp_path)
    said = refused(*wanted["arguments"], "--out", "out", cwd=home)
    first = said.removeprefix("Error: ").splitlines()[0]
    assert first.startswith(f"{wanted['at']}: error: "), said
    assert wanted["says"] in first, said
    assert wanted["hint"] in said.partition("hint: ")[2], said


@pytest.mark.parametrize("name", CASES)
def test_the_fix_that_is_offered_works(name, tmp_path):
    """A hint that leads to the next error would be worse than none."""
    home, wanted = case(name, tmp_path)
    fix = wanted["fix"]
    for path, old, new in fix.get("replace", []):
        text = (home / path).read_text()
        assert old in text, path
        (home / path).write_text(text.replace(old, new))
    for old, new in fix.get("move", []):
        (home / new).parent.mkdir(parents=True, exist_ok=True)
        (home / old).rename(home / new)
    for path in fix.get("remove", []):
        (home / path).unlink()
    for path in fix.get("recode", []):
        (home / path).write_text((home / path).read_bytes().decode("latin-1"))
    write(home, fix.get("write", {}))
    arguments = fix.get("arguments", wanted["arguments"])
    (home / "mine").mkdir()
    generate(*arguments, "--out", fix.get("out", "out"), *fix.get("options", ()), cwd=home)


def test_every_case_of_refusal_is_a_different_one():
    """A copied case would prove nothing."""
    assert len(CASES) >= 30
    specs = [json.loads((REFUSED / name / "case.json").read_text()) for name in CASES]
    assert len({(spec["at"], spec["says"]) for spec in specs}) == len(specs)
