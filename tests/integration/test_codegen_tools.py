"""The programs that generate, when they fail: each says which one it was, and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from eas_grpc.codegen import Job, Toolchain, generate
from eas_grpc.codegen._tools import Protoc, prove, versions
from eas_grpc.errors import SchemaError

ROOT = Path(__file__).resolve().parents[2]
PYTHON = Path(os.environ.get("EAS_GRPC_PROTOC_PYTHON") or ROOT / ".venv-codegen/bin/python")
PLUGINS = Path(os.environ.get("EAS_GRPC_PLUGINS_BIN") or ROOT / ".venv-codegen-plugins/bin")

needs_tools = pytest.mark.skipif(
    not (PYTHON.exists() and PLUGINS.exists()), reason="`make setup` makes the environments that generate"
)


def program(path: Path, text: str) -> str:
    path.write_text(textwrap.dedent(text))
    path.chmod(0o755)
    return str(path)


def failure(command: tuple[str, ...], cwd: Path) -> str:
    with (
        pytest.raises(SchemaError) as caught,
        Protoc(Toolchain(protoc=command), ["--version"], cwd=cwd) as protoc,
    ):
        protoc.finish(str)
    return str(caught.value)


def test_a_compiler_that_cannot_be_started_is_named(tmp_path):
    assert failure(("/nowhere/python",), tmp_path).startswith(
        "/nowhere/python cannot be started (No such file"
    )


def test_an_interpreter_without_the_compiler_says_what_to_install(tmp_path):
    silent = program(tmp_path / "python", "#!/bin/sh\necho \"No module named 'grpc_tools'\" >&2\nexit 1\n")
    text = failure((silent,), tmp_path)
    assert text.startswith(f"{silent} has no grpcio-tools")
    assert "extra `codegen`" in text


def test_a_compiler_that_dies_without_a_word_is_no_success(tmp_path):
    """Killed for its memory, say."""
    text = failure((program(tmp_path / "dies", "#!/bin/sh\nkill -9 $$\n"),), tmp_path)
    assert text == "error: protoc ended with status -9 and said nothing"


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def runs(process: int) -> bool:
    done = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()[:1] not in ("", "Z")


def test_leaving_the_block_ends_the_compiler_with_its_plugins(tmp_path):
    """Behind an interrupt nothing goes on."""
    slow = program(
        tmp_path / "slow", "#!/bin/sh\nsleep 60 &\necho $! > child.new\nmv child.new child\nwait\n"
    )
    with Protoc(Toolchain(protoc=(slow,)), [], cwd=tmp_path):
        until((tmp_path / "child").exists, "the compiler was never started")
        child = int((tmp_path / "child").read_text())
        assert runs(child)
    until(lambda: not runs(child), "the plugin goes on")


@needs_tools
def test_a_plugin_of_an_unknown_installation_is_asked_for_its_version(tmp_path):
    mine = program(tmp_path / "protoc-gen-mypy", "#!/bin/sh\necho mypy-protobuf 9.9.9\n")
    toolchain = Toolchain(protoc=(str(PYTHON),), plugins={"protoc-gen-mypy": mine})
    assert versions(toolchain, types=True, services=False)["mypy-protobuf"] == "9.9.9"
    program(Path(mine), "#!/bin/sh\necho broken >&2\nexit 1\n")
    with pytest.raises(SchemaError, match=r"(?s)protoc-gen-mypy does not tell its version:\nbroken"):
        versions(toolchain, types=True, services=False)
    program(Path(mine), "#!/nowhere/interpreter\n")
    with pytest.raises(SchemaError, match=r"protoc-gen-mypy cannot be started"):
        versions(toolchain, types=True, services=False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("class", "a_pb2.py: SyntaxError: "),
        ("import nowhere_pb2", "a_pb2.py: ModuleNotFoundError: No module named 'nowhere_pb2'"),
        ("1 / 0", "a_pb2.py: ZeroDivisionError: division by zero"),
    ],
)
def test_modules_that_cannot_be_imported_are_named_with_the_reason(tmp_path, text, said):
    with pytest.raises(SchemaError) as caught:
        prove(sys.executable, {"a_pb2.py": text, "b/c_pb2.py": "fine = 1"}, cwd=tmp_path)
    assert said in str(caught.value)
    assert "b/c_pb2.py" not in str(caught.value)
    assert ("generate that file too" in str(caught.value)) == ("nowhere" in text)


def test_modules_of_a_tree_find_each_other_and_their_package(tmp_path):
    """Ahead of whatever is installed, and without a file."""
    files = {
        "mine/__init__.py": "value = 1",
        "mine/deep/a_pb2.py": "from mine import value; from json import b_pb2; assert b_pb2.own",
        "json/b_pb2.py": "own = True",
        "json/__init__.py": "",
    }
    prove(sys.executable, {**files, "google/own_pb2.py": "import google.protobuf.message"}, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_interpreter_that_dies_over_the_modules_is_no_success(tmp_path):
    with pytest.raises(SchemaError, match="the interpreter died while it imported the generated modules"):
        prove(sys.executable, {"a_pb2.py": "import os; os._exit(3)"}, cwd=tmp_path)


STUB = """\
    #!{python}
    import sys
    if "--version" in sys.argv:
        print("broken 1.0"), sys.exit()
    from google.protobuf.compiler import plugin_pb2
    request = plugin_pb2.CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    answer = plugin_pb2.CodeGeneratorResponse()
    answer.file.add(name="a_pb2.pyi", content="class def:")
    sys.stdout.buffer.write(answer.SerializeToString())
    """


@needs_tools
def test_a_stub_that_is_not_python_is_not_written(tmp_path):
    (tmp_path / "a.proto").write_text('syntax = "proto3";\nmessage M {}\n')
    mine = program(tmp_path / "mine", STUB.format(python=sys.executable))
    plugins = {"protoc-gen-mypy": mine, "protoc-gen-mypy_grpc": mine}
    command = (str(PYTHON), "-m", "grpc_tools.protoc")
    with pytest.raises(SchemaError, match=r"the stub a_pb2\.pyi is not valid Python"):
        generate(
            Job(
                protos=("a.proto",),
                includes=(tmp_path,),
                out=tmp_path / "out",
                toolchain=Toolchain(protoc=command, plugins=plugins),
            )
        )
    assert not (tmp_path / "out").exists()
