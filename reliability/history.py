"""What clients saw and what the server did, joined: nothing lost, nothing wrong, nothing unexplained. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from reliability.ledger import Entry

__all__ = ["Call", "Verdict", "judge", "read_history"]


@dataclass(frozen=True)
class Call:
    """One call as its client saw it: times of the monotonic clock, `code` by name, `right` of the answers."""

    id: str
    shape: str
    began: float
    ended: float
    timeout: float
    code: str
    details: str = ""
    right: bool = True
    retried: bool = True

    def __str__(self) -> str:
        """The line of a history."""
        return json.dumps(asdict(self))

    @property
    def over(self) -> float:
        """Seconds beyond its deadline; negative where it ended in time."""
        return self.ended - self.began - self.timeout


def read_history(path: Path) -> Iterator[Call]:
    """The calls of a history file."""
    for line in path.read_text().splitlines():
        yield Call(**json.loads(line))


@dataclass
class Verdict:
    """What a history and a ledger say together.

    `lost`: acknowledged, but never run. `wrong`: an answer that is not the one to its request. `twice`: run more than
    once; `twice_excluded`: among them those whose method is excluded from retries. `calls` and `failed` count by shape those whose methods may be retried.
    """

    calls: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    twice_excluded: list[str] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    excluded: int = 0
    failed_excluded: int = 0
    unexplained: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    most_over: float = float("-inf")

    def failed_percent(self, shapes: Iterable[str] | None = None) -> float:
        """How many of 100 calls failed whose methods may be retried, of these shapes or of all."""
        chosen = list(self.calls if shapes is None else shapes)
        calls = sum(self.calls[shape] for shape in chosen)
        return 100 * sum(self.failed[shape] for shape in chosen) / max(1, calls)


def judge(
    calls: Iterable[Call],
    entries: Iterable[Entry],
    explained: Iterable[str] = ("UNAVAILABLE", "DEADLINE_EXCEEDED"),
) -> Verdict:
    """Joins a history with the ledgers of all servers that took part; `explained` codes may happen under faults."""
    ran = Counter(entry.id for entry in entries if entry.event == "run")
    verdict, allowed = Verdict(), set(explained)
    for call in calls:
        verdict.calls[call.shape] += call.retried
        verdict.excluded += not call.retried
        verdict.slowest = max(verdict.slowest, call.ended - call.began)
        verdict.most_over = max(verdict.most_over, call.over)
        if call.code == "OK":
            verdict.acknowledged += 1
            if not ran[call.id]:
                verdict.lost.append(call.id)
            if not call.right:
                verdict.wrong.append(call.id)
        else:
            verdict.failed[call.shape] += call.retried
            verdict.failed_excluded += not call.retried
            if call.code not in allowed:
                verdict.unexplained[f"{call.code}: {call.details[:120]}"] += 1
        if ran[call.id] > 1:
            verdict.twice.append(call.id)
            if not call.retried:
                verdict.twice_excluded.append(call.id)
    return verdict
