"""Processes that fork and spawn while they call, as servers and process pools do (row F5).

A child that hangs ends itself: an alarm kills it, and it is counted as hung. Nothing here waits without a limit.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

import grpc

from eas_grpc.errors import ConfigError
from reliability.clients import collected, collected_aio, metadata, open_channel
from reliability.ledger import request

__all__ = ["forks", "forks_of_asyncio", "pool", "workers"]

# A child that has said nothing for so long hangs: its call has a shorter deadline.
_HUNG = 6
_CALL = 4.0
_LOAD_THREADS = 8
# Exit codes of a child.
_OK, _FAILED, _TOLD = 0, 1, 2


def forks(kind: str, address: str, count: int, stream: bool) -> dict[str, Any]:
    """Forks `count` times while threads call, and with an open stream if asked for; each child calls on what it inherits."""
    with open_channel(kind, address) as channel, _Load(kind, channel, stream=stream) as load:
        children = []
        for _ in range(count):
            children.append(_fork(lambda: _call(kind, channel)))
            # A first call of each child at its own time, as the load goes on.
            threading.Event().wait(0.02)
        ended = _ends(children)
        goes_on = load.goes_on()
    return {"children": ended, "parent failed": dict(load.failed), "parent goes on": goes_on}


def workers(kind: str, address: str, count: int) -> dict[str, Any]:
    """A master with a channel that it has used forks workers, each of which calls from four threads; then it calls itself."""
    with open_channel(kind, address) as channel:
        _call(kind, channel)

        def serve() -> None:
            failed: list[Exception] = []

            def one() -> None:
                try:
                    for _ in range(5):
                        _call(kind, channel)
                except Exception as error:
                    failed.append(error)

            threads = [threading.Thread(target=one) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            if failed:
                raise failed[0]

        ended = _ends([_fork(serve) for _ in range(count)])
        goes_on = _goes_well(lambda: _call(kind, channel))
    return {"children": ended, "parent failed": {}, "parent goes on": goes_on}


def pool(kind: str, address: str, method: str, tasks: int) -> dict[str, Any]:
    """A ProcessPoolExecutor that starts its two processes by `method` while threads call; its tasks call too."""
    ended: Counter[str] = Counter()
    with open_channel(kind, address) as channel, _Load(kind, channel, stream=False) as load:
        _inherited["channel"] = channel
        executor = ProcessPoolExecutor(
            2, mp_context=get_context(method), initializer=_prepare, initargs=(kind, address, method)
        )
        until = time.monotonic() + 2 * _HUNG
        futures = [executor.submit(_task, kind) for _ in range(tasks)]
        for future in futures:
            try:
                ended[future.result(max(0.1, until - time.monotonic()))] += 1
            except TimeoutError:
                ended["hung"] += 1
            except Exception as error:
                # The pool breaks when one of its processes is killed by its alarm.
                ended["hung" if "process pool" in str(error) else "failed"] += 1
        for process in list((executor._processes or {}).values()):
            if ended["hung"]:
                process.kill()
        executor.shutdown(wait=True, cancel_futures=True)
        goes_on = load.goes_on()
    return {
        "children": {name: count for name, count in ended.items() if count},
        "parent failed": dict(load.failed),
        "parent goes on": goes_on,
    }


def forks_of_asyncio(kind: str, address: str, count: int) -> dict[str, Any]:
    """Forks from a thread of a process that uses grpc.aio, which does not survive that: what is the child told?"""

    async def parent() -> dict[str, Any]:
        channel = open_channel(kind, address)
        await _call_aio(kind, channel)

        def child() -> int:
            try:
                asyncio.run(_child_aio(kind, channel, address))
            except ConfigError as error:
                return _TOLD if "fork" in str(error) else _FAILED
            return _OK

        ended = await asyncio.to_thread(lambda: _ends([_fork(child) for _ in range(count)]))
        try:
            await _call_aio(kind, channel)
        except grpc.RpcError:
            return {"children": ended, "parent goes on": False}
        await channel.close()
        return {"children": ended, "parent goes on": True}

    return asyncio.run(parent())


async def _child_aio(kind: str, channel: Any, address: str) -> None:
    # A bare channel belongs to the event loop of the parent; a fair child makes one of its own.
    await _call_aio(kind, channel if kind == "aio" else open_channel(kind, address))


# One call.


def _call(kind: str, channel: Any) -> None:
    got = collected(channel, "unary_unary", [request("fork")], timeout=_CALL, metadata=metadata(kind))
    assert got[0].startswith(b"fork\n"), got


async def _call_aio(kind: str, channel: Any) -> None:
    messages = [request("fork")]
    await collected_aio(channel, "unary_unary", messages, timeout=_CALL, metadata=metadata(kind))


def _goes_well(call: Callable[[], object]) -> bool:
    try:
        call()
    except grpc.RpcError:
        return False
    return True


# Children.


def _fork(work: Callable[[], int | None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    signal.alarm(_HUNG)
    code = _FAILED
    try:
        code = work() or _OK
    finally:
        os._exit(code)


def _ends(children: list[int]) -> dict[str, int]:
    """How they ended: `ok`, `failed`, `told`, `crashed` or `hung`."""
    ended: Counter[str] = Counter()
    for pid in children:
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            ended["hung" if os.WTERMSIG(status) == signal.SIGALRM else "crashed"] += 1
        else:
            ended[{_OK: "ok", _TOLD: "told"}.get(os.WEXITSTATUS(status), "failed")] += 1
    return dict(ended)


# The processes of a pool: a forked one has the parent's channel, a spawned one makes its own.
_inherited: dict[str, Any] = {}


def _prepare(kind: str, address: str, method: str) -> None:
    signal.alarm(2 * _HUNG)
    if method == "spawn":
        _inherited["channel"] = open_channel(kind, address)


def _task(kind: str) -> str:
    try:
        _call(kind, _inherited["channel"])
    except grpc.RpcError:
        return "failed"
    return "ok"


class _Load:
    """Threads that call until the end of the `with` block, and a stream of messages if asked for."""

    def __init__(self, kind: str, channel: Any, *, stream: bool) -> None:
        self._kind, self._channel = kind, channel
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(_LOAD_THREADS)]
        if stream:
            self._threads.append(threading.Thread(target=self._converse, daemon=True))
        self._lock = threading.Lock()
        self.done, self.failed = 0, Counter()

    def __enter__(self) -> _Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        until = time.monotonic() + _HUNG
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def goes_on(self) -> bool:
        """Whether the threads still get answers."""
        before, until = self.done, time.monotonic() + _HUNG
        while self.done < before + 2 * _LOAD_THREADS and time.monotonic() < until:
            self._stopped.wait(0.01)
        return self.done >= before + 2 * _LOAD_THREADS

    def _work(self) -> None:
        while not self._stopped.is_set():
            with self._noted():
                _call(self._kind, self._channel)
            with self._lock:
                self.done += 1

    def _converse(self) -> None:
        with self._noted():
            said = metadata(self._kind)
            call = self._channel.stream_stream("/eas.reliability.Ledger/stream_stream")
            for _ in call(self._words(), timeout=60, metadata=said):
                pass

    def _words(self) -> Iterator[bytes]:
        while not self._stopped.wait(0.01):
            yield request("chat")

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            self.failed[error.code().name] += 1
        except AssertionError:
            self.failed["wrong answer"] += 1
