"""Rules about names that Python cannot write down."""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from pathlib import PurePosixPath

from eas_grpc.codegen._elements import Element, Kind, Schema
from eas_grpc.codegen._names import stem
from eas_grpc.codegen._suppress import Finding

__all__ = ["findings"]

# For each kind of element its rule, and what a caller meets.
_RULES = {
    Kind.SERVICE: ("PYTHON_KEYWORD_SERVICE", "its stub would be a class that cannot be named"),
    Kind.RPC: ("PYTHON_KEYWORD_RPC", "a stub's method of that name is a syntax error"),
    Kind.MESSAGE: (
        "PYTHON_KEYWORD_TYPE",
        "the class can be reached by getattr only, and stubs cannot name it",
    ),
    Kind.ENUM: ("PYTHON_KEYWORD_TYPE", "the enum can be reached by getattr only, and stubs cannot name it"),
    Kind.FIELD: ("PYTHON_KEYWORD_FIELD", "it can be set by **{...} and read by getattr only"),
    Kind.VALUE: ("PYTHON_KEYWORD_ENUM_VALUE", "it can be reached by Value(...) and getattr only"),
}


def findings(schema: Schema) -> Iterator[Finding]:
    """Where these rules do not hold."""
    for element in schema.elements:
        if element.kind is Kind.FILE:
            yield from _file(element)
        elif element.kind in _RULES and keyword.iskeyword(element.name):
            rule, why = _RULES[element.kind]
            yield Finding(
                rule=rule,
                element=element,
                text=f"{element}: `{element.name}` is a Python keyword; {why}",
                hint="give it another name",
            )


def _file(file: Element) -> Iterator[Finding]:
    # protoc turns `-` into `_` and `.` into a folder, so these two are no problem here.
    parts = PurePosixPath(stem(file.name)).parts
    for number, part in enumerate(parts, start=1):
        # The module is called after the file and `_pb2`, which no keyword ends in.
        is_folder = number < len(parts)
        bad = "a Python keyword" if is_folder and keyword.iskeyword(part) else "no Python name"
        if not part.isidentifier() or (is_folder and keyword.iskeyword(part)):
            yield Finding(
                rule="PYTHON_MODULE_NAME",
                element=file,
                about=part,
                text=f"`{part}` of {file.name} is {bad}, so the generated module cannot be imported",
                hint="rename it: a letter first, then letters, digits and `_`",
            )
    for part in str(file.proto.package).split("."):
        if keyword.iskeyword(part) and part not in parts:
            yield Finding(
                rule="PYTHON_KEYWORD_PACKAGE",
                element=file,
                about=part,
                text=f"`{part}` of package {file.proto.package} is a Python keyword: no folder can be called like it",
                hint="rename that part of the package",
            )
