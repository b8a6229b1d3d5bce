"""What is asked and what is answered, as plain data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from eas_grpc.auth import Token, hidden

__all__ = ["STEPS", "Finding", "Outcome", "Question", "Report", "Severity", "Step"]

Severity = Literal["fault", "warning", "note"]
Outcome = Literal["ok", "note", "warning", "fault", "skipped"]

# In the order in which they run and are shown.
STEPS = (
    "address",
    "token",
    "proxy",
    "dns",
    "tcp",
    "tls",
    "http2",
    "gateway",
    "health",
    "reflection",
    "call",
    "keepalive",
    "limits",
    "clock",
)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What to examine, as the user has it: nothing here is checked yet, since it is what gets judged.

    `method` is called with `data`, JSON text, where both are wanted. `idle` seconds: hold a connection that long and
    call again. `max_request` bytes: see whether a request of this size is taken. `tls` decides where the address has
    no scheme. `timeout` is for one step, `total` for all that do not wait on purpose,
    `call_timeout` for the call of `method` (what is left of `total`, where it is None).
    """

    address: str
    token: Token | None = field(default=None, repr=False)
    method: str | None = None
    data: str | None = field(default=None, repr=False)
    metadata: tuple[tuple[str, str | bytes], ...] = field(default=(), repr=False)
    authority: str | None = None
    tls: bool | None = None
    cacert: str | os.PathLike[str] | None = None
    cert: str | os.PathLike[str] | None = None
    key: str | os.PathLike[str] | None = None
    max_request: int | None = None
    max_response: int | None = None
    idle: float = 0.0
    ping_every: float = 30.0
    proxy: bool | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    timeout: float = 1.5
    total: float = 4.6
    call_timeout: float | None = None

    def __post_init__(self) -> None:
        # A frame's locals show it where somebody prints them.
        object.__setattr__(self, "token", hidden(self.token))


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something to know. `sure` where the evidence admits no other cause."""

    id: str
    severity: Severity
    sentence: str
    advice: str = ""
    evidence: str = ""
    sure: bool = True
    exit: int = 0

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "id": self.id,
            "severity": self.severity,
            "sure": self.sure,
            "sentence": self.sentence,
            "advice": self.advice,
            "evidence": self.evidence,
        }


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of the chain: how it went, how long it took, and what was seen."""

    name: str
    outcome: Outcome
    seconds: float
    evidence: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "outcome": self.outcome,
            "seconds": round(self.seconds, 4),
            "evidence": list(self.evidence),
        }


@dataclass(frozen=True, kw_only=True)
class Report:
    """All findings, the gravest first, and all steps. No part holds a token or a control character."""

    address: str
    verdict: str
    sure: bool
    sentence: str
    advice: str
    exit: int
    seconds: float
    findings: tuple[Finding, ...]
    steps: tuple[Step, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the names are a contract."""
        return {
            "address": self.address,
            "verdict": self.verdict,
            "sure": self.sure,
            "sentence": self.sentence,
            "advice": self.advice,
            "exit": self.exit,
            "seconds": round(self.seconds, 4),
            "findings": [finding.to_dict() for finding in self.findings],
            "steps": [step.to_dict() for step in self.steps],
        }
