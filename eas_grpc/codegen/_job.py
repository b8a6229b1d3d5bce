"""One request for generated code, and what came of it: plain data."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from eas_grpc.codegen._diagnostics import Diagnostic
from eas_grpc.codegen._manifest import Manifest
from eas_grpc.codegen._plan import Options
from eas_grpc.codegen._tools import Toolchain
from eas_grpc.errors import SchemaError

__all__ = ["Built", "Job", "Report", "told"]


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Turns what the disk refuses into a SchemaError that says where; nothing has been changed then."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise SchemaError(f"{where}{error.strerror or error}; nothing was changed") from error


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to generate: protos by import name, the folders they are looked up in, the output root, how, with what.

    `descriptor_set` is a file to write the compiled protos to as well, with everything they import.
    """

    protos: tuple[str, ...]
    includes: tuple[Path, ...]
    out: Path
    options: Options = field(default_factory=Options)
    descriptor_set: Path | None = None
    toolchain: Toolchain = field(default_factory=Toolchain.installed)


@dataclass(frozen=True, kw_only=True)
class Built:
    """A finished run, not yet in place: every file by relative path, the manifest last."""

    files: Mapping[str, bytes]
    manifest: Manifest
    descriptor_set: bytes
    warnings: tuple[Diagnostic, ...]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What `generate` did to the output root, as relative paths.

    `floor` is the lowest version by package that the output accepts.
    """

    written: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]
    floor: Mapping[str, str]
    warnings: tuple[Diagnostic, ...]
