"""Compile and import generated modules, in the interpreter that runs this file.

A program for a child process of the generating environment: imports the standard library only. Reads a JSON object of
texts by path (`a/b_pb2.py`) from standard input and prints a list of `[path, error]`. Nothing is written: the modules
are imported from memory, ahead of everything that is installed.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import CodeType, ModuleType


class Finder(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds the modules of a tree, and the folders above them, in memory."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._sources = {module_name(path): (path, text) for path, text in files.items()}
        self._folders = {name for module in self._sources for name in parents(module)}

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,  # noqa: ARG002 - the protocol has it
    ) -> importlib.machinery.ModuleSpec | None:
        """A module of the tree, or a folder of it that no installed package provides."""
        if fullname in self._sources:
            return importlib.util.spec_from_loader(fullname, self, is_package=self.is_package(fullname))
        if fullname in self._folders:
            # The tree shares `google` with whatever is installed there.
            installed = importlib.machinery.PathFinder.find_spec(fullname, path)
            return installed or importlib.util.spec_from_loader(fullname, None, is_package=True)
        return None

    def is_package(self, fullname: str) -> bool:
        """Whether an __init__.py gives the module."""
        return self._sources[fullname][0].endswith("__init__.py")

    def get_source(self, fullname: str) -> str:
        """The generated text."""
        return self._sources[fullname][1]

    def get_code(self, fullname: str) -> CodeType:
        """The text, compiled under the path that it will have."""
        path, text = self._sources[fullname]
        return compile(text, path, "exec", dont_inherit=True)


def module_name(path: str) -> str:
    """The dotted name of a file."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def parents(module: str) -> Iterable[str]:
    """The packages around a module."""
    parts = module.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts)))


def failure(path: str) -> str | None:
    """Say why a module is not usable; None if it is."""
    try:
        importlib.import_module(module_name(path))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def main() -> None:
    """Answer one request."""
    files: dict[str, str] = json.load(sys.stdin)
    # Python put this file's own folder there, whose modules nobody asked for.
    own = str(Path(__file__).parent)
    sys.path = [entry for entry in sys.path if entry != own]
    sys.meta_path.insert(0, Finder(files))
    # What a module prints when it is imported must not get into the answer.
    answer, sys.stdout = sys.stdout, sys.stderr
    failures = [(path, failure(path)) for path in files]
    print(json.dumps([found for found in failures if found[1] is not None]), file=answer)


if __name__ == "__main__":
    main()
