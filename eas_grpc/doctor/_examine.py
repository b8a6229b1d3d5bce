"""The chain as a whole: from a question to a report."""

from __future__ import annotations

import time

from eas_grpc.doctor._calls_steps import converse
from eas_grpc.doctor._links_steps import reach
from eas_grpc.doctor._records import STEPS, Finding, Question, Report
from eas_grpc.doctor._state import State
from eas_grpc.doctor._verdict import ranked, verdict

__all__ = ["examine"]


def examine(question: Question) -> Report:
    """Runs every step that can still matter and names the cause. Raises nothing for what it finds.

    Ends within `question.total` seconds, beyond which only `idle` lasts and what `call_timeout` allows.
    """
    # Loaded before the clock runs: this is no fault of the service's.
    import grpc  # noqa: F401
    from grpc_health.v1 import health_pb2  # noqa: F401

    import eas_grpc.schema  # noqa: F401

    state = State(question)
    connection = reach(state)
    if len(state.steps) < len(STEPS):
        converse(state, connection)
    findings = ranked(state.findings)
    chief = verdict(findings)
    shown = state.showing(question.address) if state.address.endpoint is not None else "(no address)"
    return Report(
        address=shown,
        verdict="ok" if chief is None else chief.id,
        sure=True if chief is None else chief.sure,
        sentence=_sentence(state, chief),
        advice="" if chief is None else chief.advice,
        exit=0 if chief is None else chief.exit,
        seconds=time.monotonic() - state.began,
        findings=findings,
        steps=tuple(state.steps[name] for name in STEPS),
    )


def _sentence(state: State, chief: Finding | None) -> str:
    if chief is not None and chief.severity == "fault":
        return chief.sentence
    called = state.question.method is not None
    good = "The call works." if called else "The service answers."
    if chief is not None:
        return f"{good} {chief.sentence}"
    if called:
        return good
    return f"{good} None of its own methods was called: name one with --method."
