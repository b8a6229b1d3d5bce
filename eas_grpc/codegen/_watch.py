"""Tell when protos change, by looking: works on every file system, network folders and containers included."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from eas_grpc.codegen._sources import is_passed_over

__all__ = ["changes_of"]

_Seen = dict[str, tuple[int, int]]


def changes_of(roots: Iterable[Path], *, interval: float = 0.3) -> Iterator[tuple[str, ...]]:
    """Yield the paths of protos that were saved, added or removed below `roots` from now on; never ends.

    `interval` is the seconds between two looks. A change is told when a second look finds nothing newer, so that a
    file that is still being written, or a whole checkout of another branch, is one change.
    """
    kept = tuple(roots)
    # Looked at here, not when the first change is asked for: in between somebody may save.
    return _changes(kept, _look(kept), interval)


def _changes(roots: Sequence[Path], told: _Seen, interval: float) -> Iterator[tuple[str, ...]]:
    while True:
        time.sleep(interval)
        now = _look(roots)
        if now == told:
            continue
        while True:
            time.sleep(interval)
            later = _look(roots)
            if later == now:
                break
            now = later
        changed = sorted(path for path in {*told, *now} if told.get(path) != now.get(path))
        told = now
        yield tuple(changed)


def _look(roots: Iterable[Path]) -> _Seen:
    seen: _Seen = {}
    for root in roots:
        if root.is_file():
            _add(seen, str(root))
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if not is_passed_over(name)]
            for name in files:
                if name.endswith(".proto"):
                    _add(seen, os.path.join(folder, name))  # noqa: PTH118 - thousands of times
    return seen


def _add(seen: _Seen, path: str) -> None:
    try:
        stat = os.stat(path)  # noqa: PTH116
    except OSError:
        return
    seen[path] = (stat.st_mtime_ns, stat.st_size)
