"""A server that stands by, so that a restart takes as long as the test says and not as long as Python takes to start."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reliability.child import hear, say
from reliability.server import TOKEN, Serving, serve

__all__ = ["Standby", "down", "standing_by"]


class Standby(Serving):
    """Loaded and silent until `listen()`."""

    def listen(self) -> float:
        """Serves; since when, on the monotonic clock: just after it said so, so never too late for it."""
        self.tell("go")
        self.address = self.until("ready")["address"]
        return time.monotonic()


@contextmanager
def standing_by(
    kind: str, port: int, *, ledger: Path | None = None, options: dict[str, int] | None = None
) -> Iterator[Standby]:
    """A ledger server for this port that does not listen yet."""
    with Standby(
        stand_by, kind, str(ledger or os.devnull), "127.0.0.1", port, TOKEN, options or {}, 32
    ) as child:
        child.until("standby")
        yield child


def down(seconds: float) -> None:
    """Lets a server be away for so long; this is the fault itself, nobody waits for anything here."""
    time.sleep(seconds)


# In the server's process.


def stand_by(
    kind: str, ledger: str, host: str, port: int, token: str, options: dict[str, int], workers: int
) -> None:
    """Serves as `reliability.server.serve` does, once told to."""
    say("standby")
    hear()
    serve(kind, ledger, host, port, token, options, workers)
