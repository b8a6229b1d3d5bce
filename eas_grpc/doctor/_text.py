"""What others sent, made fit to be shown: no token, no control character, not too long. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from eas_grpc.auth import Masked

__all__ = ["Showing"]

_MASK = "***"
# What is shorter is no secret and would garble everything.
_SHORTEST = 4
_LONGEST = 300


class Showing:
    """Shows texts; knows what must not be seen in them."""

    __slots__ = ("_secrets",)

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # The longest first: one may be a part of another.
        wanted = {Masked(secret) for secret in secrets if len(secret) >= _SHORTEST}
        self._secrets = sorted(wanted, key=len, reverse=True)

    def __repr__(self) -> str:
        return f"<Showing without {len(self._secrets)} secrets>"

    def __call__(self, text: str | bytes, *, longest: int = _LONGEST) -> str:
        """One line that is safe on a terminal: masked first, then escaped, then cut."""
        plain = text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else text
        plain = self._masked(plain)
        # A secret may have been broken over lines.
        line = self._masked(re.sub(r"\s+", " ", plain).strip())
        line = "".join(char if char.isprintable() else _escaped(char) for char in line[: longest + 1])
        return line if len(line) <= longest else f"{line[:longest]}..."

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        for secret in self._secrets:
            # The text may have been cut off in the middle of one.
            for size in range(min(len(secret) - 1, len(text)), _SHORTEST - 1, -1):
                if text.endswith(secret[:size]):
                    return f"{text[:-size]}{_MASK}"
        return text


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "backslashreplace").decode("ascii")
