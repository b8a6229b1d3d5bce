"""Real runs of protoc and the plugins: output, refusals, determinism, stale files, the check."""

from __future__ import annotations

import json
import os
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

from eas_grpc.codegen import MANIFEST, FindingKind, Job, Toolchain, check, generate, protos_below
from eas_grpc.codegen.__main__ import main
from eas_grpc.errors import SchemaError

ROOT = Path(__file__).resolve().parents[2]
PYTHON = Path(os.environ.get("EAS_GRPC_PROTOC_PYTHON") or ROOT / ".venv-codegen/bin/python")
PLUGINS = Path(os.environ.get("EAS_GRPC_PLUGINS_BIN") or ROOT / ".venv-codegen-plugins/bin")

TYPES = 'syntax = "proto3";\npackage acme.v1;\n\n// One thing.\nmessage Thing {\n  string name = 1;\n}\n'
INFER = """syntax = "proto3";
package acme.v1;
import "acme/v1/types.proto";
import "google/protobuf/empty.proto";

// Infers.
service Infer {
  // Runs once.
  rpc Run(Thing) returns (google.protobuf.Empty);
}
"""


@pytest.fixture
def toolchain() -> Toolchain:
    if not PYTHON.exists() or not (PLUGINS / "protoc-gen-mypy").exists():
        text = f"no protoc environment at {PYTHON} and {PLUGINS}; run `make setup`"
        pytest.fail(text) if os.environ.get("CI") else pytest.skip(text)
    return Toolchain.installed(str(PYTHON), str(PLUGINS))


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A folder of two protos, as the working directory."""
    folder = tmp_path / "project"
    write(folder, {"acme/v1/types.proto": TYPES, "acme/v1/infer.proto": INFER})
    monkeypatch.chdir(folder)
    return folder


def write(folder: Path, protos: dict[str, str]) -> None:
    for name, text in protos.items():
        path = folder / "protos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def job(toolchain: Toolchain, protos: str | Path = "protos", out: str | Path = "out") -> Job:
    return Job(
        protos=protos_below(Path(protos)), includes=(Path(protos),), out=Path(out), toolchain=toolchain
    )


def tree(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def refused(toolchain: Toolchain) -> str:
    with pytest.raises(SchemaError) as caught:
        generate(job(toolchain))
    assert not Path("out").exists()
    return str(caught.value)


def test_the_output_is_a_typed_package_that_imports(toolchain, project):
    """Exactly the planned files, and a message that travels."""
    report = generate(job(toolchain))
    assert sorted(tree(project / "out")) == [
        "acme/__init__.py",
        "acme/py.typed",
        "acme/v1/__init__.py",
        "acme/v1/infer_pb2.py",
        "acme/v1/infer_pb2.pyi",
        "acme/v1/infer_pb2_grpc.py",
        "acme/v1/infer_pb2_grpc.pyi",
        "acme/v1/types_pb2.py",
        "acme/v1/types_pb2.pyi",
        MANIFEST,
    ]
    assert report.written == tuple(sorted(tree(project / "out")))
    assert report.warnings == ()
    program = (
        "import pickle\n"
        "from acme.v1 import infer_pb2_grpc, types_pb2\n"
        "assert pickle.loads(pickle.dumps(types_pb2.Thing(name='x'))).name == 'x'\n"
        "assert infer_pb2_grpc.InferStub\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=project / "out", check=True)


def test_output_is_the_same_from_any_folder(toolchain, project, tmp_path, monkeypatch):
    """Two runs, absolute and relative paths, another order: equal bytes, without any path of this machine."""
    generate(job(toolchain))
    other = tmp_path / "elsewhere"
    other.mkdir()
    monkeypatch.chdir(other)
    first = job(toolchain, project / "protos", other / "out")
    generate(Job(protos=first.protos[::-1] * 2, includes=first.includes, out=first.out, toolchain=toolchain))
    assert tree(project / "out") == tree(other / "out")
    assert not any(str(tmp_path).encode() in content for content in tree(other / "out").values())


def test_modules_in_the_working_directory_do_not_disturb_the_compiler(toolchain, project):
    """A user's own grpc_tools.py or grpc.py would be imported in its place."""
    for name in ("grpc_tools.py", "grpc.py", "json.py"):
        (project / name).write_text("raise SystemExit('wrong module')\n")
    assert generate(job(toolchain)).written


def test_a_second_run_writes_nothing(toolchain, project):
    """Times of files stay, so nothing downstream is rebuilt."""
    generate(job(toolchain))
    times = {path: path.stat().st_mtime_ns for path in (project / "out").rglob("*")}
    again = generate(job(toolchain))
    assert (again.written, again.removed) == ((), ())
    assert {path: path.stat().st_mtime_ns for path in (project / "out").rglob("*")} == times


def test_stale_files_go_and_unknown_files_stay(toolchain, project):
    """A renamed proto leaves nothing importable behind; what the manifest does not list is not ours."""
    write(project, {"acme/old/gone.proto": 'syntax = "proto3";\npackage acme.old;\nmessage G {}\n'})
    generate(job(toolchain))
    out = project / "out"
    py_compile.compile(str(out / "acme/old/gone_pb2.py"))
    mine = {"README.md": "mine", "acme/v1/extra_pb2.py": "mine = 1\n", "acme/__init__.py": "mine = 2\n"}
    for name, text in mine.items():
        (out / name).write_text(text)
    (project / "protos/acme/old/gone.proto").unlink()

    report = generate(job(toolchain))
    assert report.removed == ("acme/old/__init__.py", "acme/old/gone_pb2.py", "acme/old/gone_pb2.pyi")
    assert not (out / "acme/old").exists()
    assert {name: (out / name).read_text() for name in mine} == mine
    assert check(job(toolchain)) == ()


def test_a_broken_proto_says_where_and_writes_nothing(toolchain, project):
    """protoc's own line, with the path as the user knows it."""
    write(
        project,
        {"acme/v1/types.proto": 'syntax = "proto3";\npackage acme.v1;\nmessage Thing { Foo x = 1; }\n'},
    )
    assert 'protos/acme/v1/types.proto:3:17: error: "Foo" is not defined.' in refused(toolchain)


def test_a_broken_proto_leaves_earlier_output_alone(toolchain, project):
    """All or nothing."""
    generate(job(toolchain))
    before = tree(project / "out")
    write(project, {"acme/v1/infer.proto": INFER.replace("rpc Run", "rpc import")})
    with pytest.raises(SchemaError):
        generate(job(toolchain))
    assert tree(project / "out") == before


@pytest.mark.parametrize(
    ("name", "text", "place", "words"),
    [
        ("infer.proto", INFER.replace("rpc Run", "rpc import"), "9:7", "rpc `import` is a Python keyword"),
        (
            "infer.proto",
            INFER.replace("service Infer", "service class"),
            "7:9",
            "service `class` is a Python keyword",
        ),
        ("types.proto", TYPES.replace("Thing", "lambda"), "5:9", "message `lambda` holds a Python keyword"),
        (
            "infer.proto",
            INFER + "service InferStub {}\n",
            "11:9",
            "`Infer` and `InferStub` would both define the class",
        ),
        ("async/a.proto", TYPES, "1:1", "the folder `async` is a Python keyword"),
        ("1st.proto", TYPES, "1:1", "the file name `1st` does not make a Python module name"),
        ("sp ace.proto", TYPES, "1:1", "the file name `sp ace` does not make a Python module name"),
    ],
)
def test_a_name_that_would_give_broken_python_is_refused(toolchain, project, name, text, place, words):
    """With file, line and column, before anything is written."""
    write(project, {f"acme/v1/{name}": text})
    if "lambda" in text:
        write(project, {"acme/v1/infer.proto": INFER.replace("(Thing)", "(lambda)")})
    found = refused(toolchain)
    assert found.startswith(f"protos/acme/v1/{name}:{place}: error: ")
    assert words in found
    assert "rename" in found or "start with a letter" in found


def test_two_files_that_make_one_module_are_refused(toolchain, project):
    """protoc alone reports it only when both come in one run."""
    write(project, {"acme/v1/my-svc.proto": TYPES, "acme/v1/my_svc.proto": TYPES})
    assert refused(toolchain).startswith(
        "protos/acme/v1/my_svc.proto:1:1: error: this file and `acme/v1/my-svc.proto` would both be written"
    )


def test_an_imported_proto_that_is_not_generated_is_named(toolchain, project):
    """The output would fail on the user's first import."""
    with pytest.raises(SchemaError, match=r"(?s)infer_pb2\.py: ImportError.*generate that file too"):
        generate(
            Job(
                protos=("acme/v1/infer.proto",),
                includes=(Path("protos"),),
                out=Path("out"),
                toolchain=toolchain,
            )
        )
    assert not Path("out").exists()


def test_a_tree_that_an_installed_package_hides_is_refused(toolchain, project):
    """Modules below grpc/ are never found, since grpcio is an ordinary package."""
    write(project, {"grpc/mine.proto": 'syntax = "proto3";\npackage grpc.mine;\nmessage M {}\n'})
    assert "grpc/mine_pb2.py: ModuleNotFoundError" in refused(toolchain)


def test_a_google_tree_shares_the_namespace(toolchain, project):
    """No __init__.py, so protobuf stays importable beside it."""
    write(project, {"google/mine/m.proto": 'syntax = "proto3";\npackage google.mine;\nmessage M {}\n'})
    generate(job(toolchain))
    assert sorted(tree(project / "out/google")) == ["mine/m_pb2.py", "mine/m_pb2.pyi"]


def test_warnings_of_the_compiler_are_kept_and_chatter_is_not(toolchain, project):
    """An unused import is worth a line; where mypy-protobuf writes is not."""
    write(
        project,
        {"acme/v1/types.proto": TYPES.replace("v1;\n", 'v1;\nimport "google/protobuf/any.proto";\n', 1)},
    )
    (warning,) = generate(job(toolchain)).warnings
    assert warning.startswith(
        "protos/acme/v1/types.proto:3:1: warning: Import google/protobuf/any.proto is unused"
    )


def test_the_manifest_holds_versions_and_hashes_only(toolchain, project):
    """Versions of every tool, one hash per file in and out."""
    generate(job(toolchain))
    data = json.loads((project / "out" / MANIFEST).read_text())
    assert sorted(data) == ["inputs", "options", "outputs", "tools"]
    assert sorted(data["tools"]) == ["grpcio-tools", "mypy-protobuf"]
    assert sorted(data["inputs"]) == ["acme/v1/infer.proto", "acme/v1/types.proto"]
    assert sorted(data["outputs"]) == sorted(set(tree(project / "out")) - {MANIFEST})


def test_check_finds_missing_changed_and_stale_files(toolchain, project):
    """And touches none of them."""
    generate(job(toolchain))
    assert check(job(toolchain)) == ()
    out = project / "out"
    (out / "acme/v1/types_pb2.pyi").unlink()
    (out / "acme/v1/types_pb2.py").write_text("edited = True\n")
    write(project, {"acme/v1/infer.proto": INFER[: INFER.index("// Infers")] + "message Left {}\n"})
    before = tree(out)
    found = [(finding.kind, finding.path) for finding in check(job(toolchain))]
    assert found == [
        (FindingKind.MISSING, "acme/v1/types_pb2.pyi"),
        (FindingKind.CHANGED, "acme/v1/infer_pb2.py"),
        (FindingKind.CHANGED, "acme/v1/infer_pb2.pyi"),
        (FindingKind.CHANGED, "acme/v1/types_pb2.py"),
        (FindingKind.CHANGED, MANIFEST),
        (FindingKind.STALE, "acme/v1/infer_pb2_grpc.py"),
        (FindingKind.STALE, "acme/v1/infer_pb2_grpc.pyi"),
    ]
    assert tree(out) == before


def test_check_names_other_tool_versions_first(toolchain, project):
    """The rest may be nothing but their stamps."""
    generate(job(toolchain))
    manifest = project / "out" / MANIFEST
    data = json.loads(manifest.read_text())
    here, data["tools"]["grpcio-tools"] = data["tools"]["grpcio-tools"], "1.80.1"
    manifest.write_text(json.dumps(data))
    (project / "out/acme/py.typed").unlink()
    first, second = check(job(toolchain))
    assert str(first) == (
        f"tools: {MANIFEST}: made with grpcio-tools 1.80.1, here is {here}; "
        "generate with the same version, or generate again and commit"
    )
    assert str(second) == "missing: acme/py.typed"


def test_check_of_output_without_a_manifest_reports_it(toolchain, project):
    """Output made by hand is not proved by its looks."""
    generate(job(toolchain))
    (project / "out" / MANIFEST).unlink()
    assert [str(finding) for finding in check(job(toolchain))] == [f"missing: {MANIFEST}"]


def test_missing_tools_say_what_to_install(toolchain, project):
    """Interpreter, compiler and plugin, each by name."""
    plugins = dict(toolchain.plugins)
    with pytest.raises(SchemaError, match=r"nowhere/python cannot be started.*extra `codegen`"):
        generate(job(Toolchain(protoc=("nowhere/python", "-m", "grpc_tools.protoc"), plugins=plugins)))
    with pytest.raises(SchemaError, match=r"(?s)No module named 'grpc_tools'.*extra `codegen`"):
        bare = str(PLUGINS / "python")
        generate(job(Toolchain(protoc=(bare, "-m", "grpc_tools.protoc"), plugins=plugins)))
    with pytest.raises(SchemaError, match="there is no program nowhere/protoc-gen-mypy"):
        generate(job(Toolchain.installed(str(PYTHON), "nowhere")))
    assert not Path("out").exists()


def test_a_plugin_that_writes_nothing_is_noticed(toolchain, project):
    """protoc reports success for an empty answer."""
    silent = project / "silent"
    silent.write_text("#!/bin/sh\ncat > /dev/null\n")
    silent.chmod(0o755)
    with pytest.raises(SchemaError, match=r"did not write acme/v1/infer_pb2\.pyi, acme/v1/types_pb2\.pyi"):
        generate(job(Toolchain(protoc=toolchain.protoc, plugins={"protoc-gen-mypy": str(silent)})))
    assert not Path("out").exists()


def test_missing_protos_are_an_error(toolchain, project):
    """A wrong path must not look like an empty project, whose output would all be stale."""
    (project / "empty").mkdir()
    with pytest.raises(SchemaError, match=r"no \.proto file below empty"):
        protos_below(Path("empty"))
    with pytest.raises(SchemaError, match="no folder nowhere"):
        protos_below(Path("nowhere"))
    with pytest.raises(SchemaError, match="no folder nowhere"):
        generate(Job(protos=("a.proto",), includes=(Path("nowhere"),), out=Path("out"), toolchain=toolchain))
    with pytest.raises(SchemaError, match=r"nope\.proto"):
        generate(
            Job(protos=("nope.proto",), includes=(Path("protos"),), out=Path("out"), toolchain=toolchain)
        )


def test_the_program_writes_checks_and_exits_by_the_table(toolchain, project, capfd):
    """0 good, 1 the check failed, 3 a schema; a good run prints nothing on standard error."""
    arguments = [
        "--protos",
        "protos",
        "--out",
        "out",
        "--protoc-python",
        str(PYTHON),
        "--plugins-bin",
        str(PLUGINS),
    ]
    assert main([*arguments, "--check"]) == 1
    assert not (project / "out").exists()
    assert main(arguments) == 0
    assert main([*arguments, "--check"]) == 0
    captured = capfd.readouterr()
    assert "wrote out/acme/v1/types_pb2.py\n" in captured.out
    assert "out: 10 written, 0 removed, 0 unchanged\nout: fresh\n" in captured.out
    assert captured.err == ""
    (project / "protos/acme/v1/types.proto").unlink()
    assert main(arguments) == 3
    assert "acme/v1/infer.proto:3:1: error: Import" in capfd.readouterr().err


def test_our_own_generated_code_is_fresh(toolchain):
    """generated/ is what protos/ and the pinned tools give."""
    if not (ROOT / "protos").is_dir():
        pytest.skip("only the tests are here, not the repository")
    assert [str(finding) for finding in check(job(toolchain, ROOT / "protos", ROOT / "generated"))] == []
