"""Changes of protos, told once each, and not before they are complete."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from eas_grpc.codegen import _watch
from eas_grpc.codegen._watch import changes_of

FAST = 0.01


class Clock:
    """Stands for time.sleep: each look may be preceded by something that happens meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.meanwhile: list = []
        self.slept: list[float] = []
        monkeypatch.setattr(_watch.time, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        assert len(self.slept) < 100, "a change was never told"
        if self.meanwhile:
            self.meanwhile.pop(0)()


@pytest.fixture
def clock(monkeypatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def root(tmp_path) -> Path:
    (tmp_path / "protos/acme").mkdir(parents=True)
    (tmp_path / "protos/acme/a.proto").write_text("one")
    return tmp_path / "protos"


def nothing() -> None:
    """Time passes."""


def test_a_saved_file_is_told(root, clock):
    path = root / "acme/a.proto"
    clock.meanwhile = [nothing, lambda: path.write_text("another")]
    assert next(changes_of([root])) == (str(path),)


def test_an_added_and_a_removed_file_are_told_together(root, clock):
    def checkout() -> None:
        (root / "acme/a.proto").unlink()
        (root / "new").mkdir()
        (root / "new/b.proto").write_text("two")

    clock.meanwhile = [checkout]
    assert next(changes_of([root])) == (str(root / "acme/a.proto"), str(root / "new/b.proto"))


def test_a_file_of_the_same_size_is_told_by_its_time(root, clock):
    path = root / "acme/a.proto"
    clock.meanwhile = [lambda: (path.write_text("two"), os.utime(path, ns=(1, 1)))]
    assert next(changes_of([root])) == (str(path),)


def test_what_is_still_being_written_is_one_change(root, clock):
    """A checkout of another branch takes a while."""
    path = root / "acme/a.proto"
    clock.meanwhile = [lambda number=number: path.write_text("x" * number) for number in range(4, 9)]
    changes = changes_of([root])
    assert next(changes) == (str(path),)
    assert len(clock.slept) == 6, "it was told before a second look found nothing newer"
    clock.meanwhile = [nothing, lambda: (root / "late.proto").write_text("")]
    assert next(changes) == (str(root / "late.proto"),)


def test_a_change_between_two_questions_is_told(root, clock):
    """The generation that the first one starts takes its time."""
    changes = changes_of([root])
    clock.meanwhile = [lambda: (root / "a.proto").write_text("")]
    next(changes)
    (root / "b.proto").write_text("")
    assert next(changes) == (str(root / "b.proto"),)


def test_a_change_before_the_first_question_is_told(root, clock):
    """The watch begins when it is asked for, not when its first answer is."""
    changes = changes_of([root])
    (root / "acme/a.proto").write_text("another")
    assert next(changes) == (str(root / "acme/a.proto"),)


def test_only_protos_in_folders_that_are_not_hidden_count(root, clock):
    def noise() -> None:
        (root / "notes.txt").write_text("")
        (root / ".git").mkdir()
        (root / ".git/x.proto").write_text("")

    clock.meanwhile = [noise, nothing, lambda: (root / "b.proto").write_text("")]
    assert next(changes_of([root])) == (str(root / "b.proto"),)


def test_a_single_file_may_be_watched(root, clock):
    path = root / "acme/a.proto"
    clock.meanwhile = [lambda: (root / "other.proto").write_text(""), lambda: path.write_text("another")]
    assert next(changes_of([path])) == (str(path),)


def test_a_folder_that_comes_later_is_told_when_it_is_there(tmp_path, clock):
    def appear() -> None:
        (tmp_path / "late").mkdir()
        (tmp_path / "late/a.proto").write_text("")

    clock.meanwhile = [nothing, appear]
    assert next(changes_of([tmp_path / "late"])) == (str(tmp_path / "late/a.proto"),)


def test_a_file_that_goes_while_it_is_looked_at_is_gone(root, clock, monkeypatch):
    """A link to nowhere looks the same."""
    (root / "link.proto").symlink_to(root / "nowhere")
    clock.meanwhile = [lambda: (root / "b.proto").write_text("")]
    assert next(changes_of([root])) == (str(root / "b.proto"),)


def test_between_two_looks_the_interval_passes(root, clock):
    clock.meanwhile = [lambda: (root / "b.proto").write_text("")]
    next(changes_of([root], interval=7))
    assert clock.slept == [7, 7]


def test_it_works_with_a_real_clock(root):
    """And somebody else who writes."""

    def write() -> None:
        time.sleep(5 * FAST)
        (root / "b.proto").write_text("new")

    changes = changes_of([root], interval=FAST)
    writer = threading.Thread(target=write)
    writer.start()
    assert next(changes) == (str(root / "b.proto"),)
    writer.join()
