"""Runs a function in a process of its own, so that client, server and judge share no interpreter lock.

`Child(function, *args)` starts `python -m reliability.child module:function` with the arguments as JSON. The function
may `say("up", port=1)` what the parent awaits with `child.until("up")`, and await a word with `hear()` that the parent
sends with `child.tell("go")`. What it returns, as JSON, is `child.result(timeout)`. A child never outlives its `with` block.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Child", "ChildFailed", "clean_environment", "hear", "say"]

ROOT = Path(__file__).resolve().parents[1]


class ChildFailed(AssertionError):
    """The child ended without a result, or said nothing for too long; the text has its own last words."""


def clean_environment(**more: str) -> dict[str, str]:
    """Without proxies, which capture even loopback, and without the user's own EAS_ settings."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy")
        and (not name.startswith("EAS_") or name.startswith("EAS_GRPC_"))
    }
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **more}


class Child:
    """`with Child(function, 1, "two", wrap=namespace.prefix) as child:`; `wrap` goes before the command."""

    def __init__(
        self,
        function: Callable[..., Any],
        *args: Any,
        wrap: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._name = f"{function.__module__}:{function.__qualname__}"
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [*wrap, sys.executable, "-m", "reliability.child", self._name],
            cwd=ROOT,
            env=clean_environment(**(env or {})),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self._write(list(args))

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            # What could not be told to a child that had died is tried again here.
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    @property
    def pid(self) -> int:
        """Of the process; with `wrap` that of the wrapping command, which mostly becomes it."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def tell(self, word: str) -> None:
        """What the child's `hear()` returns."""
        self._write(word)

    def until(self, event: str, timeout: float = 60.0) -> dict[str, Any]:
        """What the child says with this event; what it says before is passed over."""
        deadline = time.monotonic() + timeout
        while True:
            message = self._next(deadline)
            if message.get("event") == event:
                return message
            if "result" in message:
                raise ChildFailed(f"{self._name} ended before it said {event!r}")

    def result(self, timeout: float = 60.0) -> Any:
        """What the function returned."""
        deadline = time.monotonic() + timeout
        while True:
            message = self._next(deadline)
            if "result" in message:
                return message["result"]

    def signal(self, number: int) -> None:
        """Sends a signal to it and to what it started."""
        os.killpg(self._process.pid, number)

    def freeze(self) -> None:
        """Stops it; the kernel still accepts connections and acknowledges bytes for it."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets it go on."""
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """Ends it without a farewell, frozen or not."""
        if self._process.poll() is None:
            self.signal(signal.SIGKILL)
        self._process.wait(10)

    def errors(self) -> str:
        """What it wrote to stderr so far."""
        self._errors.seek(0)
        return self._errors.read()

    def _write(self, value: Any) -> None:
        self._process.stdin.write(json.dumps(value) + "\n")
        self._process.stdin.flush()

    def _next(self, deadline: float) -> dict[str, Any]:
        try:
            message = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise ChildFailed(f"{self._name} says nothing; stderr:\n{self.errors()[-4000:]}") from None
        if message is None:
            self._lines.put(None)
            self._process.wait(10)
            raise ChildFailed(
                f"{self._name} ended with {self._process.returncode}; stderr:\n{self.errors()[-4000:]}"
            )
        return message

    def _read(self) -> None:
        for line in self._process.stdout:
            if line.startswith("{"):
                self._lines.put(json.loads(line))
        self._lines.put(None)


# In the child.


def say(event: str, **data: Any) -> None:
    """Tells the parent."""
    # One write, so that what several threads say does not mix.
    print(json.dumps({"event": event, **data}) + "\n", end="", flush=True)


def hear() -> str:
    """Waits for a word of the parent's; empty when it is gone."""
    line = sys.stdin.readline()
    return json.loads(line) if line else ""


def main() -> None:
    """Runs the function that the command line names."""
    module, _, name = sys.argv[1].partition(":")
    function: Any = importlib.import_module(module)
    for part in name.split("."):
        function = getattr(function, part)
    try:
        result = function(*json.loads(sys.stdin.readline()))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    print(json.dumps({"result": result}), flush=True)
    sys.stderr.flush()
    # Threads of a broken call must not keep the process.
    os._exit(0)


if __name__ == "__main__":
    main()
