"""The hooks of .pre-commit-hooks.yaml, as pre-commit installs and runs them in a user's repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from interop.programs import ROOT, environment, finish, unavailable
from rules.repository import files

from eas_grpc.codegen.scaffold import plan_project

pytestmark = [pytest.mark.interop, pytest.mark.slow]

HOOKS = ["eas-grpc-check", "eas-grpc-lint", "eas-grpc-breaking"]
PROTO = Path("protos/digits/v1/greeter.proto")
INSTALL_SECONDS = 300


def git(folder, *args):
    settings = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")
    done = finish("git", *settings, "-C", folder, *args)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(folder):
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--no-verify", "--message", "state")


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("pre-commit")


@pytest.fixture(scope="module")
def pre_commit(home):
    """Runs one hook, or all of them, in a repository; the environment of the hooks is made by the first run."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    program = shutil.which("pre-commit", path=places) or unavailable("no `pre-commit`: install it from PyPI")

    def run(folder, *hook):
        command = [program, "run", "--all-files", *hook]
        done = subprocess.run(
            command,
            cwd=folder,
            env={**environment(), "PRE_COMMIT_HOME": str(home)},
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
        )
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """This working tree as a repository with one commit, whatever is staged here."""
    folder = tmp_path_factory.mktemp("ours")
    for name in files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "--quiet")
    commit(folder)
    return folder


@pytest.fixture(scope="module")
def start(tmp_path_factory, ours, pre_commit, home):
    """A user's repository in which the stubs were generated and committed, and all hooks pass."""
    folder = tmp_path_factory.mktemp("theirs")
    for name, text in plan_project("digits").items():
        write(folder, name, text)
    hooks = "".join(f"      - id: {hook}\n" for hook in HOOKS)
    rev = git(ours, "rev-parse", "HEAD")
    config = f"repos:\n  - repo: {ours.as_uri()}\n    rev: {rev}\n    hooks:\n{hooks}"
    write(folder, ".pre-commit-config.yaml", config)
    git(folder, "init", "--quiet")
    commit(folder)
    code, output = pre_commit(folder, "eas-grpc-check")
    assert (code, "missing: " in output, "greeter_pb2.py" in output) == (1, True, True), output
    # With the tools that the hooks have: these are the newest ones.
    (program,) = home.glob("repo*/py_env-*/bin/eas-grpc")
    done = finish(program, "generate", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    commit(folder)
    return folder


@pytest.fixture
def theirs(start):
    yield start
    git(start, "reset", "--quiet", "--hard")
    git(start, "clean", "--quiet", "--force", "-d")


def change(folder, before, after):
    text = (folder / PROTO).read_text()
    assert before in text
    (folder / PROTO).write_text(text.replace(before, after, 1))


def test_all_hooks_pass_in_a_repository_that_is_as_it_should_be(theirs, pre_commit):
    code, output = pre_commit(theirs)
    assert (code, output.count("Passed")) == (0, len(HOOKS)), output


def test_stubs_that_are_not_fresh_are_found(theirs, pre_commit):
    change(theirs, "string name = 1;", "string name = 1;\n  string title = 2;")
    code, output = pre_commit(theirs, "eas-grpc-check")
    assert (code, "changed: " in output, "greeter_pb2.py" in output) == (1, True, True), output


def test_a_mistake_in_a_proto_is_found(theirs, pre_commit):
    change(theirs, "package digits.v1;", "package elsewhere.v1;")
    code, output = pre_commit(theirs, "eas-grpc-lint")
    assert (code, f"{PROTO}:4:" in output) == (1, True), output


def test_a_change_that_breaks_callers_is_found(theirs, pre_commit):
    change(theirs, "string name = 1;", "int64 name = 1;")
    code, output = pre_commit(theirs, "eas-grpc-breaking")
    assert (code, f"{PROTO}:" in output, "name" in output) == (1, True, True), output


def test_the_file_lists_the_hooks_that_the_others_test():
    assert ".pre-commit-hooks.yaml" in files()
    text = (ROOT / ".pre-commit-hooks.yaml").read_text()
    assert [line.removeprefix("- id: ") for line in text.splitlines() if line.startswith("- id: ")] == HOOKS
