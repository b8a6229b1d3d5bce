"""What type checkers make of generated code: nothing to say of right programs, every planted mistake found.

The programs are in `tests/protos/users`; each wrong line says `# wrong: why` at its end. Each checker runs once, over
all programs and trees together, since it is the slowest thing here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.generated import FORTY, OUR_PROTOS, PROTOS, generate, need_tools, unmeasured, write

USERS = PROTOS / "users"
TREES = {
    "src/my_service/pb": (),
    "src/my_service/portable_pb": ("--runtime", "portable"),
    "src/my_service/sync_pb": ("--client", "sync"),
    "src/my_service/async_pb": ("--client", "async"),
    "generated": ("--package", ""),
}
MARK = re.compile(r"# wrong(?: \((?P<only>\w+)\))?: (?P<why>.+?)(?:  # noqa.*)?$")
MYPY = f"""[mypy]
strict = true
strict_equality = true
enable_error_code = unused-awaitable
python_executable = {sys.executable}
mypy_path = src:generated:{OUR_PROTOS}
explicit_package_bases = true
namespace_packages = true
"""
PYRIGHT = {
    "include": ["src", "generated", "users"],
    "typeCheckingMode": "strict",
    "extraPaths": ["src", "generated", str(OUR_PROTOS)],
    "pythonVersion": "3.11",
    "reportUnusedExpression": False,
    "reportUnusedCoroutine": False,
    "reportMissingModuleSource": False,
}

Places = Mapping[tuple[str, int], str]


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Path:
    """One project with every kind of tree, and the programs beside them."""
    need_tools()
    for name in ("mypy", "pyright"):
        if find_spec(name) is None:
            text = f"no {name} here; it is in the dependency group `lint`"
            pytest.fail(text) if os.environ.get("CI") else pytest.skip(text)
    home = write(
        tmp_path_factory.mktemp("typed"),
        {"pyproject.toml": '[project]\nname = "p"\nversion = "1"\n', "src/my_service/__init__.py": ""},
    )
    for out, options in TREES.items():
        generate(FORTY, "--out", out, *options, cwd=home)
    shutil.copytree(USERS, home / "users", ignore=shutil.ignore_patterns("__pycache__"))
    write(home, {"mypy.ini": MYPY, "pyrightconfig.json": json.dumps(PYRIGHT)})
    return home


@pytest.fixture(scope="session")
def mypy(project) -> Places:
    """Every error by file and line."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--no-color-output", "users", "generated",
         *(out for out in TREES if out.startswith("src"))],
        cwd=project, env=unmeasured(), capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = re.findall(r"^(.+?):(\d+): error: (.*)$", done.stdout, re.MULTILINE)
    assert found, done.stdout
    return {(file, int(line)): text for file, line, text in found}


@pytest.fixture(scope="session")
def pyright(project) -> Places:
    """The same of pyright."""
    done = subprocess.run(
        [Path(sys.executable).with_name("pyright"), "--outputjson", "--pythonpath", sys.executable],
        cwd=project, env=unmeasured(), capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return {
        (Path(each["file"]).relative_to(project).as_posix(), each["range"]["start"]["line"] + 1): each[
            "message"
        ]
        for each in json.loads(done.stdout)["generalDiagnostics"]
        if each["severity"] in ("error", "warning")
    }


@pytest.fixture(params=["mypy", "pyright"])
def checker(request) -> tuple[str, Places]:
    """A checker's name and what it found."""
    return request.param, request.getfixturevalue(request.param)


def planted(checker: str) -> Places:
    """The marked lines that this checker can know to be wrong."""
    marks = {}
    for path in sorted(USERS.glob("*.py")):
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            match = MARK.search(line)
            if match and match["only"] in (None, checker):
                marks[f"users/{path.name}", number] = match["why"]
    return marks


def test_generated_code_has_no_errors(checker):
    """In any form: for both colours or one, in a package or at a source root, for a current or any runtime."""
    _, found = checker
    assert {place: text for place, text in found.items() if not place[0].startswith("users/")} == {}


def test_right_programs_have_no_errors(checker):
    """Nor does anything in them become Any: their `assert_type` would notice."""
    _, found = checker
    right = {f"users/{path.name}" for path in USERS.glob("*.py") if not path.name.startswith("wrong_")}
    assert len(right) >= 5
    assert {place: text for place, text in found.items() if place[0] in right} == {}


def test_every_planted_mistake_is_found_on_its_line_and_nothing_else(checker):
    """Types that let a wrong program pass are worth nothing."""
    name, found = checker
    wanted = planted(name)
    assert len(wanted) >= 50
    wrong = {place: text for place, text in found.items() if place[0].startswith("users/wrong_")}
    assert {place: why for place, why in wanted.items() if place not in wrong} == {}, "not found"
    assert {place: text for place, text in wrong.items() if place not in wanted} == {}, "found too much"


def test_the_checkers_saw_the_programs_as_they_are_run(project):
    """The right programs import for real, so the stubs speak of modules that exist."""
    program = (
        "import sync_client, aio_client, servicers, messages\n"
        "messages.fields(), messages.presence_maps_and_oneofs(), messages.keywords(), messages.extensions()\n"
    )
    path = [project / "src", project / "users", OUR_PROTOS]
    for source in (program, "import sys; sys.path.insert(0, 'generated'); import root_client"):
        done = subprocess.run(
            [sys.executable, "-B", "-c", source], cwd=project, capture_output=True, encoding="utf-8", check=False,
            env={"PYTHONPATH": ":".join(map(str, path))},
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
