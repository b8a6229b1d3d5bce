"""All of a run or nothing of it: every step of the exchange fails once, by a full disk and by an interrupt."""

from __future__ import annotations

import errno
import os
import py_compile
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from eas_grpc.codegen._place import Tree, place
from eas_grpc.errors import SchemaError

OLD = {
    "a_pb2.py": b"old a",
    "p/b_pb2.py": b"old b",
    "p/gone_pb2.py": b"old gone",
    "p/deep/gone_pb2.py": b"deep",
}
NEW = {
    "a_pb2.py": b"new a",
    "new/deep/c_pb2.py": b"new c",
    "p/b_pb2.py": b"new b",
    "eas_grpc_gen.json": b"{}",
}
GONE = ("p/gone_pb2.py", "p/deep/gone_pb2.py")

# Every way in which the disk is changed.
STEPS = (
    (os, "link"),
    (shutil, "copy2"),
    (Path, "replace"),
    (Path, "write_bytes"),
    (Path, "mkdir"),
    (tempfile, "mkdtemp"),
)


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every file and, with None, every folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def files(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in tree(folder).items() if content is not None}


def put(folder: Path, new: dict[str, bytes] | None = None, gone: tuple[str, ...] = GONE) -> None:
    place(Tree(folder=folder, files=NEW if new is None else new, gone=gone))


@pytest.fixture
def out(tmp_path) -> Path:
    folder = tmp_path / "out"
    for name, content in OLD.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def fails(code: int) -> OSError:
    return OSError(code, os.strerror(code))


class Fault:
    """Raises at one step, before it is done or as soon as it is; `count` says how many steps there were."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int, error: BaseException, *, after: bool) -> None:
        self.count = 0
        self.at, self.error, self.after = at, error, after
        for owner, name in STEPS:
            patch.setattr(owner, name, self.around(getattr(owner, name)))

    def around(self, step: Callable[..., object]) -> Callable[..., object]:
        def stepped(*args: object, **options: object) -> object:
            self.count += 1
            hit = self.count == self.at
            if hit and not self.after:
                raise self.error
            result = step(*args, **options)
            if hit:
                raise self.error
            return result

        return stepped


def no_links(patch: pytest.MonkeyPatch, code: int = errno.EPERM) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise fails(code)

    patch.setattr(os, "link", refuse)


def attempt(
    run: Callable[[], None], at: int, error: BaseException, *, after: bool, links: bool
) -> tuple[int, str]:
    """Run with a fault at one step; return how many steps there were, and what was raised."""
    with pytest.MonkeyPatch.context() as patch:
        if not links:
            no_links(patch)
        fault = Fault(patch, at, error, after=after)
        try:
            run()
        except KeyboardInterrupt:
            return fault.count, "KeyboardInterrupt"
        except SchemaError as caught:
            return fault.count, str(caught)
    return fault.count, ""


EVERY_FAULT = pytest.mark.parametrize(
    ("error", "after"),
    [(fails(errno.ENOSPC), False), (KeyboardInterrupt(), False), (KeyboardInterrupt(), True)],
    ids=["disk full", "interrupted before a step", "interrupted after a step"],
)
SAID = {OSError: "No space left on device; nothing was changed", KeyboardInterrupt: "KeyboardInterrupt"}


@EVERY_FAULT
@pytest.mark.parametrize("links", [True, False], ids=["hard links", "copies"])
def test_whatever_step_fails_the_old_files_are_as_they_were_and_nothing_is_left_over(
    tmp_path, out, error, after, links
):
    """Over an existing output, one copy of it per step."""
    before, failed = tree(out), 0
    for at in range(1, 100):
        copy = tmp_path / f"copy-{at}"
        shutil.copytree(out, copy)
        count, raised = attempt(lambda at=copy: put(at), at, error, after=after, links=links)
        if not raised:
            # Past the last step; or a link could not be made and a copy could.
            assert files(copy) == NEW
            if count < at:
                break
            continue
        failed += 1
        assert raised.endswith(SAID[type(error)])
        assert tree(copy) == before, f"after a fault at step {at}"
    assert failed >= 12, "the faults met too few steps"


@EVERY_FAULT
def test_whatever_step_fails_a_folder_that_was_not_there_is_not_there_again(tmp_path, error, after):
    """Nor is the one above it."""
    for at in range(1, 100):
        count, raised = attempt(
            lambda: put(tmp_path / "made/out", gone=()), at, error, after=after, links=True
        )
        if not raised:
            break
        assert raised.endswith(SAID[type(error)])
        assert tree(tmp_path) == {}, f"after a fault at step {at}"
    assert count >= 10
    assert files(tmp_path / "made/out") == NEW


@EVERY_FAULT
def test_of_two_folders_none_changes_when_the_other_cannot(tmp_path, out, error, after):
    """The output and the descriptor set beside it."""

    def run(base: Path) -> None:
        place(
            Tree(folder=base / "out", files={"a_pb2.py": b"new"}),
            Tree(folder=base / "set", files={"schema.bin": b"set"}),
        )

    before = tree(out)
    for at in range(1, 100):
        base = tmp_path / f"copy-{at}"
        shutil.copytree(out, base / "out")
        count, raised = attempt(lambda base=base: run(base), at, error, after=after, links=True)
        if raised:
            assert tree(base / "out") == before, f"after a fault at step {at}"
            assert not (base / "set").exists(), f"after a fault at step {at}"
        elif count < at:
            break
    assert at > 7
    assert ((base / "out/a_pb2.py").read_bytes(), files(base / "set")) == (b"new", {"schema.bin": b"set"})


def test_new_files_are_written_old_ones_replaced_and_stale_ones_removed(out):
    """And folders that are empty now go; nothing else is left in the folder."""
    put(out)
    assert files(out) == NEW
    assert not (out / "p/deep").exists()


def test_the_files_are_exchanged_in_their_order(tmp_path, monkeypatch):
    """The manifest comes last, so that a run that is cut short is finished by the next one."""
    replaced: list[str] = []
    replace = Path.replace
    monkeypatch.setattr(
        Path, "replace", lambda path, to: (replaced.append(Path(to).name), replace(path, to))[1]
    )
    put(tmp_path, gone=())
    assert replaced[-4:] == [Path(name).name for name in NEW]


def test_a_folder_where_a_file_belongs_stops_the_run_and_the_rest_is_put_back(out):
    (out / "p/b_pb2.py").unlink()
    (out / "p/b_pb2.py").mkdir()
    before = tree(out)
    with pytest.raises(
        SchemaError, match=r"p/b_pb2\.py cannot be written to: Is a directory; nothing was changed"
    ):
        put(out)
    assert tree(out) == before


def test_a_file_where_a_folder_belongs_stops_the_run(out):
    (out / "new").write_text("mine")
    before = tree(out)
    with pytest.raises(SchemaError, match=r"nothing was changed"):
        put(out)
    assert tree(out) == before


def test_an_output_root_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(SchemaError, match=r"out cannot be written to: File exists; nothing was changed"):
        put(tmp_path / "out", gone=())
    assert tree(tmp_path) == {"out": b"mine"}


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP, errno.EXDEV, errno.EMLINK])
def test_a_file_system_without_hard_links_will_do(out, monkeypatch, code):
    """exFAT, SMB and some folders of containers have none."""
    no_links(monkeypatch, code)
    put(out)
    assert files(out) == NEW


def test_a_really_full_disk_leaves_the_old_files(tmp_path):
    """On a small file system of its own, where root may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        (disk / "a_pb2.py").write_bytes(b"old a")
        with pytest.raises(SchemaError, match=r"No space left on device; nothing was changed"):
            put(disk, {"a_pb2.py": b"new a", "b_pb2.py": b"x" * 100_000}, ())
        assert tree(disk) == {"a_pb2.py": b"old a"}
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def compiled(out: Path, *names: str) -> None:
    for name in names:
        (out / name).write_text("")
        py_compile.compile(str(out / name))


def test_compiled_leftovers_of_a_removed_module_go_with_it(out):
    """Else Python would go on importing what is gone."""
    compiled(out, "p/gone_pb2.py", "p/b_pb2.py")
    put(out)
    assert [path.name.partition(".")[0] for path in (out / "p/__pycache__").iterdir()] == ["b_pb2"]


def test_compiled_leftovers_that_cannot_be_removed_do_not_fail_a_finished_run(out, monkeypatch):
    """Everything is in place by then."""
    compiled(out, "p/gone_pb2.py")
    unlink = Path.unlink

    def stuck(path: Path, *, missing_ok: bool = False) -> None:
        if path.suffix == ".pyc":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", stuck)
    put(out)
    assert (out / "a_pb2.py").read_bytes() == b"new a"


def test_a_folder_with_something_of_ones_own_stays(out):
    (out / "p/deep/notes.txt").write_text("mine")
    put(out)
    assert tree(out / "p/deep") == {"notes.txt": b"mine"}


def test_new_files_can_be_read_by_whoever_the_umask_lets(out):
    """The folder that they are staged in is private; they are not."""
    before = os.umask(0o022)
    try:
        put(out)
    finally:
        os.umask(before)
    assert (out / "a_pb2.py").stat().st_mode & 0o777 == 0o644


def test_a_link_to_the_output_root_is_followed(out, tmp_path):
    (tmp_path / "link").symlink_to(out)
    put(tmp_path / "link")
    assert files(out) == NEW
    assert (tmp_path / "link").is_symlink()
