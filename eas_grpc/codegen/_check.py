"""Say whether committed output is what its protos and tools give today. Writes nothing to the output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from eas_grpc.codegen._manifest import MANIFEST
from eas_grpc.codegen._run import Job, build, compare, previous_run

__all__ = ["Finding", "FindingKind", "check"]


class FindingKind(str, Enum):
    """How a file, or the whole output, is out of date."""

    TOOLS = "tools"  # other versions made it; the differences below may be nothing else
    MISSING = "missing"
    CHANGED = "changed"
    STALE = "stale"  # an earlier run wrote it and this one would not


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One difference. `path` is relative to the output root."""

    kind: FindingKind
    path: str
    detail: str = ""

    def __str__(self) -> str:
        """One line."""
        return f"{self.kind.value}: {self.path}" + (f": {self.detail}" if self.detail else "")


def check(job: Job) -> tuple[Finding, ...]:
    """Generate elsewhere and compare; empty if `job.out` is fresh. Differing tool versions come first.

    Raises SchemaError if the protos cannot be generated at all.
    """
    before = previous_run(job.out)
    built = build(job)
    tools = [] if before is None else _tool_findings(before.tools, built.manifest.tools)
    found = compare(job.out, built, before)
    # With other tools the manifest differs in any case, and that has been said.
    changed = [path for path in found.changed if not (tools and path == MANIFEST)]
    return (
        *tools,
        *(Finding(kind=FindingKind.MISSING, path=path) for path in found.missing),
        *(Finding(kind=FindingKind.CHANGED, path=path) for path in changed),
        *(Finding(kind=FindingKind.STALE, path=path) for path in found.stale),
    )


def _tool_findings(then: Mapping[str, str], now: Mapping[str, str]) -> list[Finding]:
    return [
        Finding(
            kind=FindingKind.TOOLS,
            path=MANIFEST,
            detail=f"made with {name} {then.get(name, '(none)')}, here is {now.get(name, '(none)')}; "
            "generate with the same version, or generate again and commit",
        )
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]
