"""Foreign clients that tests tell what to call and ask what they saw: the programs `probe` of grpc-go and grpc-js, and curl."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import grpc
from interop.programs import environment, finish

# Every call ends by then; a test that comes to it has failed.
PATIENCE_SECONDS = 20.0


@dataclass
class Seen:
    """What a client saw of a call."""

    code: grpc.StatusCode
    details: str
    seconds: float
    messages: list[str] = field(default_factory=list)
    headers: dict[str, list[str]] = field(default_factory=dict)
    trailers: dict[str, list[str]] = field(default_factory=dict)


class Probe:
    """`with Probe(command, address, token) as probe:` has one channel; its calls may run side by side."""

    def __init__(self, command: Sequence[object], address: str, token: str, **options: object) -> None:
        extra = [json.dumps(options)] if options else []
        self._command = [*map(str, command), address, token, *extra]
        self._numbers = 0
        self._seen: dict[int, queue.Queue[Seen]] = {}

    def __enter__(self) -> Probe:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            self._command, env=environment(), stdin=pipe, stdout=pipe, text=True, bufsize=1
        )
        self._reader = threading.Thread(target=self._read, name="probe", daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self._process.kill()
        self._reader.join(PATIENCE_SECONDS)

    def begin(
        self,
        method: str = "SayHello",
        *names: str,
        count: int = 0,
        interval_ms: int = 0,
        timeout: float = PATIENCE_SECONDS,
    ) -> int:
        """Begins a call; its number."""
        self._numbers += 1
        self._seen[self._numbers] = queue.Queue()
        order = {
            "id": self._numbers,
            "method": method,
            "names": names or ["World"],
            "count": count,
            "interval_ms": interval_ms,
            "timeout": timeout,
        }
        self._process.stdin.write(json.dumps(order) + "\n")
        return self._numbers

    def end(self, number: int) -> Seen:
        """What was seen of a call, once it is over."""
        return self._seen[number].get(timeout=PATIENCE_SECONDS)

    def call(self, method: str = "SayHello", *names: str, **how: float) -> Seen:
        return self.end(self.begin(method, *names, **how))

    def _read(self) -> None:
        for line in self._process.stdout:
            told = json.loads(line)
            number, code = told.pop("id"), _CODES[told.pop("code")]
            # Go says null for what is empty.
            self._seen[number].put(
                Seen(code, **{name: each for name, each in told.items() if each is not None})
            )


_CODES = {code.value[0]: code for code in grpc.StatusCode}


def curl(url: str, *flags: object, body: str | None = None, token: str = "t") -> SimpleNamespace:
    """A POST; `exit` is curl's status, `error` its words, and the rest what its --write-out calls so."""
    data = ["--request", "POST"] if body is None else ["--data-binary", body]
    done = finish(
        "curl",
        *("--silent", "--noproxy", "*", "--max-time", PATIENCE_SECONDS, "--write-out", "\n%{json}"),
        *("--header", f"Authorization: {token}", *data),
        *flags,
        url,
        timeout=PATIENCE_SECONDS + 10,
    )
    body, _, told = done.stdout.rpartition("\n")
    seen = json.loads(told)
    return SimpleNamespace(**seen, exit=done.returncode, error=seen["errormsg"], body=body)
