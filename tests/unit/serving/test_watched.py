"""The handlers around the servicers' are made once for each method, and cannot be made to fill the memory."""

from __future__ import annotations

from eas_grpc.serving._calls import Watched


def made(log: list[str]) -> Watched:
    return Watched(lambda method, handler: log.append(method) or (method, handler))


def test_a_method_is_watched_once():
    log: list[str] = []
    watched, handler = made(log), object()
    assert watched("/a/B", handler) is watched("/a/B", handler)
    assert log == ["/a/B"]


def test_another_handler_for_the_same_method_is_not_taken_for_the_first():
    log: list[str] = []
    watched, first, second = made(log), object(), object()
    watched("/a/B", first)
    assert watched("/a/B", second) == ("/a/B", second)
    assert log == ["/a/B", "/a/B"]


def test_callers_cannot_fill_the_memory_with_paths():
    watched, handler = made([]), object()
    for number in range(2 * Watched._MOST):
        assert watched(f"/a/{number}", handler) == (f"/a/{number}", handler)
    assert len(watched._made) == Watched._MOST
