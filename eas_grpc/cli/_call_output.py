"""What is said about a call: its messages, and all around them. Pure but for `Printer`."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from eas_grpc._status_codes import status_number
from eas_grpc.cli._console import printable
from eas_grpc.errors import SchemaError

if TYPE_CHECKING:
    from eas_grpc.errors import CallFailure

__all__ = ["MASK", "Outcome", "Printer", "Secrets", "escaped", "record", "secret", "timings", "verbose"]

MASK = "***"

Metadata = Sequence[tuple[str, "str | bytes"]]

# Names of metadata that hold secrets, whoever sends them.
_SECRET = re.compile(r"authorization|token|secret|password|cookie|api-?key|credential", re.IGNORECASE)
# Control characters, and those that turn or hide what stands beside them.
_STEERING = re.compile(r"[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
# What is too short to be a secret may stand in any text.
_SHORTEST = 6


def secret(name: str) -> bool:
    """Whether metadata of this name is likely to hold a secret."""
    return _SECRET.search(name) is not None


class Secrets:
    """What must not be printed: the token, and the values of metadata that look like secrets."""

    def __init__(self, *texts: str, token: Callable[[], str] | None = None) -> None:
        # Those of before stay: an answer may hold the token that was renewed since.
        self._seen = {text for text in texts if len(text) >= _SHORTEST}
        self._token = token

    @property
    def _texts(self) -> list[str]:
        if self._token is not None and len(token := self._token()) >= _SHORTEST:
            self._seen.add(token)
        return sorted(self._seen, key=len, reverse=True)

    def masked(self, text: str) -> str:
        """The text with a mask where one of them stands."""
        for each in self._texts:
            text = text.replace(each, MASK)
        return text

    def pairs(self, metadata: Metadata) -> list[tuple[str, str]]:
        """Metadata as text, bytes in base64."""
        return [(name, self._value(name, value)) for name, value in metadata]

    def by_name(self, metadata: Metadata) -> dict[str, list[str]]:
        """Metadata as JSON has it: a name may occur several times."""
        found: dict[str, list[str]] = {}
        for name, value in self.pairs(metadata):
            found.setdefault(name, []).append(value)
        return found

    def _value(self, name: str, value: str | bytes) -> str:
        if isinstance(value, bytes):
            text = base64.b64encode(value).decode("ascii")
            hides = any(each.encode() in value for each in self._texts)
            return MASK if hides or secret(name) else text
        if secret(name):
            scheme, space, rest = value.partition(" ")
            return f"{scheme} {MASK}" if space and rest and scheme.isalpha() else MASK
        return self.masked(value)


@dataclass
class Outcome:
    """What became of a call, as far as it went; times in seconds since the call began."""

    headers: Metadata = ()
    messages: list[Any] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    received: int = 0
    status: str = ""
    details: str = ""
    trailers: Metadata = ()
    failure: CallFailure | None = None
    error_details: list[dict[str, Any]] = field(default_factory=list)
    connect: float | None = None
    schema: float | None = None
    total: float | None = None
    sent: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    reported: bool = False


def timings(outcome: Outcome) -> dict[str, Any]:
    """How long what took, in seconds."""
    gaps = [_rounded(after - before) for before, after in zip(outcome.times, outcome.times[1:], strict=False)]
    return {
        "connect": _rounded(outcome.connect),
        "schema": _rounded(outcome.schema),
        "first_message": _rounded(outcome.times[0] if outcome.times else None),
        "gaps": gaps,
        "total": _rounded(outcome.total),
    }


def record(about: dict[str, Any], outcome: Outcome, secrets: Secrets) -> dict[str, Any]:
    """The whole call as one object; `about` is what was known before it."""
    failure = outcome.failure
    return {
        **about,
        "sent": {"messages": outcome.sent, "bytes": outcome.bytes_sent},
        "headers": secrets.by_name(outcome.headers),
        "messages": outcome.messages,
        "trailers": secrets.by_name(outcome.trailers),
        "status": outcome.status,
        "code": status_number(outcome.status) if outcome.status else None,
        "details": secrets.masked(outcome.details),
        "error_details": outcome.error_details,
        "hint": secrets.masked(failure.hint) if failure is not None else "",
        "origin": failure.origin.value if failure is not None else "server",
        "timings": timings(outcome),
    }


def verbose(outcome: Outcome, secrets: Secrets) -> list[str]:
    """What -v adds below the messages."""
    lines = [f"< {name}: {value}" for name, value in secrets.pairs(outcome.trailers)]
    if outcome.status == "OK":
        lines.append("status OK")
    spent = timings(outcome)
    gaps = spent.pop("gaps")
    shown = [f"{name.replace('_', ' ')} {_milliseconds(seconds)}" for name, seconds in spent.items()]
    if gaps:
        shown.insert(-1, f"longest gap {_milliseconds(max(gaps))}")
    counted = f"{outcome.sent} sent ({outcome.bytes_sent} bytes), {outcome.received} received"
    return [*lines, f"{counted} ({outcome.bytes_received} bytes)", ", ".join(shown)]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


def _milliseconds(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{seconds * 1000:.1f} ms"


class Printer:
    """Writes JSON on stdout as UTF-8, each message at once, and remarks on stderr."""

    def __init__(self) -> None:
        # Whether somebody types the requests, below a prompt.
        self.typed = False

    def json(self, text: str) -> None:
        """One JSON value. What would steer a terminal, and what stdout's encoding lacks, is escaped, as JSON allows.

        Raises SchemaError where it cannot be written.
        """
        text = _STEERING.sub(_escape, text)
        encoding = (
            (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "").replace("_", "")
        )
        if encoding != "utf8":
            text = escaped(text)
        if self.typed:
            # Over the prompt, which comes again below it.
            click.echo("\r", err=True, nl=False)
        try:
            click.echo(text.encode())
        except BrokenPipeError:
            raise  # whoever reads has seen enough
        except OSError as error:
            raise SchemaError(f"standard output cannot be written: {error.strerror}") from None
        if self.typed:
            self.prompt()

    def prompt(self) -> None:
        """Invites to type a message."""
        click.echo("> ", err=True, nl=False)

    def remark(self, *lines: str) -> None:
        """On stderr; what a service says does not steer the terminal."""
        for line in lines:
            click.echo(printable(line), err=True)

    def lines(self, lines: Iterable[str]) -> None:
        """Text on stdout."""
        for line in lines:
            click.echo(line)


def escaped(text: str) -> str:
    """JSON of the same meaning in ASCII: what is not is within texts, where it may be escaped."""
    return re.sub(r"[^\x00-\x7f]", _escape, text)


def _escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
