"""How a program differs from the sample on the vendor's page."""

from __future__ import annotations

import difflib


def differences(original: str, program: str) -> list[str]:
    """`-` and `+` lines. The page lost the indentation, so white space does not count."""
    compared = difflib.ndiff(_lines(original), _lines(program))
    return [line for line in compared if line.startswith(("- ", "+ "))]


def _lines(text: str) -> list[str]:
    return [squeezed for line in text.splitlines() if (squeezed := "".join(line.split()))]
