"""The `[tool.eas-grpc]` table of a project's pyproject.toml: what the commands do when they are told nothing.

    [tool.eas-grpc]
    protos = ["protos"]                 # files or folders, relative to this pyproject.toml, as all paths here
    include = ["third_party"]

    [tool.eas-grpc.generate]
    out = "src/my_service/pb"           # everything else as the options of `eas-grpc generate`
    runtime = "portable"

    [tool.eas-grpc.lint]
    except = ["COMMENT_RPC"]

    [tool.eas-grpc.breaking]
    against = "git:main"

What is said on the command line wins, key by key.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from eas_grpc.codegen._job import Job
from eas_grpc.codegen._ownership import previous_run
from eas_grpc.codegen._package import check_package, guess_package
from eas_grpc.codegen._plan import Client, Options, Runtime
from eas_grpc.codegen._sources import find_sources
from eas_grpc.codegen._tools import Toolchain
from eas_grpc.errors import ConfigError

__all__ = ["Table", "configured", "find_table", "make_job", "project_requirements", "read_table"]

_TOP = {
    "protos": "an array of strings",
    "include": "an array of strings",
    "generate": "a table",
    "lint": "a table",
    "breaking": "a table",
}
_GENERATE = {
    "out": "a string",
    "package": "a string",
    "client": "a string",
    "servicer": "true or false",
    "types": "true or false",
    "runtime": "a string",
    "descriptor-set": "a string",
    "plugins": "a table of strings",
    "plugin-options": "a table of arrays of strings",
}
_LINT = {"except": "an array of strings"}
_BREAKING = {"against": "a string", "level": "a string", "except": "an array of strings"}


@dataclass(frozen=True, kw_only=True)
class Table:
    """What one pyproject.toml says; paths are joined to its folder, the rest is as written and checked by name."""

    path: Path
    protos: tuple[Path, ...] = ()
    include: tuple[Path, ...] = ()
    generate: Mapping[str, Any] = field(default_factory=dict)
    lint: Mapping[str, Any] = field(default_factory=dict)
    breaking: Mapping[str, Any] = field(default_factory=dict)


def find_table(start: Path | None = None) -> Table | None:
    """The table of the nearest pyproject.toml at or above `start` (default: the working directory), if it has one."""
    path = _nearest(start or Path())
    return None if path is None else read_table(path)


def read_table(path: Path) -> Table | None:
    """The table of one pyproject.toml; None if it has none. Raises ConfigError for what it cannot mean."""
    data = _table(_load(path), "tool").get("eas-grpc")
    if data is None:
        return None
    _check(path, "tool.eas-grpc", data, _TOP)
    for name, keys in (("generate", _GENERATE), ("lint", _LINT), ("breaking", _BREAKING)):
        _check(path, f"tool.eas-grpc.{name}", data.get(name, {}), keys)
    home = path.parent
    return Table(
        path=path,
        protos=tuple(home / entry for entry in data.get("protos", ())),
        include=tuple(home / entry for entry in data.get("include", ())),
        generate=data.get("generate", {}),
        lint=data.get("lint", {}),
        breaking=data.get("breaking", {}),
    )


def configured(pyproject: Path, *, protoc_python: str | None = None, plugins_bin: str | None = None) -> Job:
    """The job that a project's table describes; raises ConfigError if it has none, or one without `out`."""
    table = read_table(pyproject)
    if table is None:
        raise ConfigError(f"{pyproject} has no table [tool.eas-grpc]")
    return make_job(table, toolchain=Toolchain.installed(protoc_python, plugins_bin))


def make_job(
    table: Table | None,
    *,
    toolchain: Toolchain,
    inputs: Sequence[Path] = (),
    includes: Sequence[Path] = (),
    given: Mapping[str, Any] | None = None,
) -> Job:
    """Join what was said on the spot with a project's table; what was said wins, key by key.

    `given` has the keys of `[tool.eas-grpc.generate]`; None stands for not said.
    """
    said = {key: value for key, value in (given or {}).items() if value is not None}
    written = _written(table)
    if "out" in said:
        # These belong to the table's own folder.
        written = {key: value for key, value in written.items() if key not in ("package", "descriptor-set")}
    values: dict[str, Any] = {**written, **said}
    inputs = inputs or (table.protos if table else ())
    includes = includes or (table.include if table else ())
    if not inputs:
        raise ConfigError(
            'no .proto is named: give files or folders, or write `protos = ["protos"]` into the table [tool.eas-grpc] '
            "of pyproject.toml"
        )
    if "out" not in values:
        raise ConfigError(
            "no output folder is named: give --out, or write `out` into the table [tool.eas-grpc.generate] of "
            "pyproject.toml"
        )
    if not str(values["out"]):
        raise ConfigError(
            "the output folder is empty text: give --out a folder, `.` for the one that you are in"
        )
    out = Path(values["out"])
    sources = find_sources(inputs, includes)
    package = values.get("package")
    return Job(
        protos=sources.protos,
        includes=sources.includes,
        out=out,
        options=Options(
            package=_package_of(out) if package is None else check_package(package),
            client=_choice(Client, values.get("client", "both"), "client"),
            servicer=values.get("servicer", True),
            types=values.get("types", True),
            runtime=_choice(Runtime, values.get("runtime", "current"), "runtime"),
            plugins=values.get("plugins", {}),
            plugin_options={
                name: tuple(options) for name, options in values.get("plugin-options", {}).items()
            },
        ),
        descriptor_set=Path(values["descriptor-set"]) if "descriptor-set" in values else None,
        toolchain=toolchain,
    )


def _package_of(out: Path) -> str:
    """What the run before recorded, or else what is around the folder."""
    before = previous_run(out)
    if before is not None:
        return "".join(before.options.get("package", ()))
    path = _nearest(out)
    name = _table(_load(path), "project").get("name", "") if path else ""
    return guess_package(out, project=name if isinstance(name, str) else "")


def project_requirements(start: Path) -> tuple[Path, list[str]] | None:
    """The nearest pyproject.toml at or above a folder, and the requirement lines of its project; None without one."""
    path = _nearest(start)
    if path is None:
        return None
    lines = _table(_load(path), "project").get("dependencies", [])
    return path, lines if _texts(lines) else []


def _written(table: Table | None) -> dict[str, Any]:
    if table is None:
        return {}
    values = dict(table.generate)
    home = table.path.parent
    for key in ("out", "descriptor-set"):
        if key in values:
            values[key] = home / values[key]
    if "plugins" in values:
        values["plugins"] = {name: str(home / path) for name, path in values["plugins"].items()}
    return values


def _nearest(start: Path) -> Path | None:
    absolute = start.absolute()
    for folder in (absolute, *absolute.parents):
        path = folder / "pyproject.toml"
        if os.path.isfile(path):  # noqa: PTH113 - says no where it may not look
            # As people would write it from where they are.
            return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return None


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    # Somebody else's part of the file: whoever owns it complains if it is not what it should be.
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _load(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # pyright: ignore[reportMissingImports]
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    except RecursionError:
        raise ConfigError(f"{path} is not valid TOML: it is nested too deeply") from None


def _check(path: Path, table: str, data: Any, known: Mapping[str, str]) -> None:
    """Refuse keys that mean nothing, and values that are not of their kind."""
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: [{table}] must be a table")
    for key, value in data.items():
        if key not in known:
            near = get_close_matches(key, known, 1)
            meant = f"did you mean `{near[0]}`?" if near else f"it has {', '.join(known)}"
            raise ConfigError(f"{path}: [{table}] has no key `{key}`; {meant}")
        if not _KINDS[known[key]](value):
            raise ConfigError(f"{path}: `{key}` in [{table}] must be {known[key]}")


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


def _table_of(value: Any, is_kind: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(is_kind(entry) for entry in value.values())


_KINDS: Mapping[str, Callable[[Any], bool]] = {
    "a table": lambda value: isinstance(value, dict),
    "a table of strings": lambda value: _table_of(value, lambda entry: isinstance(entry, str)),
    "a table of arrays of strings": lambda value: _table_of(value, _texts),
    "a string": lambda value: isinstance(value, str),
    "an array of strings": _texts,
    "true or false": lambda value: isinstance(value, bool),
}


def _choice(kind: Any, value: str, name: str) -> Any:
    try:
        return kind(value)
    except ValueError:
        choices = ", ".join(member.value for member in kind)
        raise ConfigError(f"`{name}` is {value!r}, which it cannot be: it is one of {choices}") from None
