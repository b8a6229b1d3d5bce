"""What is known to fail and why, and what a run found beside it; a list that is out of date is a finding too. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

__all__ = ["Verdict", "judge", "read_known"]


@dataclass(frozen=True)
class Verdict:
    """How many passed; how many failed as the list says; failures that nobody expected; lines that are wrong now."""

    total: int
    passed: int
    known: int
    failed: Mapping[str, str]
    surprises: Mapping[str, str]

    @property
    def unexplained(self) -> int:
        """Failures that no line explains, and lines whose case fails no more."""
        return len(self.failed) + len(self.surprises)

    def sentences(self) -> list[str]:
        """What there is to look at, a sentence for each."""
        failed = [f"{name}: {why}" for name, why in sorted(self.failed.items())]
        return failed + [f"known line {line!r} is out of date: {why}" for line, why in self.surprises.items()]


def read_known(text: str) -> dict[str, str]:
    """Patterns with the argument of each, from lines `pattern | argument`; `#` begins a comment.

    Raises ValueError for a line without an argument, and for a pattern that stands there twice.
    """
    known: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        pattern, _, why = (part.strip() for part in line.partition("|"))
        if not why:
            raise ValueError(f"line {number}: {pattern!r} has no argument; write `pattern | why`")
        if pattern in known:
            raise ValueError(f"line {number}: {pattern!r} stands there twice")
        known[pattern] = why
    return known


def judge(faults: Mapping[str, str], patterns: Iterable[str]) -> Verdict:
    """`faults` has every case by name, with what was wrong with it or nothing; each match of a pattern must fail."""
    failed = {name: why for name, why in faults.items() if why}
    matches = {each: [name for name in faults if fnmatchcase(name, each)] for each in patterns}
    explained = {name for names in matches.values() for name in names} & failed.keys()
    return Verdict(
        total=len(faults),
        passed=len(faults) - len(failed),
        known=len(explained),
        failed={name: why for name, why in failed.items() if name not in explained},
        surprises={each: why for each, names in matches.items() if (why := _wrong(names, failed))},
    )


def _wrong(names: Iterable[str], failed: Mapping[str, str]) -> str:
    """What is wrong with a pattern that matches these."""
    names = list(names)
    passing = [name for name in names if name not in failed]
    if passing:
        return f"{', '.join(passing)} passes"
    return "" if names else "there is no such case"
