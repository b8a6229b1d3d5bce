"""One run of protoc: protos in, descriptors with positions and comments out. Everything else reads those."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from eas_grpc.codegen._diagnostics import Diagnostic
from eas_grpc.codegen._environment import proto_roots
from eas_grpc.codegen._sources import Sources, locate, nearby, read_sources
from eas_grpc.codegen._tools import Protoc, Toolchain
from eas_grpc.errors import ConfigError

__all__ = ["Compiled", "compile_protos"]


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """What the compiler made of some protos.

    `files` holds the protos and everything they import, in an order in which each comes after its imports.
    """

    files: FileDescriptorSet
    sources: Sources
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def protos(self) -> tuple[str, ...]:
        """The import names that were asked for."""
        return self.sources.protos

    @property
    def shown(self) -> Mapping[str, str]:
        """For every file of the set the path to show to people."""
        return {file.name: self.sources.show(file.name) for file in self.files.file}


def compile_protos(protos: Sequence[str], includes: Sequence[Path], toolchain: Toolchain) -> Compiled:
    """Compile protos by import name; Google's and our own protos are found without an include root.

    Raises SchemaError, with diagnostics, for whatever is wrong with them.
    """
    for include in includes:
        if os.pathsep in str(include.absolute()):
            raise ConfigError(
                f"the include root {include.absolute()} cannot be passed to protoc, which splits it at `{os.pathsep}`"
            )
    sources = Sources(protos=tuple(sorted(set(protos))), includes=tuple(includes))
    read_sources(sources)
    toolchain = toolchain.absolute()
    roots = (*includes, *proto_roots(toolchain.python))

    def shown(name: str) -> str:
        return str(locate(name, roots) or name)

    def import_name(path: str) -> str:
        below = (os.path.relpath(path, root) for root in roots if Path(path).is_relative_to(root.absolute()))
        return next(below, path)

    with tempfile.TemporaryDirectory(prefix="eas-grpc-") as temporary:
        out = Path(temporary, "descriptors.bin")
        # The compiler starts in an empty folder: a module in the caller's could hide one that it imports.
        cwd = Path(temporary, "cwd")
        cwd.mkdir()
        arguments = (
            *(f"-I{root.absolute()}" for root in roots),
            "--include_imports",
            "--include_source_info",
            f"--descriptor_set_out={out}",
            *sources.protos,
        )
        with Protoc(toolchain, arguments, cwd=cwd) as protoc:
            warnings = protoc.finish(shown, lambda name: nearby(name, includes), import_name)
        files = FileDescriptorSet.FromString(out.read_bytes())
    return Compiled(files=files, sources=sources, warnings=warnings)
