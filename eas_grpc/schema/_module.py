"""A schema from generated modules that can be imported; their files are copied out of protobuf's default pool."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from eas_grpc.errors import SchemaError
from eas_grpc.schema._schema import Schema, from_files

__all__ = ["from_module"]


def from_module(name: str) -> Schema:
    """A schema from an importable `_pb2` module, a `_pb2_grpc` module, or a package that holds some.

    Raises SchemaError if it cannot be imported or holds no descriptors.
    """
    name = name.strip().removesuffix(".py").replace("/", ".")
    module = _imported(name.removesuffix("_grpc") if name.endswith("_pb2_grpc") else name)
    found = [each for each in (module, *_below(module)) if _descriptor(each) is not None]
    if not found:
        raise SchemaError(
            f"the module {name} was made of no .proto file, nor is it a package of such: name a module that ends in _pb2"
        )
    files: dict[str, FileDescriptorProto] = {}
    for each in found:
        _collect(_descriptor(each), files)
    named = {_descriptor(each).name for each in found}
    services = [
        f"{file.package}.{service.name}".lstrip(".")
        for file in files.values()
        if file.name in named
        for service in file.service
    ]
    return from_files(files.values(), origin=f"module {name}", services=services or None)


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        what = f"there is no module {error.name}"
        if error.name != name and not name.startswith(f"{error.name}."):
            what = f"the module {name} needs {error.name}, which is not installed"
        raise SchemaError(f"{what}: is it installed, or below the working directory?") from error
    except Exception as error:
        text = " ".join(str(error).split())
        raise SchemaError(f"the module {name} cannot be imported: {type(error).__name__}: {text}") from error


def _below(module: ModuleType) -> list[ModuleType]:
    if not hasattr(module, "__path__"):
        return []
    # Folders without an __init__.py are packages too, as protoc leaves them; pkgutil passes them over.
    found = {
        ".".join((module.__name__, *path.relative_to(folder).with_suffix("").parts))
        for folder in module.__path__
        for path in Path(folder).rglob("*_pb2.py")
    }
    return [_imported(each) for each in sorted(found) if all(part.isidentifier() for part in each.split("."))]


def _descriptor(module: ModuleType) -> Any:
    found = getattr(module, "DESCRIPTOR", None)
    return found if hasattr(found, "services_by_name") and hasattr(found, "CopyToProto") else None


def _collect(file: Any, files: dict[str, FileDescriptorProto]) -> None:
    waiting = [file]
    while waiting:
        each = waiting.pop()
        if each.name in files:
            continue
        copy = files[each.name] = FileDescriptorProto()
        each.CopyToProto(copy)
        waiting += each.dependencies
