"""The last steps of the chain: a connection that is held without calls, and the two clocks."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from typing import Literal

from eas_grpc.doctor._ask import RawConnection
from eas_grpc.doctor._gateway import judge_clock
from eas_grpc.doctor._idle import Held, describe_held, judge_idle
from eas_grpc.doctor._seen import Answer
from eas_grpc.doctor._state import State

__all__ = ["clock", "keepalive"]

# For each of the calls before and after the wait.
_PATIENCE = 2.0


def keepalive(state: State, path: str) -> None:
    """Holds connections for `idle` seconds, if that is asked for, and calls `path` before and after."""
    with state.step("keepalive") as step:
        idle = state.question.idle
        if idle <= 0:
            step.skip("not asked for (--idle)")
            return
        if fault := state.failed("gateway", "health"):
            step.skip(f"not reached: see {fault}")
            return
        intervals: list[float | None] = [None]
        if idle >= state.question.ping_every:
            intervals.append(state.question.ping_every)
        held: dict[int, Held] = {}

        def watch(place: int, interval: float | None) -> None:
            connection = state.open(_PATIENCE)
            if connection is not None:
                held[place] = hold(connection, ask, idle, interval)

        def ask(connection: RawConnection) -> Answer:
            return connection.ask(path, state.headers(), b"", _PATIENCE)

        began = time.monotonic()
        threads = [
            threading.Thread(target=watch, args=pair, daemon=True, name="doctor-idle")
            for pair in enumerate(intervals)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(idle + 10.0)
        state.waited += time.monotonic() - began
        quiet, pinged = held.get(0), held.get(1)
        if quiet is None:
            step.skip("no second connection came about")
            return
        step.see(*(describe_held(each, state.showing) for each in (quiet, pinged) if each is not None))
        step.find(*judge_idle(quiet, pinged, idle, state.showing))


def clock(state: State) -> None:
    """Compares the Date of the raw answer with this machine's clock."""
    with state.step("clock") as step:
        date = state.answer.header("date") if state.answer is not None else None
        findings, told = judge_clock(date, dt.datetime.now(dt.timezone.utc))
        if date is None:
            step.skip("the answer has no Date")
            return
        step.find(*findings)
        step.see(told)


def hold(
    connection: RawConnection, ask: Callable[[RawConnection], Answer], idle: float, ping_every: float | None
) -> Held:
    """Calls, waits, and calls again on the same connection. With `ping_every` it also pings, as a keepalive does."""
    with connection:
        connection.greet(_PATIENCE)
        first = ask(connection)
        began = time.monotonic()
        if first.failure:
            return Held(_end(first), 0.0, first.goaway)
        pings, lives = 0, True
        while lives and (left := began + idle - time.monotonic()) > 0:
            if ping_every is not None and pings * ping_every + ping_every <= time.monotonic() - began + 1e-3:
                connection.talk.ping()
                pings += 1
            pause = left if ping_every is None else min(left, ping_every)
            lives = connection.hold(time.monotonic() + pause)
        after = time.monotonic() - began
        if connection.talk.goaway is not None:
            return Held("goaway", after, connection.talk.goaway, pings, connection.talk.pongs)
        if not lives:
            end = connection.ending if connection.ending in ("closed", "reset") else "reset"
            return Held("closed" if end == "closed" else "reset", after, None, pings, connection.talk.pongs)
        again = ask(connection)
        return Held(_end(again), after, again.goaway, pings, connection.talk.pongs)


def _end(answer: Answer) -> Literal["", "goaway", "closed", "reset", "silence"]:
    if answer.goaway is not None and answer.failure:
        return "goaway"
    return "reset" if answer.failure == "broken" else answer.failure
