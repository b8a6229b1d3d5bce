"""The build hook: real builds by hatchling in a process of their own, and a look into what they made."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from eas_grpc.cli import _init
from eas_grpc.codegen.scaffold import installed_from, plan_project
from eas_grpc.errors import ConfigError

ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("EAS_GRPC_PROTOC_PYTHON") or ROOT / ".venv-codegen/bin/python")
PLUGINS = Path(os.environ.get("EAS_GRPC_PLUGINS_BIN") or ROOT / ".venv-codegen-plugins/bin")
STUBS = {f"greeter_pb2{kind}" for kind in (".py", ".pyi", "_grpc.py", "_grpc.pyi")}
PB = "digit_reader/pb/digit_reader/v1/"


@pytest.fixture(autouse=True)
def tools():
    if not PYTHON.exists() or not (PLUGINS / "protoc-gen-mypy").exists() or find_spec("hatchling") is None:
        text = f"no protoc environment at {PYTHON} and {PLUGINS}, or no hatchling here; run `make setup`"
        pytest.fail(text) if os.environ.get("CI") else pytest.skip(text)


@pytest.fixture
def project(tmp_path):
    """A project of `eas-grpc init` that does not keep its stubs: they are not there yet, and git ignores them."""
    folder = tmp_path / "project"
    for name, text in plan_project("digit-reader").items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with (folder / ".gitignore").open("a") as ignored:
        ignored.write("/src/digit_reader/pb/\n")
    return folder


def hook(project, *lines):
    with (project / "pyproject.toml").open("a") as table:
        table.write("\n[tool.hatch.build.hooks.eas-grpc]\n")
        table.write(f'protoc-python = "{PYTHON}"\nplugins-bin = "{PLUGINS}"\n')
        table.write("\n".join(lines) + "\n")


def run(project, *command):
    done = subprocess.run(
        [sys.executable, *command], cwd=project, capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout + done.stderr


def build(project, *args):
    """The exit status, what was printed, and the names of the stubs in the wheel."""
    code, output = run(project, "-m", "build", "--no-isolation", "-o", "made", *args)
    return code, output, stubs_in(project)


def stubs_in(project):
    names = [name for wheel in project.glob("made/*.whl") for name in zipfile.ZipFile(wheel).namelist()]
    return {name.removeprefix(PB) for name in names if name.startswith(PB) and "greeter" in name}


def on_disk(project):
    return {path.name for path in (project / "src").rglob("greeter_pb2*")}


def test_without_the_hook_the_wheel_lacks_what_git_ignores(project):
    """Or the tests below would prove nothing."""
    folder = project / "src" / PB
    folder.mkdir(parents=True)
    (folder / "greeter_pb2.py").touch()
    code, output, stubs = build(project, "--wheel")
    assert (code, stubs) == (0, set()), output


def test_the_stubs_are_generated_and_the_wheel_holds_them_ignored_or_not(project):
    """Without naming a kind, `build` makes the source distribution first, and the wheel from that."""
    hook(project)
    code, output, stubs = build(project)
    assert (code, stubs) == (0, STUBS), output
    (sdist,) = project.glob("made/*.tar.gz")
    with tarfile.open(sdist) as archive:
        assert {name.rpartition("/")[2] for name in archive.getnames()} >= STUBS
    (wheel,) = project.glob("made/*.whl")
    program = f"""
import sys
sys.path.insert(0, {str(wheel)!r})
from digit_reader import client, server
assert client.__file__.startswith({str(wheel)!r})
from eas_grpc.serving import Server
import eas_grpc
with Server(server.register) as serving, eas_grpc.connect(serving.address, token="t") as channel:
    print(client.greet(channel, "World"))
"""
    assert run(project.parent, "-c", program) == (0, "Hello, World!\n")


@pytest.mark.parametrize("out", ["protos/../src/digit_reader/pb", "src/digit_reader/pb[1]"])
def test_however_the_output_folder_is_written_its_files_are_found(project, out):
    """A pattern that matches nothing would give a wheel without stubs, and no error."""
    table = (project / "pyproject.toml").read_text()
    assert 'out = "src/digit_reader/pb"' in table
    (project / "pyproject.toml").write_text(table.replace('out = "src/digit_reader/pb"', f'out = "{out}"'))
    with (project / ".gitignore").open("a") as ignored:
        ignored.write("/src/digit_reader/pb?1?/\n")
    hook(project)
    code, output = run(project, "-m", "build", "--no-isolation", "-o", "made", "--wheel")
    assert code == 0, output
    (wheel,) = project.glob("made/*.whl")
    names = {name.rpartition("/")[2] for name in zipfile.ZipFile(wheel).namelist()}
    assert names >= STUBS


def test_an_editable_install_has_them_too(project):
    # By a path file; the other way needs one more package.
    hook(project, "[tool.hatch.build]", 'dev-mode-dirs = ["src"]')
    program = "import hatchling.build, os; os.mkdir('made'); hatchling.build.build_editable('made')"
    code, output = run(project, "-c", program)
    assert (code, on_disk(project)) == (0, STUBS), output


@pytest.mark.slow
def test_pip_builds_it_in_an_environment_of_its_own(project, monkeypatch):
    """Which pip fills with what the project's build needs: the programs lie beside no interpreter there."""
    source = installed_from(_init._direct_url())
    if source is None:
        pytest.skip("eas-grpc was not installed from this machine, so nothing can be installed from here")
    table = project / "pyproject.toml"
    hooked = table.read_text().replace(
        '"hatchling>=1.27"', f'"hatchling>=1.27", "eas-grpc[codegen] @ {source}"'
    )
    table.write_text(hooked + "\n[tool.hatch.build.hooks.eas-grpc]\n")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    code, output = run(project, "-m", "pip", "wheel", "--no-deps", "-w", "made", ".")
    assert (code, stubs_in(project)) == (0, STUBS), output


def test_plugins_are_looked_for_on_the_path_unless_they_lie_beside_the_interpreter(tmp_path, monkeypatch):
    from eas_grpc.codegen.hatch import _of_pip

    python, other = tmp_path / "bin/python", tmp_path / "overlay/protoc-gen-mypy"
    for path in (python, other):
        path.parent.mkdir()
        path.touch(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("PATH", str(other.parent))
    assert _of_pip() == {"plugins_bin": str(other.parent)}
    python.with_name("protoc-gen-mypy").touch(0o755)
    assert _of_pip() == {}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _of_pip() == {}


def test_a_proto_with_a_mistake_ends_the_build_with_its_message(project):
    hook(project)
    (proto,) = project.rglob("*.proto")
    proto.write_text(proto.read_text().replace("string name = 1;", "strin name = 1;", 1))
    code, output, _ = build(project, "--wheel")
    assert (code, "eas-grpc: " in output, "greeter.proto:" in output) == (1, True, True), output
    assert 'strin" is not defined' in output
    assert not list(project.glob("made/*.whl"))
    assert on_disk(project) == set()


def test_with_check_a_fresh_output_is_taken_as_it_is(project):
    hook(project)
    assert build(project, "--wheel")[0] == 0
    (project / "made").rename(project / "before")
    hook_table = project / "pyproject.toml"
    hook_table.write_text(hook_table.read_text() + "check = true\n")
    before = {path: path.stat().st_mtime_ns for path in (project / "src").rglob("greeter*")}
    code, output, stubs = build(project, "--wheel")
    assert (code, stubs) == (0, STUBS), output
    assert {path: path.stat().st_mtime_ns for path in (project / "src").rglob("greeter*")} == before


def test_with_check_an_output_that_is_not_fresh_ends_the_build_and_stays(project):
    hook(project, "check = true")
    code, output, _ = build(project, "--wheel")
    assert (code, "is not fresh: run `eas-grpc generate` and commit what it writes" in output) == (1, True), (
        output
    )
    assert "missing: digit_reader/v1/greeter_pb2.py" in output
    assert not list(project.glob("made/*.whl"))
    assert on_disk(project) == set()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("chek = true", "has no key `chek`; it has check, protoc-python, plugins-bin"),
        ('check = "yes"', "`check` in [tool.hatch.build.hooks.eas-grpc] must be true or false"),
    ],
)
def test_an_option_that_means_nothing_is_named(project, line, said):
    hook(project, line)
    code, output, _ = build(project, "--wheel")
    assert (code, said in output) == (1, True), output


def test_a_project_without_the_table_is_told_so(project):
    text = (project / "pyproject.toml").read_text()
    start, end = text.index("[tool.eas-grpc]"), text.index("[tool.pytest")
    (project / "pyproject.toml").write_text(text[:start] + text[end:])
    hook(project)
    code, output, _ = build(project, "--wheel")
    assert (code, "pyproject.toml has no table [tool.eas-grpc]" in output) == (1, True), output


def test_options_of_hatchling_itself_are_left_alone():
    from eas_grpc.codegen.hatch import tools

    config = {"check": True, "protoc-python": "p", "dependencies": [], "enable-by-default": True}
    assert tools(config) == {"protoc_python": "p"}
    with pytest.raises(ConfigError, match=r"`plugins-bin` in .* must be a string"):
        tools({"plugins-bin": 1})


def test_an_output_outside_of_the_project_cannot_get_into_a_wheel():
    from eas_grpc.codegen.hatch import artifacts

    assert artifacts(Path("/p/src/a/pb"), ("b.py", "a.py"), Path("/p")) == [
        "/src/a/pb/a.py",
        "/src/a/pb/b.py",
    ]
    with pytest.raises(ConfigError, match=r"which is not below .*: no wheel could hold them"):
        artifacts(Path("/elsewhere"), (), Path("/p"))
