"""The names of a new project, all made from one, and why some names are refused. Pure."""

from __future__ import annotations

import keyword
import re
import sys
from dataclasses import dataclass

from eas_grpc.errors import ConfigError

__all__ = ["Names", "names"]

# What EAS takes for a service: lower-case letters, digits and underscores, 3 to 63 of them. A letter first and no
# underscore last is what Python and its packages ask for on top.
_SERVICE = re.compile(r"[a-z][a-z0-9_]{1,61}[a-z0-9]\Z")
_PACKAGE = re.compile(r"[a-z][a-z0-9_]*\Z")
_SHORTEST, _LONGEST = 3, 63

# What the project, its tests and its tools install, under the names of a package index. Of two packages of one name
# an installer takes one, and a project that needs itself gets nothing else.
_NEEDED = frozenset(
    {
        "build",
        "click",
        "cramjam",
        "cryptography",
        "eas-grpc",
        "googleapis-common-protos",
        "grpcio",
        "grpcio-health-checking",
        "grpcio-reflection",
        "grpcio-tools",
        "h11",
        "hatchling",
        "hpack",
        "iniconfig",
        "mypy",
        "mypy-protobuf",
        "numpy",
        "packaging",
        "pathspec",
        "pip",
        "pluggy",
        "protobuf",
        "pygments",
        "pytest",
        "setuptools",
        "tomli",
        "trove-classifiers",
        "types-grpcio",
        "types-protobuf",
        "typing-extensions",
        "wheel",
    }
)

# What is imported under other names than those, and names of the project's own folder; Python does not count its
# package `test` among its modules.
_IMPORTED = frozenset(
    {
        "eas_grpc_pb",
        "google",
        "grpc",
        "grpc_health",
        "grpc_reflection",
        "grpc_tools",
        "pkg_resources",
        "server_demo",
        "test",
        "tests",
    }
)
_TAKEN = _IMPORTED | {name.replace("-", "_") for name in _NEEDED}


@dataclass(frozen=True, kw_only=True)
class Names:
    """What the project is called where: on a package index, on EAS, and in an import statement."""

    project: str
    service: str
    package: str


def names(name: str, package: str | None = None) -> Names:
    """`my-greeter` or `my_greeter` as all the names of a project; `package` chooses the one to import.

    Raises ConfigError, which says what to write instead.
    """
    service = name.replace("-", "_")
    if not _SERVICE.match(service):
        raise ConfigError(
            f"{name!r} cannot name a service: EAS takes {_SHORTEST} to {_LONGEST} lower-case letters, digits and"
            f" underscores, here with a letter first; write {_repaired(name)}"
        )
    project = re.sub("_+", "-", service)
    if project in _NEEDED:
        raise ConfigError(
            f"{name!r} is the name of something that the project itself needs: use another name, such as"
            f" {service}_service"
        )
    return Names(
        project=project,
        service=service,
        package=_checked(service, f"another name, or --package {service}_service")
        if package is None
        else _checked(package, f"--package {service}_service"),
    )


def _checked(package: str, instead: str) -> str:
    if not _PACKAGE.match(package):
        raise ConfigError(
            f"{package!r} cannot name a package: use lower-case letters, digits and underscores, with a letter first"
        )
    if keyword.iskeyword(package):
        raise ConfigError(
            f"{package!r} is a word of the language Python, which cannot be imported: use {instead}"
        )
    if package in sys.stdlib_module_names or package in _TAKEN:
        raise ConfigError(
            f"a package named {package!r} would stand in the way of another one of that name: use {instead}"
        )
    return package


def _repaired(name: str) -> str:
    """The nearest name that would do."""
    kept = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_").lstrip("0123456789_")[:_LONGEST].rstrip("_")
    return kept if len(kept) >= _SHORTEST else f"{kept}_service".lstrip("_")
