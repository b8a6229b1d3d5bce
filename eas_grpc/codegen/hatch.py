"""The build hook for hatchling: a wheel is never built with stubs that are missing or out of date.

    [build-system]
    requires = ["hatchling", "eas-grpc[codegen]"]
    build-backend = "hatchling.build"

    [tool.hatch.build.hooks.eas-grpc]
    check = false                   # true: write nothing, fail if the committed stubs are not fresh
    protoc-python = "..."           # for a compiler in an environment of its own; so is plugins-bin

What is generated, and where to, says the table [tool.eas-grpc]. The files get into the wheel even where git ignores
them. hatchling finds this module by its entry point; nothing else imports it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.plugin import hookimpl

from eas_grpc.codegen import MANIFEST, Job, check, configured, generate
from eas_grpc.codegen._ownership import previous_run
from eas_grpc.errors import ConfigError, EasError, SchemaError

__all__ = ["StubsHook", "hatch_register_build_hook"]

_OPTIONS: Mapping[str, type] = {"check": bool, "protoc-python": str, "plugins-bin": str}

# What hatchling itself reads from a hook's table.
_OF_HATCHLING = frozenset(
    {"dependencies", "enable-by-default", "path", "require-runtime-dependencies", "require-runtime-features"}
)

# What has a meaning in the patterns that hatchling reads, which are git's.
_GLOB = re.compile(r"[\\*?\[\]]")
_BACKSLASH = r"\\\g<0>"


class StubsHook(BuildHookInterface):  # type: ignore[type-arg]  # of no configuration class of its own
    """Generates before a wheel, an editable one too, or a source distribution is built."""

    PLUGIN_NAME = "eas-grpc"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's
        """Called by hatchling; what is wrong ends the build with one message."""
        try:
            root = Path(self.root)
            job = configured(root / "pyproject.toml", **(tools(self.config) or _of_pip()))
            wanted = fresh(job) if self.config.get("check", False) else self._made(job)
            build_data["artifacts"] += artifacts(job.out, wanted, root)
        except EasError as error:
            self.app.abort(f"eas-grpc: {error}")

    def _made(self, job: Job) -> tuple[str, ...]:
        """Generates, and passes on what is to be known; gives every file of the output."""
        report = generate(job)
        for warning in report.warnings:
            self.app.display_warning(f"eas-grpc: {warning}")
        return (*report.written, *report.unchanged)


@hookimpl
def hatch_register_build_hook() -> type[BuildHookInterface]:  # type: ignore[type-arg]
    """Called by hatchling."""
    return StubsHook


def tools(config: Mapping[str, Any]) -> dict[str, str]:
    """The arguments of `configured` in a hook's table; raises ConfigError for a table that means nothing."""
    for key, value in config.items():
        if key in _OF_HATCHLING:
            continue
        if key not in _OPTIONS:
            raise ConfigError(
                f"[tool.hatch.build.hooks.eas-grpc] has no key `{key}`; it has {', '.join(_OPTIONS)}"
            )
        if not isinstance(value, _OPTIONS[key]):
            kind = "true or false" if _OPTIONS[key] is bool else "a string"
            raise ConfigError(f"`{key}` in [tool.hatch.build.hooks.eas-grpc] must be {kind}")
    return {key.replace("-", "_"): config[key] for key in ("protoc-python", "plugins-bin") if key in config}


def _of_pip() -> dict[str, str]:
    """Where the plugins are if not beside the interpreter: pip's build environments are folders on PATH."""
    plugin = "protoc-gen-mypy"
    found = shutil.which(plugin)
    beside = Path(sys.executable).with_name(plugin)
    return {} if found is None or beside.exists() else {"plugins_bin": str(Path(found).parent)}


def fresh(job: Job) -> tuple[str, ...]:
    """The files of an output that is fresh; raises SchemaError for one that is not."""
    findings = check(job)
    if findings:
        lines = "".join(f"\n  {finding}" for finding in findings)
        raise SchemaError(f"{job.out} is not fresh: run `eas-grpc generate` and commit what it writes{lines}")
    manifest = previous_run(job.out)
    assert manifest is not None  # what is fresh has one
    return (*manifest.outputs, MANIFEST)


def artifacts(out: Path, files: tuple[str, ...], root: Path) -> list[str]:
    """The files as patterns that hatchling matches against paths below the project's root."""
    folder = PurePosixPath(os.path.relpath(out, root))
    if ".." in folder.parts:
        raise ConfigError(f"the stubs go to {out}, which is not below {root}: no wheel could hold them")
    return [f"/{_GLOB.sub(_BACKSLASH, str(folder / name))}" for name in sorted(files)]
