"""Fresh or not: what a second run does, what `check` finds, what `clean` removes; with real runs of protoc."""

from __future__ import annotations

import json
import py_compile
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from support.codegen_jobs import INFER, TYPES, job, tree, write
from support.generated import PLUGINS, PYTHON, ROOT

from eas_grpc.codegen import (
    MANIFEST,
    FindingKind,
    Job,
    Options,
    Runtime,
    Toolchain,
    check,
    configured,
    generate,
)
from eas_grpc.errors import SchemaError


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


def test_the_manifest_holds_versions_and_hashes_only(toolchain, project):
    """Versions of every tool, one hash per file in and out."""
    generate(job(toolchain))
    data = json.loads((project / "out" / MANIFEST).read_text())
    assert sorted(data) == [
        "descriptor_set",
        "floor",
        "imports",
        "inputs",
        "options",
        "outputs",
        "seal",
        "tools",
    ]
    assert {"grpcio-tools", "mypy-protobuf"} < set(data["tools"])
    assert data["floor"]["grpcio"] == data["tools"]["grpcio-tools"]
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


def test_output_of_another_release_of_ours_is_fresh_while_its_files_are_the_same(toolchain, project):
    """A release that changes nothing in the output fails nobody's check; the next run records it."""
    generate(job(toolchain))
    manifest = project / "out" / MANIFEST
    here = manifest.read_bytes()
    data = json.loads(here)
    data["tools"]["eas-grpc output"] = "another"
    manifest.write_text(json.dumps(data, indent=2, sort_keys=True) + "\n")
    assert check(job(toolchain)) == ()
    assert generate(job(toolchain)).written == (MANIFEST,)
    assert manifest.read_bytes() == here
    data["floor"]["protobuf"] = "1.0"
    manifest.write_text(json.dumps(data))
    assert [str(finding) for finding in check(job(toolchain))] == [f"changed: {MANIFEST}"]


def test_check_names_other_options_first(toolchain, project):
    """What was asked for differently is no matter of tools."""
    generate(job(toolchain))
    other = replace(job(toolchain), options=Options(runtime=Runtime.PORTABLE))
    found = [str(finding) for finding in check(other)]
    assert found[0] == f"options: {MANIFEST}: runtime was current, is portable"
    assert not [line for line in found if line.startswith("tools") or MANIFEST in line.partition(": ")[2][:1]]


def test_check_of_output_without_a_manifest_reports_it(toolchain, project):
    """Output made by hand is not proved by its looks."""
    generate(job(toolchain))
    (project / "out" / MANIFEST).unlink()
    assert [str(finding) for finding in check(job(toolchain))] == [f"missing: {MANIFEST}"]


def test_the_configured_job_of_this_project_is_fresh():
    """`[tool.eas-grpc]` says the same as the Makefile: generated/ is what protos/ and the pinned tools give."""
    if not (ROOT / "protos").is_dir() or not PYTHON.exists():
        pytest.skip("only the tests are here, not the repository with its tools")
    mine = configured(ROOT / "pyproject.toml", protoc_python=str(PYTHON), plugins_bin=str(PLUGINS))
    assert [str(finding) for finding in check(mine)] == []


def by_hand(toolchain: Toolchain, out: Path) -> None:
    """What somebody who runs protoc without us gets."""
    out.mkdir(parents=True)
    command = [*toolchain.protoc, "-Iprotos", f"--python_out={out}", "acme/v1/types.proto"]
    subprocess.run(command, check=True)


def test_clean_removes_generated_modules_that_no_run_knows_and_nothing_else(toolchain, project):
    """Of a proto renamed long ago, or of protoc by hand; one's own code stays."""
    generate(job(toolchain))
    by_hand(toolchain, project / "out/old")
    (project / "out/old/mine_pb2.py").write_text("mine = 1\n")
    assert [str(finding) for finding in check(job(toolchain))] == [
        "foreign: old/acme/v1/types_pb2.py: no .proto here gives it; remove it, or let `--clean` do so"
    ]
    assert generate(job(toolchain)).removed == ()
    assert generate(job(toolchain), clean=True).removed == ("old/acme/v1/types_pb2.py",)
    assert [path.name for path in (project / "out/old").rglob("*")] == ["mine_pb2.py"]


def test_clean_leaves_environments_and_the_output_of_others_alone(toolchain, project):
    """The output root may be the project itself."""
    for folder in (".venv", "env", "x/site-packages", "node_modules"):
        by_hand(toolchain, project / folder / "lib")
    (project / "env/pyvenv.cfg").write_text("")
    plain = Options(types=False)
    generate(job(toolchain, out="other/lib", options=plain))
    before = {name: content for name, content in tree(project).items() if name.endswith(".py")}
    assert generate(job(toolchain, out=".", options=plain), clean=True).removed == ()
    assert check(job(toolchain, out=".", options=plain)) == ()
    after = tree(project)
    assert {name: after.get(name) for name in before} == before


def test_a_module_of_ones_own_in_the_way_is_not_overwritten(toolchain, project):
    """No generator wrote it; with a generator's mark it may be replaced."""
    by_hand(toolchain, project / "out")
    (project / "out/acme/v1/infer_pb2.py").write_text("mine = 1\n")
    before = tree(project / "out")
    with pytest.raises(SchemaError, match=r"out/acme/v1/infer_pb2\.py is in the way: no generator wrote it"):
        generate(job(toolchain))
    assert tree(project / "out") == before
    (project / "out/acme/v1/infer_pb2.py").unlink()
    assert "acme/v1/types_pb2.py" in generate(job(toolchain)).written


@pytest.mark.parametrize("change", ["input", "import", "option", "output", "descriptor set"])
def test_whatever_changes_makes_the_next_run_a_real_one(toolchain, project, change):
    """A run is skipped only if everything that it depends on is the same."""
    write(project, {"other/base.proto": 'syntax = "proto3";\npackage other;\nmessage Base {}\n'})
    first = {"descriptor_set": Path("schema.bin")}
    protos = {"protos": ("acme/v1/types.proto",), "includes": (Path("protos"),), "out": Path("out")}
    text = TYPES.replace("v1;\n", 'v1;\nimport "google/protobuf/empty.proto";\n', 1)
    write(
        project,
        {"acme/v1/types.proto": text.replace("string name", "google.protobuf.Empty e = 9;\n  string name")},
    )
    again = {"toolchain": toolchain, **protos, **first}
    assert generate(Job(**again)).written
    assert generate(Job(**again)).written == ()
    if change == "input":
        write(project, {"acme/v1/types.proto": TYPES + "// more\nmessage More {}\n"})
    elif change == "import":
        write(
            project,
            {"google/protobuf/empty.proto": 'syntax = "proto3";\npackage google.protobuf;\nmessage Empty {}'},
        )
    elif change == "option":
        again["options"] = Options(types=False)
    elif change == "output":
        (project / "out/acme/v1/types_pb2.py").unlink()
    else:
        (project / "schema.bin").write_bytes(b"\x0a\x03\x0a\x01x")  # a set of one empty file
    report = generate(Job(**again))
    assert report.written or change == "descriptor set"
    assert (project / "schema.bin").stat().st_size > 100
    assert check(Job(**again)) == ()


def test_a_marker_with_text_of_ones_own_does_not_make_a_run_of_every_run(toolchain, project):
    generate(job(toolchain))
    (project / "out/acme/__init__.py").write_text("mine = 1\n")
    times = {path: path.stat().st_mtime_ns for path in (project / "out").rglob("*")}
    assert generate(job(toolchain)).written == ()
    assert check(job(toolchain)) == ()
    assert {path: path.stat().st_mtime_ns for path in (project / "out").rglob("*")} == times
