"""Rules about the contract itself: packages, zero values, required fields, the messages and comments of rpcs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from eas_grpc.codegen._elements import Element, Kind, Schema
from eas_grpc.codegen._suppress import Finding

__all__ = ["findings"]

_VERSION = re.compile(r"v0*[1-9]\d*(?:test.*|(?:p\d+)?(?:alpha|beta)\d*)?\Z")


def findings(schema: Schema) -> Iterator[Finding]:
    """Where these rules do not hold."""
    for file in schema.of(Kind.FILE):
        yield from _package(file)
    for enum in schema.of(Kind.ENUM):
        yield from _zero(schema, enum)
    for field in (*schema.of(Kind.FIELD), *schema.of(Kind.EXTENSION)):
        yield from _required(field)
    for service in schema.of(Kind.SERVICE):
        yield from _comment(service, "COMMENT_SERVICE")
    for rpc in schema.of(Kind.RPC):
        yield from _comment(rpc, "COMMENT_RPC")
    yield from _unique(schema.of(Kind.RPC))


def _package(file: Element) -> Iterator[Finding]:
    package = file.proto.package
    if not package:
        yield Finding(
            rule="PACKAGE_DEFINED",
            element=file,
            text="the file has no package, so its names meet everybody else's in protobuf's one registry per process",
            hint="add a line such as `package acme.v1;`; it becomes part of every path /acme.v1.Service/Method",
        )
        return
    wanted = PurePosixPath(*package.split("."))
    if PurePosixPath(file.name).parent != wanted:
        yield Finding(
            rule="PACKAGE_DIRECTORY_MATCH",
            element=file,
            text=f"the file is {file.name}, and its package is {package}: the names to import do not follow from the "
            "names to call",
            hint=f"move it to {wanted / PurePosixPath(file.name).name}, below an include root",
        )
    if not _VERSION.match(package.rpartition(".")[2]):
        yield Finding(
            rule="PACKAGE_VERSION_SUFFIX",
            element=file,
            text=f"package {package} ends in no version",
            hint=f"call it {package}.v1: an incompatible v2 can be served beside it, since the path has the package",
        )


def _zero(schema: Schema, enum: Element) -> Iterator[Finding]:
    values = schema.inside(enum, Kind.VALUE)
    if values[0].proto.number != 0:
        yield Finding(
            rule="ENUM_FIRST_VALUE_ZERO",
            element=values[0],
            text=f"{values[0]} is {values[0].proto.number}: the first value is what a reader sees who was sent nothing",
            hint="let the enum begin with a value 0 that says that nothing was set",
        )
    for value in values:
        if value.proto.number == 0 and not value.name.endswith("_UNSPECIFIED"):
            yield Finding(
                rule="ENUM_ZERO_VALUE_SUFFIX",
                element=value,
                text=f"{value} is 0: a caller who sends nothing says `{value.name}`, and nobody can tell",
                hint="let 0 be a value whose name ends in _UNSPECIFIED",
            )


def _required(field: Element) -> Iterator[Finding]:
    if field.proto.label == field.proto.LABEL_REQUIRED or (
        field.features.field_presence == field.features.LEGACY_REQUIRED
    ):
        yield Finding(
            rule="FIELD_NOT_REQUIRED",
            element=field,
            text=f"{field} is required: it can never be removed, since old readers refuse a message without it",
            hint="make it optional, and check it in the service",
        )


def _comment(element: Element, rule: str) -> Iterator[Finding]:
    if not element.leading.strip():
        yield Finding(
            rule=rule,
            element=element,
            text=f"{element} has no comment",
            hint="say above it what it does for its caller: generated stubs carry the comment",
        )


def _unique(rpcs: tuple[Element, ...]) -> Iterator[Finding]:
    users = Counter(name for rpc in rpcs for name in (rpc.proto.input_type, rpc.proto.output_type))
    for rpc in rpcs:
        for name in dict.fromkeys((rpc.proto.input_type, rpc.proto.output_type)):
            if users[name] > 1:
                yield Finding(
                    rule="RPC_REQUEST_RESPONSE_UNIQUE",
                    element=rpc,
                    about=name,
                    text=f"{name.lstrip('.')} is used {users[name]} times as a request or a response: a field that one "
                    "rpc needs would show up in the others",
                    hint=f"give every rpc messages of its own, such as {rpc.name}Request and {rpc.name}Response",
                )
