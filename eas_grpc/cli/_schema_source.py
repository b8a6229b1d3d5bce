"""Where a command gets the schema from: the options that name it, and the schema that they mean."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from eas_grpc.cli._protos import protoc_python_option
from eas_grpc.cli._target import Target

if TYPE_CHECKING:
    import grpc
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    from eas_grpc.schema import ReflectionError, Schema

__all__ = ["Source", "find_schema", "schema_options", "tell"]

_F = TypeVar("_F", bound=Callable[..., Any])

_WITHOUT = "without reflection, name .proto files (--proto), a descriptor set (--descriptor-set) or a module (--module)"


@dataclass(frozen=True, kw_only=True)
class Source:
    """What the options say about where the schema comes from."""

    protos: tuple[Path, ...] = ()
    includes: tuple[Path, ...] = ()
    descriptor_sets: tuple[Path, ...] = ()
    modules: tuple[str, ...] = ()
    # None: what is named here, else reflection.
    reflection: bool | None = None
    protoc_python: str | None = None

    @property
    def local(self) -> bool:
        """Whether a schema is named that is read without any network."""
        return bool(self.protos or self.descriptor_sets or self.modules)


def schema_options(command: _F) -> _F:
    """Adds --proto, -I/--include, --descriptor-set, --module and --reflection; the command gets one `source: Source`."""
    path = click.Path(path_type=Path)
    options = (
        click.option("--proto", "protos", multiple=True, type=path, metavar="FILE", help="A .proto file."),
        click.option(
            "-I",
            "--include",
            "includes",
            multiple=True,
            type=path,
            help="Folder that imports are relative to.",
        ),
        click.option(
            "--descriptor-set",
            "descriptor_sets",
            multiple=True,
            type=path,
            metavar="FILE",
            help="What `protoc -o` or buf wrote.",
        ),
        click.option(
            "--module",
            "modules",
            multiple=True,
            metavar="NAME",
            help="An installed _pb2 module, or a package of such.",
        ),
        click.option(
            "--reflection/--no-reflection",
            default=None,
            help="Whether the service is asked (default: unless a schema is named).",
        ),
        protoc_python_option,
    )
    names = list(Source.__dataclass_fields__)

    @wraps(command)
    def with_source(*args: Any, **given: Any) -> Any:
        source = Source(**{name: given.pop(name) for name in names})
        return command(*args, **given, source=source)

    decorated: Any = with_source
    for option in reversed(options):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def find_schema(
    target: Target, source: Source, channel: grpc.Channel | None, *, symbols: Iterable[str] = ()
) -> Schema:
    """The schema that the options mean; without a channel it dials only if the service has to be asked.

    `symbols` are what the caller wants of it: reflection then fetches no more than that needs. Raises SchemaError,
    ConfigError for options that contradict each other, and CallError where the service cannot be asked.
    """
    from eas_grpc.errors import ConfigError

    if source.local:
        if source.reflection:
            raise ConfigError(
                "--reflection and a schema that is named here say two things: leave one of them out"
            )
        if source.includes and not source.protos:
            raise ConfigError("-I says where --proto finds its imports: add --proto, or leave it out")
        return _local(source)
    if source.includes:
        raise ConfigError("-I says where --proto finds its imports: add --proto, or leave it out")
    if source.reflection is False:
        raise ConfigError(f"--no-reflection leaves nothing to read the schema from: {_WITHOUT}")
    return _reflected(target, channel, tuple(symbols))


def tell(schema: Schema) -> None:
    """Says on standard error what had to be mended in a schema, and what is not described in it."""
    from eas_grpc.cli._console import printable

    for note in schema.notes:
        click.echo(f"Note: {printable(note)}", err=True)
    for name, why in schema.undescribed.items():
        click.echo(f"Warning: {printable(name)} is listed, but not described: {printable(why)}", err=True)


def _local(source: Source) -> Schema:
    from eas_grpc.schema import from_descriptor_set, from_files, from_module

    found: list[Schema] = []
    if source.protos:
        files, named = _compiled(source)
        found.append(
            from_files(files, origin=" and ".join(map(str, source.protos)), services=_services(files, named))
        )
    found += [from_descriptor_set(_bytes(path), origin=str(path)) for path in source.descriptor_sets]
    with _working_folder():
        found += [from_module(name) for name in source.modules]
    if len(found) == 1:
        return found[0]
    return from_files(
        [file for each in found for file in each.files],
        origin=" and ".join(each.origin for each in found),
        services=[service for each in found for service in each.services],
    )


def _compiled(source: Source) -> tuple[list[FileDescriptorProto], tuple[str, ...]]:
    from eas_grpc.codegen._compile import compile_protos
    from eas_grpc.codegen._sources import find_sources
    from eas_grpc.codegen._tools import Toolchain

    sources = find_sources([_found(path, source.includes) for path in source.protos], source.includes)
    made = compile_protos(sources.protos, sources.includes, Toolchain.installed(source.protoc_python))
    return list(made.files.file), made.protos


def _found(path: Path, includes: tuple[Path, ...]) -> Path:
    """A proto by its path, or as its imports would name it: relative to a folder of -I."""
    if path.exists() or path.is_absolute():
        return path
    return next((include / path for include in includes if (include / path).is_file()), path)


def _services(files: Iterable[FileDescriptorProto], named: Iterable[str]) -> list[str] | None:
    """The services of the files that were named; None, for all, if those have none."""
    wanted = set(named)
    found = [
        f"{file.package}.{service.name}".lstrip(".")
        for file in files
        if file.name in wanted
        for service in file.service
    ]
    return found or None


def _bytes(path: Path) -> bytes:
    from eas_grpc.errors import SchemaError

    try:
        return path.read_bytes()
    except OSError as error:
        raise SchemaError(f"--descriptor-set {path} cannot be read: {error.strerror}") from None


@contextmanager
def _working_folder() -> Iterator[None]:
    """Modules below the working directory can be imported, as `python -m` would."""
    folder = str(Path.cwd())
    if folder in sys.path:
        yield
        return
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _reflected(target: Target, channel: grpc.Channel | None, symbols: tuple[str, ...]) -> Schema:
    from eas_grpc.errors import CallError
    from eas_grpc.schema import ReflectionError, from_reflection

    address = str(target.resolved().endpoint)
    with target.channel() if channel is None else nullcontext(channel) as open_channel:
        try:
            schema = from_reflection(
                open_channel,
                timeout=target.timeout,
                symbols=symbols,
                metadata=target.metadata,
                address=address,
            )
        except CallError as error:
            # Nobody named this method, and it is not what the user wants to call.
            raise CallError(replace(error.failure, method=f"Asking {address} for its schema")) from error
        except ReflectionError as error:
            _remember(address, error.services)
            if error.failure is not None:
                # A call that failed: its status is the exit code, and its hint may be about an option.
                failure = replace(error.failure, method=f"Asking {address} for its schema")
                raise CallError(failure.with_hint(_refused_hint(error))) from error
            raise
    if not symbols:
        # What is remembered replaces what was known of the address, so a part of it will not do.
        names = [*schema.services, *schema.undescribed]
        names += [each.path[1:] for service in schema.services for each in schema.methods(service)]
        _remember(address, names)
    return schema


def _refused_hint(error: ReflectionError) -> str:
    hint = "" if error.failure is None else error.failure.hint
    if error.failure is not None and error.failure.status == "UNAUTHENTICATED":
        # The call would be refused like its schema.
        return hint
    return f"{hint}; {_WITHOUT}" if hint else _WITHOUT


def _remember(address: str, names: Iterable[str]) -> None:
    """For completion, which never asks a service itself."""
    from eas_grpc.cli._completion import remember

    if found := sorted(set(names)):
        remember(address, found)
