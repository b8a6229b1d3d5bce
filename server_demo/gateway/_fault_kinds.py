"""The kinds of faults and what they take, as data: for reading, checking, the page and the documents. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from eas_grpc.errors import ConfigError
from server_demo.gateway._answers import NAMES

__all__ = ["COMMON", "KINDS", "Kind", "Protocol", "Scalar", "Value", "kinds_json"]

Protocol = Literal["grpc", "http"]
Scalar = str | int | float | bool | None

# All but OK.
STATUSES: Final = tuple(NAMES[1:])


@dataclass(frozen=True)
class Value:
    """A value that a fault takes. A default of None means that it may be left out.

    A "line" is text that fits into a header; a "status" the name of a gRPC status or the number of an HTTP
    one.
    """

    name: str
    type: Literal["int", "float", "bool", "text", "line", "choice", "status"]
    default: Scalar = None
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()

    def checked(self, value: object) -> Scalar:
        """The value as it is kept; a ConfigError that says what it must be."""
        if value is None and self.default is None:
            return None
        kept: Scalar = _CHECKS[self.type](self, value)
        if kept is None:
            raise ConfigError(f"{self.name}={value!r} must be {self._wanted()}")
        return kept

    def read(self, text: str) -> Scalar:
        """The value that a text means."""
        number: Scalar = text
        try:
            if self.type == "float":
                number = float(text)
            elif self.type == "int" or (self.type == "status" and _is_status_number(text)):
                number = int(text)
        except ValueError:
            pass  # refused below, as the text that it is
        if self.type == "bool":
            number = {"true": True, "false": False}.get(text.lower(), text)
        return self.checked(number)

    def _wanted(self) -> str:
        if self.type == "status":
            return "the name of a gRPC status other than OK, or an HTTP status from 400 to 599"
        if self.choices:
            return " or ".join(map(repr, self.choices))
        kinds = {"int": "a whole number", "float": "a number", "bool": "true or false", "text": "text"}
        wanted = kinds.get(self.type, "printable ASCII text, not empty")
        if self.least is not None:
            wanted += f" from {self.least:.15g}" + (" up" if self.most is None else f" to {self.most:.15g}")
        return wanted


def _number(value: Value, given: object) -> float | None:
    if isinstance(given, bool) or not isinstance(given, int if value.type == "int" else (int, float)):
        return None
    if (value.least is not None and given < value.least) or (value.most is not None and given > value.most):
        return None
    # Neither infinite, nor no number, nor too long to be written.
    if not abs(given) <= _LARGEST:
        return None
    return given if value.type == "int" else float(given)


def _text(_: Value, given: object) -> str | None:
    # A lone surrogate, as JSON may have it, could not be sent.
    return given if isinstance(given, str) and not re.search("[\ud800-\udfff]", given) else None


def _line(_: Value, given: object) -> str | None:
    return given if isinstance(given, str) and re.fullmatch("[!-~]([ -~]*[!-~])?", given) else None


def _is_status_number(text: str) -> bool:
    return text.isdecimal() and len(text) == 3


def _status(_: Value, given: object) -> str | int | None:
    if isinstance(given, str) and _is_status_number(given):
        given = int(given)
    if isinstance(given, str):
        return given.upper() if given.upper() in STATUSES else None
    return given if isinstance(given, int) and 400 <= given <= 599 else None


_LARGEST: Final = 1e300
_CHECKS: Final[Mapping[str, Any]] = {
    "int": _number,
    "float": _number,
    "bool": lambda _, given: given if isinstance(given, bool) else None,
    "text": _text,
    "line": _line,
    "choice": lambda value, given: given if given in value.choices else None,
    "status": _status,
}


@dataclass(frozen=True)
class Kind:
    """A kind of fault: what it does, to calls of which protocols, and what it takes.

    One of the `link` does it to bytes, and so to whole connections where no call is singled out.
    """

    name: str
    what: str
    values: tuple[Value, ...] = ()
    protocols: tuple[Protocol, ...] = ("grpc", "http")
    link: bool = False


_DIRECTIONS = ("both", "to_client", "to_service")

KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind(
            "latency",
            "waits before the request goes on: `seconds`, and by chance up to `jitter` seconds more",
            (Value("seconds", "float", 0.1, least=0), Value("jitter", "float", 0.0, least=0)),
        ),
        Kind(
            "status",
            "answers with a status instead of the service, or ends its answer with it after so many messages",
            (
                Value("code", "status", "UNAVAILABLE"),
                Value("details", "text", ""),
                Value("after_messages", "int", least=0),
            ),
        ),
        Kind(
            "reset",
            "breaks the call off, before any answer or behind its headers, or the whole connection",
            (
                Value("after", "choice", "nothing", choices=("nothing", "headers")),
                Value("connection", "bool", default=False),
            ),
        ),
        Kind("half_close", "closes the gateway's direction of the connection in the middle of the call"),
        Kind("truncated_frame", "ends the connection in the middle of a frame or a body"),
        Kind(
            "goaway",
            "tells the client to leave the connection; without `grace` breaks off what runs on it",
            (Value("grace", "bool", default=True),),
            protocols=("grpc",),
        ),
        Kind(
            "black_hole",
            "holds every byte back without a word; they go on when it ends",
            (Value("direction", "choice", "both", choices=_DIRECTIONS),),
            link=True,
        ),
        Kind(
            "drip",
            "sends the answer in small pieces, `size` bytes every `interval` seconds",
            (Value("size", "int", 1, least=1), Value("interval", "float", 0.01, least=0)),
            link=True,
        ),
        Kind(
            "bandwidth",
            "lets no more bytes through in a second than these",
            (
                Value("bytes_per_second", "int", 10_000, least=1),
                Value("direction", "choice", "to_client", choices=_DIRECTIONS),
            ),
            link=True,
        ),
        Kind(
            "restart",
            "breaks all connections and refuses new ones for `down` seconds",
            (Value("down", "float", 0.5, least=0),),
        ),
        Kind("never_answer", "takes the request and says nothing"),
        Kind(
            "html",
            "answers with a page of HTML, as a proxy or a login page would",
            (Value("status", "int", 200, least=200, most=599),),
        ),
        Kind(
            "content_type",
            "changes the content-type of the service's answer",
            (Value("value", "line", "text/plain"),),
        ),
        Kind(
            "giant_message",
            "answers with a message, or a body, of `size` bytes",
            (Value("size", "int", 100_000_000, least=1, most=2**32 - 1),),
        ),
        Kind("no_healthy_upstream", "answers as the gateway does when no instance of the service is healthy"),
    )
}

# What every kind takes.
COMMON: Final = (
    Value("calls", "int", least=1),
    Value("share", "float", 1.0, least=0, most=1),
    Value("seed", "int", 0),
    Value("service", "line"),
    Value("method", "line"),
)


def kinds_json() -> list[dict[str, object]]:
    """All kinds with their values, as the page shows them."""
    return [
        {
            "kind": kind.name,
            "what": kind.what,
            "protocols": list(kind.protocols),
            "values": [_value_json(value) for value in kind.values],
        }
        for kind in KINDS.values()
    ]


def _value_json(value: Value) -> dict[str, object]:
    shown = {"name": value.name, "type": value.type, "default": value.default}
    limits = {"least": value.least, "most": value.most, "choices": list(value.choices) or None}
    return shown | {name: limit for name, limit in limits.items() if limit is not None}
