"""What goes wrong, and when: a schedule decided by the seed, and somebody who carries it out.

A kill resets connections; a black hole swallows all bytes for a while and then resets, as a path that lost its state does;
a freeze stops the server's process; a restart kills it, and another one takes over its port.
"""

from __future__ import annotations

import hashlib
import random
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from reliability.faultproxy import FaultProxy
from reliability.server import Serving, serving

__all__ = ["KINDS", "Fault", "Nemesis", "fingerprint", "schedule"]

# How many of a hundred, and the shortest and longest time in seconds.
KINDS = {
    "kill": (70, 0.0, 0.0),
    "black hole": (10, 0.1, 1.0),
    "freeze": (10, 0.05, 0.8),
    "restart": (10, 0.0, 0.0),
}


@dataclass(frozen=True)
class Fault:
    """One fault: `at` seconds after the beginning, for `seconds`."""

    at: float
    kind: str
    seconds: float


def schedule(rng: random.Random, count: int, seconds: float, *, only: str | None = None) -> list[Fault]:
    """So many faults at random moments; the same ones for the same seed."""
    moments = sorted(rng.uniform(0, seconds) for _ in range(count))
    names = [only] if only else list(KINDS)
    kinds = rng.choices(names, [KINDS[name][0] for name in names], k=count)
    return [Fault(at, kind, rng.uniform(*KINDS[kind][1:])) for at, kind in zip(moments, kinds, strict=True)]


def fingerprint(faults: list[Fault]) -> str:
    """Eight digits that are the same for the same schedule."""
    return hashlib.sha256(repr(faults).encode()).hexdigest()[:8]


class Nemesis:
    """`with Nemesis(kind, ledger, seed) as nemesis:` has a server and a proxy before it, and lets both go wrong."""

    def __init__(self, kind: str, ledger: Path, seed: int) -> None:
        self._kind, self._ledger, self._seed = kind, ledger, seed
        self._stack = ExitStack()
        self.done = 0

    def __enter__(self) -> Nemesis:
        self.server = self._start()
        self._standby = self._start(standby=True)
        self.proxy = self._stack.enter_context(FaultProxy(self.server.address, seed=self._seed))
        self.address = self.proxy.address
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, faults: list[Fault]) -> None:
        """Carries the schedule out; a fault that lasts longer than the gap to the next one moves that one."""
        began = time.monotonic()
        for fault in faults:
            time.sleep(max(0.0, began + fault.at - time.monotonic()))
            getattr(self, f"_{fault.kind.replace(' ', '_')}")(fault.seconds)
            self.done += 1

    def _kill(self, _: float) -> None:
        self.proxy.reset()

    def _black_hole(self, seconds: float) -> None:
        number = self.proxy.add("timeout")
        time.sleep(seconds)
        self.proxy.reset()
        self.proxy.remove(number)

    def _freeze(self, seconds: float) -> None:
        self.server.freeze()
        time.sleep(seconds)
        self.server.thaw()

    def _restart(self, _: float) -> None:
        port = int(self.server.address.rpartition(":")[2])
        self.server.kill()
        self._standby.begin(port)
        self.server, self._standby = self._standby, self._start(standby=True)

    def _start(self, *, standby: bool = False) -> Serving:
        return self._stack.enter_context(serving(self._kind, ledger=self._ledger, standby=standby))
