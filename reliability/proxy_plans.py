"""What P1 asks through a proxy, and whether what came back is right. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import grpc

from reliability import proxy_mirror
from reliability.clients import is_aio
from reliability.haproxy import BACKEND_HEADER
from reliability.ledger import SHAPES, Entry
from reliability.proxy_calls import Ask, Seen

__all__ = ["DEADLINE", "Due", "Findings", "judge", "planned"]

# Of the calls that are to run into it.
DEADLINE = 0.3
# What a server may take to learn of a cancelled call, and what a call may take beyond its deadline.
PATIENCE = 0.25

_TEXT = "grüße, ✓\tline\nbreak %41"
_SENT = (("x-mirror-text", "with spaces, and = signs"), ("x-mirror-bytes-bin", "00ff0a0d80"))
# Nobody has it, so the server refuses before it has read what is sent.
_NO_SERVICE = "eas.reliability.Nobody"


@dataclass(frozen=True)
class Due:
    """A call with what it tests and the code that it has to end with."""

    test: str
    ask: Ask
    code: str = "OK"


@dataclass
class Findings:
    """Of one client: `wrong` in words, and the slowest of what was timed, in seconds.

    Not judged: of `early` refusals so many were `early_right`, and so many failed streams had `no_initial` metadata.
    """

    calls: int = 0
    wrong: list[str] = field(default_factory=list)
    early: int = 0
    early_right: int = 0
    no_initial: int = 0
    slowest_cancel: float = 0.0
    most_over: float = float("-inf")


def planned(
    kind: str, ledger: str, rng: random.Random, repeats: int, kinds: Iterable[str]
) -> list[tuple[int, list[Due]]]:
    """The stages for one client: how many calls at a time, and the calls. `kinds` are the backends with a ledger."""
    answered: list[Due] = []
    ended: list[Due] = []

    def ask(test: str, backend: str, shape: str, number: int, **more: object) -> Ask:
        header = (BACKEND_HEADER, backend)
        metadata = (header, *more.pop("metadata", ()))
        return Ask(f"{kind}/{test}/{backend}/{shape}/{number}", shape, metadata=metadata, **more)

    for backend in kinds:
        for shape in SHAPES:
            for number in range(repeats):
                size = rng.choice((0, rng.randrange(2000), rng.randrange(60_000)))
                answered.append(Due("echo", ask("echo", backend, shape, number, size=size)))
                if backend in proxy_mirror.KINDS:
                    mirror = f"mirror-{backend}"
                    answered += [
                        Due("mirror", _mirrored(ask, mirror, shape, number, status.name), status.name)
                        for status in grpc.StatusCode
                    ]
            ended.append(
                Due(
                    "deadline",
                    ask("deadline", backend, shape, 0, verb="hold", timeout=DEADLINE),
                    "DEADLINE_EXCEEDED",
                )
            )
            ended.append(
                Due(
                    "cancel",
                    ask("cancel", backend, shape, 0, verb="hold", timeout=10.0, cancel_when=ledger),
                    "CANCELLED",
                )
            )
            if shape.startswith("stream"):
                early = ask("early", backend, shape, 0, service=_NO_SERVICE, pause=0.05)
                ended.append(Due("early", early, "UNIMPLEMENTED"))
    return [(8, answered), (4, ended)]


def _mirrored(ask: object, backend: str, shape: str, number: int, code: str) -> Ask:
    wanted = ((proxy_mirror.CODE, code), (proxy_mirror.DETAILS, _TEXT.encode().hex()))
    metadata = (*_SENT, *(wanted if code != "OK" else ()))
    return ask(f"mirror-{code}", backend, shape, number, service=proxy_mirror.SERVICE, metadata=metadata)


def judge(dues: Iterable[Due], seen: Mapping[str, Seen], entries: Iterable[Entry]) -> Findings:
    """Joins what was asked, what the client saw, and the ledger."""
    cancelled = {entry.id: entry.at for entry in entries if entry.event == "cancel"}
    found = Findings()
    for due in dues:
        one = seen[due.ask.id]
        if due.test == "early":
            found.early += 1
            found.early_right += one.code == due.code
            continue
        found.calls += 1
        if _is_overtaken(due, one):
            found.no_initial += 1
            one = replace(one, initial=one.trailing)
        if wrong := _wrong(due, one, cancelled):
            found.wrong.append(f"{due.ask.id}: {wrong}")
        elif due.test == "cancel":
            found.slowest_cancel = max(found.slowest_cancel, cancelled[one.id] - one.cancelled_at)
        elif due.test == "deadline":
            found.most_over = max(found.most_over, one.seconds - DEADLINE)
    return found


def _is_overtaken(due: Due, seen: Seen) -> bool:
    """Whether a status came so soon that grpc.aio took it for an answer without initial metadata."""
    kind = due.ask.id.partition("/")[0]
    fails = due.test == "mirror" and due.code != "OK"
    return fails and is_aio(kind) and seen.shape.endswith("stream") and not seen.initial


def _wrong(due: Due, seen: Seen, cancelled: Mapping[str, float]) -> str:
    """What is wrong with one call, in words; empty if nothing is."""
    if seen.code != due.code:
        return f"{seen.code} ({seen.details[:100]}) instead of {due.code}, after {seen.seconds:.3f} s"
    if due.code == "OK" and not seen.right:
        return f"{seen.answers} answers, not all of them right"
    if due.test == "mirror":
        return _unmirrored(due, seen)
    if due.test in {"cancel", "deadline"} and seen.id not in cancelled:
        return "the server was not told"
    if due.test == "cancel" and cancelled[seen.id] - seen.cancelled_at > PATIENCE:
        return "the server was told late"
    if due.test == "deadline" and not -0.01 < seen.seconds - DEADLINE < PATIENCE:
        return f"ended after {seen.seconds:.3f} s"
    return ""


def _unmirrored(due: Due, seen: Seen) -> str:
    sent = {pair for pair in due.ask.metadata if pair[0].startswith(proxy_mirror.PREFIX)}
    for where, got in (("initial", seen.initial), ("trailing", seen.trailing)):
        if missing := sent - set(got):
            return f"{where} metadata without {sorted(missing)}"
    if due.code != "OK" and seen.details != _TEXT:
        return f"details are {seen.details!r}"
    return ""
