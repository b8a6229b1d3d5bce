"""A whole run without touching the output root: compile, check the names, generate, edit, import as a proof.

The shell around the pure modules: starts processes in a temporary folder, and decides nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from eas_grpc.codegen._compile import Compiled, compile_protos
from eas_grpc.codegen._diagnostics import Diagnostic, Severity, refuse
from eas_grpc.codegen._emit import emit
from eas_grpc.codegen._environment import import_paths, proto_roots
from eas_grpc.codegen._floor import floors, owners
from eas_grpc.codegen._job import Built, Job
from eas_grpc.codegen._manifest import MANIFEST, OWN_TOOL, Manifest, digest
from eas_grpc.codegen._names import file_problems, name_problems
from eas_grpc.codegen._package import check_package, moved
from eas_grpc.codegen._plan import Options, Runtime, check_options, plan
from eas_grpc.codegen._protos import ProtoFile, describe
from eas_grpc.codegen._sources import Sources, locate
from eas_grpc.codegen._tools import Toolchain, missing_program, versions
from eas_grpc.errors import ConfigError

# Where a folder may not be searched, os.path says no, and pathlib raises up to Python 3.13.
# ruff: noqa: PTH113, PTH118

__all__ = ["build", "tools_of"]

# What has a say in the output; its bytes count as a tool's version.
_OWN_SOURCES = ("*.py", "portable/*.py")


def build(job: Job) -> Built:
    """Generate and prove; raises SchemaError, with diagnostics, for whatever is wrong."""
    options = check_options(job.options)
    check_package(options.package)
    sources = Sources(protos=tuple(sorted(set(job.protos))), includes=job.includes)
    refuse(file_problems({name: sources.show(name) for name in sources.protos}, package=options.package))
    toolchain = _with_plugins(job.toolchain, options).absolute()
    tools = tools_of(job)
    compiled = compile_protos(sources.protos, job.includes, toolchain)
    described = describe(compiled.files, sources.show)
    problems = name_problems(described, wanted=sources.protos, types=options.types, package=options.package)
    refuse(problems)
    imported = _imported(described, sources.protos)
    made = emit(
        moved(compiled.files, sources.protos, options.package),
        plan(described, wanted=sources.protos, options=options),
        options,
        toolchain,
        prover=_prover(toolchain, imported, job.includes),
        shown=lambda name: sources.show(name.removeprefix(options.prefix)),
    )
    floor = floors(
        (content.decode() for path, content in made.items() if path.endswith(".py")),
        portable=options.runtime is Runtime.PORTABLE,
        services=any(path.endswith("_pb2_grpc.py") for path in made),
        editions=_editions(compiled),
    )
    if job.descriptor_set and job.descriptor_set.absolute() in {
        (job.out / path).absolute() for path in (*made, MANIFEST)
    }:
        raise ConfigError(
            f"{job.descriptor_set} is a file of the output itself: give --descriptor-set another name"
        )
    descriptor_set = compiled.files.SerializeToString(deterministic=True) if job.descriptor_set else b""
    manifest = Manifest(
        tools=tools,
        options=options.recorded(),
        inputs=_digests(sources.protos, job.includes),
        imports=_digests(imported, (*job.includes, *proto_roots(toolchain.python))),
        outputs={path: digest(content) for path, content in made.items()},
        floor={**floor, **owners(imported)},
        descriptor_set=digest(descriptor_set) if descriptor_set else "",
    )
    return Built(
        files={**made, MANIFEST: manifest.to_json()},
        manifest=manifest,
        descriptor_set=descriptor_set,
        warnings=(
            *compiled.warnings,
            *(problem for problem in problems if problem.severity is Severity.WARNING),
            *_hidden_packages(job, made),
            *_misplaced(job),
        ),
    )


def tools_of(job: Job) -> dict[str, str]:
    """Version by name of everything that has a say in the output; a plugin of others goes by its program's bytes."""
    options = job.options
    toolchain = _with_plugins(job.toolchain, options)
    found = versions(toolchain, types=options.types, services=options.services)
    missing_program(toolchain, [f"protoc-gen-{name}" for name in options.plugins])
    if options.runtime is Runtime.PORTABLE and job.descriptor_set is None:
        # Of its compiler the portable output keeps nothing but descriptors, which all versions write alike.
        del found["grpcio-tools"]
    return {
        **found,
        OWN_TOOL: _own_version(),
        **{f"plugin {name}": digest(Path(path).read_bytes()) for name, path in options.plugins.items()},
    }


@cache
def _own_version() -> str:
    home = Path(__file__).parent
    sources = (path for pattern in _OWN_SOURCES for path in sorted(home.glob(pattern)))
    return digest(b"".join(path.read_bytes() for path in sources))[:12]


def _with_plugins(toolchain: Toolchain, options: Options) -> Toolchain:
    added = {f"protoc-gen-{name}": path for name, path in options.plugins.items()}
    return Toolchain(protoc=toolchain.protoc, plugins={**toolchain.plugins, **added})


def _prover(toolchain: Toolchain, imported: Sequence[str], includes: Sequence[Path]) -> str:
    """The interpreter to import the output with: the compiler's, unless only this one has what it imports."""
    paths = [Path(path) for path in import_paths(toolchain.python)]
    ours = [
        name
        for name in imported
        if not name.startswith("google/protobuf/") and locate(name, (*includes, *paths)) is None
    ]
    return sys.executable if ours else toolchain.python


def _hidden_packages(job: Job, made: Iterable[str]) -> Iterator[Diagnostic]:
    """A source root's packages that are installed, too: whichever comes first on the path hides the other."""
    tops = sorted({path.partition("/")[0] for path in made if path.endswith("/__init__.py")})
    for top in tops if not job.options.package else ():
        for path in import_paths(sys.executable):
            if os.path.isfile(os.path.join(path, top, "__init__.py")) and not _same_folder(path, job.out):
                text = f"the top folder `{top}` has the name of a package that is installed in {path}"
                yield Diagnostic(
                    text=f"{text}, and one will hide the other",
                    severity=Severity.WARNING,
                    hint="put the protos below a folder with a name of your own, or generate with --package",
                )
                break


def _misplaced(job: Job) -> Iterator[Diagnostic]:
    parts = tuple(job.options.package.split("."))
    if job.options.package and job.out.absolute().parts[-len(parts) :] != parts:
        text = f"{job.out} does not end in {'/'.join(parts)}: the output can be imported as {job.options.package} only if"
        yield Diagnostic(text=f"{text} that package is mapped to this folder", severity=Severity.WARNING)


def _same_folder(path: str, other: Path) -> bool:
    return os.path.realpath(path) == os.path.realpath(other)


def _editions(compiled: Compiled) -> set[str]:
    kinds = FileDescriptorProto.DESCRIPTOR.fields_by_name["edition"].enum_type
    assert kinds is not None
    wanted = set(compiled.protos)
    files = [file for file in compiled.files.file if file.name in wanted and file.syntax == "editions"]
    return {kinds.values_by_number[file.edition].name.removeprefix("EDITION_") for file in files}


def _imported(files: Sequence[ProtoFile], protos: Sequence[str]) -> list[str]:
    return sorted({file.name for file in files} - set(protos))


def _digests(names: Sequence[str], includes: Sequence[Path]) -> dict[str, str]:
    found = {name: locate(name, includes) for name in names}
    # Nothing for those that protoc brings itself, until somebody puts a file of that name in front of them.
    return {name: digest(path.read_bytes()) if path else "" for name, path in found.items()}
