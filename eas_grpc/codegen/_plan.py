"""What a run will generate: which modules, by which runs of protoc, and which definitions are left out of them.

Pure: plain data in, plain data out. Must not know protoc's descriptors, files on disk or processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from eas_grpc.codegen._names import stem
from eas_grpc.codegen._package import markers
from eas_grpc.codegen._protos import ProtoFile, Service
from eas_grpc.errors import ConfigError

__all__ = ["Client", "Options", "Plan", "ProtocRun", "Runtime", "check_options", "plan"]


# What this program runs itself: the generators of stubs, and those of modules.
_TYPES = frozenset({"mypy", "mypy_grpc"})
_MODULES = frozenset({"python", "grpc_python"})


class Client(str, Enum):
    """Which colours of stubs are generated."""

    SYNC = "sync"
    ASYNC = "async"
    BOTH = "both"
    NONE = "none"


class Runtime(str, Enum):
    """What the output needs when it runs.

    `current`: protoc's own modules, which refuse a protobuf or grpcio older than their generator.
    `portable`: ours, from descriptors and public API, for protobuf 3.20 to 7 and grpcio from 1.62 on.
    """

    CURRENT = "current"
    PORTABLE = "portable"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to generate from the protos.

    `package` is the Python package that the output root is; "" makes it a source root. `plugins` are programs of
    others by their protoc name (`"foo"` for `protoc-gen-foo`), `plugin_options` what is passed to them, or to
    mypy-protobuf's (`"mypy"`, `"mypy_grpc"`).
    """

    package: str = ""
    client: Client = Client.BOTH
    servicer: bool = True
    types: bool = True
    runtime: Runtime = Runtime.CURRENT
    plugins: Mapping[str, str] = field(default_factory=dict)
    plugin_options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def services(self) -> bool:
        """Whether there are gRPC modules at all."""
        return self.servicer or self.client is not Client.NONE

    @property
    def prefix(self) -> str:
        """What the package puts before the name of every file: `my/pb/`, or nothing."""
        return self.package.replace(".", "/") + "/" if self.package else ""

    def recorded(self) -> dict[str, tuple[str, ...]]:
        """For the manifest: everything that changes the output, without paths of a machine."""
        plain = {
            "client": (self.client.value,),
            "package": (self.package,) if self.package else (),
            "plugins": tuple(sorted(self.plugins)),
            "runtime": (self.runtime.value,),
            "servicer": ("yes" if self.servicer else "no",),
            "types": ("yes" if self.types else "no",),
        }
        named = {f"plugin-opt {name}": tuple(options) for name, options in self.plugin_options.items()}
        return {key: value for key, value in {**plain, **named}.items() if value}


@dataclass(frozen=True, kw_only=True)
class ProtocRun:
    """One run of protoc: these generators, each with its parameter, over these files."""

    generators: Mapping[str, str]
    protos: tuple[str, ...]

    @property
    def is_for_types(self) -> bool:
        """Whether it writes stubs, by plugins in Python, which take longest."""
        return not _TYPES.isdisjoint(self.generators)

    def arguments(self, *, descriptors: str, out: str, programs: Mapping[str, str]) -> tuple[str, ...]:
        """The command line after the compiler's own name."""
        needed = {f"protoc-gen-{name}": programs.get(f"protoc-gen-{name}") for name in self.generators}
        return (
            f"--descriptor_set_in={descriptors}",
            *(f"--plugin={name}={path}" for name, path in sorted(needed.items()) if path),
            *(f"--{name}_out={out}" for name in self.generators),
            *(f"--{name}_opt={parameter}" for name, parameter in self.generators.items() if parameter),
            *self.protos,
        )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Runs of protoc, what they must produce, and what is written or left out beyond that.

    `modules` and `markers` are relative to the output root. `left_out` names, by module, the definitions that the
    generators write and nobody asked for. `protos` have the names that they have inside of the package.
    """

    protos: frozenset[str]
    runs: tuple[ProtocRun, ...]
    modules: tuple[str, ...]
    markers: tuple[str, ...]
    left_out: Mapping[str, frozenset[str]]


def plan(files: Sequence[ProtoFile], *, wanted: Sequence[str], options: Options) -> Plan:
    """Plan a run over the files named in `wanted`; `files` holds those and everything they import."""
    mine = set(wanted)
    chosen = sorted((file for file in files if file.name in mine), key=lambda file: file.name)
    served = [file for file in chosen if file.services and options.services]
    endings = ["_pb2.py", *(["_pb2.pyi"] if options.types else [])]
    modules = [stem(file.name) + ending for file in chosen for ending in endings]
    modules += [
        stem(file.name) + ending.replace("_pb2", "_pb2_grpc") for file in served for ending in endings
    ]
    left_out = {
        stem(file.name) + ending: names
        for file in served
        for ending in ("_pb2_grpc.py", "_pb2_grpc.pyi")
        if (names := _left_out(file.services, options))
    }
    return Plan(
        protos=frozenset(options.prefix + file.name for file in chosen),
        runs=tuple(
            ProtocRun(generators=generators, protos=tuple(options.prefix + file.name for file in over))
            for generators, over in _runs(options, chosen, served)
            if over
        ),
        modules=tuple(sorted(modules)),
        markers=markers(modules, package=options.package, typed=options.types),
        left_out=left_out,
    )


def _runs(
    options: Options, chosen: Sequence[ProtoFile], served: Sequence[ProtoFile]
) -> list[tuple[dict[str, str], Sequence[ProtoFile]]]:
    # Those of one list entry share a process; the entries run side by side, the slowest ones first.
    found: list[tuple[dict[str, str], Sequence[ProtoFile]]] = []
    if options.types:
        colour = {Client.SYNC: ["only_sync"], Client.ASYNC: ["only_async"]}.get(options.client, [])
        found.append(({"mypy": _parameter(options, "mypy", [])}, chosen))
        found.append(({"mypy_grpc": _parameter(options, "mypy_grpc", colour)}, served))
    if options.runtime is Runtime.CURRENT:
        # grpc_python writes an empty module for a file without services; those are not planned, so they are dropped.
        stock = {"python": "", **({"grpc_python": ""} if served else {})}
        found.append((stock, chosen))
    found += [({name: _parameter(options, name, [])}, chosen) for name in sorted(options.plugins)]
    return found


def _parameter(options: Options, name: str, own: Sequence[str]) -> str:
    return ",".join([*own, *options.plugin_options.get(name, ())])


def _left_out(services: Sequence[Service], options: Options) -> frozenset[str]:
    names: set[str] = set()
    for service in services:
        if options.client is Client.NONE:
            names |= {f"{service.name}Stub", f"{service.name}AsyncStub"}
        if options.client in (Client.NONE, Client.ASYNC):
            # grpc's experimental class of blocking calls without a channel.
            names.add(service.name)
        if not options.servicer:
            names |= {f"{service.name}Servicer", f"add_{service.name}Servicer_to_server"}
    return frozenset(names)


# mypy-protobuf takes any option, a misspelt one too, and says nothing: these are what 3.6 to 5.1 look for.
_TYPES_OPTIONS = (
    "quiet",
    "readable_stubs",
    "relax_strict_optional_primitives",
    "use_default_deprecation_warnings",
)


def check_options(options: Options) -> Options:
    """The same options; raises ConfigError for one that a known plugin would ignore, or that names no plugin."""
    from difflib import get_close_matches

    own = sorted({*options.plugins} & (_TYPES | _MODULES))
    if own:
        raise ConfigError(
            f"`{own[0]}` runs anyway: --plugins-bin and --protoc-python say from where, --plugin is for further plugins"
        )
    for name, given in options.plugin_options.items():
        if name not in _TYPES:
            if name not in options.plugins:
                known = ", ".join(["mypy", "mypy_grpc", *sorted(options.plugins)])
                raise ConfigError(
                    f"an option is given for the plugin `{name}`, which does not run; there are {known}"
                )
            continue
        for option in given:
            if option in ("only_sync", "only_async", "sync_only", "async_only"):
                raise ConfigError(
                    f"the plugin option `{option}` is what --client sync and --client async are for"
                )
            if option not in _TYPES_OPTIONS:
                near = get_close_matches(option, _TYPES_OPTIONS, 1)
                meant = f"; did you mean `{near[0]}`?" if near else f"; it has {', '.join(_TYPES_OPTIONS)}"
                raise ConfigError(f"the plugin {name} has no option `{option}`{meant}")
    return options
