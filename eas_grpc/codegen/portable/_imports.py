"""How generated modules import each other: protoc's own aliases, so that the output reads like stock. Pure."""

from __future__ import annotations

import keyword

from eas_grpc.errors import SchemaError

__all__ = ["alias", "checked", "import_line"]


def alias(module: str) -> str:
    """The name that a generated module is known by inside another one."""
    return checked(module).replace("_", "__").replace(".", "_dot_")


def import_line(module: str) -> str:
    """One line of text, with its end."""
    package, _, name = checked(module).rpartition(".")
    return f"{f'from {package} ' if package else ''}import {name} as {alias(module)}\n"


def checked(module: str) -> str:
    """The name again. Names are judged long before; whatever slipped through must not become code."""
    if not all(part.isidentifier() and not keyword.iskeyword(part) for part in module.split(".")):
        raise SchemaError(
            f"{module!r} cannot be imported: a module's name is words of Python, with dots between"
        )
    return module
