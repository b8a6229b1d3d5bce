"""What an interpreter's environment holds, found without starting it: versions of packages, and protos in them."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

# Where a folder may not be searched, os.path says no, and pathlib raises up to Python 3.13.
# ruff: noqa: PTH112, PTH113

__all__ = ["import_paths", "installed_requirements", "installed_version", "proto_roots"]

# A proto of the package that ships Google's common protos; it tells the folder that holds them.
_GOOGLEAPIS = "google/api/annotations.proto"


@lru_cache
def import_paths(python: str) -> tuple[str, ...]:
    """The folders that `python` imports from, its own standard library left out where that is cheap."""
    if _same_file(python, sys.executable):
        return tuple(path for path in sys.path if path and os.path.isdir(path))
    # A virtual environment lies around its interpreter, whose link must not be followed.
    prefix = Path(python).absolute().parent.parent
    found = sorted(str(path) for path in prefix.glob("lib*/python3*/site-packages"))
    if found and (prefix / "pyvenv.cfg").is_file():
        return tuple(found)
    try:
        told = subprocess.run(
            # Nothing is imported from the current folder, and it is not among the answers.
            (
                python,
                "-c",
                "import sys; del sys.path[:1]; path = sys.path[:]; import json; print(json.dumps(path))",
            ),
            capture_output=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ()  # whoever starts it next says what is wrong with it
    return tuple(json.loads(told.stdout))


def installed_version(name: str, paths: Sequence[str]) -> str:
    """The version of an installed package; "" if none of the folders has it."""
    found = importlib.metadata.distributions(name=name, path=list(paths))
    return next((distribution.version for distribution in found), "")


def installed_requirements(paths: Sequence[str]) -> dict[str, list[str]]:
    """What each installed package asks for, as requirement lines by `name version`."""
    found = importlib.metadata.distributions(path=list(paths))
    return {f"{each.name} {each.version}": list(each.requires or ()) for each in found}


def proto_roots(python: str) -> tuple[Path, ...]:
    """Include roots that every run has: our own protos, and Google's common ones if their package is installed."""
    roots = [_own_protos()]
    for paths in (import_paths(python), import_paths(sys.executable)):
        roots += [Path(path) for path in paths if os.path.isfile(Path(path, _GOOGLEAPIS))]
    return tuple(dict.fromkeys(root for root in roots if root is not None))


def _own_protos() -> Path | None:
    import eas_grpc_pb

    home = Path(eas_grpc_pb.__file__ or "").parent
    # The wheel carries the protos beside the modules; a checkout has them in a source root of their own.
    for root in (home.parent, home.parent.parent / "protos"):
        if (root / "eas_grpc_pb/tensor/v1/tensor.proto").is_file():
            return root
    return None


def _same_file(one: str, other: str) -> bool:
    # By name, not by inode: two environments may link to one interpreter.
    return os.path.abspath(one) == os.path.abspath(other)  # noqa: PTH100
