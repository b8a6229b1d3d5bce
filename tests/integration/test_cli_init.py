"""`eas-grpc init`: the project that it makes is complete, passes its own tests, and comes whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from eas_grpc.cli import _init
from eas_grpc.cli.__main__ import cli
from eas_grpc.codegen.scaffold import installed_from, plan_project

ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("EAS_GRPC_PROTOC_PYTHON") or ROOT / ".venv-codegen/bin/python")
PLUGINS = Path(os.environ.get("EAS_GRPC_PLUGINS_BIN") or ROOT / ".venv-codegen-plugins/bin")
TOOLS = ["--protoc-python", str(PYTHON), "--plugins-bin", str(PLUGINS)]


@pytest.fixture
def tools():
    if not PYTHON.exists() or not (PLUGINS / "protoc-gen-mypy").exists():
        text = f"no protoc environment at {PYTHON} and {PLUGINS}; run `make setup`"
        pytest.fail(text) if os.environ.get("CI") else pytest.skip(text)


def init(*args):
    done = CliRunner().invoke(cli, ["init", *args], prog_name="eas-grpc")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def run(command, cwd, **variables):
    # A make of ours may be running these tests, and would tell the project's make how to behave.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, env=inherited | variables, timeout=500
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # The command reads them, and some of these tests are about tools that are not there.
    monkeypatch.delenv("EAS_GRPC_PROTOC_PYTHON", raising=False)
    monkeypatch.delenv("EAS_GRPC_PLUGINS_BIN", raising=False)


@pytest.fixture
def project(tools, tmp_path):
    code, output = init("digit-reader", *TOOLS)
    assert (code, output.splitlines()[-1]) == (0, "next: cd digit-reader && make test"), output
    return tmp_path / "digit-reader"


def test_the_stubs_are_there_and_fresh(project):
    names = {path.name for path in (project / "src/digit_reader/pb/digit_reader/v1").iterdir()}
    assert {"greeter_pb2.py", "greeter_pb2.pyi", "greeter_pb2_grpc.py", "greeter_pb2_grpc.pyi"} <= names
    command = [sys.executable, "-m", "eas_grpc.cli", "generate", "--check", *TOOLS]
    assert run(command, project)[0] == 0


def test_the_proto_has_no_mistake(project):
    code, output = run([sys.executable, "-m", "eas_grpc.cli", "lint", *TOOLS[:2]], project)
    assert code == 0, output


def test_its_code_is_typed_and_tidy(project, tmp_path):
    pytest.importorskip("mypy", reason="mypy is in the dependency group `lint`")
    mypy = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache")]
    code, output = run([*mypy, "-p", "digit_reader"], project, MYPYPATH="src")
    assert code == 0, output
    code, output = run([*mypy, "tests"], project, MYPYPATH="src")
    assert code == 0, output
    code, output = run([sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "."], project)
    assert code == 0, output


def test_the_server_and_the_client_find_each_other(project):
    variables = {"PYTHONPATH": "src"}
    command = [sys.executable, "-m", "digit_reader.server", "--port", "0", "--token", "t"]
    with subprocess.Popen(
        command, cwd=project, env=os.environ | variables, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            address = server.stdout.readline().removeprefix("ready on ").strip()
            client = [sys.executable, "-m", "digit_reader.client"]
            assert run(client, project, EAS_ENDPOINT=address, EAS_TOKEN="t", **variables) == (
                0,
                "Hello, World!\n",
            )
            code, output = run([*client, ""], project, EAS_ENDPOINT=address, EAS_TOKEN="t", **variables)
            assert (code, "INVALID_ARGUMENT: name is empty" in output) == (1, True)
            code, output = run(client, project, EAS_ENDPOINT=address, EAS_TOKEN="wrong", **variables)
            assert (code, "UNAUTHENTICATED" in output) == (1, True)
            code, output = run([*command[:4], address.split(":")[1]], project, **variables)
            assert (code, "Traceback" in output) == (2, False)
            server.send_signal(signal.SIGTERM)
            assert server.wait(20) == 0
        finally:
            server.kill()


@pytest.mark.slow
def test_make_test_passes_at_once_and_what_make_generate_writes_is_fresh(project):
    """With a Python, make and a package index, which does not have eas-grpc: so init has said where it came from."""
    if installed_from(_init._direct_url()) is None:
        pytest.skip("eas-grpc was not installed from this machine, so nothing can be installed from here")
    assert "@ file://" in (project / "local.mk").read_text()
    # Nothing of the environment that runs this test may help.
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV", "PYTHON"))
    }

    def done(*command):
        ended = subprocess.run(command, cwd=project, capture_output=True, text=True, env=clean, timeout=500)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    assert "5 passed" in done("make", "test", f"PYTHON={sys.executable}")
    assert "grpcio-tools" not in done(".venv/bin/python", "-m", "pip", "list")
    (proto,) = (project / "protos").rglob("*.proto")
    proto.write_text(proto.read_text().replace("= 1;\n}", "= 1;\n  string title = 2;\n}", 1))
    done("make", "generate", "check", "lint")
    assert "5 passed" in done("make", "test")


def test_make_help_lists_the_verbs(tmp_path):
    (tmp_path / "Makefile").write_text(plan_project("digits")["Makefile"])
    code, output = run(["make"], tmp_path)
    assert code == 0
    assert output.splitlines()[:3] == [
        "  help       show this list",
        "  setup      make the environment",
        "  test       run the tests",
    ]


def test_it_goes_where_dir_says(tools, tmp_path):
    code, output = init("class", "--package", "digit_reader", "--dir", "elsewhere", *TOOLS)
    assert (code, output.splitlines()[-1]) == (0, "next: cd elsewhere && make test")
    assert (tmp_path / "elsewhere/src/digit_reader/pb/digit_reader/v1/greeter_pb2.py").is_file()
    (tmp_path / "here").mkdir()
    os.chdir("here")
    code, output = init("digits", "--dir", ".", *TOOLS)
    assert (code, output.splitlines()[-1]) == (0, "next: make test")
    assert Path("pyproject.toml").is_file()


ODD = [
    "a b",
    "it's",
    'a"b',
    "$HOME",
    "$(touch x)",
    "`touch x`",
    "a#b",
    "-dash",
    "a;touch x",
    "a%b",
    "[a]",
    "é",
]


@pytest.mark.parametrize("folder", ODD)
def test_a_folder_of_any_name_changes_nothing_and_the_next_step_finds_it(tools, tmp_path, folder):
    code, output = init("digits", f"--dir={folder}", *TOOLS)
    assert code == 0, output
    project = tmp_path / folder
    for path, text in plan_project("digits", source=installed_from(_init._direct_url())).items():
        assert (project / path).read_text() == text
    next_step = output.splitlines()[-1].removeprefix("next: ").replace("make test", "make help && pwd")
    code, output = run(["sh", "-c", next_step], tmp_path)
    assert (code, output.splitlines()[-1]) == (0, str(project))
    assert "  test       run the tests" in output.splitlines()
    assert [path.name for path in tmp_path.iterdir()] == [folder]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["Digits"], 2, "write digits"),
        (["json"], 2, "use another name, or --package json_service"),
        (["test"], 2, "use another name, or --package test_service"),
        (["eas-grpc"], 2, "use another name, such as eas_grpc_service"),
        (["digits", "--package", "grpc"], 2, "use --package digits_service"),
        (["digits", "--package", "a.b"], 2, "'a.b' cannot name a package"),
        (["digits", "--dir", "full"], 2, "full is not empty, and nothing in it is touched"),
        (["digits", "--dir", "file"], 2, "file is there already and is no folder"),
        (["digits", "--dir", "no/where"], 2, "there is no folder no to make where in"),
        (["digits", "--protoc-python", "nowhere/python"], 3, "there is no interpreter nowhere/python"),
        ([], 2, "Missing argument 'NAME'"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_a_mistake_is_one_sentence_and_leaves_everything_as_it_was(tmp_path, args, code, said):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/kept").write_text("mine")
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    if "--protoc-python" not in args:
        args = [*args, "--protoc-python", sys.executable]
    found, output = init(*args)
    assert (found, said in output) == (code, True), output
    assert "Traceback" not in output
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "full/kept").read_text() == "mine"


def test_without_the_tools_it_says_what_to_install(tmp_path, monkeypatch):
    """Whether or not this environment has them."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, output = init("digits")
    assert code == 3
    assert output == f"Error: {_init._NO_TOOLS}\n"
    assert "pip install 'eas-grpc[codegen]'" in output
    assert list(tmp_path.iterdir()) == []


def test_an_eas_grpc_that_was_not_installed_has_no_source(monkeypatch):
    from importlib import metadata

    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    assert _init._direct_url() is None
