"""Write portable modules from descriptors alone, for tests that have no compiler at hand."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from eas_grpc.codegen.portable import POOL, message_module, pool_module, service_module


def write_portable(
    own: Sequence[FileDescriptorProto], every: Sequence[FileDescriptorProto], package: str, root: Path
) -> None:
    """The tree of the files `own`, under the names that they have inside `package`; `every` has what they import."""
    modules = {file.name: module_of(file.name) for file in every}
    if package:
        _write(root, f"{package}.{POOL}", pool_module(own, portable=True))
    for file in own:
        module = modules[file.name]
        _write(root, module, message_module(file, modules=modules, pool=package or None))
        if file.service:
            text = service_module(file, files=every, modules=modules, client=True, servicer=True)
            _write(root, f"{module}_grpc", text)


def run_python(program: str, root: Path, implementation: str = "") -> str:
    """What a program prints that imports from `root`, with protobuf's C implementation or the one named `python`."""
    environment = {**os.environ, "PYTHONPATH": str(root)}
    environment.pop("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", None)
    if implementation:
        environment["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = implementation
    done = subprocess.run(
        [sys.executable, "-B", "-c", program], capture_output=True, text=True, env=environment, cwd=root
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def module_of(name: str) -> str:
    """The dotted module of a proto."""
    return name.removesuffix(".proto").replace("-", "_").replace(".", "/").replace("/", ".") + "_pb2"


def _write(root: Path, module: str, text: str) -> None:
    path = root.joinpath(*module.split(".")).with_suffix(".py")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
