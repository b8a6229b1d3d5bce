"""Whatever is wrong with the input or the machine: the old output stays as it was, and the error says where to look."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = Path(os.environ.get("EAS_GRPC_PROTOC_PYTHON") or ROOT / ".venv-codegen/bin/python")
PLUGINS = Path(os.environ.get("EAS_GRPC_PLUGINS_BIN") or ROOT / ".venv-codegen-plugins/bin")
COMMAND = [sys.executable, "-m", "eas_grpc.cli"]
ARGS = ["generate", "--protoc-python", str(PYTHON), "--plugins-bin", str(PLUGINS), "protos", "-o", "out"]

pytestmark = pytest.mark.skipif(
    not (PYTHON.exists() and PLUGINS.exists()), reason="`make setup` makes the environments that generate"
)

TYPES = 'syntax = "proto3";\npackage acme.v1;\nmessage Thing {\n  string name = 1;\n}\n'
INFER = """syntax = "proto3";
package acme.v1;
import "acme/v1/types.proto";
service Infer {
  rpc Run(Thing) returns (Thing);
}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A project with fresh output."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "protos/acme/v1").mkdir(parents=True)
    (folder / "protos/acme/v1/types.proto").write_text(TYPES)
    (folder / "protos/acme/v1/infer.proto").write_text(INFER)
    subprocess.run([*COMMAND, *ARGS], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def project(finished, tmp_path, monkeypatch) -> Path:
    """A copy of it, as the working directory."""
    folder = tmp_path / "project"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    return folder


def tree(folder: str | Path = "out") -> dict[str, tuple[bytes, int] | None]:
    """Every folder, and every file with its bytes and the time that it was written."""
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        if path.is_file()
        else None
        for path in sorted(Path(folder).rglob("*"))
    }


def run(*args: str, command: list[str] = COMMAND, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *ARGS, *args], capture_output=True, check=False, encoding="utf-8", timeout=60, **options
    )


def refused(*args: str, **options: object) -> str:
    """What is said about it; the old output has been looked at."""
    before = tree()
    done = run(*args, **options)
    assert (done.returncode, done.stdout) == (3, ""), done.stderr
    assert "Traceback" not in done.stderr
    assert tree() == before
    return done.stderr


def protos(files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = Path("protos", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


@pytest.mark.parametrize(
    ("files", "place", "source", "mark", "text"),
    [
        (
            {"acme/v1/types.proto": TYPES.replace("= 1;", "= 1")},
            "protos/acme/v1/types.proto:5:1",
            "}",
            0,
            'Expected ";".',
        ),
        (
            {"acme/v1/types.proto": TYPES.replace("  string", "\tBuh")},
            "protos/acme/v1/types.proto:4:9",
            "        Buh name = 1;",
            8,
            '"Buh" is not defined.',
        ),
        (
            {"acme/v1/infer.proto": INFER.replace("types.proto", "typos.proto")},
            "protos/acme/v1/infer.proto:3:1",
            'import "acme/v1/typos.proto";',
            0,
            'Import "acme/v1/typos.proto" was not found or had errors.',
        ),
        (
            {"acme/v1/types.proto": TYPES.replace("v1;", 'v1; import "acme/v1/infer.proto";')},
            "protos/acme/v1/infer.proto:3:1",
            'import "acme/v1/types.proto";',
            0,
            "File recursively imports itself",
        ),
        (
            {"acme/v1/types.proto": TYPES + "message Thing {}\n"},
            "protos/acme/v1/types.proto:6:9",
            "message Thing {}",
            8,
            '"Thing" is already defined in "acme.v1".',
        ),
        (
            {"acme/v1/z.proto": TYPES[: TYPES.index("{")] + "{}\n"},
            "protos/acme/v1/z.proto:3:9",
            "message Thing {}",
            8,
            '"acme.v1.Thing" is already defined in file',
        ),
        (
            {"acme/v1/types.proto": TYPES.replace("string", "// caf\xe9\n  string").encode("latin-1")},
            "protos/acme/v1/types.proto:4:9",
            "  // caf\N{REPLACEMENT CHARACTER}",
            8,
            "byte 0xe9 is not UTF-8",
        ),
        (
            {"acme/v1/infer.proto": INFER.replace("rpc Run", "rpc import")},
            "protos/acme/v1/infer.proto:5:7",
            "  rpc import(Thing) returns (Thing);",
            6,
            "rpc `import` is a Python keyword",
        ),
    ],
    ids=[
        "syntax error",
        "unknown type after a tab",
        "missing import",
        "cycle",
        "duplicate in a file",
        "duplicate across files",
        "not UTF-8",
        "keyword",
    ],
)
def test_a_broken_proto_is_shown_with_its_line_and_a_caret(project, files, place, source, mark, text):
    protos(files)
    said = refused().removeprefix("Error: ")
    first, line, caret, *_ = said.splitlines()
    assert first.startswith(f"{place}: error: {text}")
    assert (line, caret) == (f"  | {source}", "  | " + " " * mark + "^")


@pytest.mark.parametrize("where", ["the root", "a folder above it"])
def test_an_include_root_with_a_colon_is_refused_by_name(project, monkeypatch, where):
    """protoc takes it for two folders, and would say that neither exists."""
    protos({"acme/v1/types.proto": TYPES + "message More {}\n"})
    Path("a:b").mkdir()
    Path("protos").rename("a:b/protos")
    if where == "a folder above it":
        monkeypatch.chdir("a:b")
    given = "protos" if where == "a folder above it" else "a:b/protos"
    command = [*COMMAND, *(given if each == "protos" else each for each in ARGS)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode in (2, 3)
    assert "a:b" in done.stderr
    assert "splits it at `:`" in done.stderr


def test_what_follows_from_the_first_error_is_counted_and_not_listed(project):
    protos({"acme/v1/types.proto": TYPES.replace("= 1;", "= 1")})
    (line,) = [line for line in refused().splitlines() if re.search(r":\d+:\d+: ", line)]
    assert re.search(r"\(and [23] more that follow from this\)$", line)


def test_a_missing_import_that_lies_near_by_names_the_folder(project):
    protos({"acme/v1/infer.proto": INFER + 'import "base/base.proto";\n'})
    Path("third_party/base").mkdir(parents=True)
    Path("third_party/base/base.proto").write_text('syntax = "proto3";\npackage base;\n')
    assert "hint: there is one below third_party: add `-I third_party`" in refused()


# Root may read everything, and somebody else may not read this interpreter: so everything is loaded first.
AS_NOBODY = """
import os
import eas_grpc.cli.__main__, eas_grpc.codegen, eas_grpc.codegen._settings
os.setuid(65534)
eas_grpc.cli.__main__.main()
"""


@pytest.fixture
def elsewhere(project) -> Iterator[Path]:
    """The project once more, where somebody else may get to."""
    if os.geteuid() != 0:
        pytest.skip("only root may become somebody else")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        shutil.copytree(project, Path(folder, "mine"))
        Path(folder, "mine").chmod(0o755)
        yield Path(folder)


def refused_to_nobody(here: Path, protos: str = "protos") -> str:
    before = tree(here / "out")
    args = [protos if each == "protos" else each for each in ARGS]
    # Coverage would be measured into a folder that is not theirs.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, *args],
        cwd=here,
        env=env,
        capture_output=True,
        check=False,
        text=True,
    )
    assert (done.returncode, done.stdout) == (3, ""), done.stderr
    assert tree(here / "out") == before
    return done.stderr


def test_a_folder_that_cannot_be_read_is_named(elsewhere):
    (elsewhere / "mine/protos/closed").mkdir(mode=0o700)
    said = refused_to_nobody(elsewhere / "mine")
    assert "the folder protos/closed cannot be read: Permission denied" in said


def test_protos_below_a_folder_that_cannot_be_searched_are_no_crash(elsewhere):
    (elsewhere / "mine/closed").mkdir(mode=0o700)
    assert "closed/protos" in refused_to_nobody(elsewhere / "mine", "closed/protos")


def test_a_project_below_a_folder_that_cannot_be_searched_is_no_crash(elsewhere):
    """Whether there is a pyproject.toml cannot be told then, and it counts as not there."""
    (elsewhere / "mine/protos/acme/v1/types.proto").write_text(TYPES + "message More {}\n")
    elsewhere.chmod(0o700)
    assert "Traceback" not in refused_to_nobody(elsewhere / "mine")


def mount(folder: Path, size: str) -> None:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("needs the right to mount a small disk")


def test_a_disk_that_is_full_leaves_the_old_output(project):
    kept = project / "kept"
    shutil.copytree("out", kept)
    mount(project / "out", "128k")
    try:
        shutil.copytree(kept, "out", dirs_exist_ok=True)
        fields = "".join(f"  string field_{number} = {number};\n" for number in range(2, 2000))
        protos({"acme/v1/types.proto": TYPES.replace("}", fields + "}")})
        assert "cannot be written to: No space left on device; nothing was changed" in refused()
    finally:
        subprocess.run(["umount", str(project / "out")], check=True)


def test_a_temporary_folder_that_is_full_is_no_crash(project):
    (project / "tmp").mkdir()
    mount(project / "tmp", "4k")
    try:
        protos({"acme/v1/types.proto": TYPES + "message More {}\n"})
        said = refused(env={**os.environ, "TMPDIR": str(project / "tmp")})
        assert "No space left on device" in said
    finally:
        subprocess.run(["umount", str(project / "tmp")], check=True)


@pytest.mark.parametrize("group", [True, False], ids=["from a terminal", "by kill"])
def test_an_interrupt_while_a_plugin_runs_ends_at_once_and_leaves_the_old_output(project, group):
    """A terminal sends it to everybody, `kill` to one process, whose children must not be waited for."""
    slow = project / "slow"
    slow.write_text("#!/bin/sh\necho $$ > $STARTED\nexec sleep 30\n")
    slow.chmod(0o755)
    started = project / "started"
    protos({"acme/v1/types.proto": TYPES + "message More {}\n"})
    before = tree()
    with Path("said").open("wb") as said:
        process = subprocess.Popen(
            [*COMMAND, *ARGS, "--plugin", "slow=./slow"],
            env={**os.environ, "STARTED": str(started)},
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + 30
        while not (started.exists() and started.read_text().strip()):
            assert process.poll() is None, Path("said").read_text()
            assert time.monotonic() < end, "the plugin was never started"
            time.sleep(0.02)
        (os.killpg if group else os.kill)(process.pid, signal.SIGINT)
        assert process.wait(10) == 130
        assert "Traceback" not in Path("said").read_text()
        assert tree() == before
    finally:
        # The session is this test's own; the plugin may be all that is left of it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


# The command itself, with an interrupt that arrives just before or just after the n-th file is exchanged.
INTERRUPTED = """
import os, signal, sys
from pathlib import Path
count, at, after, replace = 0, int(sys.argv.pop(1)), sys.argv.pop(1) == "after", Path.replace
def interrupted(path, target):
    global count
    count += 1
    if count == at and not after:
        os.kill(os.getpid(), signal.SIGINT)
    done = replace(path, target)
    if count == at and after:
        os.kill(os.getpid(), signal.SIGINT)
    return done
Path.replace = interrupted
from eas_grpc.cli.__main__ import main
main()
"""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", [1, 2, 4], ids=lambda at: f"file {at}")
def test_an_interrupt_while_the_files_are_exchanged_puts_all_of_them_back(project, at, when):
    """One stale file to remove, two modules and the manifest to replace."""
    protos({"acme/v1/types.proto": TYPES + "message More {}\n"})
    before = tree()
    done = run(
        "--client",
        "none",
        "--no-servicer",
        "--no-types",
        command=[sys.executable, "-c", INTERRUPTED, str(at), when],
    )
    assert done.returncode not in (0, 3), done.stderr
    assert "Traceback" not in done.stderr
    assert {name: value and value[0] for name, value in tree().items()} == {
        name: value and value[0] for name, value in before.items()
    }
