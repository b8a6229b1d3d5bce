"""What in a schema will hurt those who call it from Python, or those who have to change it later.

Pure: descriptors in, diagnostics out.
"""

from __future__ import annotations

from collections.abc import Collection

from eas_grpc.codegen._diagnostics import Diagnostic
from eas_grpc.codegen._elements import Schema
from eas_grpc.codegen._rules import LINT, check_names
from eas_grpc.codegen._suppress import settle
from eas_grpc.codegen.lint import _contract, _distinct, _python

__all__ = ["lint"]


def lint(schema: Schema, *, without: Collection[str] = ()) -> tuple[Diagnostic, ...]:
    """Every rule of the book that does not hold, in the order of the sources; `without` switches rules off.

    Hints are among them. Raises ConfigError for a name in `without` that is no rule.
    """
    check_names(without, LINT, "lint")
    rules = {name: rule for name, rule in LINT.items() if name not in without}
    findings = [*_contract.findings(schema), *_python.findings(schema), *_distinct.findings(schema)]
    return settle(findings, schema.elements, rules)
