"""The demo as users start it: `eas-grpc serve`, which is the gateway, and `python -m server_demo`, which is a grpcio server."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from reliability.child import ROOT, clean_environment

__all__ = ["TOKEN", "Command", "gateway_command", "server_command"]

# The one that both take when they are told nothing; it is printed in the README.
TOKEN = "demo-token"
_STARTING_SECONDS = 60.0


class Command:
    """A running command, which listens on `address`."""

    def __init__(self, *arguments: str) -> None:
        self._errors = tempfile.TemporaryFile("w+", errors="replace")
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )
        try:
            self.address = self._ready()
        except BaseException:
            self.end()
            raise

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    @property
    def port(self) -> int:
        """Where it listens on this machine."""
        return int(self.address.rpartition(":")[2])

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def errors(self) -> str:
        """What it wrote to stderr so far."""
        self._errors.seek(0)
        return self._errors.read()

    def end(self) -> None:
        """Ends it without a farewell."""
        if self.alive:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)
        self._process.stdout.close()
        self._errors.close()

    def _ready(self) -> str:
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            line = self._process.stdout.readline() if selector.select(_STARTING_SECONDS) else ""
        if not line.startswith("ready on "):
            raise AssertionError(f"the command said {line!r}; stderr:\n{self.errors()[-2000:]}")
        return line.split()[-1]


@contextmanager
def gateway_command(*more: str) -> Iterator[Command]:
    """`eas-grpc serve`, with the demo's services behind the gateway and no limit on calls a second."""
    command = Command("-m", "eas_grpc.cli", "serve", "--port", "0", "--rate-limit", "0", *more)
    try:
        yield command
    finally:
        command.end()


@contextmanager
def server_command() -> Iterator[Command]:
    """`python -m server_demo`: the same services on grpcio's own server."""
    command = Command("-m", "server_demo", "--port", "0")
    try:
        yield command
    finally:
        command.end()
