"""Makes planned calls over one channel and tells all that a caller can see of each, in a process of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from reliability import clients, ledger
from reliability.child import hear, say

__all__ = ["Ask", "Seen", "ask_all", "plan"]

_LONGEST = 30.0


@dataclass(frozen=True)
class Ask:
    """One call: `messages` requests, `pause` seconds between them.

    `cancel_when` is a ledger: the call is cancelled as soon as that has it. `metadata` ends in hexadecimal for `-bin` keys.
    """

    id: str
    shape: str
    verb: str = "echo"
    argument: str = ""
    size: int = 0
    timeout: float | None = 5.0
    service: str = ledger.SERVICE
    metadata: tuple[tuple[str, str], ...] = ()
    messages: int = ledger.STREAM_LENGTH
    pause: float = 0.0
    cancel_when: str = ""

    @property
    def requests(self) -> list[bytes]:
        """The messages that are sent."""
        many = self.messages if self.shape.startswith("stream") else 1
        return [
            ledger.request(self.id, self.verb, self.argument, size=self.size, number=number)
            for number in range(many)
        ]


@dataclass(frozen=True)
class Seen:
    """How a call ended; `right` of its answers, `seconds` it took, `cancelled_at` by the monotonic clock.

    `origin`, `hint` and `http_status` are what our errors have beyond grpc's.
    """

    id: str
    shape: str
    code: str
    details: str = ""
    seconds: float = 0.0
    right: bool = False
    answers: int = 0
    initial: tuple[tuple[str, str], ...] = ()
    trailing: tuple[tuple[str, str], ...] = ()
    origin: str = ""
    hint: str = ""
    http_status: int | None = None
    cancelled_at: float = 0.0


def plan(stages: list[tuple[int, list[Ask]]]) -> list[Any]:
    """The stages as the child takes them: each is how many calls run at a time, and the calls."""
    return [[lanes, [asdict(ask) for ask in asks]] for lanes, asks in stages]


def ask_all(kind: str, address: str, stages: list[Any], settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Makes the calls of a `plan`, and tells of each what a `Seen` has; before each stage it says `stage` and waits."""
    made = [(lanes, [_ask(each) for each in asks]) for lanes, asks in stages]
    if clients.is_aio(kind):
        return asyncio.run(_all_aio(kind, address, made, settings))
    found: list[Seen] = []
    with clients.open_channel(kind, address, settings=settings) as channel:
        for lanes, asks in made:
            _wait_for_others()
            with ThreadPoolExecutor(lanes) as pool:
                found += pool.map(lambda ask: _one(kind, channel, ask), asks)
    return [asdict(seen) for seen in found]


def _wait_for_others() -> None:
    """So that the calls of one client are not timed while another one is still busy with its heavier ones."""
    say("stage")
    hear()


def _ask(plain: dict[str, Any]) -> Ask:
    return Ask(**{**plain, "metadata": tuple(map(tuple, plain["metadata"]))})


def _one(kind: str, channel: Any, ask: Ask) -> Seen:
    call = getattr(channel, ask.shape)(ledger.method(ask.shape, ask.service))
    many_asked, many_told = ask.shape.startswith("stream"), ask.shape.endswith("stream")
    # The future is the one way to cancel a call with a single answer.
    start = call if many_told else call.future
    began, cancelled = time.monotonic(), [0.0]
    running = start(
        _requests(ask) if many_asked else ask.requests[0], timeout=ask.timeout, metadata=_metadata(kind, ask)
    )
    if ask.cancel_when:
        threading.Thread(target=_cancel, args=(running, ask, cancelled), daemon=True).start()
    answers: list[bytes] = []
    try:
        if many_told:
            answers.extend(running)
        else:
            answers.append(running.result())
        error: Any = None
    except grpc.RpcError as failure:
        error = failure
    except grpc.FutureCancelledError:
        error = running
    seconds = time.monotonic() - began
    initial, trailing = running.initial_metadata(), running.trailing_metadata()
    return _seen(ask, answers, error, seconds, initial, trailing, cancelled[0])


async def _all_aio(
    kind: str, address: str, stages: list[tuple[int, list[Ask]]], settings: dict[str, Any]
) -> list[dict[str, Any]]:
    found: list[Seen] = []
    async with clients.open_channel(kind, address, settings=settings) as channel:
        for lanes, asks in stages:
            _wait_for_others()
            free = asyncio.Semaphore(lanes)
            found += await asyncio.gather(*(_one_aio(kind, channel, ask, free) for ask in asks))
    return [asdict(seen) for seen in found]


async def _one_aio(kind: str, channel: Any, ask: Ask, free: asyncio.Semaphore) -> Seen:
    async with free:
        call = getattr(channel, ask.shape)(ledger.method(ask.shape, ask.service))
        many_asked, many_told = ask.shape.startswith("stream"), ask.shape.endswith("stream")
        began, cancelled = time.monotonic(), [0.0]
        running = call(
            _requests_aio(ask) if many_asked else ask.requests[0],
            timeout=ask.timeout,
            metadata=_metadata(kind, ask),
        )
        canceller = asyncio.create_task(_cancel_aio(running, ask, cancelled)) if ask.cancel_when else None
        answers: list[bytes] = []
        error: Any = None
        try:
            if many_told:
                answers += [answer async for answer in running]
            else:
                answers.append(await running)
        except grpc.RpcError as failure:
            error = failure
        except asyncio.CancelledError:
            error = _Cancelled(await running.code(), await running.details())
        seconds = time.monotonic() - began
        if canceller:
            await canceller
        initial, trailing = await running.initial_metadata(), await running.trailing_metadata()
        return _seen(ask, answers, error, seconds, initial, trailing, cancelled[0])


class _Cancelled:
    """What grpc.aio says by asyncio's own exception, as an error says it."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        self.code, self.details = lambda: code, lambda: details


def _metadata(kind: str, ask: Ask) -> tuple[tuple[str, Any], ...]:
    own = tuple((key, bytes.fromhex(text) if key.endswith("-bin") else text) for key, text in ask.metadata)
    return (clients.metadata(kind) or ()) + own


def _requests(ask: Ask) -> Iterator[bytes]:
    for number, message in enumerate(ask.requests):
        if number and ask.pause:
            time.sleep(ask.pause)
        yield message


async def _requests_aio(ask: Ask) -> AsyncIterator[bytes]:
    for number, message in enumerate(ask.requests):
        if number and ask.pause:
            await asyncio.sleep(ask.pause)
        yield message


def _cancel(running: Any, ask: Ask, at: list[float]) -> None:
    until = time.monotonic() + _LONGEST
    while not _has_begun(ask) and time.monotonic() < until:
        time.sleep(0.005)
    at[0] = time.monotonic()
    running.cancel()


async def _cancel_aio(running: Any, ask: Ask, at: list[float]) -> None:
    # Another process writes the ledger: nothing here can be awaited.
    for _ in range(round(_LONGEST / 0.005)):
        if _has_begun(ask):
            break
        await asyncio.sleep(0.005)
    at[0] = time.monotonic()
    running.cancel()


def _has_begun(ask: Ask) -> bool:
    return any(entry.id == ask.id for entry in ledger.read_ledger(Path(ask.cancel_when)))


def _seen(
    ask: Ask, answers: list[bytes], error: Any, seconds: float, initial: Any, trailing: Any, cancelled: float
) -> Seen:
    failure = getattr(error, "failure", None)
    return Seen(
        id=ask.id,
        shape=ask.shape,
        code=error.code().name if error is not None else "OK",
        details=str(error.details() or "") if error is not None else "",
        seconds=seconds,
        right=ledger.answers_are_right(ask.shape, ask.id, ask.requests, answers),
        answers=len(answers),
        initial=_pairs(initial),
        trailing=_pairs(trailing),
        origin=failure.origin.name if failure else "",
        hint=failure.hint if failure else "",
        http_status=failure.http_status if failure else None,
        cancelled_at=cancelled,
    )


def _pairs(metadata: Any) -> tuple[tuple[str, str], ...]:
    return tuple(
        (str(key), value.hex() if isinstance(value, bytes) else str(value)) for key, value in metadata or ()
    )
