"""What is committed and shipped: complete, consistent, and free of traces of the machine it was written on."""

from __future__ import annotations

import hashlib
import re

import pytest
from rules.repository import ROOT, files, git, pyproject

import eas_grpc

# Section 3 of the design.
TOP_LEVEL = ["pyproject.toml", "Makefile", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE"]
FOLDERS = ["protos", "generated", "eas_grpc", "server_demo", "tests", "examples", "benchmarks", "docs"]
TEST_FOLDERS = ["unit", "integration", "interop", "rules", "typing"]

# The text of apache.org/licenses/LICENSE-2.0.txt.
APACHE_2 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"

# An address of a package registry or of a mirror of one belongs to a machine's settings.
REGISTRY = re.compile(
    r"https?://[\w.-]*(pypi|pythonhosted|npmjs|yarnpkg|registry|artifactory|nexus|goproxy|mirror)[\w.-]*\b",
    re.IGNORECASE,
)
SCHEME = "https://"  # apart, so that the examples below are not found themselves
MACHINE = re.compile(r"(?<![\w./$}~:-])/(work|root|home|tmp)(?=[/\s\"'`,)]|$)", re.MULTILINE)


def text_of(name: str) -> str:
    try:
        return (ROOT / name).read_text("utf-8")
    except UnicodeDecodeError:
        return ""


def found(pattern: re.Pattern[str], names) -> list[str]:
    return [f"{name}: {match[0]}" for name in names for match in pattern.finditer(text_of(name))]


def test_the_wheel_holds_three_packages_and_the_types_of_each():
    packages = pyproject()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert packages == ["eas_grpc", "generated/eas_grpc_pb", "server_demo"]
    for package in packages:
        assert (ROOT / package / "py.typed").is_file()
        assert (ROOT / package / "__init__.py").is_file()


def test_every_folder_with_code_is_a_package():
    for package in ("eas_grpc", "generated/eas_grpc_pb", "server_demo"):
        for module in (ROOT / package).rglob("*.py"):
            assert (module.parent / "__init__.py").is_file(), module


@pytest.mark.parametrize("root", ["generated", "eas_grpc", "server_demo", "protos"])
def test_git_never_ignores_what_is_shipped(root):
    """The build leaves out what git ignores, and reports success."""
    shipped = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / root).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert shipped
    # Not only the names of today: every kind of file that the generator writes.
    if root == "generated":
        shipped += [
            f"generated/eas_grpc_pb/new/v1/new_pb2{kind}" for kind in (".py", ".pyi", "_grpc.py", "_grpc.pyi")
        ]
    ignored = git("check-ignore", "--no-index", *shipped)
    assert (ignored.returncode, ignored.stdout) == (1, "")


def test_generated_code_is_marked_as_such():
    assert "generated/** linguist-generated=true" in (ROOT / ".gitattributes").read_text()


@pytest.mark.parametrize("name", TOP_LEVEL)
def test_every_top_level_file_is_there_and_not_empty(name):
    assert (ROOT / name).read_text("utf-8").strip()


def test_every_folder_of_the_layout_is_there():
    for name in FOLDERS + [f"tests/{name}" for name in TEST_FOLDERS]:
        assert any((ROOT / name).iterdir()), name


def test_the_licence_is_apache_2_and_every_place_says_so():
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == APACHE_2
    project = pyproject()["project"]
    assert project["license"] == "Apache-2.0"
    assert project["license-files"] == ["LICENSE"]


def test_there_is_one_version():
    assert pyproject()["project"]["dynamic"] == ["version"]
    assert pyproject()["tool"]["hatch"]["version"]["path"] == "eas_grpc/_version.py"
    assert f'__version__ = "{eas_grpc.__version__}"' in (ROOT / "eas_grpc/_version.py").read_text()
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", eas_grpc.__version__)


def test_generated_code_needs_no_newer_runtime_than_the_package_asks_for():
    floors = dict(
        re.split(">=", need, maxsplit=1) for need in pyproject()["project"]["dependencies"] if ";" not in need
    )

    def version(text: str) -> tuple[int, ...]:
        return tuple(map(int, text.split(".")))

    for path in (ROOT / "generated").rglob("*_pb2.py"):
        stamped = re.search(r"# Protobuf Python Version: ([\d.]+)", path.read_text())
        assert stamped, path
        assert version(stamped[1]) <= version(floors["protobuf"]), path
    for path in (ROOT / "generated").rglob("*_pb2_grpc.py"):
        stamped = re.search(r"GRPC_GENERATED_VERSION = '([\d.]+)'", path.read_text())
        assert stamped, path
        assert version(stamped[1]) <= version(floors["grpcio"]), path


def test_no_tracked_file_names_a_package_registry():
    assert found(REGISTRY, files()) == []


def test_no_tracked_file_holds_a_path_of_a_machine():
    # A Dockerfile's paths are those of the image.
    outside = [name for name in files() if not name.startswith("tests/") and not name.endswith("Dockerfile")]
    assert found(MACHINE, outside) == []
    # A test may use a made-up path below one of these, but not the place where this was written.
    machine = re.compile(r"(?<![\w./$}~:-])/(work|root)/", re.MULTILINE)
    assert found(machine, [name for name in files() if name.startswith("tests/")]) == []


def test_no_tracked_file_is_a_leftover_or_too_large():
    leftovers = re.compile(
        r"(^|/)(__pycache__|\.venv|\.DS_Store|node_modules|\.coverage)|\.(pyc|orig|rej|swp|whl)$"
    )
    assert [name for name in files() if leftovers.search(name)] == []
    assert [name for name in files() if (ROOT / name).stat().st_size > 1_000_000] == []


@pytest.mark.parametrize(
    ("text", "is_registry", "is_machine"),
    [
        (SCHEME + "registry.example/x", True, False),
        ("index-url = " + SCHEME + "pypi.example/simple", True, False),
        ("https://www.example.com/pypi", False, False),
        ("cd /home/somebody/eas", False, True),
        ("open('/tmp')", False, True),
        ("#!/bin/sh in $HOME/home and ./tmp/x, a/tmp/b, http://host/home/", False, False),
    ],
)
def test_the_patterns_find_what_they_are_for(text, is_registry, is_machine):
    assert bool(REGISTRY.search(text)) is is_registry
    assert bool(MACHINE.search(text)) is is_machine
