"""What a service looks like, found at run time: services, methods and messages without generated code.

A `Schema` comes from a running service's reflection, a descriptor set, descriptor files or an installed module.
"""

from __future__ import annotations

from eas_grpc.schema._data import as_data
from eas_grpc.schema._elements import Comments, Element
from eas_grpc.schema._errors import ReflectionError
from eas_grpc.schema._invoke import Ended, Event, Headers, Received, invoke
from eas_grpc.schema._module import from_module
from eas_grpc.schema._reflection import from_reflection
from eas_grpc.schema._render import describe, protos
from eas_grpc.schema._schema import Method, Schema, descriptor_set, from_descriptor_set, from_files
from eas_grpc.schema._status import status_details

__all__ = [
    "Comments",
    "Element",
    "Ended",
    "Event",
    "Headers",
    "Method",
    "Received",
    "ReflectionError",
    "Schema",
    "as_data",
    "describe",
    "descriptor_set",
    "from_descriptor_set",
    "from_files",
    "from_module",
    "from_reflection",
    "invoke",
    "protos",
    "status_details",
]
