"""Where a tree of modules lives: the Python package that it is part of, and the files that make it one.

Generators write absolute imports, made from the names that protos have in their descriptors. So a tree that is to
live in a package gets its files renamed there (`acme/a.proto` becomes `my/gen/acme/a.proto`), and every import, every
module name that pickle needs and every stub comes out right, with no text to patch. What travels does not change:
messages and services keep their names, since those come from the `package` of a proto, not from its path.
"""

from __future__ import annotations

import keyword
import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from eas_grpc.codegen.portable._embed import drop_default_json_names
from eas_grpc.errors import ConfigError

# Where a folder may not be searched, os.path says no, and pathlib raises up to Python 3.13.
# ruff: noqa: PTH110, PTH113

__all__ = ["check_package", "guess_package", "markers", "moved"]

# An __init__.py in generated `google` hides the installed package of that name from everybody.
_SHARED_TOPS = frozenset({"google", "grpc"})


def check_package(package: str) -> str:
    """The package as it was given; raises ConfigError if it is not a dotted Python name."""
    for part in package.split(".") if package else ():
        if not part.isidentifier() or keyword.iskeyword(part):
            raise ConfigError(
                f"`{package}` is not the name of a Python package: write it with dots, as in `my_service.pb`"
            )
    return package


def moved(files: FileDescriptorSet, wanted: Sequence[str], package: str) -> FileDescriptorSet:
    """The same files, the `wanted` ones under the names that they have inside of `package` (none if it is "")."""
    prefix = package.replace(".", "/") + "/" if package else ""
    names = {name: prefix + name for name in wanted}
    result = FileDescriptorSet()
    for file in files.file:
        changed = result.file.add()
        changed.CopyFrom(file)
        changed.name = names.get(file.name, file.name)
        changed.dependency[:] = [names.get(name, name) for name in file.dependency]
        # Edition 2024 has `import option`; an older protobuf does not know the field.
        options: Iterable[str] = getattr(file, "option_dependency", ())
        for number, name in enumerate(options):
            changed.option_dependency[number] = names.get(name, name)
        drop_default_json_names(changed)
    return result


def markers(modules: Sequence[str], *, package: str, typed: bool) -> tuple[str, ...]:
    """The empty files that make folders packages, for modules given relative to the output root.

    Without a package the root gets none: it is a source root. With one it is the package itself.
    """
    parents = {parent for module in modules for parent in PurePosixPath(module).parents}
    top = PurePosixPath()
    if package:
        typed_at = {top}
    else:
        parents = {folder for folder in parents - {top} if folder.parts[0] not in _SHARED_TOPS}
        typed_at = {PurePosixPath(folder.parts[0]) for folder in parents}
    return tuple(
        sorted(
            [str(folder / "__init__.py") for folder in parents]
            + [str(folder / "py.typed") for folder in typed_at if typed and modules]
        )
    )


def guess_package(out: Path, *, project: str = "") -> str:
    """The package that an output folder lies in, by what is around it; "" if it looks like a source root.

    A folder with an `__init__.py`, or within such a one, belongs to its package. So does one below a folder `src`, beside
    a pyproject.toml or in the working directory, and one below a folder that has the name of the `project`.
    """
    above = out.absolute()
    names: list[str] = []
    while above != above.parent and not os.path.exists(above / "pyproject.toml"):
        names.insert(0, above.name)
        above = above.parent
    packages = [
        index
        for index in range(1, len(names) + 1)
        if os.path.isfile(above.joinpath(*names[:index], "__init__.py"))
    ]
    if packages:
        # The first folder with an __init__.py is the package at the top.
        return ".".join(names[packages[0] - 1 :])
    if os.path.exists(above / "pyproject.toml"):
        if names[:1] == ["src"]:
            return ".".join(names[1:])
        return ".".join(names) if names and project and names[0] == _module_name(project) else ""
    here = Path(os.path.relpath(out)).parts
    return ".".join(here[here.index("src") + 1 :]) if "src" in here and ".." not in here else ""


def _module_name(project: str) -> str:
    return project.lower().replace("-", "_").replace(".", "_")
