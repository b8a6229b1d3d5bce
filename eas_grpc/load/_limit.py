"""Whether it was the generator, and not the service, that set the figures. Pure."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Verdict", "judge"]

# One thread runs all calls of a process; with this much of a core it has no pause left.
_BUSY = 0.9
# Lateness that is seen in the figures: more than a tenth of what was measured, and more than a scheduler's tick.
_LATE_PART, _LATE = 0.1, 0.005
# A run that is shorter does not tell who was busy.
_TELLING = 0.2
# Late, and yet with so little: somebody else is using the machine.
_IDLE = 0.5

_ADVICE_OPEN = "the latencies hold its own delays: ask for a lower rate, or more --processes on free cores"
_ADVICE_CLOSED = "the rate is what it can do: more --processes on free cores can do more"


@dataclass(frozen=True)
class Verdict:
    """`limit`: the figures are the generator's own. `why` says so, or what else kept calls from starting; or None."""

    limit: bool
    why: str | None


def judge(
    *,
    open_loop: bool,
    cores: float,
    lag_p99: float | None,
    latency_p50: float | None,
    not_started: int,
    max_in_flight: int,
    pace: float | None,
    rate: float,
    seconds: float,
) -> Verdict:
    """What the figures of a run say about who was too slow.

    `cores` is the processor time of the busiest process's event loop, per second; `lag_p99` how late the generator was.
    """
    reasons = []
    if pace is not None and rate >= 0.95 * pace:
        reasons.append(f"it held back: at most {pace:g} calls a second are sent to another machine")
    # In a moment any program is either busy or not.
    busy = cores >= _BUSY and seconds >= _TELLING
    if busy:
        reasons.append(f"its event loop used {cores:.2f} of a core, and more than one it cannot use")
    if lag_p99 is not None and lag_p99 > max(_LATE, _LATE_PART * (latency_p50 or 0.0)):
        late = f"{1000 * lag_p99:.1f} ms late or more"
        reasons.append(
            f"1 % of the calls were started {late}" if open_loop else f"1 % of its timers rang {late}"
        )
        busy = True
    if busy and open_loop and not_started:
        reasons.append(f"{not_started} calls were never started")
    if busy and cores < _IDLE:
        reasons.append(f"it had only {cores:.2f} of a core, so other programs may be in its way: stop them")
    elif busy:
        reasons.append(_ADVICE_OPEN if open_loop else _ADVICE_CLOSED)
    if reasons:
        return Verdict(True, "; ".join(reasons))
    if not_started:
        return Verdict(
            False,
            f"{not_started} calls were not started because {max_in_flight} were in flight already (--max-in-flight):"
            " the service is slower than the rate asked for, and the generator had time left",
        )
    return Verdict(False, None)
