"""The worker processes of a run, seen from the process that started them."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from eas_grpc.auth import TokenSource
from eas_grpc.errors import EasError
from eas_grpc.load._frames import frame, read
from eas_grpc.load._job import Job
from eas_grpc.load._plan import Plan
from eas_grpc.load._record import Record
from eas_grpc.load._step import Watch

__all__ = ["RemoteWorker"]

# How often a token that may change is looked at; how long a process may take to go.
_RENEW, _LEAVING = 1.0, 2.0

# Not -m, which would import whatever lies in the folder that happens to be the current one.
_START = (
    "import sys; sys.path[:1] = filter(None, sys.path[:1]); from eas_grpc.load._child import main; main()"
)


class RemoteWorker:
    """A `Worker` in a process of its own, with the same methods."""

    def __init__(self, job: Job, tokens: TokenSource | None, part: int) -> None:
        self._job = job
        self._tokens = tokens
        self._part = part
        self._sent: str | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._renewing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Starts the process, which connects."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _START,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        self._sent = self._token()
        self._send("job", (self._job, self._part, self._sent))
        await self._answer("ready", None)
        if self._tokens is not None:
            self._renewing = asyncio.ensure_future(self._renew())

    async def run(self, plan: Plan, at: float, watch: Watch) -> tuple[Record, Record]:
        """This part of one step."""
        self._send("run", (plan, at))
        found: tuple[Record, Record] = await self._answer("done", watch)
        return found

    def end_step(self) -> None:
        """Starts no more calls in this step."""
        self._send("end_step")

    def stop(self) -> None:
        """Starts no more calls."""
        self._send("stop")

    def cut(self) -> None:
        """Does not wait for the calls in flight either."""
        self._send("cut")

    async def close(self) -> None:
        """Ends the process."""
        if self._renewing is not None:
            self._renewing.cancel()
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _LEAVING)
        except asyncio.TimeoutError:
            process.kill()
            await process.wait()

    def _token(self) -> str | None:
        # Without its mask, which refuses to be pickled.
        return None if self._tokens is None else "".join(self._tokens.current())

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEW)
            try:
                token = await asyncio.get_running_loop().run_in_executor(None, self._token)
            except Exception:  # noqa: S112
                # Away for a moment; the workers have the last one.
                continue
            if token != self._sent:
                self._sent = token
                self._send("token", token)

    def _send(self, word: str, what: Any = None) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(frame((word, what)))

    async def _answer(self, wanted: str, watch: Watch | None) -> Any:
        assert self._process is not None
        assert self._process.stdout is not None
        while (message := await read(self._process.stdout)) is not None:
            word, what = message
            if word == wanted:
                return what
            if word == "failed":
                raise what
            if word == "windows" and watch is not None:
                watch(what)
        code = await self._process.wait()
        raise EasError(f"a worker process of the load run ended by itself, with exit code {code}")
