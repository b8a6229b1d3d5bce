"""Which protobuf reads a file that is written in an edition: the one statement of that fact. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from eas_grpc.codegen.portable._embed import quoted

__all__ = ["EDITION_FLOORS", "edition_check"]

# The first protobuf whose Python knows the edition; an older one takes the file for proto2, silently, or refuses it.
EDITION_FLOORS: Mapping[str, str] = MappingProxyType({"2023": "5.27.0", "2024": "6.31.0"})


def edition_check(file: FileDescriptorProto, shown: str) -> str:
    """Lines that refuse, when they are imported, a protobuf that is too old for the file; none without an edition."""
    if file.syntax != "editions":
        return ""
    kinds = FileDescriptorProto.DESCRIPTOR.fields_by_name["edition"].enum_type
    assert kinds is not None
    edition = kinds.values_by_number[file.edition].name.removeprefix("EDITION_")
    major, minor, _ = EDITION_FLOORS.get(edition, EDITION_FLOORS["2023"]).split(".")
    text = f"{shown} is written in an edition of protobuf's language, which needs protobuf {major}.{minor} or later"
    return (
        "from google import protobuf as _protobuf\n\n"
        f'if tuple(map(int, _protobuf.__version__.split(".")[:2])) < ({major}, {minor}):\n'
        f"    raise ImportError({quoted(text)})\n"
    )
