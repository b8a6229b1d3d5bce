"""Rules about names that differ by case or `_` alone: one module on some systems, one typing mistake on all."""

from __future__ import annotations

import re
from collections.abc import Iterator

from eas_grpc.codegen._elements import Element, Kind, Schema
from eas_grpc.codegen._suppress import Finding

__all__ = ["findings", "folded"]

_RULES = {
    Kind.FILE: "FILE_NAME_DISTINCT",
    Kind.SERVICE: "SERVICE_NAME_DISTINCT",
    Kind.RPC: "RPC_NAME_DISTINCT",
    Kind.MESSAGE: "TYPE_NAME_DISTINCT",
    Kind.ENUM: "TYPE_NAME_DISTINCT",
    Kind.FIELD: "FIELD_NAME_DISTINCT",
    Kind.VALUE: "ENUM_VALUE_NAME_DISTINCT",
}
# Between two digits `_` is a point or a comma: 1_1 is not 11.
_SEPARATOR = re.compile(r"(?<![0-9])[_-]|[_-](?![0-9])")


def findings(schema: Schema) -> Iterator[Finding]:
    """Where these rules do not hold."""
    first: dict[tuple[str, str, str], Element] = {}
    for element in schema.elements:
        if element.kind not in _RULES:
            continue
        rule = _RULES[element.kind]
        # Names live in the package, and a package may have several files.
        scope = element.full_name.removesuffix(element.name)
        other = first.setdefault((rule, scope, folded(element.name)), element)
        if other is not element:
            yield Finding(
                rule=rule,
                element=element,
                text=f"{element} differs from `{other.name}` ({other.at}) only by case, `-` or `_`",
                hint="rename one of them",
            )


def folded(name: str) -> str:
    """What is left of a name when case, `-` and `_` do not count."""
    return _SEPARATOR.sub("", name).lower()
