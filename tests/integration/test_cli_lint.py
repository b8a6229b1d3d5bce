"""`eas-grpc lint` with real files and the real compiler."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.schemas import PROTOC_PYTHON, need_protoc, proto

from eas_grpc.cli.__main__ import _Group
from eas_grpc.cli._lint import lint

BAD = "enum Tone {\n  WARM = 0;\n}\nmessage Thing {\n  int32 from = 1;\n}"
SERVICE = "service S { rpc R(A) returns (A); }\nmessage A {}"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the command in an empty project; gives its exit code and what it printed."""
    need_protoc()
    monkeypatch.chdir(tmp_path)
    cli = _Group("cli", commands=[lint])

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli, ["lint", *arguments, "--protoc-python", str(PROTOC_PYTHON)])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output

    return run


def write(name: str, text: str) -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_findings_are_shown_with_their_line_and_counted(run):
    write("protos/acme/v1/x.proto", proto(BAD))
    code, output = run("protos")
    assert code == 1
    assert output.splitlines() == [
        (
            "protos/acme/v1/x.proto:4:3: warning: enum value acme.v1.Tone.WARM is 0: a caller who sends nothing says "
            "`WARM`, and nobody can tell [ENUM_ZERO_VALUE_SUFFIX]"
        ),
        "  |   WARM = 0;",
        "  |   ^",
        "  hint: let 0 be a value whose name ends in _UNSPECIFIED",
        (
            "protos/acme/v1/x.proto:7:9: warning: field acme.v1.Thing.from: `from` is a Python keyword; it can be set by "
            "**{...} and read by getattr only [PYTHON_KEYWORD_FIELD]"
        ),
        "  |   int32 from = 1;",
        "  |         ^",
        "  hint: give it another name",
        "2 warnings found in 1 file",
    ]


def test_a_clean_schema_ends_with_zero(run):
    write("protos/acme/v1/x.proto", proto("message A {}"))
    write("protos/acme/v1/y.proto", proto("message B {}"))
    assert run("protos") == (0, "nothing found in 2 files\n")


def test_hints_do_not_fail_a_run(run):
    write("protos/acme/v1/x.proto", proto(SERVICE))
    code, output = run("protos/acme/v1/x.proto")
    assert code == 0
    assert output.endswith("3 hints found in 1 file\n")


def test_a_warning_of_the_compiler_is_a_finding(run):
    write("protos/acme/v1/x.proto", proto('import "google/protobuf/empty.proto";\nmessage A {}'))
    code, output = run("protos")
    assert code == 1
    assert "x.proto:3:1: warning: Import google/protobuf/empty.proto is unused." in output


def test_rules_can_be_switched_off(run):
    write("protos/acme/v1/x.proto", proto(BAD))
    rules = ("--except", "ENUM_ZERO_VALUE_SUFFIX", "--except", "PYTHON_KEYWORD_FIELD")
    assert run("protos", *rules) == (0, "nothing found in 1 file\n")


def test_an_unknown_rule_is_wrong_usage(run):
    write("protos/acme/v1/x.proto", proto(BAD))
    code, output = run("protos", "--except", "ENUM_ZERO_SUFFIX")
    assert code == 2
    assert "there is no rule ENUM_ZERO_SUFFIX of `lint` (did you mean ENUM_ZERO_VALUE_SUFFIX?)" in output


def test_json_is_one_document(run):
    write("protos/acme/v1/x.proto", proto(BAD))
    code, output = run("protos", "--format", "json")
    assert code == 1
    first, second = json.loads(output)["diagnostics"]
    assert (first["rule"], first["severity"], first["line"]) == ("ENUM_ZERO_VALUE_SUFFIX", "warning", 4)
    assert second["file"] == "protos/acme/v1/x.proto"


def test_json_without_findings_is_a_document_too(run):
    write("protos/acme/v1/x.proto", proto("message A {}"))
    code, output = run("protos", "--format", "json")
    assert (code, json.loads(output)) == (0, {"diagnostics": []})


def test_annotations_for_github_are_printed_alone(run):
    write("protos/acme/v1/x.proto", proto(BAD))
    code, output = run("protos", "--format", "github")
    assert code == 1
    assert [line.split("::")[1] for line in output.splitlines()] == [
        "warning file=protos/acme/v1/x.proto,line=4,col=3,title=ENUM_ZERO_VALUE_SUFFIX",
        "warning file=protos/acme/v1/x.proto,line=7,col=9,title=PYTHON_KEYWORD_FIELD",
    ]
    write("protos/acme/v1/x.proto", proto("message A {}"))
    assert run("protos", "--format", "github") == (0, "")


def test_protos_come_from_the_project_when_none_are_named(run, monkeypatch):
    write(
        "pyproject.toml",
        '[tool.eas-grpc]\nprotos = ["protos"]\n[tool.eas-grpc.lint]\nexcept = ["PYTHON_KEYWORD_FIELD"]',
    )
    write("protos/acme/v1/x.proto", proto(BAD))
    assert run()[1].endswith("1 warning found in 1 file\n")
    Path("below").mkdir()
    monkeypatch.chdir("below")
    code, output = run("--except", "ENUM_ZERO_VALUE_SUFFIX")
    assert (code, output) == (0, "nothing found in 1 file\n")


def test_include_roots_are_used_and_imports_are_not_judged(run):
    write("protos/acme/v1/x.proto", proto('import "other/bad.proto";\nmessage A { other.Bad b = 1; }'))
    write("third_party/other/bad.proto", proto("enum Bad { RED = 0; }", package="other"))
    assert run("protos", "-I", "protos", "-I", "third_party") == (0, "nothing found in 1 file\n")


def test_nothing_named_is_wrong_usage(run):
    code, output = run()
    assert code == 2
    assert "no .proto is named" in output


@pytest.mark.parametrize(
    ("form", "start"),
    [("text", "protos/acme/v1/x.proto:3:13: error: "), ("json", "{"), ("github", "::error ")],
)
def test_a_schema_that_does_not_compile_is_reported_in_every_form(run, form, start):
    write("protos/acme/v1/x.proto", proto("message A { Missing m = 1; }"))
    code, output = run("protos", "--format", form)
    assert code == 3
    assert output.startswith(start)
    assert (
        '\\"Missing\\" is not defined' in output if form == "json" else '"Missing" is not defined' in output
    )


def test_a_folder_that_does_not_exist_is_said_in_every_form(run):
    assert run("nowhere")[0] == 3
    code, output = run("nowhere", "--format", "json")
    assert code == 3
    assert json.loads(output)["diagnostics"][0]["severity"] == "error"


@pytest.mark.parametrize("name", ["lint", "breaking"])
def test_the_command_itself_loads_neither_protobuf_nor_the_compiler(name):
    program = (
        f"import sys, eas_grpc.cli._{name}; print([m for m in sys.modules if m.startswith(('google', 'grpc', "
        "'eas_grpc.codegen'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
