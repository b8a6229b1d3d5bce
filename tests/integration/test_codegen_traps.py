"""Every trap that was found in protoc, its plugins and their peers, as a test of `eas-grpc generate`.

The rows are those of the tables "Experiments" in the project's notes on code generation. Where another file proves a
row it is named here, and not proved again.

    output at the import root; in a package; a leaf file's pickles   test_forty_protos
    -Ivirtual=real                                     test_protocs_mapping_of_folders_is_refused_...
    overlapping roots, one name in two files           refused/overlapping_roots, refused/one_name_in_two_files
    packaging without __init__.py, .pyi, py.typed      test_setuptools_finds_every_file..., test_an_installed_...
    google/ or grpc/ at the top                        test_a_google_folder_breaks_nothing..., refused/top_folder_grpc
    health proto: own copy                             refused/copy_of_health*, test_an_own_copy_of_the_health_proto_...
    same file, comment changed                         test_a_comment_changes_no_descriptor
    same file name, other content                      test_two_helloworlds
    two files, one module, in one run; in two          refused/one_module_*, test_a_run_over_other_files_...
    renamed proto                                      test_codegen
    googleapis                                         test_forty_protos (errors.proto, http.proto, customers.proto)
    plugin program not on PATH                         test_plugin_programs_need_no_path
    fields from, class, lambda, None, self, int ...    test_forty_protos (keywords.proto)
    fields DESCRIPTOR, ByteSize, SerializeToString     refused/field_*, test_names_that_only_stubs_cannot_hold_...
    enum True in message None                          refused/enum_in_keyword_message
    keyword rpc, service, message, folder              refused/keyword_*, test_a_keyword_that_is_no_python_name_...
    1st.proto, sp ace.proto                            refused/digit_first, refused/space_*
    my-svc.proto, my.svc.proto, Ünï.proto              test_forty_protos (acme/names/v1)
    services A and AStub                               refused/service_and_its_*
    what type checkers find, in every form             test_generated_types
    types-grpcio, types-protobuf missing               test_the_extra_brings_what_the_types_need
    comments and stamps lost by a rewrite              test_comments_and_stamps_stay
    version chain                                      tests/portable
    determinism: order, paths, hash seeds              test_forty_protos, test_the_hash_seed_...
    a misspelt option of mypy-protobuf                 test_a_misspelt_plugin_option_is_refused
    an error that hides others, cascades               test_seven_missing_imports_are_seven_errors
    setuptools' command exits 0 on a broken proto      test_refused_protos
    quotes and backslashes in comments of services     test_forty_protos (comments.proto)
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.generated import (
    PLUGINS,
    PROTOS,
    PYTHON,
    ROOT,
    Tree,
    command,
    content,
    generate,
    need_tools,
    refused,
    write,
)

THING = 'syntax = "proto3";\npackage acme.v1;\n\n// One thing.\nmessage Thing {\n  string name = 1;\n}\n'
SERVICE = """syntax = "proto3";
package acme.v1;

import "acme/v1/thing.proto";

// Does things.
service Things {
  // Does one.
  rpc Do(Thing) returns (Thing);
}
"""
PAIR = {"protos/acme/v1/thing.proto": THING, "protos/acme/v1/things.proto": SERVICE}


@pytest.fixture(autouse=True)
def tools() -> None:
    need_tools()


@pytest.fixture
def project(tmp_path) -> Path:
    """A message and a service below `protos`, as a user has them."""
    return write(tmp_path / "project", PAIR)


def test_names_that_only_stubs_cannot_hold_work_without_stubs(tmp_path):
    """The field is reached by its number's name, and the members that it would hide still work."""
    home = shutil.copytree(PROTOS / "refused/field_SerializeToString", tmp_path / "work")
    done = generate(".", "--out", "out", "--no-types", cwd=home)
    assert "warning: field `SerializeToString` hides a member that every message class has" in done.stderr
    assert not list((home / "out").rglob("*.pyi"))
    said = Tree(root=home / "out").python(
        "from acme.v1.a_pb2 import M\n"
        "m = M(**{'name': 'n', 'SerializeToString': 'x'})\n"
        "print(M.FromString(type(m).SerializeToString(m)) == m)"
    )
    assert said == "True\n"


def test_a_keyword_that_is_no_python_name_is_no_trap(project):
    """Soft keywords are names, and a proto's package is not a Python package: only its folders are."""
    soft = THING.replace("acme.v1", "acme.class.v1").replace("Thing", "match")
    soft += "service type {\n  rpc case(match) returns (match);\n}\n"
    write(project, {"protos/acme/v1/soft.proto": soft})
    generate("protos", "--out", "out", cwd=project)
    assert Tree(root=project / "out").run("use_tree.py", "calls")["served"] == 4


def test_seven_missing_imports_are_seven_errors(project):
    """protoc prints an error per name that they would have brought: here three times as many lines."""
    imports = "".join(f'import "gone/g{n}.proto";\n' for n in range(7))
    fields = "".join(f"  gone.G{n % 7} g{n} = {n + 1};\n" for n in range(14))
    write(
        project,
        {
            "protos/acme/v1/many.proto": f'syntax = "proto3";\npackage acme.v1;\n{imports}message Many {{\n{fields}}}\n'
        },
    )
    said = refused("protos", "--out", "out", cwd=project)
    errors = [line for line in said.splitlines() if ": error: " in line]
    assert len(errors) == 7
    assert sum("gone/g" in line for line in errors) == 7
    assert "(and " in said
    assert "more that follow from this)" in said


def test_protocs_mapping_of_folders_is_refused_for_it_gives_no_package(project):
    """`-Ivirtual=real` imports until a proto imports another; `--package` is what was meant."""
    assert "there is no folder my=protos" in refused("-I", "my=protos", "--out", "out", "protos", cwd=project)
    generate("protos", "--out", "my", "--package", "my", cwd=project)
    assert Tree(root=project, package="my").run("use_tree.py", "messages")["messages"] == 1


# --- Packaging.

SETUP = """
from setuptools import find_packages, setup
setup(name="my-service", version="1", package_dir={"": "src"}, packages=find_packages("src"),
      package_data={"": ["*.pyi", "py.typed"]})
"""


def built(project: Path) -> Path:
    """What setuptools would put into a wheel."""
    write(project, {"setup.py": SETUP, "src/my_service/__init__.py": ""})
    line = [sys.executable, "setup.py", "-q", "build", "--build-lib", "built"]
    done = subprocess.run(line, cwd=project, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return project / "built"


@pytest.mark.parametrize(
    ("out", "package"), [("src", ""), ("src/my_service/pb", "my_service.pb")], ids=["source root", "package"]
)
def test_setuptools_finds_every_file_of_the_output(project, out, package):
    """`find_packages` passes over folders without an __init__.py, and a wheel of 0 modules is built in silence."""
    generate("protos", "--out", out, "--package", package, cwd=project)
    library = content(built(project))
    made = {
        path
        for path in content(project / out)
        if path.endswith((".py", ".pyi", "py.typed")) and "acme" in path
    }
    assert len(made) >= 8
    below = f"{out.removeprefix('src').strip('/')}/" if package else ""
    assert {f"{below}{path}" for path in made} <= set(library)


def test_an_installed_tree_is_typed_because_of_py_typed(project):
    """Without the marker mypy takes an installed package's classes for Any, and every mistake passes."""
    pytest.importorskip("mypy", reason="mypy is in the dependency group `lint`")
    generate("protos", "--out", "src/my_service/pb", "--package", "my_service.pb", cwd=project)
    # A namespace above it: the marker of the generated package alone has to do.
    library = built(project)
    packages = next(Path(sys.executable).parents[1].glob("lib*/python3*/site-packages"))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "other"], cwd=project, check=True)
    installed = next((project / "other").glob("lib/python3*/site-packages"))
    shutil.copytree(library / "my_service", installed / "my_service")
    (installed / "rest.pth").write_text(f"{packages}\n")
    program = "from my_service.pb.acme.v1 import thing_pb2\nthing_pb2.Thing(nmae='x')\nreveal_type(thing_pb2.Thing().name)\n"
    write(project, {"program/use.py": program})

    def checked() -> str:
        line = [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--python-executable",
            project / "other/bin/python",
            "use.py",
        ]
        return subprocess.run(
            line, cwd=project / "program", capture_output=True, encoding="utf-8", check=False
        ).stdout

    said = checked()
    assert 'Unexpected keyword argument "nmae"' in said
    assert 'Revealed type is "str"' in said or 'Revealed type is "builtins.str"' in said
    marker = installed / "my_service/pb/py.typed"
    marker.unlink()
    assert "missing library stubs or py.typed marker" in checked()


def test_a_google_folder_breaks_nothing_that_is_installed(project):
    """An __init__.py in it would hide google.protobuf from the whole environment."""
    own = THING.replace("acme.v1", "google.mine")
    write(project, {"protos/google/mine/thing.proto": own})
    generate("protos", "--out", "out", cwd=project)
    said = Tree(root=project / "out").python(
        "import google.protobuf, grpc\n"
        "from google.api import annotations_pb2\n"
        "from google.mine import thing_pb2\n"
        "print(thing_pb2.Thing(name='x').name, hasattr(grpc, 'insecure_channel'))\n"
    )
    assert said == "x True\n"
    assert not (project / "out/google/__init__.py").exists()


def test_a_top_folder_named_like_an_installed_package_is_warned_of(project):
    """Its __init__.py would hide that package from everybody who has the output on the path."""
    write(project, {"protos/click/v1/c.proto": 'syntax = "proto3";\npackage click.v1;\nmessage C {}\n'})
    said = generate("protos", "--out", "out", cwd=project).stderr
    assert "warning: the top folder `click` has the name of a package that is installed in " in said
    assert "--package" in said
    assert "`acme`" not in said
    assert "hide" not in generate("protos", "--out", "mine", "--package", "mine", cwd=project).stderr


@pytest.mark.parametrize("first", ["theirs", "ours"])
@pytest.mark.parametrize("runtime", ["current", "portable"])
def test_an_own_copy_of_the_health_proto_lives_in_a_package(project, runtime, first):
    """grpcio's package has the same names; both are used in one process, whichever comes first."""
    copy = (
        'syntax = "proto3";\npackage grpc.health.v1;\n\nmessage HealthCheckRequest {\n  string mine = 7;\n}\n'
    )
    write(project, {"protos/grpc/health/v1/health.proto": copy})
    generate("protos", "--out", "my", "--package", "my", "--runtime", runtime, cwd=project)
    imports = {
        "theirs": "from grpc_health.v1 import health_pb2 as theirs\n",
        "ours": "from my.grpc.health.v1 import health_pb2 as ours\n",
    }
    said = Tree(root=project, package="my").python(
        imports.pop(first)
        + "".join(imports.values())
        + "print(theirs.HealthCheckRequest(service='s').service, ours.HealthCheckRequest(mine='m').mine)"
    )
    assert said == "s m\n"


def test_a_comment_changes_no_descriptor(project):
    """So old and new output can meet in one process; only the stubs, which show comments, differ."""
    generate("protos", "--out", "out", cwd=project)
    before = content(project / "out")
    write(project, {"protos/acme/v1/thing.proto": THING.replace("One thing.", "Quite another.")})
    generate("protos", "--out", "out", cwd=project)
    after = content(project / "out")
    assert {path for path in after if after[path] != before[path]} == {
        "acme/v1/thing_pb2.pyi",
        "eas_grpc_gen.json",
    }


def test_a_run_over_other_files_leaves_no_mixture(project):
    """protoc overwrites `my_svc_pb2.py` in silence when my-svc.proto and my_svc.proto come one after the other."""
    write(
        project,
        {
            "one/my-svc.proto": THING.replace("Thing", "One"),
            "one/extra.proto": THING.replace("Thing", "Extra"),
            "two/my_svc.proto": THING.replace("Thing", "Two"),
        },
    )
    generate("one", "--out", "out", cwd=project)
    done = generate("two", "--out", "out", "--format", "json", cwd=project)
    report = json.loads(done.stdout)
    assert "my_svc_pb2.py" in report["written"]
    assert set(report["removed"]) == {"extra_pb2.py", "extra_pb2.pyi"}
    assert b"One" not in (project / "out/my_svc_pb2.py").read_bytes()


# --- Tools.


def test_plugin_programs_need_no_path(project):
    """mypy-protobuf of an environment that is not active: protoc alone says "program not found"."""
    bare = {key: value for key, value in os.environ.items() if key in ("HOME", "LANG", "LC_ALL")}
    done = command("protos", "--out", "out", cwd=project, environment={**bare, "PATH": "/nowhere"})
    assert done.returncode == 0, done.stderr
    assert (project / "out/acme/v1/things_pb2_grpc.pyi").is_file()


def test_a_missing_plugin_program_says_what_to_do(project):
    """By its full path, with the two ways out."""
    tools = ("--protoc-python", str(PYTHON), "--plugins-bin", "nowhere")
    done = command("protos", "--out", "out", cwd=project, tools=tools)
    assert done.returncode == 3
    assert "there is no program nowhere/protoc-gen-mypy" in done.stderr
    assert "--no-types" in done.stderr
    done = command("protos", "--out", "out", "--no-types", cwd=project, tools=tools)
    assert done.returncode == 0, done.stderr
    done = command("protos", "--out", "out", "--plugin", "mine=nowhere/mine", cwd=project)
    assert done.returncode == 3
    assert (
        "there is no program nowhere/mine for the protoc plugin protoc-gen-mine: give its full path"
        in done.stderr
    )


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("mypy=readable_stbs", "did you mean `readable_stubs`?"),
        ("mypy=anything", "the plugin mypy has no option `anything`"),
        ("mypy_grpc=only_sync", "is what --client sync and --client async are for"),
        ("mypi=readable_stubs", "an option is given for the plugin `mypi`, which does not run"),
    ],
)
def test_a_misspelt_plugin_option_is_refused(project, option, words):
    """mypy-protobuf itself takes any word and goes on without it."""
    assert words in refused("protos", "--out", "out", "--plugin-opt", option, cwd=project, status=2)


def test_a_known_plugin_option_changes_the_output(project):
    """So the refusals above are not for want of passing options on."""
    generate("protos", "--out", "one", cwd=project)
    generate("protos", "--out", "two", "--plugin-opt", "mypy=readable_stubs", cwd=project)
    name = "acme/v1/thing_pb2.pyi"
    assert (project / "one" / name).read_bytes() != (project / "two" / name).read_bytes()


def test_a_plugin_of_others_writes_beside_ours(project):
    """By its path, with its option; protoc's own request on standard input."""
    program = (
        f"#!{PLUGINS / 'python'}\n"
        "import sys\n"
        "from google.protobuf.compiler import plugin_pb2\n"
        "request = plugin_pb2.CodeGeneratorRequest.FromString(sys.stdin.buffer.read())\n"
        "answer = plugin_pb2.CodeGeneratorResponse(supported_features=1)\n"
        "for name in request.file_to_generate:\n"
        "    answer.file.add(name=name + '.txt', content=request.parameter)\n"
        "sys.stdout.buffer.write(answer.SerializeToString())\n"
    )
    path = write(project, {"mine": program}) / "mine"
    path.chmod(0o755)
    generate("protos", "--out", "out", "--plugin", f"mine={path}", "--plugin-opt", "mine=said", cwd=project)
    assert (project / "out/acme/v1/thing.proto.txt").read_text() == "said"


def test_the_hash_seed_and_the_locale_do_not_show(project):
    """Sets and dictionaries of three programs and their plugins would."""
    found = []
    for seed, locale in (("0", "C.UTF-8"), ("1", "C"), ("2", "POSIX")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "LC_ALL": locale, "LANG": locale}
        done = command("protos", "--out", f"out{seed}", cwd=project, environment=environment)
        assert done.returncode == 0, done.stderr
        found.append(content(project / f"out{seed}"))
    assert found[0] == found[1] == found[2]


def test_comments_and_stamps_stay(project):
    """A rewrite through the syntax tree drops them: the do-not-edit line, the stamped version, `# type: ignore`."""
    generate("protos", "--out", "out", cwd=project)
    out = project / "out/acme/v1"
    messages, services = (out / "thing_pb2.py").read_text(), (out / "things_pb2_grpc.py").read_text()
    assert "# Generated by the protocol buffer compiler.  DO NOT EDIT!" in messages
    assert "# Protobuf Python Version: " in messages
    assert "# @@protoc_insertion_point(module_scope)" in messages
    assert "# Generated by the gRPC Python protocol compiler plugin. DO NOT EDIT!" in services
    assert "Does one." in services
    stubs = (out / "thing_pb2.pyi").read_text()
    assert "One thing." in stubs
    assert "isort:skip_file" in stubs


def test_the_extra_brings_what_the_types_need():
    """mypy-protobuf does not pull in the stubs of grpcio, without which every stub is Any."""
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("only the tests are here, not the repository")
    # Python 3.10 has no reader of TOML.
    extra = (ROOT / "pyproject.toml").read_text().partition("\ncodegen = [")[2].partition("]")[0]
    for name in ("grpcio-tools", "mypy-protobuf", "types-grpcio", "types-protobuf"):
        assert f'"{name}' in extra, name
