"""What a new project is made of, its names, and that it arrives complete or not at all."""

from __future__ import annotations

import ast
import json
import re
import shlex
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from eas_grpc.codegen.scaffold import _write, installed_from, names, plan_project
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
    "name", ["json", "logging", "grpc", "google", "eas_grpc_pb", "grpc-tools", "test", "tests"]
)
def test_names_that_would_hide_other_modules_are_refused(name):
    service = name.replace("-", "_")
    with pytest.raises(ConfigError, match=f"in the way .* use another name, or --package {service}_service$"):
        names(name)


NEEDED = [
    "eas-grpc",
    "eas_grpc",
    "eas__grpc",
    "grpcio",
    "grpcio-tools",
    "protobuf",
    "pytest",
    "numpy",
    "click",
]


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("package", [None, "digit_reader"])
def test_a_project_is_not_named_like_what_it_needs_whatever_its_package(name, package):
    better = f"{name.replace('-', '_')}_service"
    with pytest.raises(ConfigError, match=f"^'{name}' .* itself needs: use another name, such as {better}$"):
        names(name, package)
    assert names(better).service == better


@pytest.mark.parametrize(
    "package", ["eas_grpc", "grpcio", "grpc", "google", "protobuf", "pytest", "numpy", "test"]
)
def test_a_package_is_not_named_like_what_it_needs(package):
    with pytest.raises(ConfigError, match=f"^a package named '{package}' .*: use --package digits_service$"):
        names("digits", package)


def test_every_requirement_of_this_project_and_of_a_new_one_is_known():
    ours = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    theirs = parsed_toml()
    lines = []
    for toml in (ours, theirs):
        lines += toml["build-system"]["requires"] + toml["project"]["dependencies"]
        lines += [
            line
            for extra, each in toml["project"]["optional-dependencies"].items()
            for line in each
            if extra in {"serve", "codegen", "test"}
        ]
    for line in lines:
        with pytest.raises(ConfigError, match="itself needs"):
            names(re.match(r"[a-z0-9-]+", line)[0])


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


@pytest.mark.parametrize("odd", ["$(shell touch x)", "`touch x`", '";touch x;"', "a b", "#a", "'", "\\", "é"])
def test_where_eas_grpc_comes_from_is_no_code_for_make_or_the_shell(odd):
    line = plan_project("digits", source=f"file:///{odd}/a%20b+c")["local.mk"].splitlines()[-1]
    _, _, url = line.partition(" @ ")
    assert re.fullmatch(r"file:///[A-Za-z0-9%/._~-]+", url)
    assert unquote(url) == f"file:///{odd}/a b+c"


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
