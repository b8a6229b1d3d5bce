"""A connection that is held without calls: what came of it, and what that means. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from eas_grpc.doctor._catalogue import found
from eas_grpc.doctor._records import Finding
from eas_grpc.doctor._text import Showing

__all__ = ["Held", "describe_held", "judge_idle"]

_CALM = 11  # ENHANCE_YOUR_CALM (RFC 9113, 7): with gRPC, "too_many_pings"


@dataclass(frozen=True)
class Held:
    """One connection's fate. `end` is empty where it answered a call after the wait; `after` seconds it ended."""

    end: Literal["", "goaway", "closed", "reset", "silence"] = ""
    after: float = 0.0
    goaway: tuple[int, bytes] | None = None
    pings: int = 0
    pongs: int = 0


def describe_held(held: Held, showing: Showing) -> str:
    """One line of evidence."""
    kind = f"with {held.pings} pings" if held.pings else "quiet"
    if not held.end:
        return f"{kind}: still good after {held.after:.1f} s"
    how = {
        "goaway": "GOAWAY",
        "closed": "closed by the other side",
        "reset": "reset",
        "silence": "a call into it gets no answer",
    }[held.end]
    if held.goaway is not None:
        how = f"GOAWAY, error code {held.goaway[0]} {showing(held.goaway[1])}".rstrip()
    return f"{kind}: {how} after {held.after:.1f} s"


def judge_idle(quiet: Held, pinged: Held | None, idle: float, showing: Showing) -> tuple[Finding, ...]:
    """Findings about a connection that had nothing to do, and about one that was kept alive by pings."""
    findings = []
    calm = (
        pinged is not None
        and pinged.goaway is not None
        and (pinged.goaway[0] == _CALM or b"too_many_pings" in pinged.goaway[1])
    )
    if pinged is not None and calm:
        findings.append(
            found(
                "keepalive-refused",
                f"The other side ends the connection for too many pings, after {pinged.pings} of them.",
                "use connect(..., profile='direct'), or let the server allow them (grpc.http2.min_ping_interval_without"
                "_data_ms)",
                evidence=describe_held(pinged, showing),
            )
        )
    if not quiet.end:
        return tuple(findings)
    orderly = quiet.end in ("goaway", "closed")
    kept = pinged is not None and not pinged.end
    if orderly:
        sentence = f"An idle connection is closed after {quiet.after:.0f} s; the next call needs a new one."
    elif quiet.end == "silence":
        sentence = (
            f"After {idle:g} s idle the connection is dead without a word: the next call gets no answer."
        )
    else:
        sentence = f"An idle connection is reset after {quiet.after:.0f} s."
    advice = "connect() opens a new connection by itself; a plain client may fail one call"
    if kept:
        advice = "keepalive pings keep it alive: connect() sends them (profile 'gateway')"
    elif not orderly:
        advice = "set a keepalive below this time: connect() pings every 30 s (profile 'gateway'), and notices a dead one"
    findings.append(
        found(
            "idle-dropped",
            sentence,
            advice,
            evidence=describe_held(quiet, showing),
            severity="warning" if orderly else "fault",
        )
    )
    return tuple(findings)
