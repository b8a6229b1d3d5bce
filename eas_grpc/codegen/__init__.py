"""Generate typed, importable Python from .proto files, prove that it is fresh, and judge a schema and its changes.

Imports neither grpc nor the compiler; those run as child processes. `lint` and `breaking` are packages of their own.
"""

from __future__ import annotations

from eas_grpc.codegen._check import Finding, FindingKind, check
from eas_grpc.codegen._diagnostics import Diagnostic, Position, Severity
from eas_grpc.codegen._job import Job, Report
from eas_grpc.codegen._manifest import MANIFEST
from eas_grpc.codegen._plan import Client, Options, Runtime
from eas_grpc.codegen._run import generate
from eas_grpc.codegen._settings import configured
from eas_grpc.codegen._sources import Sources, find_sources, protos_below
from eas_grpc.codegen._tools import Toolchain

__all__ = [
    "MANIFEST",
    "Client",
    "Diagnostic",
    "Finding",
    "FindingKind",
    "Job",
    "Options",
    "Position",
    "Report",
    "Runtime",
    "Severity",
    "Sources",
    "Toolchain",
    "check",
    "configured",
    "find_sources",
    "generate",
    "protos_below",
]
