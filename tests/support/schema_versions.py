"""A schema and its next versions; the fixtures that compare them stand in integration/conftest.py."""

from __future__ import annotations

from pathlib import Path

from support.schemas import proto

X, Y = "protos/acme/v1/x.proto", "protos/acme/v1/y.proto"
OLD = proto("message A {\n  int32 a = 1;\n}")
NEW = proto("message A {\n  string a = 1;\n}")
RENAMED = proto("message A {\n  int32 b = 1;\n}")
TYPE = "FIELD_WIRE_COMPATIBLE_TYPE"


def write(name: str, text: str) -> None:
    """A file below the working directory."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
