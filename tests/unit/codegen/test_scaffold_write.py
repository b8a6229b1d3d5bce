"""Writing a project: all of it or nothing, and nothing of somebody else's is touched."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from eas_grpc.codegen.scaffold import write_project
from eas_grpc.errors import ConfigError


def nothing(root):
    pass


def files_below(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))


def test_all_files_arrive_and_so_does_what_the_last_step_adds(tmp_path):
    def add(root):
        assert (root / "a/b.txt").read_text() == "text"
        (root / "a/c.txt").touch()

    assert write_project(tmp_path / "new", {"a/b.txt": "text", ".d": ""}, finish=add) == (
        ".d",
        "a/b.txt",
        "a/c.txt",
    )
    assert files_below(tmp_path) == ["new", "new/.d", "new/a", "new/a/b.txt", "new/a/c.txt"]
    plain = tmp_path / "plain"
    plain.mkdir()
    assert (tmp_path / "new").stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize("before", [[], [".git"]], ids=["empty", "after git init"])
def test_an_empty_folder_may_be_there(tmp_path, before, monkeypatch):
    for name in before:
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    write_project(Path(), {"a": "text"}, finish=nothing)
    assert files_below(tmp_path) == sorted([*before, "a"])


@pytest.mark.parametrize("existed", [False, True])
def test_a_last_step_that_fails_leaves_nothing(tmp_path, existed):
    root = tmp_path / "new"
    if existed:
        root.mkdir()

    def fail(_):
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        write_project(root, {"a/b": "text"}, finish=fail)
    assert files_below(tmp_path) == (["new"] if existed else [])


@pytest.mark.parametrize("existed", [False, True])
def test_a_disk_that_is_full_half_way_leaves_nothing(tmp_path, existed, monkeypatch):
    root = tmp_path / "new"
    if existed:
        root.mkdir()
    copy = shutil.copyfile

    def until_the_last(source, place):
        if source.name == "z":
            raise OSError("no space left")
        return copy(source, place)

    monkeypatch.setattr(shutil, "copyfile", until_the_last)
    with pytest.raises(OSError, match="no space"):
        write_project(root, {"a/b": "text", "m": "text", "z": "text"}, finish=nothing)
    assert files_below(tmp_path) == (["new"] if existed else [])


@pytest.mark.parametrize("name", ["m", "a/b", "a/", "other", "a"])
@pytest.mark.parametrize("existed", [False, True])
def test_what_appears_while_the_project_is_made_is_not_touched(tmp_path, existed, name):
    root = tmp_path / "new"
    if existed:
        root.mkdir()

    def appear(_):
        if name.endswith("/"):
            (root / name).mkdir(parents=True)
        else:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text("mine")

    with pytest.raises(
        ConfigError, match="new is not empty, and nothing in it is touched: choose another place"
    ):
        write_project(root, {"a/b": "text", "m": "text"}, finish=appear)
    assert files_below(tmp_path) == sorted(
        {"new", f"new/{name}".rstrip("/"), *(["new/a"] if "/" in name else [])}
    )
    assert name.endswith("/") or (root / name).read_text() == "mine"


@pytest.mark.parametrize("existed", [False, True])
@pytest.mark.parametrize("link", [False, True])
def test_what_appears_at_the_last_moment_is_not_touched_and_all_else_goes(
    tmp_path, monkeypatch, existed, link
):
    """Between the look at the folder and the file's own place in it: a test of the file alone can tell."""
    root = tmp_path / "new"
    if existed:
        root.mkdir()
    copy = shutil.copyfile

    def appear(source, place):
        if source.name == "b":
            (root / "m").symlink_to(tmp_path / "nowhere") if link else (root / "m").write_text("mine")
            (root / "a" / "theirs").touch()
        return copy(source, place)

    monkeypatch.setattr(shutil, "copyfile", appear)
    with pytest.raises(
        ConfigError, match="m appeared while the project was made, and it is not touched: choose"
    ):
        write_project(root, {"a/b": "text", "a/c/d": "text", "m": "text", "z": "text"}, finish=nothing)
    assert files_below(tmp_path) == ["new", "new/a", "new/a/theirs", "new/m"]
    assert link or (root / "m").read_text() == "mine"


def test_a_folder_that_appears_at_the_last_moment_is_not_used(tmp_path, monkeypatch):
    root, mkdir = tmp_path / "new", Path.mkdir

    def appear(path, *args, **options):
        if path == root:
            mkdir(path)
        return mkdir(path, *args, **options)

    monkeypatch.setattr(Path, "mkdir", appear)
    with pytest.raises(ConfigError, match="new appeared while the project was made"):
        write_project(root, {"a": "text"}, finish=nothing)
    assert files_below(tmp_path) == ["new"]


def test_a_folder_in_use_is_refused_and_stays_as_it_is(tmp_path):
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(ConfigError, match=r"is not empty, and nothing in it is touched: choose .* --dir"):
        write_project(tmp_path, {"kept": "theirs"}, finish=nothing)
    assert (files_below(tmp_path), (tmp_path / "kept").read_text()) == (["kept"], "mine")


def test_a_file_in_its_place_is_refused(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("file", "dangling"):
        with pytest.raises(ConfigError, match="is no folder: choose another place with --dir"):
            write_project(tmp_path / name, {"a": ""}, finish=nothing)


def test_a_place_in_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no folder .*missing to make new in: make it first"):
        write_project(tmp_path / "missing" / "new", {"a": ""}, finish=nothing)
    assert files_below(tmp_path) == []
