"""Schemas from the text of protos, by the real compiler."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from eas_grpc.codegen._diagnostics import Diagnostic
from eas_grpc.codegen._elements import Schema, read_schema

ROOT = Path(__file__).resolve().parents[2]
PROTOC_PYTHON = Path(os.environ.get("EAS_GRPC_PROTOC_PYTHON") or ROOT / ".venv-codegen/bin/python")

NAME = "acme/v1/x.proto"


def need_protoc() -> None:
    """Skips where the compiler's environment is missing; in CI that is a failure."""
    if not PROTOC_PYTHON.exists():
        text = f"no protoc environment at {PROTOC_PYTHON}; run `make setup`"
        pytest.fail(text) if os.environ.get("CI") else pytest.skip(text)


def descriptors(files: Mapping[str, str]) -> FileDescriptorSet:
    """The descriptors of some files by import name, with what they import and with positions."""
    return _compiled(tuple(sorted(files.items())))


def schema(files: Mapping[str, str] | str, **others: str) -> Schema:
    """The schema of some files, or of the body of one file of package acme.v1, shown below `protos/`."""
    if isinstance(files, str):
        files = {NAME: proto(files, **others)}
    return read_schema(descriptors(files), files, {name: f"protos/{name}" for name in files})


def proto(body: str, syntax: str = 'syntax = "proto3"', package: str = "acme.v1") -> str:
    """A whole file: the body begins on line 3."""
    return f"{syntax};\n{f'package {package};' if package else ''}\n{body}\n"


def rules(found: tuple[Diagnostic, ...]) -> list[str]:
    """The rules of what was found, in order."""
    return [diagnostic.rule for diagnostic in found]


@cache
def _compiled(files: tuple[tuple[str, str], ...]) -> FileDescriptorSet:
    need_protoc()
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files:
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        out = Path(folder, "out.bin")
        done = subprocess.run(
            (
                *(PROTOC_PYTHON, "-m", "grpc_tools.protoc", f"-I{folder}", "--include_imports"),
                *("--include_source_info", f"--descriptor_set_out={out}", *(name for name, _ in files)),
            ),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return FileDescriptorSet.FromString(out.read_bytes())
