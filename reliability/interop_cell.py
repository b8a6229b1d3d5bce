"""What the interop cases are made of: the cell that they run in, and what they send and expect time and again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from reliability.interop_calls import Answer, Calls
from reliability.pb import interop_pb2 as pb

__all__ = [
    "BACKEND_IDLE",
    "LARGE_DOWN",
    "LARGE_UP",
    "Amounts",
    "Cell",
    "Failed",
    "asking",
    "equal",
    "large",
    "ok",
    "zeros",
]

LARGE_UP, LARGE_DOWN = 271_828, 314_159
# Seconds after which the gateway closes a connection to a server that has no calls.
BACKEND_IDLE = 0.15


class Failed(AssertionError):
    """What was not as it should be."""


@dataclass(frozen=True)
class Amounts:
    """How much of what has no number of its own, or one that is too large for a quick look."""

    soak: int
    channels: int
    concurrent: int
    long_lived: int
    pause: float
    picks: int = 100
    # Of the soak; upstream's.
    slowest: float = 1.0
    seed: int = 1


@dataclass(frozen=True)
class Cell:
    """One client against one server: its calls, and the control ports of the taps between them.

    `fresh()` opens a channel of its own, with a connection of its own; `fresh(many=True)` one to the name of two
    servers, if the machine has such a name, and `spread=True` spreads the calls over both. `figures` is what a case
    has measured.
    """

    calls: Calls
    controls: list[int]
    amounts: Amounts
    fresh: Callable[..., AbstractAsyncContextManager[Calls]]
    servers: int
    figures: dict[str, float] = field(default_factory=dict)


def zeros(size: int) -> Any:
    """A payload of that many zeros."""
    return pb.Payload(body=bytes(size))


def large(**more: Any) -> Any:
    """The request of large_unary, and more fields."""
    return pb.SimpleRequest(response_size=LARGE_DOWN, payload=zeros(LARGE_UP), **more)


def asking(up: int, *down: int, **more: Any) -> Any:
    """A request of that size for answers of these sizes."""
    parameters = [pb.ResponseParameters(size=size) for size in down]
    return pb.StreamingOutputCallRequest(payload=zeros(up), response_parameters=parameters, **more)


def equal(what: str, found: object, wanted: object) -> None:
    """Raises Failed where it is not as it should be."""
    if found != wanted:
        raise Failed(f"{what} is {found!r}, not {wanted!r}"[:300])


def ok(answer: Answer, *sizes: int) -> None:
    """OK, with payloads of zeros of these sizes."""
    equal("status", (answer.code, answer.details), ("OK", ""))
    equal("sizes", tuple(len(message.payload.body) for message in answer.messages), sizes)
    for message in answer.messages:
        equal("number of zeros", message.payload.body.count(0), len(message.payload.body))
