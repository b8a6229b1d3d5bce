"""The programs that generate, each run as a child process so that a crash cannot take us down.

Knows how to start them and to read their answers; decides nothing about what is generated.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eas_grpc.codegen._diagnostics import Diagnostic, show
from eas_grpc.codegen._environment import import_paths, installed_version
from eas_grpc.codegen._protoc import read_protoc
from eas_grpc.errors import SchemaError

__all__ = ["INSTALL", "Protoc", "Toolchain", "missing_program", "prove", "versions"]

_TYPES = ("protoc-gen-mypy", "protoc-gen-mypy_grpc")
INSTALL = (
    "install the extra `codegen` there (pip install 'eas-grpc[codegen]': grpcio-tools, mypy-protobuf), "
    "or name another environment with --protoc-python"
)


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """The compiler's command line, and plugin programs by name.

    `protoc` starts with the interpreter that holds grpcio-tools; as a rule the output is imported there as a proof.
    It runs as a module, because only that entry point knows where the well-known protos are.
    """

    protoc: tuple[str, ...]
    plugins: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def installed(cls, python: str | None = None, plugins_bin: str | None = None) -> Toolchain:
        """grpcio-tools of one interpreter (default: this one), mypy-protobuf from a folder (default: beside it)."""
        python = python or sys.executable
        folder = os.path.dirname(python) if plugins_bin is None else plugins_bin  # noqa: PTH120 - "" stays ""
        return cls(
            protoc=(python, "-m", "grpc_tools.protoc"),
            plugins={name: str(Path(folder, name)) for name in _TYPES},
        )

    @property
    def python(self) -> str:
        """The interpreter that has the compiler."""
        return self.protoc[0]

    def absolute(self) -> Toolchain:
        """The same programs, found from any working directory."""
        # Links stay as they are: a virtual environment's python is one.
        python = self.python
        return Toolchain(
            protoc=(str(Path(python).absolute()) if os.sep in python else python, *self.protoc[1:]),
            plugins={name: str(Path(path).absolute()) for name, path in self.plugins.items()},
        )


class Protoc:
    """A run of the compiler that is under way; leaving its `with` block ends it, finished or not."""

    def __init__(self, toolchain: Toolchain, arguments: Sequence[str], *, cwd: Path) -> None:
        # A file and no pipe: nobody reads while several of them run.
        self._said = tempfile.TemporaryFile(dir=cwd)  # noqa: SIM115 - closed with the process
        self._python = toolchain.python
        try:
            self._process = subprocess.Popen(
                (*toolchain.protoc, *arguments),
                cwd=cwd,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                start_new_session=True,  # a group of its own, so that its plugins end with it
            )
        except OSError as error:
            self._said.close()
            raise _not_started(self._python, error) from error

    def __enter__(self) -> Protoc:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Not left running behind an interrupt."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._said.close()

    def finish(
        self,
        shown: Callable[[str], str],
        found_at: Callable[[str], str] = lambda _: "",
        import_name: Callable[[str], str] = lambda path: path,
    ) -> tuple[Diagnostic, ...]:
        """Wait for it and return its warnings; whatever plugins chat about is left out.

        Raises SchemaError with everything that it reports, as diagnostics too.
        """
        status = self._process.wait()
        self._said.seek(0)
        said = self._said.read().decode(errors="replace")
        found = read_protoc(said, shown, found_at=found_at, import_name=import_name)
        if status == 0:
            return tuple(diagnostic for diagnostic in found if diagnostic.at is not None)
        if "No module named 'grpc_tools'" in said or "No module named grpc_tools" in said:
            raise SchemaError(f"{self._python} has no grpcio-tools, which brings the compiler: {INSTALL}")
        found = found or (Diagnostic(text=f"protoc ended with status {status} and said nothing"),)
        raise SchemaError(show(found, "text"), found)


def versions(toolchain: Toolchain, *, types: bool, services: bool) -> dict[str, str]:
    """Version by name of everything that writes its own version or style into the output.

    Raises SchemaError if it is not there: the interpreter first, then its compiler, then the programs for types.
    """
    if os.sep in toolchain.python and not os.path.isfile(toolchain.python):  # noqa: PTH113
        raise SchemaError(f"there is no interpreter {toolchain.python}: {INSTALL}")
    found = {"grpcio-tools": installed_version("grpcio-tools", import_paths(toolchain.python))}
    if not found["grpcio-tools"]:
        raise SchemaError(f"{toolchain.python} has no grpcio-tools, which brings the compiler: {INSTALL}")
    if types:
        missing_program(toolchain, _TYPES if services else _TYPES[:1])
        program = toolchain.plugins.get(_TYPES[0], "")
        # A console script lies in the environment that holds its package.
        beside = str(Path(program).parent / "python")
        found["mypy-protobuf"] = installed_version("mypy-protobuf", import_paths(beside)) or _asked(program)
    return found


def missing_program(toolchain: Toolchain, names: Sequence[str]) -> None:
    """Raise SchemaError if one of the plugin programs is not there."""
    for name in names:
        path = toolchain.plugins.get(name, name)
        if not (os.path.isfile(path) and os.access(path, os.X_OK)):  # noqa: PTH113
            own = name in _TYPES
            advice = f"{INSTALL}, or leave the types out with --no-types" if own else "give its full path"
            raise SchemaError(f"there is no program {path} for the protoc plugin {name}: {advice}")


def prove(python: str, files: Mapping[str, str], *, cwd: Path) -> None:
    """Compile and import generated modules, given as text by path, with an interpreter; raises SchemaError."""
    program = str(Path(__file__).with_name("_prove.py"))
    done = _run((python, "-B", "-W", "ignore", program), cwd=cwd, text=json.dumps(dict(files)))
    if done.returncode != 0:
        raise SchemaError(
            f"the interpreter died while it imported the generated modules:\n{done.stderr.strip()}"
        )
    failures = json.loads(done.stdout)
    if failures:
        lines = [f"{file}: {error}" for file, error in failures]
        if any("ImportError: " in line or "ModuleNotFoundError: " in line for line in lines):
            lines.append(
                "a module that is missing comes from an imported .proto: generate that file too, or install the "
                "package that ships its module"
            )
        raise SchemaError("\n".join(["generated modules cannot be imported, so none was written:", *lines]))


def _asked(program: str) -> str:
    done = _run((program, "--version"), cwd=Path())
    if done.returncode != 0 or not done.stdout.strip():
        raise SchemaError(f"{program} does not tell its version:\n{done.stderr.strip()}\n{INSTALL}")
    return done.stdout.split()[-1]


def _environment() -> dict[str, str]:
    """Ours, with a PYTHONPATH that means the same in another folder, and names of files in any script."""
    ours = {**os.environ, "PYTHONUTF8": "1"}
    if paths := ours.get("PYTHONPATH"):
        ours["PYTHONPATH"] = os.pathsep.join(os.path.abspath(path) for path in paths.split(os.pathsep))  # noqa: PTH100
    return ours


def _run(command: Sequence[str], *, cwd: Path, text: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            cwd=cwd,
            env=_environment(),
            input=text,
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise _not_started(command[0], error) from error


def _not_started(program: str, error: OSError) -> SchemaError:
    return SchemaError(f"{program} cannot be started ({error.strerror}): {INSTALL}")
