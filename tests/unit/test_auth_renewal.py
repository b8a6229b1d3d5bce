"""`eas_grpc.auth.Renewal`: one look at the source for all calls that were refused with the same token."""

from __future__ import annotations

import os
import pathlib
import threading
import time
from collections.abc import Callable

import pytest

from eas_grpc import auth
from eas_grpc.auth import Renewal, token_source

THREADS = 32


class Slow:
    """A source that takes a moment, as one that asks over the network does."""

    def __init__(self, *answers: str | Exception) -> None:
        self._answers = list(answers)
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        time.sleep(0.05)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def at_once(work: Callable[[], object]) -> list[object]:
    """What `work` returned or raised in 32 threads that begin together."""
    barrier, found = threading.Barrier(THREADS), []

    def one() -> None:
        barrier.wait(10)
        try:
            found.append(work())
        except Exception as error:
            found.append(error)

    threads = [threading.Thread(target=one) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    return found


def test_threads_that_were_refused_together_ask_once() -> None:
    source = Slow("new")
    renewal = Renewal(token_source(source))
    assert at_once(lambda: renewal.after("old")) == ["new"] * THREADS
    assert source.asked == 1


def test_a_call_that_is_refused_a_little_later_takes_the_same_answer() -> None:
    """So do all tasks of an event loop, which come one after the other."""
    source = Slow("new")
    renewal = Renewal(token_source(source))
    assert [renewal.after("old") for _ in range(THREADS)] == ["new"] * THREADS
    assert source.asked == 1


def test_the_next_rotation_is_asked_for_again() -> None:
    source = Slow("second", "third")
    renewal = Renewal(token_source(source))
    assert renewal.after("first") == "second"
    assert renewal.after("second") == "third"
    assert source.asked == 2


def test_a_token_that_came_back_is_not_answered_with_what_was_good_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(auth, "_SHARED_FOR", 0.0)
    renewal = Renewal(token_source(Slow("second", "third")))
    assert renewal.after("first") == "second"
    assert renewal.after("first") == "third"


def test_where_there_is_no_other_token_threads_ask_twice_at_most() -> None:
    """The second time for those who came while somebody asked: the token may have changed just after."""
    source = Slow("old")
    renewal = Renewal(token_source(source))
    assert at_once(lambda: renewal.after("old")) == ["old"] * THREADS
    assert source.asked <= 2


def test_a_source_that_gave_the_same_token_is_asked_again_by_the_next_call() -> None:
    source = Slow("old", "new")
    renewal = Renewal(token_source(source))
    assert renewal.after("old") == "old"
    assert renewal.after("old") == "new"


def test_a_source_that_fails_does_so_for_all_who_wait_and_is_asked_twice_at_most() -> None:
    source = Slow(KeyError("no secret store"))
    renewal = Renewal(token_source(source))
    found = at_once(lambda: renewal.after("old"))
    assert len(found) == THREADS
    assert all(each is None or isinstance(each, KeyError) for each in found)
    assert sum(isinstance(each, KeyError) for each in found) == source.asked <= 2
    source._answers = ["new"]
    assert renewal.after("old") == "new"


def test_a_source_may_make_a_call_of_its_own_that_is_refused() -> None:
    def get() -> str:
        return renewal.after("inner") or "" if not nested and not nested.append(1) else "new"

    nested: list[int] = []
    renewal = Renewal(token_source(get))
    assert renewal.after("old") == "new"


def test_a_child_that_was_forked_off_while_a_thread_asked_does_not_wait_for_that_thread() -> None:
    asking, go_on, parent = threading.Event(), threading.Event(), os.getpid()

    def get() -> str:
        if os.getpid() == parent:
            asking.set()
            go_on.wait(10)
        return "new"

    renewal = Renewal(token_source(get))
    thread = threading.Thread(target=renewal.after, args=("old",))
    thread.start()
    assert asking.wait(10)
    child = os.fork()
    if child == 0:
        # Ends the child, should it hang.
        threading.Timer(5, os._exit, (1,)).start()
        os._exit(0 if renewal.after("old") == "new" else 2)
    assert os.waitpid(child, 0)[1] == 0
    go_on.set()
    thread.join(10)


def test_a_file_is_read_again_after_a_refusal_even_if_it_looks_unchanged(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "token"
    file.write_text("token-one")
    before = os.stat(file)
    source = token_source(file)
    file.write_text("token-two")
    # As where both writes fall into one tick of the file system's clock.
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert source.current() == "token-one"
    assert source.renewed() == "token-two"
    assert source.current() == "token-two"


def test_a_file_that_is_gone_keeps_its_last_token_after_a_refusal(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "token"
    file.write_text("token-one")
    source = token_source(file)
    file.unlink()
    assert source.renewed() == "token-one"


def test_no_answer_shows_a_token() -> None:
    renewal = Renewal(token_source(lambda: "secret-new"))
    renewal.after("secret-old")
    assert "secret" not in repr(vars(renewal))
