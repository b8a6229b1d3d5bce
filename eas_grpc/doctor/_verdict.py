"""From all findings to the one that is told first. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from eas_grpc.doctor._catalogue import CATALOGUE
from eas_grpc.doctor._records import Finding, Outcome

__all__ = ["UNREMARKABLE", "outcome", "ranked", "verdict"]

_GRAVITY = {"fault": 0, "warning": 1, "note": 2}
_ORDER = {name: place for place, name in enumerate(CATALOGUE)}

# A service may do without these, so on their own they leave the verdict "ok".
UNREMARKABLE = frozenset({"health-missing", "reflection-off", "slow", "wait-for-ready", "plaintext-token"})


def ranked(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The gravest first, each once; a sure one before a guess, then by the catalogue's order."""
    once: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        once.setdefault((finding.id, finding.severity), finding)
    return tuple(
        sorted(once.values(), key=lambda each: (_GRAVITY[each.severity], not each.sure, _ORDER[each.id]))
    )


def verdict(findings: Iterable[Finding]) -> Finding | None:
    """The finding that is the verdict; None for "ok"."""
    return next(
        (each for each in ranked(findings) if each.id not in UNREMARKABLE or each.severity == "fault"), None
    )


def outcome(findings: Iterable[Finding]) -> Outcome:
    """How a step with these findings went."""
    ordered = ranked(findings)
    return ordered[0].severity if ordered else "ok"
