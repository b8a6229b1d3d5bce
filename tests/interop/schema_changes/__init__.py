"""The corpus: pairs of schemas, old and new, each in a package of its own so that one run of a tool sees them all."""

from __future__ import annotations

from interop.schema_changes.change import Change
from interop.schema_changes.fields import FIELDS
from interop.schema_changes.services import SERVICES
from interop.schema_changes.single import SCHEMAS
from interop.schema_changes.types import TYPES

__all__ = ["CHANGES", "SCHEMAS", "Change"]

CHANGES: tuple[Change, ...] = (*FIELDS, *TYPES, *SERVICES)
