"""From findings to diagnostics: rules that are off, `eas-grpc:ignore` comments, and one finding per change.

Pure. An ignore comment, `// eas-grpc:ignore RULE[, RULE...] reason`, stands at the element or at one that it is in.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from eas_grpc.codegen._diagnostics import Diagnostic
from eas_grpc.codegen._elements import Element
from eas_grpc.codegen._rules import BREAKING, LINT, UNKNOWN_IGNORE, Rule, closest

__all__ = ["Finding", "ignored_rules", "settle"]

_IGNORE = re.compile(r"eas-grpc:ignore\b[ \t]*(?P<rules>\w+(?:[ \t]*,[ \t]*\w+)*)?")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A rule that does not hold at an element. `about` names what changed where the element only contains it."""

    rule: str
    element: Element
    text: str
    hint: str = ""
    about: str = ""
    more: int = 0


def settle(
    findings: Iterable[Finding], elements: Sequence[Element], rules: Mapping[str, Rule]
) -> tuple[Diagnostic, ...]:
    """What to report of all findings, in the order of the sources.

    Findings of a rule that is not among `rules`, or that a comment ignores, are left out. Of those about one thing
    in one group, the worst remains: the first in the order of `rules`.
    """
    order = list(rules)
    kept: dict[tuple[object, ...], Finding] = {}
    wanted = [finding for finding in findings if finding.rule in rules and not _is_ignored(finding)]
    for finding in sorted(wanted, key=lambda finding: order.index(finding.rule)):
        group = rules[finding.rule].group or finding.rule
        kept.setdefault((finding.element, finding.about, group), finding)
    reported = [_diagnostic(finding, rules[finding.rule]) for finding in kept.values()]
    return tuple(sorted([*reported, *_unknown(elements)], key=_place))


def ignored_rules(comment: str) -> tuple[str, ...]:
    """The rules that a comment says to ignore; an empty name where it forgets to name one."""
    found = (match["rules"] or "" for match in _IGNORE.finditer(comment))
    return tuple(name.strip() for names in found for name in names.split(","))


def _is_ignored(finding: Finding) -> bool:
    element: Element | None = finding.element
    while element is not None:
        if finding.rule in ignored_rules(element.comment):
            return True
        element = element.parent
    return False


def _unknown(elements: Iterable[Element]) -> Iterator[Diagnostic]:
    known: Collection[str] = [*LINT, *BREAKING]
    for element in elements:
        for name in ignored_rules(element.comment):
            if name not in known:
                what = f"there is no rule {name}{closest(name, known)}" if name else "it names no rule"
                yield Diagnostic(
                    text=f"the ignore comment of {element} ignores nothing: {what}",
                    at=element.at,
                    severity=UNKNOWN_IGNORE.severity,
                    rule=UNKNOWN_IGNORE.name,
                    hint="write `eas-grpc:ignore RULE[, RULE...] reason`",
                )


def _diagnostic(finding: Finding, rule: Rule) -> Diagnostic:
    return Diagnostic(
        text=finding.text,
        at=finding.element.at,
        severity=rule.severity,
        rule=rule.name,
        hint=finding.hint,
        more=finding.more,
    )


def _place(diagnostic: Diagnostic) -> tuple[object, ...]:
    at = diagnostic.at
    assert at is not None, "every element has a place"
    # At one place the worst stays first, since sorting is stable.
    return (at.file, at.line, at.column)
