"""A client that offers calls at a given rate, or as fast as they are answered, over gRPC and over HTTP."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import grpc

from reliability.child import Child, hear, say
from reliability.clients import collected, collected_aio, is_aio, metadata, open_channel
from reliability.ledger import request
from reliability.server import TOKEN
from reliability.storm_gateway import NAME

__all__ = ["Offer", "OfferClient", "Outcome", "good_per_second", "offer_calls"]

_PATIENCE = 5.0


@dataclass(frozen=True)
class Offer:
    """What to do for `seconds`: `callers` call again and again, together `rate` times a second (0: with no pause)."""

    callers: int
    seconds: float
    rate: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """A call: when it was sent and answered, counted from the beginning of the offer, and how it ended."""

    sent: float
    answered: float
    status: str


def good_per_second(outcomes: list[Outcome], begin: float, end: float) -> float:
    """How many good answers came in a second, within a span of time."""
    good = sum(1 for each in outcomes if each.status in {"OK", "200"} and begin <= each.answered < end)
    return good / (end - begin)


class OfferClient(Child):
    """A client process."""

    def make(self, offer: Offer) -> list[Outcome]:
        """Makes the calls."""
        self.tell(json.dumps(vars(offer)))
        found = self.until("offered", offer.seconds + 60)["found"]
        return [Outcome(*each) for each in found]


# In the client's process.


def offer_calls(kind: str, address: str, verb: str, argument: str) -> None:
    """Makes what it is told to; `kind` is one of the clients', or `http` for HTTP/1.1 by the standard library."""
    if is_aio(kind):
        asyncio.run(_offer_aio(kind, address, verb, argument))
        return
    callers = _http_callers(address) if kind == "http" else _grpc_callers(kind, address, verb, argument)
    while word := hear():
        offer = Offer(**json.loads(word))
        plan = _Plan(offer)
        threads = [
            threading.Thread(target=_caller, args=(plan, callers()), daemon=True)
            for _ in range(offer.callers)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        say("offered", found=plan.found)


class _Plan:
    """Whose turn it is, and when."""

    def __init__(self, offer: Offer) -> None:
        self._offer = offer
        self._numbers = itertools.count()
        self.began = time.monotonic()
        self.found: list[tuple[float, float, str]] = []

    def now(self) -> float:
        return time.monotonic() - self.began

    def pause(self) -> float | None:
        """How long to wait before the next call; None when the offer is over."""
        due = next(self._numbers) / self._offer.rate if self._offer.rate else self.now()
        # One that is late goes out at once, but nothing goes out after the end.
        return None if max(due, self.now()) >= self._offer.seconds else max(0.0, due - self.now())


def _caller(plan: _Plan, call: Callable[[], str]) -> None:
    while (pause := plan.pause()) is not None:
        time.sleep(pause)
        sent = plan.now()
        status = call()
        plan.found.append((sent, plan.now(), status))


def _grpc_callers(kind: str, address: str, verb: str, argument: str) -> Callable[[], Callable[[], str]]:
    channel, ids = open_channel(kind, address), itertools.count()

    def call() -> str:
        data = [request(f"{kind}-{next(ids)}", verb, argument)]
        try:
            collected(channel, "unary_unary", data, timeout=_PATIENCE, metadata=metadata(kind))
        except grpc.RpcError as error:
            return str(error.code().name)
        return "OK"

    return lambda: call


def _http_callers(address: str) -> Callable[[], Callable[[], str]]:
    """Each caller has a connection of its own, which stays open."""

    def caller() -> Callable[[], str]:
        connection = http.client.HTTPConnection(address, timeout=_PATIENCE)

        def call() -> str:
            try:
                connection.request("POST", f"/api/predict/{NAME}", b"x", {"Authorization": TOKEN})
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                return type(error).__name__
            return str(answer.status)

        return call

    return caller


async def _offer_aio(kind: str, address: str, verb: str, argument: str) -> None:
    channel, ids = open_channel(kind, address), itertools.count()
    loop = asyncio.get_running_loop()

    async def caller(plan: _Plan) -> None:
        while (pause := plan.pause()) is not None:
            await asyncio.sleep(pause)
            sent, status = plan.now(), "OK"
            data = [request(f"{kind}-{next(ids)}", verb, argument)]
            try:
                await collected_aio(channel, "unary_unary", data, timeout=_PATIENCE, metadata=metadata(kind))
            except grpc.RpcError as error:
                status = error.code().name
            plan.found.append((sent, plan.now(), status))

    while word := await loop.run_in_executor(None, hear):
        offer = Offer(**json.loads(word))
        plan = _Plan(offer)
        await asyncio.gather(*(caller(plan) for _ in range(offer.callers)))
        say("offered", found=plan.found)
