"""Generate typed, importable Python from .proto files, and prove that committed output is fresh.

Imports neither grpc nor the compiler; those run as child processes.
"""

from __future__ import annotations

from eas_grpc.codegen._check import Finding, FindingKind, check
from eas_grpc.codegen._manifest import MANIFEST
from eas_grpc.codegen._run import Job, Report, generate, protos_below
from eas_grpc.codegen._tools import Toolchain

__all__ = [
    "MANIFEST",
    "Finding",
    "FindingKind",
    "Job",
    "Report",
    "Toolchain",
    "check",
    "generate",
    "protos_below",
]
