"""The programs that generate, each run as a child process so that a crash cannot take us down.

Knows how to start them and to read their answers; decides nothing about what is generated.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eas_grpc.codegen._protos import located
from eas_grpc.errors import SchemaError

__all__ = ["Toolchain", "prove", "run_protoc", "versions"]

_GRPC_TOOLS_VERSION = "import importlib.metadata as m; print(m.version('grpcio-tools'))"
_PLUGINS = ("protoc-gen-mypy", "protoc-gen-mypy_grpc")
_INSTALL = "install the extra `codegen` (grpcio-tools, mypy-protobuf) there, or name another environment"


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """The compiler's command line and the plugin programs by name.

    `protoc` starts with the interpreter that holds grpcio-tools; the output is imported there as a proof.
    It runs as a module, because only that entry point knows where the well-known protos are.
    """

    protoc: tuple[str, ...]
    plugins: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def installed(cls, python: str = sys.executable, plugins_bin: str | None = None) -> Toolchain:
        """grpcio-tools of one interpreter, and mypy-protobuf's programs from a folder (default: beside it)."""
        folder = os.path.dirname(python) if plugins_bin is None else plugins_bin  # noqa: PTH120 - "" stays ""
        return cls(
            protoc=(python, "-m", "grpc_tools.protoc"),
            plugins={name: str(Path(folder, name)) for name in _PLUGINS},
        )

    @property
    def generators(self) -> tuple[str, ...]:
        """The names that protoc knows the generators by."""
        return ("grpc_python", "python", *sorted(name.removeprefix("protoc-gen-") for name in self.plugins))

    def absolute(self) -> Toolchain:
        """The same programs, found from any working directory; fails if a plugin is not there."""
        for name, path in self.plugins.items():
            if not os.access(path, os.X_OK):
                raise SchemaError(f"there is no program {path} for the protoc plugin {name}; {_INSTALL}")
        # Links stay as they are: a virtual environment's python is one.
        python = self.protoc[0]
        return Toolchain(
            protoc=(str(Path(python).absolute()) if os.sep in python else python, *self.protoc[1:]),
            plugins={name: str(Path(path).absolute()) for name, path in self.plugins.items()},
        )


def run_protoc(
    toolchain: Toolchain, arguments: Sequence[str], *, cwd: Path, show: Callable[[str], str]
) -> tuple[str, ...]:
    """Run the compiler and return what it printed on success: warnings, and whatever plugins chat about.

    Raises SchemaError with `path:line:col: error: text` lines.
    """
    done = _run((*toolchain.protoc, *arguments), cwd=cwd)
    lines = tuple(line for line in located(done.stderr, show) if not line.startswith("Writing mypy to "))
    if done.returncode != 0:
        text = "\n".join(lines) or f"protoc ended with status {done.returncode} and said nothing"
        missing = "No module named 'grpc_tools'" in text
        raise SchemaError(f"{text}\n{_INSTALL}" if missing else text)
    return lines


def versions(toolchain: Toolchain, *, cwd: Path) -> dict[str, str]:
    """Version by name of everything that writes its own version or style into the output."""
    found = {"grpcio-tools": _first_line((toolchain.protoc[0], "-c", _GRPC_TOOLS_VERSION), cwd=cwd)}
    for plugin, path in toolchain.plugins.items():
        name, _, version = _first_line((path, "--version"), cwd=cwd).rpartition(" ")
        found[name or plugin] = version
    return found


def prove(toolchain: Toolchain, *, root: Path, files: Sequence[str], cwd: Path) -> None:
    """Compile and import the generated files in the generating environment; raises SchemaError."""
    program = str(Path(__file__).with_name("_prove.py"))
    request = json.dumps({"root": str(root), "files": list(files)})
    done = _run((toolchain.protoc[0], "-B", "-W", "ignore", program), cwd=cwd, text=request)
    if done.returncode != 0:
        raise SchemaError(
            f"the interpreter died while it imported the generated modules:\n{done.stderr.strip()}"
        )
    failures = json.loads(done.stdout)
    if failures:
        # The temporary folder will be gone when the message is read.
        lines = [f"{file}: {error}".replace(f"{root}{os.sep}", "") for file, error in failures]
        if any("ImportError: " in line or "ModuleNotFoundError: " in line for line in lines):
            lines.append(
                "a module that is missing comes from an imported .proto: generate that file too, or install the "
                "package that ships its module"
            )
        raise SchemaError("\n".join(["generated modules cannot be imported, so none was written:", *lines]))


def _first_line(command: Sequence[str], *, cwd: Path) -> str:
    done = _run(command, cwd=cwd)
    if done.returncode != 0 or not done.stdout.strip():
        raise SchemaError(f"{command[0]} does not tell its version:\n{done.stderr.strip()}\n{_INSTALL}")
    return done.stdout.splitlines()[0].strip()


def _run(command: Sequence[str], *, cwd: Path, text: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, cwd=cwd, input=text, capture_output=True, check=False, encoding="utf-8", errors="replace"
        )
    except OSError as error:
        raise SchemaError(f"{command[0]} cannot be started ({error.strerror}); {_INSTALL}") from error
