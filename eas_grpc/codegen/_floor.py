"""The lowest protobuf and grpcio that generated code accepts, and who is known to ask for less.

Pure: texts and requirement lines in, versions and warnings out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from eas_grpc.codegen.portable import EDITION_FLOORS

__all__ = ["floors", "loose", "owners", "shut_out"]

_PROTOBUF = re.compile(
    r"ValidateProtobufRuntimeVersion\(\s*_runtime_version\.Domain\.PUBLIC,\s*(\d+),\s*(\d+),\s*(\d+)"
)
_GRPCIO = re.compile(r"^GRPC_GENERATED_VERSION = '([\d.]+)'", re.MULTILINE)

# What any output runs on that checks no version, as tested.
_LOWEST = {"protobuf": "3.20.3", "grpcio": "1.62.3"}


def floors(
    texts: Iterable[str], *, portable: bool, services: bool, editions: Iterable[str] = ()
) -> dict[str, str]:
    """The lowest version by package, read from what the generated modules check when they are imported."""
    found = {"protobuf": _LOWEST["protobuf"]}
    if services:
        found["grpcio"] = _LOWEST["grpcio"]
    if not portable:
        for text in texts:
            protobuf, grpcio = _PROTOBUF.search(text), _GRPCIO.search(text)
            if protobuf:
                found["protobuf"] = _higher(found["protobuf"], ".".join(protobuf.groups()))
            if grpcio:
                found["grpcio"] = _higher(found.get("grpcio", "0"), grpcio[1])
    for edition in editions:
        found["protobuf"] = _higher(found["protobuf"], EDITION_FLOORS.get(edition, "0"))
    return found


def owners(imported: Iterable[str]) -> dict[str, str]:
    """The packages that ship the modules of imported protos, as floors of no version; protobuf's own left out."""
    found = {}
    for name in imported:
        if name.startswith("eas_grpc_pb/"):
            found["eas-grpc"] = ""
        elif name.startswith("google/") and not name.startswith("google/protobuf/"):
            found["googleapis-common-protos"] = ""
    return found


def loose(
    lowest: Mapping[str, str], requirements: Iterable[str], *, where: str, portable: bool = False
) -> list[str]:
    """Warnings for what a project's requirements allow below the floor; what they do not name is not judged."""
    from packaging.requirements import InvalidRequirement, Requirement

    named = {}
    for line in requirements:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        named[requirement.name.lower()] = requirement
    others = "" if portable else ", generate with older tools (--protoc-python), or with --runtime portable"
    warnings = []
    for package, version in sorted(lowest.items()):
        if not version and package not in named:
            warnings.append(
                f"the generated code imports {package}, which {where} does not name: add it to `dependencies`"
            )
        if package not in named or not version:
            continue
        bounds = [
            part.version.removesuffix(".*")
            for part in named[package].specifier
            if part.operator in (">=", "==", "~=", ">", "===")
        ]
        if not any(_numbers(bound) >= _numbers(version) for bound in bounds):
            warnings.append(
                f"{where} allows `{named[package]}`, but the generated code needs {package} {version} or later: "
                f"write `{package}>={version}`{others}"
            )
    return warnings


def shut_out(lowest: Mapping[str, str], installed: Mapping[str, Iterable[str]]) -> list[str]:
    """Warnings for installed packages, given with their requirements, that forbid every version from the floor on."""
    from packaging.requirements import InvalidRequirement, Requirement

    warnings = []
    for distribution, requirements in sorted(installed.items()):
        for line in requirements:
            try:
                requirement = Requirement(line)
            except InvalidRequirement:
                continue
            version = lowest.get(requirement.name.lower())
            if not version or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
                continue
            if any(_forbids(part.operator, part.version, version) for part in requirement.specifier):
                warnings.append(
                    f"{distribution} asks for `{requirement.name}{requirement.specifier}`, and the generated code for "
                    f"{version} or later: the two cannot share an environment; --runtime portable gives code that can"
                )
    return warnings


def _forbids(operator: str, bound: str, version: str) -> bool:
    floor = _numbers(version)
    if operator == "~=" or bound.endswith(".*"):
        # `~=4.1` and `==4.*` both end before 5: their last number, or the star, may grow for ever.
        series = _parts(bound.removesuffix(".*"))[: -1 if operator == "~=" else None]
        return operator in ("~=", "==") and (*floor, 0, 0, 0)[: len(series)] > series
    limit = _numbers(bound)
    if operator == "<":
        return limit <= floor
    return operator in ("<=", "==", "===") and limit < floor


def _higher(one: str, other: str) -> str:
    return max(one, other, key=_numbers)


def _numbers(version: str) -> tuple[int, ...]:
    """For comparing: zeros at the end count for nothing."""
    numbers = list(_parts(version))
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _parts(version: str) -> tuple[int, ...]:
    digits = [re.match(r"\d+", part) for part in version.split(".")]
    return tuple(int(match[0]) for match in digits if match)
