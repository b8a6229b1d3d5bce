"""Real runs of protoc and its plugins: output, refusals, determinism, warnings, the floor."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from support.codegen_jobs import INFER, TYPES, job, refused, tree, write
from support.generated import PLUGINS, PYTHON

from eas_grpc.codegen import (
    MANIFEST,
    Client,
    Job,
    Options,
    Toolchain,
    generate,
    protos_below,
)
from eas_grpc.errors import SchemaError


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
    assert refused(toolchain).startswith(
        "protos/grpc/mine.proto:1:1: error: modules below a top folder `grpc` are never found"
    )


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
    assert str(warning).startswith(
        "protos/acme/v1/types.proto:3:1: warning: Import google/protobuf/any.proto is unused"
    )


def test_missing_tools_say_what_to_install(toolchain, project):
    """Interpreter, compiler and plugin, each by name."""
    plugins = dict(toolchain.plugins)
    with pytest.raises(SchemaError, match=r"there is no interpreter nowhere/python: .*extra `codegen`"):
        generate(job(Toolchain(protoc=("nowhere/python", "-m", "grpc_tools.protoc"), plugins=plugins)))
    with pytest.raises(
        SchemaError, match=r"has no grpcio-tools, which brings the compiler: .*extra `codegen`"
    ):
        bare = str(PLUGINS / "python")
        generate(job(Toolchain(protoc=(bare, "-m", "grpc_tools.protoc"), plugins=plugins)))
    with pytest.raises(SchemaError, match="there is no program nowhere/protoc-gen-mypy"):
        generate(job(Toolchain.installed(str(PYTHON), "nowhere")))
    with pytest.raises(SchemaError, match="protoc-gen-mypy_grpc"):
        one = {name: path for name, path in plugins.items() if name == "protoc-gen-mypy"}
        generate(job(Toolchain(protoc=toolchain.protoc, plugins=one)))
    assert not Path("out").exists()


def test_a_plugin_that_writes_nothing_is_noticed(toolchain, project):
    """protoc reports success for an empty answer."""
    silent = project / "silent"
    silent.write_text('#!/bin/sh\n[ "$1" = --version ] && echo silent 1.0\ncat > /dev/null\n')
    silent.chmod(0o755)
    plugins = {**toolchain.plugins, "protoc-gen-mypy": str(silent)}
    with pytest.raises(SchemaError, match=r"did not write acme/v1/infer_pb2\.pyi, acme/v1/types_pb2\.pyi"):
        generate(job(Toolchain(protoc=toolchain.protoc, plugins=plugins)))
    assert not Path("out").exists()


def test_missing_protos_are_an_error(toolchain, project):
    """A wrong path must not look like an empty project, whose output would all be stale."""
    (project / "empty").mkdir()
    with pytest.raises(SchemaError, match=r"no \.proto file below empty"):
        protos_below(Path("empty"))
    with pytest.raises(SchemaError, match="no folder nowhere"):
        protos_below(Path("nowhere"))
    with pytest.raises(SchemaError, match=r"there is no a\.proto below nowhere"):
        generate(Job(protos=("a.proto",), includes=(Path("nowhere"),), out=Path("out"), toolchain=toolchain))
    with pytest.raises(SchemaError, match=r"nope\.proto"):
        generate(
            Job(protos=("nope.proto",), includes=(Path("protos"),), out=Path("out"), toolchain=toolchain)
        )


def test_the_floor_is_what_the_modules_ask_for_and_a_project_that_allows_less_is_warned(toolchain, project):
    """At the first run and at every other, until it is mended."""
    (project / "pyproject.toml").write_text('[project]\ndependencies = ["protobuf>=3.20", "grpcio>=99"]\n')
    for _ in range(2):
        report = generate(job(toolchain))
        (warning,) = report.warnings
        assert report.floor["protobuf"] in warning.text
        assert warning.text.startswith("pyproject.toml allows `protobuf>=3.20`")
    (project / "pyproject.toml").write_text(
        f'[project]\ndependencies = ["protobuf>={report.floor["protobuf"]}", "grpcio>=99"]\n'
    )
    assert generate(job(toolchain)).warnings == ()


COMMENTED = """syntax = "proto3";
package acme.v1;
message M {}
// Infers \\d \u2028 and %s quotes, \\N{nothing}.
service Infer {
  // Runs\x0b once.
  rpc Run(M) returns (M); // behind
}
""" % ('"' * 3)


@pytest.mark.parametrize(
    ("client", "servicer"),
    [(Client.BOTH, True), (Client.SYNC, False), (Client.ASYNC, False), (Client.NONE, True)],
)
def test_comments_full_of_traps_give_modules_that_import_with_any_selection(
    toolchain, project, client, servicer
):
    """A backslash, three quotes, and line ends that only some tools know; they end in docstrings."""
    for path in (project / "protos/acme/v1").iterdir():
        path.unlink()
    write(project, {"acme/v1/x.proto": COMMENTED})
    generate(job(toolchain, options=Options(client=client, servicer=servicer)))
    module = project / "out/acme/v1/x_pb2_grpc.py"
    assert module.exists() == (servicer or client is not Client.NONE)
    if module.exists():
        names = {
            node.name
            for node in ast.parse(module.read_bytes()).body
            if isinstance(node, (ast.ClassDef, ast.FunctionDef))
        }
        assert ("InferStub" in names) == (client is not Client.NONE)
        assert ("InferServicer" in names) == ("add_InferServicer_to_server" in names) == servicer


def test_edition_2023_is_generated_and_raises_no_floor_that_is_higher_already(toolchain, project):
    write(project, {"acme/v1/e.proto": 'edition = "2023";\npackage acme.v1;\nmessage E { int32 a = 1; }\n'})
    report = generate(job(toolchain))
    assert "acme/v1/e_pb2.py" in report.written
    assert tuple(map(int, report.floor["protobuf"].split("."))) >= (5, 27)
