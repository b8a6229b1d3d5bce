"""Compile and import generated modules, in the interpreter that runs this file.

A program for a child process of the generating environment: imports the standard library only. Reads
`{"root": ..., "files": [...]}` from standard input and prints a list of `[file, error]`.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path


def failure(root: Path, file: str) -> str | None:
    """Say why `file` below `root` is not a usable module; None if it is."""
    path = root / file
    try:
        compile(path.read_bytes(), file, "exec", dont_inherit=True)
        if path.suffix == ".pyi":
            return None
        module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    found = Path(module.__file__ or "")
    if found.resolve() != path.resolve():
        return f"Shadowed: Python finds {found.name} of an installed package of the same name first"
    return None


def main() -> None:
    """Answer one request."""
    request = json.load(sys.stdin)
    root = Path(request["root"])
    # Python put this file's own folder there, whose modules nobody asked for.
    own = str(Path(__file__).parent)
    sys.path = [str(root), *(entry for entry in sys.path if entry != own)]
    failures = [(file, failure(root, file)) for file in request["files"]]
    print(json.dumps([found for found in failures if found[1] is not None]))


if __name__ == "__main__":
    main()
