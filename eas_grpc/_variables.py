"""What an environment variable says, and where `~` leads; what every program needs that reads its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["from_home", "variable"]


def variable(environ: Mapping[str, str], name: str) -> str | None:
    """Its value without space around it; None where it is empty or not set."""
    value = environ.get(name, "").strip()
    return value or None


def from_home(file: str, home: str | None) -> Path:
    """The path, with `home` for a leading `~/`."""
    from pathlib import Path

    return Path(home, file[2:]) if home is not None and file.startswith("~/") else Path(file)
