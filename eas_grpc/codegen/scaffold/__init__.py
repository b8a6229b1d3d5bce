"""A service project to start from, after the vendor's gRPC demo: what is in it, and how it gets onto the disk."""

from __future__ import annotations

from eas_grpc.codegen.scaffold._names import Names, names
from eas_grpc.codegen.scaffold._plan import installed_from, plan_project
from eas_grpc.codegen.scaffold._write import write_project

__all__ = ["Names", "installed_from", "names", "plan_project", "write_project"]
