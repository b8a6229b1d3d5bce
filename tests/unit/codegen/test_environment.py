"""What an interpreter's environment holds, found without starting it where that is possible."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from eas_grpc.codegen import _environment
from eas_grpc.codegen._environment import import_paths, installed_requirements, installed_version, proto_roots


@pytest.fixture(autouse=True)
def forget():
    """Answers are kept for the life of a process."""
    import_paths.cache_clear()
    yield
    import_paths.cache_clear()


def environment(folder: Path, *, config: bool = True) -> tuple[str, Path]:
    """A virtual environment as far as looking goes; its interpreter is a program that must not be started."""
    packages = folder / "lib/python3.99/site-packages"
    packages.mkdir(parents=True)
    (folder / "bin").mkdir()
    python = folder / "bin/python"
    python.write_text(f"#!/bin/sh\ntouch {folder}/started\nexit 1\n")
    python.chmod(0o755)
    if config:
        (folder / "pyvenv.cfg").write_text("")
    return str(python), packages


def package(folder: Path, name: str, version: str, *requires: str) -> None:
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {each}" for each in requires)]
    (info / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines) + "\n")


def test_this_interpreter_imports_from_where_it_does():
    assert import_paths(sys.executable) == tuple(path for path in sys.path if path and Path(path).is_dir())


def test_another_interpreter_of_the_same_program_is_not_taken_for_this_one(tmp_path):
    """Two environments link to one interpreter; the name decides."""
    python, packages = environment(tmp_path)
    Path(python).unlink()
    Path(python).symlink_to(sys.executable)
    assert import_paths(python) == (str(packages),)


def test_a_virtual_environment_is_read_without_starting_its_interpreter(tmp_path):
    python, packages = environment(tmp_path)
    assert import_paths(python) == (str(packages),)
    assert not (tmp_path / "started").exists()


def test_any_other_interpreter_is_asked_once(tmp_path):
    """One of the system keeps its packages anywhere."""
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho x >> {tmp_path}/asked\necho '{json.dumps(['/a', '/b'])}'\n")
    python.chmod(0o755)
    assert import_paths(str(python)) == import_paths(str(python)) == ("/a", "/b")
    assert (tmp_path / "asked").read_text() == "x\n"


def test_a_folder_that_only_looks_like_an_environment_is_asked(tmp_path):
    python, _ = environment(tmp_path, config=False)
    assert import_paths(python) == ()
    assert (tmp_path / "started").exists()


def test_an_interpreter_that_cannot_be_started_has_nothing():
    """Whoever starts it next says what is wrong with it."""
    assert import_paths("/nowhere/python") == ()


@pytest.mark.parametrize("name", ["mypy-protobuf", "mypy_protobuf", "Mypy.Protobuf"])
def test_a_version_is_found_under_any_spelling_of_the_name(tmp_path, name):
    package(tmp_path, "mypy-protobuf", "3.6.0")
    assert installed_version(name, [str(tmp_path)]) == "3.6.0"
    assert installed_version("other", [str(tmp_path)]) == ""
    assert installed_version(name, []) == ""


def test_the_first_folder_wins_as_it_does_for_an_import(tmp_path):
    for folder, version in (("a", "2"), ("b", "1")):
        (tmp_path / folder).mkdir()
        package(tmp_path / folder, "grpcio-tools", version)
    assert installed_version("grpcio-tools", [str(tmp_path / "a"), str(tmp_path / "b")]) == "2"


def test_what_packages_ask_for_is_listed_by_name_and_version(tmp_path):
    package(tmp_path, "tritonclient", "2.41.0", "protobuf<5", 'grpcio; extra == "grpc"')
    package(tmp_path, "plain", "1.0")
    assert installed_requirements([str(tmp_path)]) == {
        "tritonclient 2.41.0": ["protobuf<5", 'grpcio; extra == "grpc"'],
        "plain 1.0": [],
    }


def test_our_own_protos_are_always_found(tmp_path):
    python, _ = environment(tmp_path)
    assert (proto_roots(python)[0] / "eas_grpc_pb/tensor/v1/tensor.proto").is_file()


def test_protos_of_google_are_found_where_their_package_is_installed(tmp_path):
    """The generating environment comes first, then ours; none is named twice."""
    python, packages = environment(tmp_path)
    before = proto_roots(python)
    import_paths.cache_clear()
    (packages / "google/api").mkdir(parents=True)
    (packages / "google/api/annotations.proto").write_text("")
    after = proto_roots(python)
    assert after == (before[0], packages, *before[1:])
    assert len(set(proto_roots(sys.executable))) == len(proto_roots(sys.executable))


@pytest.mark.parametrize(
    ("proto", "root"),
    [
        ("site/eas_grpc_pb/tensor/v1/tensor.proto", "site"),
        ("checkout/protos/eas_grpc_pb/tensor/v1/tensor.proto", "checkout/protos"),
    ],
    ids=["wheel", "checkout"],
)
def test_our_protos_lie_beside_the_modules_or_in_a_source_root_of_their_own(
    tmp_path, monkeypatch, proto, root
):
    import eas_grpc_pb

    (tmp_path / proto).parent.mkdir(parents=True)
    (tmp_path / proto).write_text("")
    home = {"site": "site/eas_grpc_pb", "checkout/protos": "checkout/generated/eas_grpc_pb"}[root]
    monkeypatch.setattr(eas_grpc_pb, "__file__", str(tmp_path / home / "__init__.py"))
    assert proto_roots(sys.executable)[0] == tmp_path / root


def test_an_installation_without_our_protos_still_generates_from_others(tmp_path, monkeypatch):
    import eas_grpc_pb

    monkeypatch.setattr(eas_grpc_pb, "__file__", str(tmp_path / "a/b/__init__.py"))
    monkeypatch.setattr(_environment, "import_paths", lambda _: ())
    assert proto_roots(sys.executable) == ()
