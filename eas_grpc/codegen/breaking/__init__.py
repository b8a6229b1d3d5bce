"""What a new schema breaks for those who use the old one.

Pure: two schemas in, diagnostics out.
"""

from __future__ import annotations

from collections.abc import Collection

from eas_grpc.codegen._diagnostics import Diagnostic
from eas_grpc.codegen._elements import Schema
from eas_grpc.codegen._rules import BREAKING, Level, check_names
from eas_grpc.codegen._suppress import settle
from eas_grpc.codegen.breaking import _enums, _fields, _files, _messages, _services
from eas_grpc.codegen.breaking._pairs import pair

__all__ = ["breaking"]


def breaking(
    old: Schema, new: Schema, *, level: Level = Level.WIRE, without: Collection[str] = ()
) -> tuple[Diagnostic, ...]:
    """What users of `old` lose with `new`, up to a level; `without` switches rules off.

    Places are in the new files, or in the old ones where a whole file is gone. Ignore comments are read where the
    place is. Raises ConfigError for a name in `without` that is no rule.
    """
    check_names(without, BREAKING, "breaking")
    rules = {
        name: rule
        for name, rule in BREAKING.items()
        if name not in without and Level(level).includes(rule.level)
    }
    pairs = pair(old, new)
    findings = [
        *_files.findings(pairs),
        *_services.findings(pairs),
        *_messages.findings(pairs),
        *_fields.findings(pairs),
        *_enums.findings(pairs),
    ]
    return settle(findings, new.elements, rules)
