"""Say whether committed output is what its protos and tools give today. Writes nothing to the output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from eas_grpc.codegen._build import build
from eas_grpc.codegen._job import Built, Job, told
from eas_grpc.codegen._manifest import MANIFEST, OWN_TOOL
from eas_grpc.codegen._ownership import compare, digest_of, leftovers, previous_run

__all__ = ["Finding", "FindingKind", "check"]

_FOREIGN = "no .proto here gives it; remove it, or let `--clean` do so"


class FindingKind(str, Enum):
    """How a file, or the whole output, is out of date."""

    OPTIONS = "options"  # it was asked for differently; the differences below come from that
    TOOLS = "tools"  # other versions made it; the differences below may be nothing else
    MISSING = "missing"
    CHANGED = "changed"
    STALE = "stale"  # an earlier run wrote it and this one would not
    FOREIGN = "foreign"  # a generated module that no run of ours knows


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One difference. `path` is relative to the output root (a descriptor set's is as it was given)."""

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
    with told():
        return _findings(job)


def _findings(job: Job) -> tuple[Finding, ...]:
    before = previous_run(job.out)
    built = build(job)
    options = [] if before is None else _option_findings(before.options, built.manifest.options)
    tools = [] if before is None else _tool_findings(before.tools, built.manifest.tools)
    found = compare(job.out, built, before)
    # With other tools the manifest differs in any case, and that has been said. If only our own part is another one
    # and all files are the same, the output is as fresh as it can be.
    own_alone = before is not None and replace(before, tools=built.manifest.tools) == built.manifest
    changed = [path for path in found.changed if path != MANIFEST or not (options or tools or own_alone)]
    foreign = leftovers(job.out, built, before)
    return (
        *options,
        *tools,
        *(Finding(kind=FindingKind.MISSING, path=path) for path in found.missing),
        *(Finding(kind=FindingKind.CHANGED, path=path) for path in changed),
        *(Finding(kind=FindingKind.STALE, path=path) for path in found.stale),
        *(Finding(kind=FindingKind.FOREIGN, path=path, detail=_FOREIGN) for path in foreign),
        *_descriptor_set_findings(job, built),
    )


def _descriptor_set_findings(job: Job, built: Built) -> list[Finding]:
    path = job.descriptor_set
    if path is None or digest_of(path) == built.manifest.descriptor_set:
        return []
    return [Finding(kind=FindingKind.CHANGED if path.is_file() else FindingKind.MISSING, path=str(path))]


def _option_findings(
    then: Mapping[str, tuple[str, ...]], now: Mapping[str, tuple[str, ...]]
) -> list[Finding]:
    return [
        Finding(
            kind=FindingKind.OPTIONS,
            path=MANIFEST,
            detail=f"{name} was {' '.join(then.get(name, ('(none)',)))}, is {' '.join(now.get(name, ('(none)',)))}",
        )
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]


def _tool_findings(then: Mapping[str, str], now: Mapping[str, str]) -> list[Finding]:
    return [
        Finding(
            kind=FindingKind.TOOLS,
            path=MANIFEST,
            detail=f"made with {name} {then[name]}, here is {now[name]}; "
            "generate with the same version, or generate again and commit",
        )
        # One that is on one side only belongs to an option.
        for name in sorted(({*then} & {*now}) - {OWN_TOOL})
        if then[name] != now[name]
    ]
