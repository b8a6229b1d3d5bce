"""A worker process, which reads commands from its standard input until that ends.

The token comes by that way too, and again when it has changed: it is in no argument and in no environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import traceback
import warnings
from typing import Any

from eas_grpc.errors import EasError
from eas_grpc.load._frames import frame, read
from eas_grpc.load._loop import run_on_time
from eas_grpc.load._worker import Worker

__all__: list[str] = []


async def _serve(commands: int, answers: int) -> None:
    stream = await _reader(commands)
    first = await read(stream)
    if first is None:
        return
    _, (job, part, token) = first
    box = [token]
    worker = Worker(job, None if token is None else lambda: box[0], part)
    running: asyncio.Task[None] | None = None

    def tell(word: str, what: Any = None) -> None:
        data = frame((word, what))
        # The parent may be gone, which the end of the commands says.
        with contextlib.suppress(BrokenPipeError):
            while data:
                data = data[os.write(answers, data) :]

    async def step(plan: Any, at: float) -> None:
        try:
            tell("done", await worker.run(plan, at, lambda windows: tell("windows", windows)))
        except EasError as error:
            tell("failed", error)
        except Exception:
            # A bug. The parent waits for an answer or for the end of this process.
            traceback.print_exc()
            os._exit(1)

    try:
        await worker.open()
    except EasError as error:
        tell("failed", error)
        return
    tell("ready")
    while (message := await read(stream)) is not None:
        word, what = message
        if word == "token":
            box[0] = what
        elif word == "run":
            running = asyncio.ensure_future(step(*what))
        else:
            {"end_step": worker.end_step, "stop": worker.stop, "cut": worker.cut}[word]()
    # The parent is gone or has all that it wants.
    worker.cut()
    if running is not None:
        await asyncio.wait([running], timeout=1)
    await worker.close()


async def _reader(descriptor: int) -> asyncio.StreamReader:
    stream = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(descriptor, "rb", buffering=0)
    )
    return stream


def main() -> None:
    """Entry point."""
    # A terminal's interrupt goes to every process; what to do about it is the parent's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")
    # Whatever prints must not print into the answers.
    answers = os.dup(1)
    os.dup2(2, 1)
    run_on_time(_serve(os.dup(0), answers))


if __name__ == "__main__":
    main()
