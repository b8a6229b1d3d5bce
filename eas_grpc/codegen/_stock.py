"""What is changed in the text that protoc's generators and mypy-protobuf write: as little as possible.

Pure: text in, text out; comments stay. Definitions are found by Python's own parser, not by patterns.
"""

from __future__ import annotations

import ast
import re

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from eas_grpc.codegen.portable import POOL
from eas_grpc.errors import SchemaError

__all__ = ["HEADER", "comments_escaped", "finished", "pooled", "without_definitions"]

# Nobody repairs generated code: linters and formatters pass over it, and pyright leaves out what is known to be wrong
# in the stubs (DESCRIPTOR of a message overrides a property) and in grpcio's (`grpc.experimental`).
HEADER = (
    "# ruff: noqa\n"
    "# fmt: off\n"
    "# pyright: basic, reportIncompatibleVariableOverride=false, reportAttributeAccessIssue=false, "
    "reportIncompatibleMethodOverride=false, reportGeneralTypeIssues=false\n"
)

# Google's common protos come without types.
_STUB_HEADER = '# mypy: disable-error-code="import-untyped"\n'

_FILE_SERVICE = 6  # the field of a file's descriptor that holds its services
_DEFAULT_POOL = "DESCRIPTOR = _descriptor_pool.Default().AddSerializedFile("


_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


def comments_escaped(files: FileDescriptorSet) -> FileDescriptorSet:
    """The same files, with the comments of services such that they can stand in a docstring.

    grpc_python copies them as they are, and a backslash or three quotes would end in a syntax error.
    """
    result = FileDescriptorSet()
    result.CopyFrom(files)
    for file in result.file:
        for place in file.source_code_info.location:
            if place.path[:1] == [_FILE_SERVICE]:
                place.leading_comments = _escaped(place.leading_comments)
                place.trailing_comments = _escaped(place.trailing_comments)
                place.leading_detached_comments[:] = map(_escaped, place.leading_detached_comments)
    return result


def _escaped(comment: str) -> str:
    return comment.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')


def finished(text: str, *, stub: bool = False) -> str:
    """With the comments that keep tools of others from complaining about it."""
    return HEADER + (_STUB_HEADER if stub else "") + text


def pooled(text: str, package: str, name: str) -> str:
    """A `_pb2.py` that asks its package in which pool of protobuf to register."""
    if text.count(_DEFAULT_POOL) != 1:
        raise SchemaError(
            f"the installed grpcio-tools writes {name} in a form that is not known here: pin an older grpcio-tools, "
            "or generate with --runtime portable"
        )
    own = f"from {package} import {POOL}\n\nDESCRIPTOR = {POOL}.add("
    return text.replace(_DEFAULT_POOL, own)


def without_definitions(text: str, names: frozenset[str]) -> str:
    """A module without its top-level classes and functions of these names, and without the comments above them."""
    # Not splitlines(): the parser does not count the line ends of Unicode, which comments may hold.
    lines = _LINE.findall(text)
    gone: set[int] = set()
    for node in ast.parse(text).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name in names:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
            while first and lines[first - 1].strip().startswith("#"):
                first -= 1
            while first and not lines[first - 1].strip():
                first -= 1
            gone.update(range(first, node.end_lineno or first))
    return "".join(line for number, line in enumerate(lines) if number not in gone)
