"""What a new project is made of, its names, and that it arrives complete or not at all."""

from __future__ import annotations

import ast
import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from eas_grpc.codegen.scaffold import _write, installed_from, names, plan_project, write_project
from eas_grpc.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SOURCE = "file:///somewhere/eas%20grpc"
PROJECT = plan_project("digit-reader", source=SOURCE, version="1.2.3")


def parsed_toml():
    return tomllib.loads(PROJECT["pyproject.toml"])


@pytest.mark.parametrize(
    ("name", "project", "service"),
    [
        ("digits", "digits", "digits"),
        ("digit-reader", "digit-reader", "digit_reader"),
        ("digit_reader", "digit-reader", "digit_reader"),
        ("digits2", "digits2", "digits2"),
        ("a__b", "a-b", "a__b"),
        ("cat", "cat", "cat"),
        ("a" * 63, "a" * 63, "a" * 63),
    ],
)
def test_one_name_gives_all_others(name, project, service):
    found = names(name)
    assert (found.project, found.service, found.package) == (project, service, service)


def test_the_package_may_have_a_name_of_its_own():
    found = names("json", package="digit_reader")
    assert (found.project, found.service, found.package) == ("json", "json", "digit_reader")


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("Digits", "digits"),
        ("Digit Reader", "digit_reader"),
        ("1digits", "digits"),
        ("digits_", "digits"),
        ("_digits", "digits"),
        ("digits.v1", "digits_v1"),
        ("ab", "ab_service"),
        ("", "service"),
        ("...", "service"),
        ("a" * 64, "a" * 63),
        ("a" * 62 + "_b", "a" * 62),
        ("zähler", "z_hler"),
        ("digits\n", "digits"),
        ("../up", "up_service"),
    ],
)
def test_a_name_that_eas_refuses_is_refused_with_one_that_it_takes(name, better):
    with pytest.raises(ConfigError, match=f"EAS takes 3 to 63 .*; write {better}$"):
        names(name)
    assert names(better).service == better


@pytest.mark.parametrize("name", ["class", "import", "async", "lambda"])
def test_words_of_the_language_are_refused(name):
    with pytest.raises(
        ConfigError, match=f"cannot be imported: use another name, or --package {name}_service$"
    ):
        names(name)
    assert names(name, package=f"{name}_service").package == f"{name}_service"


@pytest.mark.parametrize(
    "name", ["json", "logging", "numpy", "grpc", "google", "eas_grpc", "eas-grpc", "tests"]
)
def test_names_that_would_hide_other_modules_are_refused(name):
    service = name.replace("-", "_")
    with pytest.raises(ConfigError, match=f"in the way .* use another name, or --package {service}_service$"):
        names(name)


@pytest.mark.parametrize(
    ("package", "said"),
    [
        ("Digits", "cannot name a package: use lower-case letters"),
        ("digit-reader", "cannot name a package: use lower-case letters"),
        ("a.b", "cannot name a package: use lower-case letters"),
        ("", "cannot name a package: use lower-case letters"),
        ("json", "in the way of another one of that name: use --package digits_service$"),
        ("class", "word of the language Python.* use --package digits_service$"),
    ],
)
def test_a_package_that_cannot_be_imported_is_refused(package, said):
    with pytest.raises(ConfigError, match=said):
        names("digits", package)


def test_every_placeholder_is_filled_in_and_every_template_is_used():
    for path, text in PROJECT.items():
        assert "@@" not in path + text, path
    templates = list(Path(_write.__file__).with_name("templates").iterdir())
    assert len(templates) == len(PROJECT)
    assert {path.suffix for path in templates} == {".tmpl"}


def test_every_python_file_is_python_and_every_other_one_what_its_name_says():
    for path, text in PROJECT.items():
        if path.endswith(".py"):
            ast.parse(text, path)
        assert text.endswith("\n") or path.endswith("py.typed"), path
        assert not any(line != line.rstrip() for line in text.splitlines()), path
    assert json.loads(PROJECT["service.json"])["metadata"]["name"] == "digit_reader"
    assert parsed_toml()["project"]["name"] == "digit-reader"


def test_the_proto_lies_where_its_package_says():
    (path,) = [path for path in PROJECT if path.endswith(".proto")]
    assert path == "protos/digit_reader/v1/greeter.proto"
    assert "\npackage digit_reader.v1;\n" in PROJECT[path]


def test_the_table_for_generate_names_folders_of_the_project():
    table = parsed_toml()["tool"]["eas-grpc"]
    assert table["protos"] == ["protos"]
    assert table["generate"] == {
        "out": "src/digit_reader/pb",
        "package": "digit_reader.pb",
        "runtime": "portable",
    }
    assert parsed_toml()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["src/digit_reader"]


def test_the_tests_need_no_compiler():
    project = parsed_toml()["project"]
    assert project["dependencies"] == ["eas-grpc[serve]>=1.2.3"]
    assert project["optional-dependencies"] == {"test": ["pytest>=8.2"], "codegen": ["eas-grpc[codegen]"]}


def test_where_eas_grpc_comes_from_stands_in_a_file_that_git_ignores():
    assert f"\nEAS_GRPC := eas-grpc[serve] @ {SOURCE}\n" in PROJECT["local.mk"]
    assert "/local.mk\n" in PROJECT[".gitignore"]
    assert "\n-include local.mk\n" in PROJECT["Makefile"]
    assert [path for path, text in PROJECT.items() if SOURCE in text] == ["local.mk"]
    assert set(PROJECT) - set(plan_project("digit-reader")) == {"local.mk"}


def test_git_ignores_no_generated_code():
    patterns = [line for line in PROJECT[".gitignore"].splitlines() if not line.startswith("#")]
    assert not [pattern for pattern in patterns if "pb" in pattern or "src" in pattern or "gen" in pattern]


def test_the_deployment_agrees_with_itself_and_with_eas():
    service = json.loads(PROJECT["service.json"])
    (container,) = service["containers"]
    command = json.loads(re.search(r"^CMD (\[.*\])$", PROJECT["Dockerfile"], re.MULTILINE)[1])
    assert command == shlex.split(container["script"])
    assert command[-1] == str(container["port"])
    assert container["port"] not in {8080, 9090}
    assert f"EXPOSE {container['port']}\n" in PROJECT["Dockerfile"]
    assert service["metadata"]["enable_grpc"] is True
    assert service["metadata"]["rpc"]["enable_sigterm"] is True
    assert "token" not in service
    assert container["image"].startswith("<")


def test_make_help_knows_every_verb():
    targets = set(re.findall(r"^([a-z]+):", PROJECT["Makefile"], re.MULTILINE))
    assert targets == set(re.search(r"^\.PHONY: (.*)$", PROJECT["Makefile"], re.MULTILINE)[1].split())
    assert targets == set(re.findall(r"^([a-z]+):.*  ## ", PROJECT["Makefile"], re.MULTILINE))


@pytest.mark.parametrize(
    ("text", "there", "found"),
    [
        (None, True, None),
        ('{"url": "file:///a%20b", "dir_info": {"editable": true}}', True, "file:///a%20b"),
        ('{"url": "file:///a.whl", "archive_info": {}}', True, "file:///a.whl"),
        ('{"url": "file:///a%20b", "dir_info": {}}', False, None),
        ('{"url": "https://host/a.whl", "archive_info": {}}', True, None),
        ("{}", True, None),
    ],
)
def test_a_local_source_is_used_while_it_is_there(text, there, found):
    asked = []

    def exists(path):
        asked.append(str(path))
        return there

    assert installed_from(text, exists) == found
    assert asked == (["/a b" if "%20" in text else "/a.whl"] if text and "file:" in text else [])


def nothing(root):
    pass


def files_below(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))


def test_all_files_arrive_and_so_does_what_the_last_step_adds(tmp_path):
    def add(root):
        assert (root / "a/b.txt").read_text() == "text"
        (root / "a/c.txt").touch()

    assert write_project(tmp_path / "new", {"a/b.txt": "text", ".d": ""}, finish=add) == (
        ".d",
        "a/b.txt",
        "a/c.txt",
    )
    assert files_below(tmp_path) == ["new", "new/.d", "new/a", "new/a/b.txt", "new/a/c.txt"]
    plain = tmp_path / "plain"
    plain.mkdir()
    assert (tmp_path / "new").stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize("before", [[], [".git"]], ids=["empty", "after git init"])
def test_an_empty_folder_may_be_there(tmp_path, before, monkeypatch):
    for name in before:
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    write_project(Path(), {"a": "text"}, finish=nothing)
    assert files_below(tmp_path) == sorted([*before, "a"])


@pytest.mark.parametrize("existed", [False, True])
def test_a_last_step_that_fails_leaves_nothing(tmp_path, existed):
    root = tmp_path / "new"
    if existed:
        root.mkdir()

    def fail(_):
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        write_project(root, {"a/b": "text"}, finish=fail)
    assert files_below(tmp_path) == (["new"] if existed else [])


@pytest.mark.parametrize("existed", [False, True])
def test_a_move_that_fails_half_way_is_undone(tmp_path, existed, monkeypatch):
    root = tmp_path / "new"
    if existed:
        root.mkdir()
    rename = Path.rename

    def until_the_last(path, target):
        if path.name == "z":
            raise OSError("no space left")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", until_the_last)
    with pytest.raises(OSError, match="no space"):
        write_project(root, {"a/b": "text", "m": "text", "z": "text"}, finish=nothing)
    assert files_below(tmp_path) == (["new"] if existed else [])


def test_a_folder_in_use_is_refused_and_stays_as_it_is(tmp_path):
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(ConfigError, match=r"is not empty, and nothing in it is touched: choose .* --dir"):
        write_project(tmp_path, {"kept": "theirs"}, finish=nothing)
    assert (files_below(tmp_path), (tmp_path / "kept").read_text()) == (["kept"], "mine")


def test_a_file_in_its_place_is_refused(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("file", "dangling"):
        with pytest.raises(ConfigError, match="is no folder: choose another place with --dir"):
            write_project(tmp_path / name, {"a": ""}, finish=nothing)


def test_a_place_in_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no folder .*missing to make new in: make it first"):
        write_project(tmp_path / "missing" / "new", {"a": ""}, finish=nothing)
    assert files_below(tmp_path) == []
