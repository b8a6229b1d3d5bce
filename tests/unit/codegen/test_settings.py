"""The table [tool.eas-grpc]: found, read, refused by name, and joined with what was said on the spot."""

from __future__ import annotations

from pathlib import Path

import pytest

from eas_grpc.codegen._plan import Client, Runtime
from eas_grpc.codegen._settings import (
    configured,
    find_table,
    make_job,
    project_requirements,
    read_table,
)
from eas_grpc.codegen._tools import Toolchain
from eas_grpc.errors import ConfigError

TOOLS = Toolchain(protoc=("python", "-m", "grpc_tools.protoc"))
FULL = """
[tool.eas-grpc]
protos = ["protos"]
include = ["third_party"]

[tool.eas-grpc.generate]
out = "gen"
package = "my.gen"
client = "sync"
servicer = false
types = false
runtime = "portable"
descriptor-set = "schema.bin"
plugins = {foo = "bin/protoc-gen-foo"}
plugin-options = {foo = ["a", "b=c"]}

[tool.eas-grpc.lint]
except = ["COMMENT_RPC"]

[tool.eas-grpc.breaking]
against = "git:main"
level = "wire"
"""
SMALL = '[tool.eas-grpc]\nprotos = ["protos"]\n[tool.eas-grpc.generate]\nout = "gen"\n'


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "project"
    for name in ("protos/acme/a.proto", "third_party/b.proto", "other/c.proto"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text('syntax = "proto3";\n')
    monkeypatch.chdir(folder)
    return folder


def pyproject(text: str) -> None:
    Path("pyproject.toml").write_text(text)


def job(**said):
    return make_job(find_table(), toolchain=TOOLS, **said)


def refused(**said) -> str:
    with pytest.raises(ConfigError) as caught:
        job(**said)
    return str(caught.value)


def test_the_table_says_everything_that_the_command_line_can():
    pyproject(FULL)
    found = job()
    options = found.options
    assert (found.protos, found.includes) == (("acme/a.proto",), (Path("third_party"), Path("protos")))
    assert (found.out, found.descriptor_set) == (Path("gen"), Path("schema.bin"))
    assert (options.package, options.client, options.runtime) == ("my.gen", Client.SYNC, Runtime.PORTABLE)
    assert (options.servicer, options.types) == (False, False)
    assert options.plugins == {"foo": "bin/protoc-gen-foo"}
    assert options.plugin_options == {"foo": ("a", "b=c")}
    table = find_table()
    assert (table.lint, table.breaking) == (
        {"except": ["COMMENT_RPC"]},
        {"against": "git:main", "level": "wire"},
    )


def test_what_the_table_does_not_say_has_the_defaults_of_the_command_line():
    pyproject(SMALL)
    options = job().options
    assert (options.package, options.client, options.runtime) == ("", Client.BOTH, Runtime.CURRENT)
    assert (options.servicer, options.types) == (True, True)
    assert (options.plugins, options.plugin_options, job().descriptor_set) == ({}, {}, None)


def test_from_a_subfolder_the_paths_are_still_those_of_the_tables_folder(project, monkeypatch):
    pyproject(FULL)
    (project / "protos/acme/deep").mkdir()
    monkeypatch.chdir(project / "protos/acme/deep")
    found = job()
    assert found.out.resolve() == project / "gen"
    assert [root.resolve() for root in found.includes] == [project / "third_party", project / "protos"]
    assert Path(found.options.plugins["foo"]).resolve() == project / "bin/protoc-gen-foo"
    assert found.descriptor_set.resolve() == project / "schema.bin"


def test_without_a_table_everything_is_said_on_the_spot():
    found = job(inputs=[Path("protos")], given={"out": "o", "types": False, "client": None})
    assert (found.protos, found.out, found.options.types) == (("acme/a.proto",), Path("o"), False)


@pytest.mark.parametrize("text", ["", "[tool.other]\n", "[project]\nname = 'x'\n", "tool = 1"])
def test_a_pyproject_without_the_table_says_nothing(text):
    pyproject(text)
    assert find_table() is None
    with pytest.raises(ConfigError, match=r"pyproject\.toml has no table \[tool\.eas-grpc\]"):
        configured(Path("pyproject.toml"))


def test_without_any_pyproject_there_is_no_table(tmp_path):
    assert find_table(tmp_path) is None
    assert project_requirements(tmp_path) is None


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({"client": "async"}, Client.ASYNC),
        ({"client": None}, Client.SYNC),
    ],
)
def test_what_is_said_wins_over_the_table_key_by_key(given, value):
    pyproject(FULL)
    assert job(given=given).options.client is value
    assert job(given=given).options.package == "my.gen"


def test_false_is_said_and_not_the_same_as_nothing():
    pyproject(SMALL)
    assert job(given={"types": False, "servicer": None}).options.types is False


def test_another_output_folder_does_not_get_the_package_and_the_descriptor_set_of_the_tables():
    """They belong to the table's own."""
    pyproject(FULL)
    found = job(given={"out": "elsewhere"})
    assert (found.out, found.options.package, found.descriptor_set) == (Path("elsewhere"), "", None)
    assert found.options.client is Client.SYNC


def test_protos_and_include_roots_that_are_said_replace_those_of_the_table():
    pyproject(FULL)
    found = job(inputs=[Path("other")], includes=[Path("other")])
    assert (found.protos, found.includes) == (("c.proto",), (Path("other"),))


def test_an_empty_package_is_said_and_stops_the_guess():
    pyproject(SMALL.replace('"gen"', '"src/my/gen"'))
    assert job().options.package == "my.gen"
    assert job(given={"package": ""}).options.package == ""
    pyproject(SMALL.replace('"gen"', '"src/my/gen"\npackage = ""'))
    assert job().options.package == ""


def test_a_project_is_configured_by_the_path_of_its_pyproject(project):
    pyproject(SMALL)
    found = configured(project / "pyproject.toml", protoc_python="/p/python", plugins_bin="/p/bin")
    assert found.toolchain == Toolchain.installed("/p/python", "/p/bin")
    assert (found.protos, found.out) == (("acme/a.proto",), project / "gen")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[tool.eas-grpc]\nproto = []", "[tool.eas-grpc] has no key `proto`; did you mean `protos`?"),
        (
            "[tool.eas-grpc]\nzzz = 1",
            "[tool.eas-grpc] has no key `zzz`; it has protos, include, generate, lint, breaking",
        ),
        ("[tool.eas-grpc.generate]\nservicers = true", "has no key `servicers`; did you mean `servicer`?"),
        ("[tool.eas-grpc.lint]\nignore = []", "[tool.eas-grpc.lint] has no key `ignore`; it has except"),
        ("[tool.eas-grpc.breaking]\nagaints = ''", "did you mean `against`?"),
        ("[tool.eas-grpc]\nprotos = 'protos'", "`protos` in [tool.eas-grpc] must be an array of strings"),
        ("[tool.eas-grpc]\nprotos = [1]", "`protos` in [tool.eas-grpc] must be an array of strings"),
        (
            "[tool.eas-grpc.generate]\ntypes = 'no'",
            "`types` in [tool.eas-grpc.generate] must be true or false",
        ),
        ("[tool.eas-grpc.generate]\nout = 1", "`out` in [tool.eas-grpc.generate] must be a string"),
        ("[tool.eas-grpc.generate]\nplugins = 'x'", "`plugins` in [tool.eas-grpc.generate] must be a table"),
        ("[tool]\neas-grpc = 1", "[tool.eas-grpc] must be a table"),
        ("[tool.eas-grpc]\ngenerate = 1", "must be a table"),
        ("[tool.eas-grpc.generate]\nplugins = {foo = 1}", "plugins"),
        ("[tool.eas-grpc.generate]\nplugin-options = {mypy = 'quiet'}", "plugin-options"),
        ("[tool.eas-grpc.generate]\nplugin-options = {mypy = 1}", "plugin-options"),
        ("[tool.eas-grpc.generate]\nplugin-options = {mypy = [1]}", "plugin-options"),
        ("[tool.eas-grpc", "pyproject.toml is not valid TOML"),
    ],
)
def test_what_the_table_cannot_mean_is_refused_by_name(text, expected):
    """With the file, since nobody said it just now; a misspelt key would otherwise do nothing in silence."""
    pyproject(text)
    with pytest.raises(ConfigError) as caught:
        read_table(Path("pyproject.toml"))
    assert "pyproject.toml" in str(caught.value)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("key", "choices"), [("client", "sync, async, both, none"), ("runtime", "current, portable")]
)
def test_a_choice_that_is_none_names_the_choices(key, choices):
    pyproject(f'{SMALL}{key} = "blue"\n')
    assert refused() == f"`{key}` is 'blue', which it cannot be: it is one of {choices}"


def test_a_package_that_is_none_is_refused():
    pyproject(SMALL + 'package = "my-gen"\n')
    assert "`my-gen` is not the name of a Python package" in refused()


def test_protos_and_output_have_to_be_named_somewhere():
    assert refused(given={"out": "o"}).startswith("no .proto is named: give files or folders")
    assert refused(inputs=[Path("protos")]).startswith("no output folder is named: give --out")


def test_a_file_that_cannot_be_read_is_refused_by_name(monkeypatch):
    pyproject(SMALL)

    def closed(path: Path, **_: object) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", closed)
    with pytest.raises(ConfigError, match=r"pyproject\.toml cannot be read: Permission denied"):
        find_table()


def test_a_file_that_is_not_utf8_is_refused_by_name():
    Path("pyproject.toml").write_bytes(b"a = '\xe9'")
    with pytest.raises(ConfigError, match=r"pyproject\.toml is not valid TOML"):
        find_table()


def test_a_project_requires_what_its_pyproject_lists(project):
    """Found from the output folder, which may not be there yet."""
    pyproject('[project]\ndependencies = ["protobuf>=5", "grpcio"]\n')
    assert project_requirements(Path("src/gen")) == (Path("pyproject.toml"), ["protobuf>=5", "grpcio"])
    assert project_requirements(project / "src") == (Path("pyproject.toml"), ["protobuf>=5", "grpcio"])


@pytest.mark.parametrize(
    "text",
    ["", "[project]\n", "[project]\ndependencies = [1]\n", "project = 1\n", "[project]\ndependencies = 5\n"],
)
def test_a_project_that_lists_nothing_that_could_be_read_requires_nothing(text):
    """That file is for other tools to judge."""
    pyproject(text)
    assert project_requirements(Path()) == (Path("pyproject.toml"), [])
