"""No test's output holds a token: every captured line of the whole run, log at DEBUG included, is searched.

Canaries are the tokens written into the suite, and every token that a channel of ours sends while it runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["Canaries", "search"]

_TESTS = Path(__file__).parents[1]
# `TOKEN = "..."` and the like, at the top of a test file. What is shorter is a word that may stand in any text.
_SHORTEST = 12
_CONSTANT = re.compile(rf'^(?:OTHER_)?(?:CANARY|TOKEN|SECRET) = "([!-~]{{{_SHORTEST},}})"$', re.MULTILINE)
# A secret of another kind: its test shows that an exception's words do not leave the server, whose log has them.
_NO_TOKENS = frozenset({"secret-words-of-an-exception"})
_MASK = "<TOKEN>"


class Canaries:
    """The tokens that are looked for."""

    def __init__(self) -> None:
        self.texts: set[str] = set()

    def add(self, token: str) -> None:
        """One more, if it is long enough not to be found by chance."""
        if len(token) >= _SHORTEST and not token.startswith("*"):
            self.texts.add(str(token))

    def add_constants(self, folder: Path = _TESTS) -> None:
        """Those that stand in the suite."""
        for file in folder.rglob("*.py"):
            for token in set(_CONSTANT.findall(file.read_text("utf-8"))) - _NO_TOKENS:
                self.add(token)

    def add_sent(self) -> None:
        """From now on, those that channels of ours send."""
        from eas_grpc.rpc import _policy

        bearer: Any = _policy.bearer

        def watched(token: str) -> Any:
            self.add(token)
            return bearer(token)

        _policy.bearer = watched

    def masked(self, text: str) -> str:
        """The text without them."""
        for token in self.texts:
            text = text.replace(token, _MASK)
        return text


def search(canaries: Canaries, sections: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The sections of a report that hold a token: their names, and the lines in question without it."""
    found = []
    for name, text in sections:
        lines = [line for line in text.splitlines() if any(token in line for token in canaries.texts)]
        if lines:
            found.append((name, canaries.masked("\n".join(lines[:5]))))
    return found
