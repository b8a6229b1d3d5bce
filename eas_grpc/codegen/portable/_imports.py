"""How generated modules import each other: protoc's own aliases, so that the output reads like stock. Pure."""

from __future__ import annotations

__all__ = ["alias", "import_line"]


def alias(module: str) -> str:
    """The name that a generated module is known by inside another one."""
    return module.replace("_", "__").replace(".", "_dot_")


def import_line(module: str) -> str:
    """One line of text, with its end."""
    package, _, name = module.rpartition(".")
    return f"{f'from {package} ' if package else ''}import {name} as {alias(module)}\n"
