"""Payloads that differ from call to call: `{{n}}`, `{{uuid}}`, `{{random 1 10}}`, `{{now}}` in their JSON. Pure.

What stands in the place of one depends on the run's seed and the call's number alone, so that a run can be repeated;
but for `{{now}}`, which is handed in.
"""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable
from datetime import datetime, timezone

from eas_grpc.errors import ConfigError

__all__ = ["compiled", "has_placeholders"]

_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_RANDOM = re.compile(r"random\s+(-?\d+)\s+(-?\d+)\Z", re.ASCII)
_KNOWN = "{{n}}, {{uuid}}, {{random 1 10}} and {{now}}"

# (number of the call, dice of that call, seconds since 1970) -> the text
_Part = Callable[[int, random.Random, float], str]


def has_placeholders(text: str) -> bool:
    """Whether the text has to be filled in for each call."""
    return _PLACEHOLDER.search(text) is not None


def compiled(text: str, *, seed: int) -> Callable[[int, float], str]:
    """What fills in the text, given a call's number and the time; ConfigError for a placeholder that is none.

    Two `{{uuid}}` in a text differ, and so do two `{{random ...}}`; the same call gets the same again.
    """
    # Text and placeholders take turns.
    pieces = _PLACEHOLDER.split(text)
    parts: list[str | _Part] = [
        _part(piece.strip()) if number % 2 else piece for number, piece in enumerate(pieces)
    ]

    def fill(number: int, now: float) -> str:
        dice = random.Random(f"{seed}/{number}")  # noqa: S311  (repeatable is what it must be)
        return "".join(part if isinstance(part, str) else part(number, dice, now) for part in parts)

    return fill


def _part(words: str) -> _Part:
    if words == "n":
        return lambda number, _dice, _now: str(number)
    if words == "uuid":
        return lambda _number, dice, _now: str(uuid.UUID(int=dice.getrandbits(128), version=4))
    if words == "now":
        return lambda _number, _dice, now: _timestamp(now)
    match = _RANDOM.match(words)
    if match is not None:
        low, high = int(match[1]), int(match[2])
        if low > high:
            raise ConfigError(f"{{{{{words}}}}}: the first number must not be above the second")
        return lambda _number, dice, _now: str(dice.randint(low, high))
    raise ConfigError(f"{{{{{words}}}}} is no placeholder: there are {_KNOWN}")


def _timestamp(now: float) -> str:
    """As JSON of a google.protobuf.Timestamp is written."""
    text = datetime.fromtimestamp(now, timezone.utc).isoformat(timespec="microseconds")
    return text.replace("+00:00", "Z")
