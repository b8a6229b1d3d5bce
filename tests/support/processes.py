"""Servers in processes of their own, which a test can freeze, kill and replace on the same port."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TESTS = Path(__file__).parents[1]


class EchoProcess:
    """`support.echo_server` in a process: `with EchoProcess(port) as server:` has read its `ready` line.

    `EchoProcess(None)` is loaded and waits for `serve(port)`.
    """

    def __init__(self, port: int | None = 0) -> None:
        self._port = port

    def __enter__(self) -> EchoProcess:
        where = "-" if self._port is None else str(self._port)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.echo_server", "--port", where],
            env=os.environ | {"PYTHONPATH": str(_TESTS)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._port is None:
            assert self._line() == "waiting"
        else:
            self._await_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._process.stdin.close()
        self._process.stdout.close()

    def serve(self, port: int) -> float:
        """Serves on `port` from now on; returns the moment of its `ready` line."""
        self._process.stdin.write(f"{port}\n")
        self._process.stdin.flush()
        return self._await_ready()

    def freeze(self) -> None:
        """Stops the process; the kernel still accepts connections and acknowledges bytes for it."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Ends the process without a farewell, frozen or not."""
        self._process.kill()
        self._process.wait(10)

    def _await_ready(self) -> float:
        words = self._line().split()
        assert words[:2] == ["ready", "on"], words
        self.address = words[2]
        self.port = int(self.address.rpartition(":")[2])
        return time.monotonic()

    def _line(self) -> str:
        return self._process.stdout.readline().strip()


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port that stays ours while nobody serves on it: others are not given it, connecting is refused."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
