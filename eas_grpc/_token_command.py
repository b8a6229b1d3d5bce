"""A token that a program prints: run when the token is first needed, and again after a refusal.

The program gets no shell, no standard input and this process's standard error; its standard output is the token and
is in no message.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import threading
import time
from collections.abc import Sequence

from eas_grpc.auth import Masked
from eas_grpc.errors import ConfigError

__all__ = ["TIMEOUT", "CommandToken"]

TIMEOUT = 30.0
# More than any token has; what prints more is not printing one.
_MOST_BYTES = 64 * 1024


class CommandToken:
    """What a callable token is to `connect()`: keeps the answer, `renewed` asks again. Any thread may call it."""

    def __init__(self, command: Sequence[str], origin: str, *, timeout: float = TIMEOUT) -> None:
        self._command, self._origin, self._timeout = tuple(command), origin, timeout
        self._token: Masked | None = None
        self._pid, self._asking = os.getpid(), threading.Lock()

    def __call__(self) -> str:
        """The token; runs the program where that was not done yet."""
        if self._token is None:
            with self._lock():
                if self._token is None:
                    self._token = self._run()
        return self._token

    def renewed(self) -> str:
        """The token as the program prints it now."""
        with self._lock():
            self._token = self._run()
            return self._token

    def __repr__(self) -> str:
        return f"<token of a command, {self._origin}>"

    def _lock(self) -> threading.Lock:
        # A child that was forked off while a thread asked would wait for that thread for ever.
        if self._pid != os.getpid():
            self._pid, self._asking = os.getpid(), threading.Lock()
        return self._asking

    def _run(self) -> Masked:
        program, where = self._command[0], f"{self._origin}: token_command"
        try:
            with subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0
            ) as process:
                try:
                    text = _read(process, time.monotonic() + self._timeout)
                finally:
                    process.kill()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "an argument holds a NUL character"
            raise ConfigError(f"{where} cannot run {program}: {why}") from None
        if text is None:
            raise ConfigError(
                f"{where} was stopped, {program} had not ended after {self._timeout:g} s:"
                " run it by hand to see what it waits for"
            )
        if len(text) > _MOST_BYTES:
            raise ConfigError(f"{where} printed far more than a token")
        if process.returncode != 0:
            raise ConfigError(
                f"{where} failed, {program} ended with {_status(process.returncode)}: run it by hand to see why"
            )
        if not text.strip():
            raise ConfigError(f"{where} printed nothing to standard output, where the token should be")
        return Masked(text.strip())


def _read(process: subprocess.Popen[bytes], until: float) -> Masked | None:
    """What it prints until it ends, or more than is wanted; None where the time is up first."""
    assert process.stdout is not None
    output = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while len(output) <= _MOST_BYTES:
            if not selector.select(max(0.0, until - time.monotonic())):
                return None
            part = process.stdout.read(8192)
            if not part:
                break
            output += part
    text = Masked(output.decode("utf-8", "replace"))
    if len(output) <= _MOST_BYTES:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            return None
    return text


def _status(code: int) -> str:
    return f"exit code {code}" if code > 0 else f"signal {-code}"
