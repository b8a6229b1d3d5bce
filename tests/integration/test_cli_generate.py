"""`eas-grpc generate`: what it prints in each form, what it writes for each option, how it ends, how it watches."""

from __future__ import annotations

import ast
import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from support.cli_generate import BROKEN, INFER, MODULE, TABLE, generated, run
from support.generated import PLUGINS, need_tools

from eas_grpc.cli.__main__ import cli


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch) -> Path:
    need_tools()
    folder = tmp_path / "project"
    (folder / "protos/acme/v1").mkdir(parents=True)
    (folder / "protos/acme/v1/infer.proto").write_text(INFER)
    monkeypatch.chdir(folder)
    return folder


def names(path: str = "out/acme/v1/infer_pb2_grpc.py") -> set[str]:
    return {
        node.name
        for node in ast.parse(Path(path).read_bytes()).body
        if isinstance(node, (ast.ClassDef, ast.FunctionDef))
    }


def save(text: str) -> None:
    Path("protos/acme/v1/infer.proto").write_text(text)


def test_a_run_lists_what_it_wrote_and_what_it_runs_on():
    done = generated()
    assert done.stdout.splitlines()[:-1] == [
        "wrote out/acme/__init__.py",
        "wrote out/acme/py.typed",
        "wrote out/acme/v1/__init__.py",
        "wrote out/acme/v1/infer_pb2.py",
        "wrote out/acme/v1/infer_pb2.pyi",
        "wrote out/acme/v1/infer_pb2_grpc.py",
        "wrote out/acme/v1/infer_pb2_grpc.pyi",
        "wrote out/eas_grpc_gen.json",
        "out (a source root: it belongs on the import path): 8 written, 0 removed, 0 unchanged",
    ]
    floor = json.loads(Path("out/eas_grpc_gen.json").read_text())["floor"]
    last = done.stdout.splitlines()[-1]
    assert last.startswith(f"it runs on protobuf >= {floor['protobuf']}")
    assert f"grpcio >= {floor['grpcio']}" in last
    assert done.stderr == ""
    assert generated().stdout.splitlines()[0] == (
        "out (a source root: it belongs on the import path): 0 written, 0 removed, 8 unchanged"
    )


def test_many_files_are_listed_in_part():
    for number in range(20):
        Path(f"protos/acme/v1/m{number}.proto").write_text(
            f'syntax = "proto3";\npackage acme.v1;\nmessage M{number} {{}}\n'
        )
    lines = generated("--no-types").stdout.splitlines()
    assert [line for line in lines if line.startswith("wrote ")][20:] == ["wrote 5 more"]


def test_json_says_what_was_done_as_one_document():
    done = generated("--format", "json", "--no-types")
    found = json.loads(done.stdout)
    assert sorted(found) == ["diagnostics", "floor", "out", "package", "removed", "unchanged", "written"]
    assert (found["out"], found["package"], found["diagnostics"]) == ("out", "", [])
    assert "acme/v1/infer_pb2.py" in found["written"]
    assert json.loads(generated("--format", "json", "--no-types").stdout)["written"] == []


def test_warnings_go_to_standard_error_to_json_and_to_annotations():
    save(INFER.replace("v1;\n", 'v1;\nimport "google/protobuf/any.proto";\n'))
    text = "protos/acme/v1/infer.proto"
    assert (
        f"{text}:3:1: warning: Import google/protobuf/any.proto is unused." in generated("--no-types").stderr
    )
    save(Path(text).read_text() + "// more\n")
    (found,) = json.loads(generated("--no-types", "--format", "json").stdout)["diagnostics"]
    assert (found["file"], found["line"], found["column"], found["severity"]) == (text, 3, 1, "warning")
    save(Path(text).read_text() + "// and more\n")
    first = generated("--no-types", "--format", "github").stdout.splitlines()[0]
    assert first == f"::warning file={text},line=3,col=1::Import google/protobuf/any.proto is unused."


def test_an_error_has_place_source_line_and_caret_and_the_exit_code_of_a_schema():
    save(BROKEN)
    done = run("protos", "-o", "out")
    assert (done.exit_code, done.stdout) == (3, "")
    lines = done.stderr.splitlines()
    assert lines[0].removeprefix("Error: ") == 'protos/acme/v1/infer.proto:6:1: error: Expected ";".'
    assert [line.rstrip() for line in lines[1:3]] == ["  | }", "  | ^"]
    assert "error: error:" not in done.stderr.lower()
    assert not Path("out").exists()


def test_an_error_in_json_and_as_an_annotation_goes_to_standard_output():
    save(BROKEN)
    done = run("protos", "-o", "out", "--format", "json")
    (found,) = json.loads(done.stdout)["diagnostics"]
    assert (done.exit_code, found["line"], found["text"]) == (3, 6, 'Expected ";".')
    done = run("protos", "-o", "out", "--format", "github")
    assert done.exit_code == 3
    place, _, hint = done.stdout.partition("%0A")
    assert place == '::error file=protos/acme/v1/infer.proto,line=6,col=1::Expected ";".'
    assert "may be missing in front of it" in hint


def test_an_error_without_a_place_has_each_form_as_well():
    for form, start in (("json", "{"), ("github", "::error ")):
        done = run("nowhere", "-o", "out", "--format", form)
        assert (done.exit_code, done.stdout[: len(start)]) == (3, start)
        assert "nowhere does not exist" in done.stdout
    done = run("nowhere", "-o", "out")
    assert (done.exit_code, done.stderr.startswith("Error: nowhere does not exist")) == (3, True)


def test_check_says_fresh_or_what_is_not_and_writes_nothing():
    done = run("protos", "-o", "out", "--check", "--no-types")
    assert done.exit_code == 1
    assert done.stdout.splitlines()[-1] == "out: 5 findings"
    assert "missing: acme/v1/infer_pb2.py" in done.stdout.splitlines()
    assert not Path("out").exists()
    generated("--no-types")
    done = run("protos", "-o", "out", "--check", "--no-types")
    assert (done.exit_code, done.stdout) == (0, "out: fresh\n")


def test_check_in_json_and_as_annotations_names_the_same_findings():
    generated("--no-types")
    Path("out/acme/v1/infer_pb2.py").write_text("edited = 1\n")
    done = run("protos", "-o", "out", "--check", "--no-types", "--format", "json")
    assert done.exit_code == 1
    assert json.loads(done.stdout) == {
        "out": "out",
        "fresh": False,
        "findings": [{"kind": "changed", "path": "acme/v1/infer_pb2.py", "detail": ""}],
    }
    done = run("protos", "-o", "out", "--check", "--no-types", "--format", "github")
    assert done.exit_code == 1
    assert done.stdout.startswith(
        "::error file=out/acme/v1/infer_pb2.py,line=1,col=1::generated code is not fresh"
    )


def test_clean_removes_what_check_calls_foreign():
    generated("--no-types")
    Path("out/acme/v1/old_pb2.py").write_bytes(Path("out/acme/v1/infer_pb2.py").read_bytes())
    done = run("protos", "-o", "out", "--check", "--no-types")
    assert (done.exit_code, done.stdout.splitlines()[0].split(":")[:2]) == (
        1,
        ["foreign", " acme/v1/old_pb2.py"],
    )
    assert "0 removed" in generated("--no-types").stdout
    assert "removed out/acme/v1/old_pb2.py" in generated("--no-types", "--clean").stdout.splitlines()
    assert run("protos", "-o", "out", "--check", "--no-types").exit_code == 0


@pytest.mark.parametrize(
    ("client", "stubs", "blocking"),
    [("sync", True, True), ("async", True, False), ("both", True, True), ("none", False, False)],
)
def test_client_chooses_which_stubs_there_are_and_are_typed(client, stubs, blocking):
    """The run-time class serves both colours; the stub file tells them apart."""
    generated("--client", client)
    assert ("InferStub" in names()) == stubs
    assert ("Infer" in names()) == blocking
    assert "InferServicer" in names()
    text = Path("out/acme/v1/infer_pb2_grpc.pyi").read_text()
    assert ("class InferStub" in text) == stubs
    assert ("channel: _aio.Channel" in text) == (client in ("async", "both"))
    assert ("channel: _grpc.Channel" in text) == (client in ("sync", "both"))


def test_without_servicers_only_clients_are_left():
    generated("--no-servicer")
    for ending in ("py", "pyi"):
        found = names(f"out/acme/v1/infer_pb2_grpc.{ending}")
        assert "InferStub" in found
        assert not found & {"InferServicer", "add_InferServicer_to_server"}
    generated("--servicer")
    assert "InferServicer" in names()


def test_without_clients_and_servicers_there_is_no_grpc_module():
    generated("--client", "none", "--no-servicer", "--no-types")
    assert not list(Path("out").rglob("*_pb2_grpc*"))
    assert json.loads(Path("out/eas_grpc_gen.json").read_text())["floor"].keys() == {"protobuf"}


def test_without_types_stubs_and_their_marker_go():
    generated("--types")
    assert list(Path("out").rglob("*.pyi"))
    generated("--no-types")
    assert not [*Path("out").rglob("*.pyi"), *Path("out").rglob("py.typed")]


def test_the_descriptor_set_can_be_used_by_protobuf_and_is_part_of_the_check():
    """Complete: with what is imported, and fresh as long as the protos are."""
    save(
        INFER.replace("v1;\n", 'v1;\nimport "google/protobuf/any.proto";\n').replace(
            "string name", "google.protobuf.Any name"
        )
    )
    args = ["protos", "-o", "out", "--no-types", "--descriptor-set", "schema.bin"]
    assert run(*args).exit_code == 0
    pool = descriptor_pool.DescriptorPool()
    for file in FileDescriptorSet.FromString(Path("schema.bin").read_bytes()).file:
        pool.Add(file)
    service = pool.FindServiceByName("acme.v1.Infer")
    assert (
        service.methods_by_name["Run"].input_type.fields_by_name["name"].message_type.full_name
        == "google.protobuf.Any"
    )
    assert run(*args, "--check").exit_code == 0
    Path("schema.bin").write_bytes(b"old")
    done = run(*args, "--check")
    assert (done.exit_code, done.stdout.splitlines()[0]) == (1, "changed: schema.bin")
    assert "file=schema.bin," in run(*args, "--check", "--format", "github").stdout
    Path("schema.bin").unlink()
    assert run(*args, "--check").stdout.splitlines()[0] == "missing: schema.bin"
    assert run(*args).exit_code == 0
    assert run(*args, "--check").exit_code == 0


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--plugin-opt", "mypy=readable_stub"], "did you mean `readable_stubs`?"),
        (["--plugin-opt", "mypi=quiet"], "for the plugin `mypi`, which does not run"),
        (["--plugin-opt", "quiet"], "not of the form NAME=VALUE"),
        (["--plugin", "=x"], "not of the form NAME=VALUE"),
        (["--client", "blue"], "blue"),
        (["--package", "my-gen"], "`my-gen` is not the name of a Python package"),
        (["--watch", "--check"], "leave out --check"),
        (["--watch", "--format", "json"], "leave out --check and --format"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(args, text):
    done = run("protos", "-o", "out", *args)
    assert (done.exit_code, done.stdout) == (2, "")
    assert text in done.stderr
    assert not Path("out").exists()


def test_missing_tools_say_what_to_install():
    done = CliRunner().invoke(
        cli, ["generate", "protos", "-o", "out", "--protoc-python", str(PLUGINS / "python")]
    )
    assert done.exit_code == 3
    assert "extra `codegen`" in done.stderr


@pytest.mark.parametrize("where", [".", "protos/acme"])
def test_without_arguments_the_table_says_what_to_do_from_any_folder_of_the_project(
    project, monkeypatch, where
):
    (project / "pyproject.toml").write_text(TABLE)
    monkeypatch.chdir(where)
    done = run()
    assert done.exit_code == 0, done.stderr
    assert sorted(path.name for path in (project / "out/acme/v1").iterdir()) == [
        "__init__.py",
        "infer_pb2.py",
        "infer_pb2_grpc.py",
    ]
    assert run("--check").exit_code == 0


def test_what_is_said_on_the_spot_wins_over_the_table():
    Path("pyproject.toml").write_text(TABLE)
    assert run("-o", "elsewhere", "--client", "none").exit_code == 0
    assert names("elsewhere/acme/v1/infer_pb2_grpc.py") == {"InferServicer", "add_InferServicer_to_server"}
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("[tool.eas-grpc]\nproto = []", "[tool.eas-grpc] has no key `proto`; did you mean `protos`?"),
        ("[tool.eas-grpc.generate]\nout = 1", "`out` in [tool.eas-grpc.generate] must be a string"),
        ('[tool.eas-grpc]\nprotos = ["protos"]', "no output folder is named"),
        ("", "no .proto is named"),
    ],
)
def test_a_table_that_cannot_be_meant_is_a_usage_error(table, text):
    Path("pyproject.toml").write_text(table)
    done = run()
    assert (done.exit_code, done.stdout) == (2, "")
    assert text in done.stderr


@pytest.fixture
def watching(project) -> Iterator[Callable[[str], str]]:
    """The real command with --watch; gives a function that waits until it has said something, and returns it all."""
    log = project / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*MODULE, "protos", "-o", "out", "--no-types", "--watch"], stdout=output, stderr=subprocess.STDOUT
        )

        def until(text: str) -> str:
            end = time.monotonic() + 30
            while text not in (said := log.read_text()):
                assert process.poll() is None, f"it ended:\n{said}"
                assert time.monotonic() < end, f"it never said {text!r}:\n{said}"
                time.sleep(0.02)
            log.write_text("")
            return said

        until.process = process
        yield until
        process.kill()
        process.wait()


def test_watch_generates_at_every_save_tells_errors_and_ends_well(watching):
    """Saved, broken, mended, interrupted; a broken proto leaves the output alone."""
    assert "wrote out/acme/v1/infer_pb2.py" in watching("watching; interrupt to end")
    save(INFER.replace("Thing", "Other"))
    said = watching("watching; interrupt to end")
    assert "changed: protos/acme/v1/infer.proto" in said
    assert b"Other" in Path("out/acme/v1/infer_pb2.py").read_bytes()
    before = Path("out/acme/v1/infer_pb2.py").read_bytes()
    save(BROKEN)
    assert 'protos/acme/v1/infer.proto:6:1: error: Expected ";".' in watching("watching; interrupt to end")
    assert Path("out/acme/v1/infer_pb2.py").read_bytes() == before
    save(INFER.replace("Thing", "Third"))
    watching("watching; interrupt to end")
    assert b"Third" in Path("out/acme/v1/infer_pb2.py").read_bytes()
    watching.process.send_signal(signal.SIGINT)
    assert watching.process.wait(10) == 0
