"""Which call a fault happens to, and when it is over. Pure: chance comes from seeds, without a clock."""

from __future__ import annotations

import difflib
import json
import random
import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from eas_grpc.errors import ConfigError
from eas_grpc.serving._access import printable
from server_demo.gateway._fault_kinds import COMMON, KINDS, Kind, Protocol, Scalar, Value

__all__ = ["ActiveFault", "Chosen", "Fault", "FaultBook", "TraceEntry", "make", "parse"]

_LONGEST_TRACE: Final = 10_000

# A name, and a value with or without quotes.
_PAIR = re.compile(r'\s*(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"\s*|((?!\s*")[^,]*))(?:,|\Z)', re.DOTALL)


@dataclass(frozen=True)
class Fault:
    """A fault and the calls it is for; made by `make` or `parse`, which check it and put the defaults in.

    It happens to calls of `service` whose method matches the pattern `method` (None: any), and of those to a
    `share`, by chance from `seed`; `calls` of them and no more (None: as long as it is on).
    """

    kind: str
    values: Mapping[str, Any] = field(hash=False)
    calls: int | None = None
    share: float = 1.0
    seed: int = 0
    service: str | None = None
    method: str | None = None

    @property
    def standing(self) -> bool:
        """Whether it is for whole connections: it works on bytes and singles no call out."""
        singled = (
            self.calls is not None or self.share != 1 or self.service is not None or self.method is not None
        )
        return KINDS[self.kind].link and not singled

    def text(self) -> str:
        """The short form, which `parse` reads; what has its default is left out."""
        pairs = [(value, self.values[value.name]) for value in KINDS[self.kind].values]
        pairs += [(value, getattr(self, value.name)) for value in COMMON]
        words = [f"{value.name}={_written(given)}" for value, given in pairs if given != value.default]
        return f"{self.kind}:{','.join(words)}" if words else self.kind

    def applies(self, protocol: Protocol, service: str | None, method: str) -> bool:
        """Whether a call is one of those that it is for; `method` of an HTTP call is verb and path."""
        if protocol not in KINDS[self.kind].protocols or (
            self.service is not None and self.service != service
        ):
            return False
        if protocol == "http" and isinstance(self.values.get("code"), str):
            return False
        if self.method is None:
            return True
        return fnmatchcase(method, self.method) or fnmatchcase(method.rpartition(" ")[2], self.method)


def make(kind: str, /, **values: object) -> Fault:
    """A fault of this kind with these values, both its own and those that all have.

    Raises ConfigError for a kind or a value that does not exist (with the one that was probably meant) or
    cannot work.
    """
    found = _kind(kind)
    return _made(found, {name: _value(found, name).checked(value) for name, value in values.items()})


def parse(text: str) -> Fault:
    """The fault that a text describes: `KIND` or `KIND:name=value,...`, as in `latency:seconds=0.2,calls=3`.

    A value with a comma in it stands in double quotes, with a backslash before a quote or a backslash within.
    Raises ConfigError as `make` does.
    """
    if not isinstance(text, str):
        raise ConfigError("a fault is a text like 'latency:seconds=0.2,calls=3'")
    name, _, rest = text.partition(":")
    kind = _kind(name.strip())
    values: dict[str, Scalar] = {}
    at = 0
    while at < len(rest):
        pair = _PAIR.match(rest, at)
        if pair is None:
            raise ConfigError(
                f"fault {text!r} cannot be read from {rest[at:]!r} on: write name=value, and a value with a"
                " comma or quotes in double quotes"
            )
        value = _value(kind, pair[1])
        if value.name in values:
            raise ConfigError(f"fault {text!r} has {value.name} twice: write it once")
        plain = pair[3].strip() if pair[2] is None else re.sub(r"\\(.)", r"\1", pair[2], flags=re.DOTALL)
        values[value.name] = value.read(plain)
        at = pair.end()
    return _made(kind, values)


def _made(kind: Kind, given: Mapping[str, Scalar]) -> Fault:
    own = {value.name: given.get(value.name, value.default) for value in kind.values}
    if isinstance(own.get("code"), int) and own["after_messages"] is not None:
        raise ConfigError(
            "after_messages needs the name of a gRPC status as code: an HTTP status comes first"
        )
    if kind.name == "html" and own["status"] in (204, 205, 304):
        raise ConfigError(
            f"status={own['status']} has no body that could be HTML: write another, for example 200"
        )
    common: dict[str, Any] = {value.name: given.get(value.name, value.default) for value in COMMON}
    return Fault(kind.name, own, **common)


def _kind(name: str) -> Kind:
    if name not in KINDS:
        raise ConfigError(f"there is no fault {name!r}: {_suggestion(name, KINDS)}")
    return KINDS[name]


def _value(kind: Kind, name: str) -> Value:
    known = {value.name: value for value in (*kind.values, *COMMON)}
    if name not in known:
        raise ConfigError(f"a fault of kind {kind.name!r} has no {name!r}: {_suggestion(name, known)}")
    return known[name]


def _suggestion(name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"write {close[0]!r}" if close else f"write one of {', '.join(names)}"


def _written(value: Scalar) -> str:
    if not isinstance(value, str):
        return json.dumps(value).removesuffix(".0")
    if value and value == value.strip() and not set(value) & set(',"'):
        return value
    return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'


@dataclass(frozen=True)
class Chosen:
    """A fault that happens to a call, by its id in the book; `delay_seconds` is that of a latency."""

    id: int
    fault: Fault
    delay_seconds: float = 0.0


@dataclass(frozen=True)
class ActiveFault:
    """A fault in the book: how many calls it has happened to and how many are left (None: any)."""

    id: int
    fault: Fault
    hits: int
    left: int | None


@dataclass(frozen=True)
class TraceEntry:
    """What was done to which call; `call` is its number, None for what was done to a connection."""

    call: int | None
    method: str
    fault: int
    kind: str
    did: str


class FaultBook:
    """The faults that are on, in the order they were added, and what they did to the last 10,000 calls.

    Equal sequences of calls meet with equal faults, however many others are on: each draws from a generator
    of its own, and draws for every call it is for, whether it happens to that call or not.
    """

    def __init__(self) -> None:
        self._next = 1
        self._entries: dict[int, _Entry] = {}
        self.trace: deque[TraceEntry] = deque(maxlen=_LONGEST_TRACE)

    def add(self, fault: Fault) -> int:
        """Puts a fault on; its id is never used again."""
        number = self._next
        self._next += 1
        self._entries[number] = _Entry(fault)
        return number

    def end(self, number: int) -> bool:
        """Takes a fault off; False if there is none with this id."""
        return self._entries.pop(number, None) is not None

    def clear(self) -> None:
        """Takes all faults off; the trace stays."""
        self._entries.clear()

    def active(self) -> list[ActiveFault]:
        """The faults that were not taken off, also those that have no calls left."""
        return [ActiveFault(n, e.fault, e.hits, e.left) for n, e in self._entries.items()]

    def standing(self) -> list[tuple[int, Fault]]:
        """The faults for whole connections, by id; `choose` leaves them out."""
        return [(n, e.fault) for n, e in self._entries.items() if e.fault.standing]

    def choose(self, protocol: Protocol, service: str | None, method: str) -> tuple[Chosen, ...]:
        """What happens to the next call, to be asked once for each call.

        `method` is `/package.Service/Method`, or verb and path of a call over HTTP.
        """
        if not self._entries:
            return ()
        chosen = []
        for number, entry in self._entries.items():
            fault = entry.fault
            if entry.left == 0 or fault.standing or not fault.applies(protocol, service, method):
                continue
            delay = entry.draw()
            if delay is not None:
                chosen.append(Chosen(number, fault, delay))
        return tuple(chosen)

    def note(self, call: int | None, method: str, fault: int, kind: str, did: str) -> None:
        """Remembers what was done."""
        self.trace.append(TraceEntry(call, printable(method), fault, kind, did))

    def state_json(self) -> list[dict[str, object]]:
        """The faults as the admin interface shows them."""
        return [
            {"id": a.id, "kind": a.fault.kind, "text": a.fault.text(), "hits": a.hits, "left": a.left}
            for a in self.active()
        ]

    def trace_json(self) -> list[dict[str, object]]:
        """The trace as the admin interface shows it, oldest first."""
        return [asdict(entry) for entry in self.trace]


class _Entry:
    __slots__ = ("_random", "fault", "hits")

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.hits = 0
        # To be repeatable is all that is asked of it.
        self._random = random.Random(fault.seed)  # noqa: S311

    @property
    def left(self) -> int | None:
        return None if self.fault.calls is None else self.fault.calls - self.hits

    def draw(self) -> float | None:
        """The delay in seconds if it happens to this call; None if not."""
        # Both at once, so that the next call's draw does not depend on this one's outcome.
        chance, spread = self._random.random(), self._random.random()
        if chance >= self.fault.share:
            return None
        self.hits += 1
        if self.fault.kind != "latency":
            return 0.0
        values = self.fault.values
        return float(values["seconds"] + spread * values["jitter"])
